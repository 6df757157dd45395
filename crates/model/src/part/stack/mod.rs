//! The blocks of a trunk.

mod blind;
mod memory;
mod streams;

use burn::module::Module;
use burn::tensor::Tensor;

use super::attention::Pass;
use super::block::Other;
use super::relative::Offsets;
use super::{Angles, Block, Distances, Init, LinearVisitor, Norm, site};
use crate::blueprint::{Blueprint, Direction, Each, Position, Rotary, Scaling};
use crate::generate::cache::{Cache, LayerCache};
use crate::noise::Noise;
use crate::op::{self, Mask, Own};
use crate::tokens::{Convention, Tokens};
use blind::Blind;
pub use memory::Memory;
use streams::asking;
pub(crate) use streams::{Kept, Second, View};

/// Blocks, one after the other, and the norm after the last where blocks begin with theirs.
#[derive(Module, Debug)]
pub struct Stack {
    /// The blocks.
    pub blocks: Vec<Block>,
    /// The norm after the last block.
    pub norm: Option<Norm>,
    /// What is added to the scores of all blocks for the distances of keys, where the family does so.
    pub distances: Option<Distances>,
    #[module(skip)]
    direction: Direction,
    #[module(skip)]
    position: Position,
    #[module(skip)]
    window: Each<Option<usize>>,
    /// Of the sines and cosines of relative positions, and of the hidden states after the last block.
    dropout: [f64; 2],
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
            distances: match plan.position {
                Position::Distance(distance) => Some(Distances::new(
                    &init.at("distances"),
                    distance,
                    plan.direction,
                    plan.width,
                    plan.attention.heads,
                )),
                Position::Learned { .. }
                | Position::Rotary(_)
                | Position::Alibi
                | Position::Relative(_) => None,
            },
            window: plan.attention.window.clone(),
            dropout: [plan.dropout.embedding, plan.dropout.last],
        }
    }

    /// Blocks with random weights that look at an encoder's hidden states too.
    pub fn decoder(init: &Init, plan: &Blueprint) -> Self {
        let mut stack = Self::new(init, plan);
        let blocks = init.at("blocks");
        let with =
            |(number, block): (usize, Block)| block.with_across(&blocks.at(number), plan, number);
        stack.blocks = stack.blocks.into_iter().enumerate().map(with).collect();
        stack
    }

    /// What the blocks see of an encoder's hidden states.
    ///
    /// # Arguments
    /// - `hidden`: `[batch * length, width]`
    /// - `tokens`: what the encoder read, one document in each row
    pub fn memory(&self, hidden: &Tensor<2>, tokens: &Tokens, noise: Noise) -> Memory {
        let sights = |(number, block): (usize, &Block)| {
            let across = block.across.as_ref()?;
            let noise = noise.site(number as u64).site(site::ACROSS);
            let attention = &across.attention;
            Some(attention.sights(hidden.clone(), tokens.batch(), noise))
        };
        Memory {
            blocks: self.blocks.iter().enumerate().filter_map(sights).collect(),
            mask: Mask {
                spans: tokens.spans.clone(),
                ..Mask::default()
            },
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
        self.forward_with(x, tokens, noise, cache, None)
    }

    /// The same with another text in sight.
    ///
    /// # Panics
    /// When the cache holds another number of places than `tokens.past`, or the memory was made by other blocks.
    pub fn forward_with(
        &self,
        x: Tensor<2>,
        tokens: &Tokens,
        noise: Noise,
        cache: Option<&mut Cache>,
        memory: Option<&Memory>,
    ) -> Tensor<2> {
        self.run(x, (tokens, &View::default()), noise, cache, memory)
    }

    fn run(
        &self,
        mut x: Tensor<2>,
        (tokens, view): (&Tokens, &View),
        noise: Noise,
        mut cache: Option<&mut Cache>,
        memory: Option<&Memory>,
    ) -> Tensor<2> {
        let mut pass = self.pass(&x, tokens, view, noise);
        let mut turned = Turned::default();
        let mut blind = Blind::default();
        if let Some(cache) = &mut cache {
            cache.begin(tokens, self.blocks.len());
        }
        let whole = pass.mask.clone();
        let mut left_out = 0;
        for (number, block) in self.blocks.iter().enumerate() {
            let window = self.level(tokens).or(*self.window.of(number));
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
            pass.blind = blind.of(&pass.mask, &x, tokens);
            pass.angles = turned.of(&self.position, number, &x, tokens);
            let other = memory.map(|memory| Other {
                sights: &memory.blocks[number],
                mask: &memory.mask,
            });
            let noise = noise.site(number as u64);
            x = block.forward(x, &pass, noise, layer, other.as_ref());
        }
        self.last(x, noise)
    }

    /// The hidden states under a view, without a cache.
    ///
    /// # Shapes
    /// `[batch * length, width]` to the same.
    pub(crate) fn viewed(&self, x: Tensor<2>, seen: (&Tokens, &View), noise: Noise) -> Tensor<2> {
        self.run(x, seen, noise, None, None)
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
        pass.blind = Blind::default().of(&pass.mask, &x, tokens);
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
        let x = Norm::maybe(self.norm.as_ref(), x);
        op::dropout(x, self.dropout[1], noise.site(site::LAST))
    }

    /// Whether documents may have branches: a token sees nothing of what comes after it, and what its position does is
    /// a matter of its own text, as far as it has been read.
    pub(crate) fn takes_branches(&self) -> bool {
        let fixed = |plan: &Option<Rotary>| {
            let scaling = plan.as_ref().map(|plan| &plan.scaling);
            !matches!(scaling, Some(Scaling::Dynamic { .. }))
        };
        let apart = match &self.position {
            Position::Learned { .. } | Position::Alibi => true,
            Position::Rotary(Each::Same(plan)) => fixed(plan),
            Position::Rotary(Each::Own(plans)) => plans.iter().all(fixed),
            Position::Distance(_) | Position::Relative(_) => false,
        };
        apart && self.direction == Direction::Causal
    }

    /// What all blocks share; window and angles are a block's own.
    fn pass(&self, x: &Tensor<2>, tokens: &Tokens, view: &View, noise: Noise) -> Pass {
        assert!(
            self.takes_branches() || !tokens.is_branched(),
            "the tokens have branches, which only causal trunks with fixed positions take"
        );
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
            blind: None,
            mask,
            angles: None,
            distances: self.distances.as_ref().map(|table| table.forward(tokens)),
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
            Position::Learned { .. }
            | Position::Alibi
            | Position::Distance(_)
            | Position::Relative(_) => None,
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
