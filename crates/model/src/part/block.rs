//! One block: attention, feed-forward, and what stands around them.

use burn::module::Module;
use burn::tensor::Tensor;

use super::attention::{Pass, Sights};
use super::{Attention, FeedForward, Init, LinearVisitor, Norm, site};
use crate::blueprint::{Blueprint, Residual};
use crate::generate::cache::LayerCache;
use crate::noise::Noise;
use crate::op::{self, Mask};

/// Attention and feed-forward, each with a norm, each added to what came in.
#[derive(Module, Debug)]
pub struct Block {
    /// The norm that belongs to the attention, where there is one.
    pub attention_norm: Option<Norm>,
    /// How tokens look at each other.
    pub attention: Attention,
    /// How a decoder's tokens look at the encoder's, where there is an encoder.
    pub across: Option<Across>,
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

/// The part of a decoder's block that looks at the encoder's hidden states.
#[derive(Module, Debug)]
pub struct Across {
    /// The norm before it.
    pub norm: Norm,
    /// Queries from the decoder, keys and values from the encoder.
    pub attention: Attention,
}

impl Across {
    fn new(init: &Init, plan: &Blueprint, number: usize) -> Self {
        Self {
            norm: Norm::new(&init.at("norm"), plan.width, plan.norm),
            attention: Attention::new(&init.at("attention"), plan, number),
        }
    }
}

/// What a block sees of another text.
pub(crate) struct Other<'a> {
    pub(crate) sights: &'a Sights,
    pub(crate) mask: &'a Mask,
}

impl Block {
    /// The same with a part that looks at an encoder's hidden states.
    pub fn with_across(self, init: &Init, plan: &Blueprint, number: usize) -> Self {
        Self {
            across: Some(Across::new(&init.at("across"), plan, number)),
            ..self
        }
    }

    /// A block with random weights; `number` counts from 0.
    pub fn new(init: &Init, plan: &Blueprint, number: usize) -> Self {
        let norm = |name: &str| Norm::new(&init.at(name), plan.width, plan.norm);
        let more = |name: &str| (plan.residual == Residual::Sandwich).then(|| norm(name));
        let bare = plan.residual == Residual::PreNormFromSecond && number == 0;
        let feed_forward = init.at("feed_forward");
        Self {
            attention_norm: (!bare).then(|| norm("attention_norm")),
            attention: Attention::new(&init.at("attention"), plan, number),
            across: None,
            feed_forward_norm: norm("feed_forward_norm"),
            feed_forward: FeedForward::new(&feed_forward, plan),
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
        other: Option<&Other<'_>>,
    ) -> Tensor<2> {
        let attention = |x| self.attention.forward(x, pass, noise, cache);
        self.around(x, noise, attention, other)
    }

    /// The same for two streams: the second one looks at the first, which does not know of it.
    ///
    /// # Arguments
    /// - `kept`: what there was to see of the first stream before these tokens; the tokens are added
    ///
    /// # Shapes
    /// As [`Self::forward`] for the first stream; for the second, `[rows, width]` to the same, with the rows that its
    /// pass asks for.
    pub(crate) fn streams(
        &self,
        [first, second]: [Tensor<2>; 2],
        [pass, second_pass]: [&Pass; 2],
        noise: Noise,
        kept: &mut Option<Sights>,
    ) -> [Tensor<2>; 2] {
        let look = |x: Tensor<2>| {
            let new = self.attention.seen(x.clone(), pass, noise, None);
            let seen = match kept.take() {
                Some(before) => new.behind(&before),
                None => new,
            };
            *kept = Some(seen.clone());
            self.attention.attend(x, seen, pass, noise)
        };
        let first = self.around(first, noise, look, None);
        let seen = kept.clone().expect("the first stream has left it");
        let noise = noise.site(site::SECOND);
        let look = |x| self.attention.attend(x, seen, second_pass, noise);
        [first, self.around(second, noise, look, None)]
    }

    /// Norms, sums and the other parts around an attention.
    fn around(
        &self,
        x: Tensor<2>,
        noise: Noise,
        attention: impl FnOnce(Tensor<2>) -> Tensor<2>,
        other: Option<&Other<'_>>,
    ) -> Tensor<2> {
        let attend = |x| {
            let site = noise.site(site::AFTER_ATTENTION);
            op::dropout(attention(x), self.dropout[0], site)
        };
        let feed = |x| {
            let fed = self.feed_forward.forward(x, noise);
            op::dropout(fed, self.dropout[1], noise.site(site::AFTER_FEED_FORWARD))
        };
        let attention_norm = |x| Norm::maybe(self.attention_norm.as_ref(), x);
        match self.residual {
            Residual::PreNorm | Residual::PreNormFromSecond => {
                let x = x.clone() + attend(attention_norm(x));
                let x = self.looked_across(x, noise, other);
                x.clone() + feed(self.feed_forward_norm.forward(x))
            }
            Residual::PostNorm => {
                let x = attention_norm(x.clone() + attend(x));
                self.feed_forward_norm.forward(x.clone() + feed(x))
            }
            Residual::Parallel => {
                let seen = attend(attention_norm(x.clone()));
                let fed = feed(self.feed_forward_norm.forward(x.clone()));
                x + seen + fed
            }
            Residual::NormedStream => {
                let x = attention_norm(x);
                let x = self.feed_forward_norm.forward(x.clone() + attend(x));
                x.clone() + feed(x)
            }
            Residual::OutputNorm => {
                let x = x.clone() + attention_norm(attend(x));
                x.clone() + self.feed_forward_norm.forward(feed(x))
            }
            Residual::Sandwich => {
                let seen = attend(attention_norm(x.clone()));
                let x = x + Norm::maybe(self.attention_output_norm.as_ref(), seen);
                let fed = feed(self.feed_forward_norm.forward(x.clone()));
                x + Norm::maybe(self.feed_forward_output_norm.as_ref(), fed)
            }
        }
    }

    /// `x` and what it gets from the other text, where there is one.
    fn looked_across(&self, x: Tensor<2>, noise: Noise, other: Option<&Other<'_>>) -> Tensor<2> {
        let (Some(across), Some(other)) = (&self.across, other) else {
            return x;
        };
        let noise = noise.site(site::ACROSS);
        let normed = across.norm.forward(x.clone());
        let sights = other.sights.clone();
        let seen = across.attention.across(normed, sights, other.mask, noise);
        x + op::dropout(seen, self.dropout[0], noise.site(site::AFTER_ATTENTION))
    }

    pub(crate) fn linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) {
        self.attention.linears(&format!("{path}.attention"), visit);
        if let Some(across) = &mut self.across {
            let path = format!("{path}.across.attention");
            across.attention.linears(&path, visit);
        }
        self.feed_forward
            .linears(&format!("{path}.feed_forward"), visit);
    }
}
