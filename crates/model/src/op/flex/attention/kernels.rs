//! What happens to the scores of one query.

use std::ops::Range;

use crate::op::flex::kernel::kernel;
use crate::op::flex::lanes;

kernel! {
    /// Makes exponentials (not divided by their total) of the visible scores and zeros of the others. Returns the total
    /// and the logarithm of the sum of exponentials of the scores; zeros if nothing is visible.
    pub(super) fn soften(scores: &mut [f32], visible: &[Range<usize>]) -> (f32, f32) {
        let mut highest = f32::NEG_INFINITY;
        for range in visible {
            let value = lanes::max(&scores[range.clone()]);
            highest = if value > highest { value } else { highest };
        }
        let mut total = 0.0;
        let mut done = 0;
        for range in visible {
            scores[done..range.start].fill(0.0);
            let scores = &mut scores[range.clone()];
            for score in scores.iter_mut() {
                *score = lanes::exp(*score - highest);
            }
            total += lanes::sum(scores);
            done = range.end;
        }
        scores[done..].fill(0.0);
        if visible.is_empty() {
            return (0.0, 0.0);
        }
        (total, highest + total.ln())
    }
}

kernel! {
    /// Makes probabilities of scores, and in `spread` the gradients of the products from those of the probabilities.
    /// `product` is the result times its gradient; a bound on the scores is given as its inverse, none as 0.
    pub(super) fn through_softmax(
        scores: &mut [f32],
        spread: &mut [f32],
        visible: &[Range<usize>],
        sum: f32,
        product: f32,
        factors: [f32; 2],
    ) {
        let [scale, inverse_cap] = factors;
        let mut done = 0;
        for range in visible {
            scores[done..range.start].fill(0.0);
            spread[done..range.start].fill(0.0);
            let pairs = scores[range.clone()].iter_mut().zip(&mut spread[range.clone()]);
            for (score, spread) in pairs {
                let weight = lanes::exp(*score - sum);
                let share = *score * inverse_cap;
                *spread = weight * (*spread - product) * (scale * (1.0 - share * share));
                *score = weight;
            }
            done = range.end;
        }
        scores[done..].fill(0.0);
        spread[done..].fill(0.0);
    }
}

kernel! {
    pub(super) fn product(x: &[f32], y: &[f32]) -> f32 {
        lanes::dot(x, y)
    }
}

kernel! {
    /// `cap · tanh(x / cap)`.
    pub(super) fn bound(scores: &mut [f32], cap: f32) {
        for score in scores {
            *score = lanes::bound(*score, cap);
        }
    }
}

kernel! {
    /// Adds `more` to `x`.
    pub(super) fn accumulate(x: &mut [f32], more: &[f32]) {
        for (x, more) in x.iter_mut().zip(more) {
            *x += more;
        }
    }
}

kernel! {
    /// Adds `slope · (first + index)`.
    pub(super) fn incline(scores: &mut [f32], slope: f32, first: f32) {
        for (index, score) in scores.iter_mut().enumerate() {
            *score += slope * (first + index as f32);
        }
    }
}
