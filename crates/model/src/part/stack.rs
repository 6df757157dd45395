//! The blocks of a trunk.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::attention::{Keys, Pass};
use super::relative::Offsets;
use super::{Angles, Block, Init, LinearVisitor, Norm, site};
use crate::blueprint::{Blueprint, Direction, Each, Position, Rotary};
use crate::generate::cache::Cache;
use crate::noise::Noise;
use crate::op::{self, Hidden, Mask, Own};
use crate::tokens::{Convention, Tokens};

/// Blocks, one after the other, and the norm after the last where blocks begin with theirs.
#[derive(Module, Debug)]
pub struct Stack {
    /// The blocks.
    pub blocks: Vec<Block>,
    /// The norm after the last block.
    pub norm: Option<Norm>,
    #[module(skip)]
    direction: Direction,
    #[module(skip)]
    position: Position,
    #[module(skip)]
    window: Each<Option<usize>>,
    /// Of the sines and cosines of relative positions, and of the hidden states after the last block.
    dropout: [f64; 2],
}

/// Who sees whom beyond what tokens and trunk say.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// Whether nothing sees what comes after it, nor a second stream what stands at its own place.
    pub(crate) forwards: bool,
    /// Single places that others do not see.
    pub(crate) hidden: Option<Hidden>,
}

/// Hidden states that look at those of the trunk, which do not know of them.
#[derive(Debug, Clone)]
pub(crate) struct Second {
    /// `[rows, width]`.
    pub(crate) x: Tensor<2>,
    /// The places that the rows stand at; see [`Pass::asked`].
    pub(crate) asked: Option<Tensor<3>>,
}

/// What the first of two streams has left for later passes: keys and values of each block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    blocks: Vec<Option<Keys>>,
}

impl Kept {
    /// Changes those of every block.
    pub(crate) fn change(&mut self, change: impl Fn(&Keys) -> Keys) {
        for keys in self.blocks.iter_mut().flatten() {
            *keys = change(keys);
        }
    }
}

impl Stack {
    /// Blocks with random weights.
    pub fn new(init: &Init, plan: &Blueprint) -> Self {
        let blocks = init.at("blocks");
        let block = |number| Block::new(&blocks.at(number), plan, number);
        let norm = plan
            .residual
            .ends_with_norm()
            .then(|| Norm::new(&init.at("norm"), plan.width, plan.norm));
        Self {
            blocks: plan.blocks().map(block).collect(),
            norm,
            direction: plan.direction,
            position: plan.position.clone(),
            window: plan.attention.window.clone(),
            dropout: [plan.dropout.embedding, plan.dropout.last],
        }
    }

    /// # Shapes
    /// `[batch * length, width]` to the same.
    ///
    /// # Panics
    /// When the cache holds another number of places than `tokens.past`.
    pub fn forward(
        &self,
        x: Tensor<2>,
        tokens: &Tokens,
        noise: Noise,
        cache: Option<&mut Cache>,
    ) -> Tensor<2> {
        self.viewed(x, tokens, &View::default(), noise, cache)
    }

    /// The same under a view.
    pub(crate) fn viewed(
        &self,
        mut x: Tensor<2>,
        tokens: &Tokens,
        view: &View,
        noise: Noise,
        mut cache: Option<&mut Cache>,
    ) -> Tensor<2> {
        let mut pass = self.pass(&x, tokens, view, noise);
        let mut turned = Turned::default();
        if let Some(cache) = &mut cache {
            cache.begin(tokens, self.blocks.len());
        }
        for (number, block) in self.blocks.iter().enumerate() {
            let layer = cache.as_mut().map(|cache| cache.layer(number));
            pass.mask.window = self.level(tokens).or(*self.window.of(number));
            pass.angles = turned.of(&self.position, number, &x, tokens);
            x = block.forward(x, &pass, noise.site(number as u64), layer);
        }
        self.last(x, noise)
    }

    /// The hidden states of a second stream, which looks at the first.
    ///
    /// # Arguments
    /// - `second`: what the stream begins with
    /// - `kept`: what the first stream left of the `tokens.past` places before; what it leaves now is added
    ///
    /// # Shapes
    /// `[batch * length, width]` to the rows of the second stream.
    pub(crate) fn asked(
        &self,
        mut x: Tensor<2>,
        second: Second,
        (tokens, view): (&Tokens, &View),
        noise: Noise,
        kept: &mut Kept,
    ) -> Tensor<2> {
        let mut pass = self.pass(&x, tokens, view, noise);
        let mut asking = asking(&pass, &second, tokens, view);
        let mut own = second.x;
        let mut turned = Turned::default();
        kept.blocks.resize_with(self.blocks.len(), || None);
        for (number, (block, kept)) in self.blocks.iter().zip(&mut kept.blocks).enumerate() {
            pass.mask.window = self.level(tokens).or(*self.window.of(number));
            asking.mask.window = pass.mask.window;
            pass.angles = turned.of(&self.position, number, &x, tokens);
            asking.angles.clone_from(&pass.angles);
            let noise = noise.site(number as u64);
            [x, own] = block.streams([x, own], [&pass, &asking], noise, kept);
        }
        self.last(own, noise)
    }

