//! One block: attention, feed-forward, and what stands around them.

use burn::module::Module;
use burn::tensor::Tensor;

use super::attention::{Keys, Pass};
use super::{Attention, FeedForward, Init, LinearVisitor, Norm, site};
use crate::blueprint::{Blueprint, Residual};
use crate::generate::cache::LayerCache;
use crate::noise::Noise;
use crate::op;

/// Attention and feed-forward, each with a norm, each added to what came in.
#[derive(Module, Debug)]
pub struct Block {
    /// The norm that belongs to the attention.
    pub attention_norm: Norm,
    /// How tokens look at each other.
    pub attention: Attention,
    /// The norm that belongs to the feed-forward part.
    pub feed_forward_norm: Norm,
    /// What happens to each token alone.
    pub feed_forward: FeedForward,
    /// The norm of what the attention adds, where there is one more.
    pub attention_output_norm: Option<Norm>,
    /// The norm of what the feed-forward part adds, where there is one more.
    pub feed_forward_output_norm: Option<Norm>,
    #[module(skip)]
    residual: Residual,
    /// Of what attention adds, and of what the feed-forward part adds.
    dropout: [f64; 2],
}

impl Block {
    /// A block with random weights; `number` counts from 0.
    pub fn new(init: &Init, plan: &Blueprint, number: usize) -> Self {
        let norm = |name: &str| Norm::new(&init.at(name), plan.width, plan.norm);
        let more = |name: &str| (plan.residual == Residual::Sandwich).then(|| norm(name));
        Self {
            attention_norm: norm("attention_norm"),
            attention: Attention::new(&init.at("attention"), plan, number),
            feed_forward_norm: norm("feed_forward_norm"),
            feed_forward: FeedForward::new(&init.at("feed_forward"), plan),
            attention_output_norm: more("attention_output_norm"),
            feed_forward_output_norm: more("feed_forward_output_norm"),
            residual: plan.residual,
            dropout: [plan.dropout.attended, plan.dropout.fed],
        }
    }

    /// # Shapes
    /// `[batch * length, width]` to the same.
    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        pass: &Pass,
        noise: Noise,
        cache: Option<LayerCache<'_>>,
    ) -> Tensor<2> {
        let attend = |x| self.attention.forward(x, pass, noise, cache);
        self.around(x, noise, attend)
    }

    /// The same for two streams: the second one looks at the first, which does not know of it.
    ///
    /// # Arguments
    /// - `kept`: keys and values of the first stream before these tokens, where there are; those of the tokens are added
    ///
    /// # Shapes
    /// As [`Self::forward`] for the first stream; for the second, `[rows, width]` to the same, with the rows that its
    /// pass asks for.
    pub(crate) fn streams(
        &self,
        [first, second]: [Tensor<2>; 2],
        [pass, second_pass]: [&Pass; 2],
        noise: Noise,
        kept: &mut Option<Keys>,
    ) -> [Tensor<2>; 2] {
        let first = self.around(first, noise, |x| {
            let new = self.attention.keys(x.clone(), pass, noise, None);
            let keys = match kept.take() {
                Some(before) => new.behind(&before),
                None => new,
            };
            *kept = Some(keys.clone());
            self.attention.look(x, keys, pass, noise)
        });
        let noise = noise.site(site::SECOND);
        let second = self.around(second, noise, |x| {
            let keys = kept.clone().expect("the first stream has left them");
            self.attention.look(x, keys, second_pass, noise)
        });
        [first, second]
    }

    /// Norms, sums and the feed-forward part around an attention.
    fn around(
        &self,
        x: Tensor<2>,
        noise: Noise,
        attention: impl FnOnce(Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let attend = |x| {
            let site = noise.site(site::AFTER_ATTENTION);
            op::dropout(attention(x), self.dropout[0], site)
        };
        let feed = |x| {
            let fed = self.feed_forward.forward(x, noise);
            op::dropout(fed, self.dropout[1], noise.site(site::AFTER_FEED_FORWARD))
        };
        match self.residual {
            Residual::PreNorm => {
                let x = x.clone() + attend(self.attention_norm.forward(x));
                x.clone() + feed(self.feed_forward_norm.forward(x))
            }
            Residual::PostNorm => {
                let x = self.attention_norm.forward(x.clone() + attend(x));
                self.feed_forward_norm.forward(x.clone() + feed(x))
            }
            Residual::Parallel => {
                let seen = attend(self.attention_norm.forward(x.clone()));
                let fed = feed(self.feed_forward_norm.forward(x.clone()));
                x + seen + fed
            }
            Residual::NormedStream => {
                let x = self.attention_norm.forward(x);
                let x = self.feed_forward_norm.forward(x.clone() + attend(x));
                x.clone() + feed(x)
            }
            Residual::OutputNorm => {
                let x = x.clone() + self.attention_norm.forward(attend(x));
                x.clone() + self.feed_forward_norm.forward(feed(x))
            }
            Residual::Sandwich => {
                let seen = attend(self.attention_norm.forward(x.clone()));
                let x = x + Norm::maybe(self.attention_output_norm.as_ref(), seen);
                let fed = feed(self.feed_forward_norm.forward(x.clone()));
                x + Norm::maybe(self.feed_forward_output_norm.as_ref(), fed)
            }
        }
    }

    pub(crate) fn linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) {
        self.attention.linears(&format!("{path}.attention"), visit);
        self.feed_forward
            .linears(&format!("{path}.feed_forward"), visit);
    }
}
