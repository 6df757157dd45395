//! What turns token ids into hidden states.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

use super::{Init, Linear, LinearVisitor, Norm, site};
use crate::blueprint::{Blueprint, Position};
use crate::noise::Noise;
use crate::op;
use crate::tokens::{Tokens, int_tensor};

/// A learned vector per id.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[ids, width]`.
    pub weight: Param<Tensor<2>>,
    /// The id whose vector gets no gradient from being read.
    padding: Option<usize>,
}

impl Embedding {
    /// Random vectors.
    pub fn new(init: &Init, ids: usize, width: usize) -> Self {
        Self {
            weight: init.vectors("weight", [ids, width]),
            padding: None,
        }
    }

    /// The same with one vector that is not trained by being read.
    pub fn with_padding(self, padding: Option<usize>) -> Self {
        Self { padding, ..self }
    }

    /// # Shapes
    /// `[rows]` to `[rows, width]`.
    pub fn forward(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        let Some(padding) = self.padding else {
            return op::embed(self.weight.val(), ids);
        };
        let x = op::embed(self.weight.val(), ids.clone());
        if !x.is_tracked() {
            return x;
        }
        let [rows, width] = x.dims();
        let still = ids.equal_elem(padding as i32).reshape([rows, 1]);
        x.clone()
            .mask_where(still.expand([rows, width]), x.detach())
    }

    /// The vectors as the weight of a projection to the ids, `[width, ids]`: a view, nothing is copied.
    pub fn transposed(&self) -> Tensor<2> {
        self.weight.val().transpose()
    }
}

/// The sum of a token's vectors: of its id, and where the family has them of its segment and its position.
#[derive(Module, Debug)]
pub struct Embeddings {
    /// A vector per token id.
    pub tokens: Embedding,
    /// A vector per segment.
    pub kinds: Option<Embedding>,
    /// A vector per position.
    pub positions: Option<Embedding>,
    /// The norm of the sum.
    pub norm: Option<Norm>,
    /// From the features of the vectors to those of the hidden state.
    pub project: Option<Linear>,
    /// The position of a text's first token.
    first: usize,
    scale: Option<f64>,
    dropout: f64,
}

impl Embeddings {
    /// Random vectors.
    pub fn new(init: &Init, plan: &Blueprint) -> Self {
        let width = plan.embedding.width.unwrap_or(plan.width);
        let (positions, first) = match plan.position {
            Position::Learned { length, first } => (Some(length), first),
            Position::Rotary(_)
            | Position::Alibi
            | Position::Distance(_)
            | Position::Relative(_) => (None, 0),
        };
        let project = || Linear::new(&init.at("project"), width, plan.width, true);
        let table = |name: &str, ids| Embedding::new(&init.at(name), ids, width);
        let norm = plan.embedding.norm;
        Self {
            tokens: table("tokens", plan.embedding.vocabulary).with_padding(plan.embedding.padding),
            kinds: plan.embedding.kinds.map(|ids| table("kinds", ids)),
            // Reading the vector of padding does not train it.
            positions: positions
                .map(|ids| table("positions", ids).with_padding(first.checked_sub(1))),
            norm: norm.then(|| Norm::new(&init.at("norm"), width, plan.norm)),
            project: (width != plan.width).then(project),
            first,
            scale: plan.embedding.scale,
            dropout: plan.dropout.embedding,
        }
    }

    /// The longest text that the positions allow; `None` where there are none.
    pub fn longest(&self) -> Option<usize> {
        let positions = self.positions.as_ref()?;
        Some(positions.weight.lazy_shape()[0] - self.first)
    }

    /// # Shapes
    /// Tokens `[batch, length]` to hidden states `[batch * length, width]`.
    ///
    /// # Panics
    /// When a text is longer than the learned positions; check [`Blueprint::longest`] where texts come in.
    pub fn forward(&self, tokens: &Tokens, noise: Noise) -> Tensor<2> {
        let rows = tokens.batch() * tokens.length();
        let device = tokens.ids.device();
        let mut x = self.tokens.forward(tokens.ids.clone().reshape([rows]));
        if let Some(scale) = self.scale {
            x = x * scale;
        }
        if let Some(kinds) = &self.kinds {
            let of = match &tokens.kinds {
                Some(kinds) => kinds.clone().reshape([rows]),
                None => Tensor::zeros([rows], &device),
            };
            x = x + kinds.forward(of);
        }
        if let Some(positions) = &self.positions {
            let length = positions.weight.lazy_shape()[0];
            let of: Vec<i32> = match self.first as i32 {
                0 => tokens.positions().iter().map(|at| *at as i32).collect(),
                first => {
                    // The vector before the first text's is that of padding.
                    let vector = |at: &Option<u32>| at.map_or(first - 1, |at| at as i32 + first);
                    tokens.text_positions().iter().map(vector).collect()
                }
            };
            let last = of.iter().max().copied().unwrap_or(0) as usize;
            assert!(
                last < length,
                "a text reaches position {last}, the model has {length} learned positions"
            );
            x = x + positions.forward(int_tensor(of, [rows], &device));
        }
        if let Some(norm) = &self.norm {
            x = norm.forward(x);
        }
        let noise = noise.site(site::EMBEDDINGS);
        x = op::dropout(x, self.dropout, noise);
        match &self.project {
            Some(project) => project.forward(x, noise.site(0)),
            None => x,
        }
    }

    pub(crate) fn linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) {
        if let Some(project) = &mut self.project {
            visit(&format!("{path}.project"), project);
        }
    }
}
