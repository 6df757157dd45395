//! The blocks of a trunk.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::attention::Pass;
use super::{Angles, Block, Init, LinearVisitor, Norm};
use crate::blueprint::{Blueprint, Direction, Each, Position, Rotary};
use crate::generate::cache::{Cache, LayerCache};
use crate::noise::Noise;
use crate::op::Mask;
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
        }
    }

    /// # Shapes
    /// `[batch * length, width]` to the same.
    ///
    /// # Panics
    /// When the cache holds another number of places than `tokens.past`.
    pub fn forward(
        &self,
        mut x: Tensor<2>,
        tokens: &Tokens,
        noise: Noise,
        mut cache: Option<&mut Cache>,
    ) -> Tensor<2> {
        let mut pass = self.pass(&x, tokens);
        let mut turned = Turned::default();
        if let Some(cache) = &mut cache {
            cache.begin(tokens, self.blocks.len());
        }
        let whole = pass.mask.clone();
        let mut left_out = 0;
        for (number, block) in self.blocks.iter().enumerate() {
            let window = *self.window.of(number);
            // Padding of the reference looks at every place.
            let bound = window.filter(|_| tokens.convention == Convention::Documents);
            let layer = cache
                .as_mut()
                .map(|cache| cache.layer(number, tokens.length(), bound));
            let first = layer.as_ref().map_or(0, LayerCache::first);
            if first != left_out {
                pass.mask = whole.after(first);
                left_out = first;
            }
            pass.mask.window = window;
            pass.angles = turned.of(&self.position, number, &x, tokens);
            x = block.forward(x, &pass, noise.site(number as u64), layer);
        }
        match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }

    /// What all blocks share; window and angles are a block's own.
    fn pass(&self, x: &Tensor<2>, tokens: &Tokens) -> Pass {
        let mask = Mask {
            causal: self.direction == Direction::Causal,
            spans: tokens.spans.clone(),
            past: tokens.past,
            ..Mask::default()
        };
        Pass {
            batch: tokens.batch(),
            length: tokens.length(),
            blind: blind(&mask, x, tokens),
            mask,
            angles: None,
        }
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
            Position::Learned { .. } | Position::Alibi => None,
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

/// Which queries see nothing, as [`Pass::blind`] wants it.
fn blind(mask: &Mask, x: &Tensor<2>, tokens: &Tokens) -> Option<Tensor<4>> {
    if tokens.convention == Convention::Documents {
        return None;
    }
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
