//! Learned numbers by the distance of a key.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Init;
use crate::blueprint::{Direction, Distance};
use crate::op;
use crate::tokens::{Tokens, int_tensor};

/// What is added to the score of a key for its distance, one number per kind of distance and head.
#[derive(Module, Debug)]
pub struct Distances {
    /// `[kinds, heads]`.
    pub weight: Param<Tensor<2>>,
    #[module(skip)]
    plan: Distance,
    #[module(skip)]
    direction: Direction,
}

impl Distances {
    /// Random numbers.
    ///
    /// # Arguments
    /// - `width`: features of the hidden state, which the spread of the numbers may follow
    pub fn new(
        init: &Init,
        plan: Distance,
        direction: Direction,
        width: usize,
        heads: usize,
    ) -> Self {
        Self {
            weight: init
                .spread_for(width)
                .vectors("weight", [plan.kinds, heads]),
            plan,
            direction,
        }
    }

    /// The numbers for every query that is read now and every key up to it and behind it.
    ///
    /// # Returns
    /// `[1, heads, length, past + length]`.
    pub fn forward(&self, tokens: &Tokens) -> Tensor<4> {
        let (past, length) = (tokens.past, tokens.length());
        let keys = past + length;
        // One number per distance, then a window of them per query: a distance occurs in many places.
        let first = 1 - keys as i64;
        let kinds: Vec<i32> = (first..length as i64)
            .map(|distance| kind(self.plan, self.direction, distance) as i32)
            .collect();
        let device = tokens.ids.device();
        let count = kinds.len();
        let kinds = int_tensor(kinds, [count], &device);
        let by_distance = op::embed(self.weight.val(), kinds);
        let places: Vec<i32> = (past..keys)
            .flat_map(|query| (0..keys).map(move |key| (key as i64 - query as i64 - first) as i32))
            .collect();
        let heads = by_distance.dims()[1];
        let places = int_tensor(places, [length * keys], &device);
        op::embed(by_distance, places)
            .reshape([1, length, keys, heads])
            .permute([0, 3, 1, 2])
    }
}

/// The kind of a distance, the key's place minus the query's (Raffel et al. 2020, section 2.1, as their code has it).
///
/// In f32 like the reference: which kind a distance at the border of two ranges has depends on rounding.
fn kind(plan: Distance, direction: Direction, distance: i64) -> usize {
    let (kinds, ahead, steps) = match direction {
        Direction::Both => (plan.kinds / 2, distance > 0, distance.unsigned_abs()),
        Direction::Causal => (plan.kinds, false, distance.min(0).unsigned_abs()),
    };
    let steps = steps as usize;
    let exact = kinds / 2;
    let kind = if steps < exact {
        steps
    } else {
        let grown = (steps as f32 / exact as f32).ln();
        let whole = (plan.longest as f64 / exact as f64).ln() as f32;
        let more = (grown / whole * (kinds - exact) as f32) as usize;
        (exact + more).min(kinds - 1)
    };
    kind + if ahead { kinds } else { 0 }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn kinds_are_those_of_the_reference() {
        let golden = include_str!("../../../../tests/reference/distances.json");
        let golden: Vec<Value> = serde_json::from_str(golden).unwrap();
        assert!(golden.len() > 60);
        for entry in golden {
            let number = |value: &Value| value.as_u64().unwrap() as usize;
            let plan = Distance {
                kinds: number(&entry["kinds"]),
                longest: number(&entry["longest"]),
            };
            let direction = if entry["both"] == true {
                Direction::Both
            } else {
                Direction::Causal
            };
            let runs = entry["runs"].as_array().unwrap();
            let expected: Vec<usize> = runs
                .iter()
                .flat_map(|run| vec![number(&run[0]); number(&run[1])])
                .collect();
            let found: Vec<usize> = (-300..=300)
                .map(|distance| kind(plan, direction, distance))
                .collect();
            assert_eq!(found, expected, "{plan:?}, {direction:?}");
        }
    }
}
