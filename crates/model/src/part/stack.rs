//! The blocks of a trunk.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::attention::Pass;
use super::{Angles, Block, Init, LinearVisitor, Norm};
use crate::blueprint::{Blueprint, Direction, Each, Position, Rotary};
use crate::generate::cache::Cache;
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
        let mut pass = self.pass(tokens);
        let mut turned = Turned::default();
        let mut blind = Blind::default();
        if let Some(cache) = &mut cache {
            cache.begin(tokens, self.blocks.len());
        }
        for (number, block) in self.blocks.iter().enumerate() {
            let layer = cache.as_mut().map(|cache| cache.layer(number));
            pass.mask.window = *self.window.of(number);
            pass.blind = blind.of(&pass.mask, &x, tokens);
            pass.angles = turned.of(&self.position, number, &x, tokens);
            x = block.forward(x, &pass, noise.site(number as u64), layer);
        }
        match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }

    /// What all blocks share; the rest is a block's own.
    fn pass(&self, tokens: &Tokens) -> Pass {
        let mask = Mask {
            causal: self.direction == Direction::Causal,
            spans: tokens.spans.clone(),
            past: tokens.past,
            ..Mask::default()
        };
        Pass {
            batch: tokens.batch(),
            length: tokens.length(),
            blind: None,
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

/// What the windows that have been met leave blind.
#[derive(Default)]
struct Blind {
    known: Vec<(Option<usize>, Option<Tensor<4>>)>,
}

impl Blind {
    /// Which queries see nothing, as [`Pass::blind`] wants it.
    fn of(&mut self, mask: &Mask, x: &Tensor<2>, tokens: &Tokens) -> Option<Tensor<4>> {
        let window = mask.window;
        if let Some((_, blind)) = self.known.iter().find(|(known, _)| *known == window) {
            return blind.clone();
        }
        let blind = blind(mask, x, tokens);
        self.known.push((window, blind.clone()));
        blind
    }
}

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