    /// What follows the last block.
    fn last(&self, x: Tensor<2>, noise: Noise) -> Tensor<2> {
        let x = match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        op::dropout(x, self.dropout[1], noise.site(site::LAST))
    }

    /// What all blocks share; window and angles are a block's own.
    fn pass(&self, x: &Tensor<2>, tokens: &Tokens, view: &View, noise: Noise) -> Pass {
        let (offsets, own) = match &self.position {
            Position::Relative(plan) => {
                let trunk = (x.dims()[1], self.direction == Direction::Causal);
                let dropout = (self.dropout[0], noise.site(site::OFFSETS));
                let kind = (&x.device(), x.dtype());
                let offsets = Offsets::new(plan, tokens, trunk, dropout, kind);
                (Some(offsets), Own::Seen)
            }
            _ => (None, Own::Alike),
        };
        let mask = Mask {
            causal: self.direction == Direction::Causal || view.forwards,
            spans: tokens.spans.clone(),
            past: tokens.past,
            window: self.level(tokens),
            hidden: view.hidden.clone(),
            own,
        };
        Pass {
            batch: tokens.batch(),
            length: tokens.length(),
            blind: match tokens.convention {
                Convention::Documents => None,
                Convention::Reference => blind(&mask, x, tokens),
            },
            mask,
            angles: None,
            offsets,
            asked: None,
        }
    }

    /// How far every token sees where all see equally far.
    fn level(&self, tokens: &Tokens) -> Option<usize> {
        match &self.position {
            Position::Relative(plan) if plan.level => Some(tokens.past + 1),
            _ => None,
        }
    }

    /// Whether rows of a batch count their distances in different directions.
    pub(crate) fn is_mirrored(&self) -> bool {
        matches!(&self.position, Position::Relative(plan) if plan.mirrored)
    }

    pub(crate) fn linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) {
        for (number, block) in self.blocks.iter_mut().enumerate() {
            block.linears(&format!("{path}.blocks.{number}"), visit);
        }
    }
}

/// The angles of the plans that have been met; most stacks have one or two.
#[derive(Default)]
struct Turned<'a> {
    known: Vec<(&'a Rotary, Angles)>,
}

impl<'a> Turned<'a> {
    /// The angles of one block, where it has any.
    fn of(
        &mut self,
        position: &'a Position,
        block: usize,
        x: &Tensor<2>,
        tokens: &Tokens,
    ) -> Option<Angles> {
        let plan = match position {
            Position::Learned { .. } | Position::Alibi | Position::Relative(_) => None,
            Position::Rotary(plans) => plans.of(block).as_ref(),
        }?;
        if let Some((_, angles)) = self.known.iter().find(|(known, _)| *known == plan) {
            return Some(angles.clone());
        }
        // Angles are constants: on the plain device, so that no graph is kept for them.
        let angles = Angles::new(plan, tokens, &x.device(), x.dtype());
        self.known.push((plan, angles.clone()));
        Some(angles)
    }
}

/// What the second stream is told, besides what the first one is. A query of it that sees nothing is no padding: it
/// looks at all keys evenly, as in the reference.
fn asking(pass: &Pass, second: &Second, tokens: &Tokens, view: &View) -> Pass {
    let mask = Mask {
        own: if view.forwards {
            Own::Unseen
        } else {
            Own::Alike
        },
        ..pass.mask.clone()
    };
    Pass {
        blind: blind(&mask, &second.x, tokens),
        mask,
        asked: second.asked.clone(),
        ..pass.clone()
    }
}

/// Which queries see nothing, as [`Pass::blind`] wants it.
fn blind(mask: &Mask, x: &Tensor<2>, tokens: &Tokens) -> Option<Tensor<4>> {
    let (batch, length) = (tokens.batch(), tokens.length());
    let keys = tokens.past + length;
    let sees = |row, place| !mask.ranges(row, place, keys).is_empty();
    let rows = (0..batch).flat_map(|row| (0..length).map(move |place| (row, place)));
    let blind: Vec<f32> = rows
        .map(|(row, place)| if sees(row, place) { 0.0 } else { 1.0 })
        .collect();
    let any = blind.iter().any(|blind| *blind > 0.0);
    let data = || TensorData::new(blind, [batch, length, 1, 1]);
    any.then(|| Tensor::from_data(data(), (&x.device(), x.dtype())))
}
