//! Which tokens are drawn among, by their probabilities.

/// Keeps the `count` greatest scores, and those equal to the last of them.
pub(super) fn top_k(scores: &mut [f32], count: usize) {
    if let Some(least) = nth(scores, count) {
        keep_if(scores, |score| score >= least);
    }
}

/// Keeps the likeliest tokens until their probability reaches `share`.
pub(super) fn top_p(scores: &mut [f32], share: f64, keep: usize) {
    let order = likeliest_first(scores);
    let sum = log_sum(scores);
    let mut before = 0.0;
    let mut count = 0;
    for id in &order {
        if before >= share && count >= keep {
            break;
        }
        before += probability(scores[*id as usize], sum);
        count += 1;
    }
    suppress(scores, &order[count..]);
}

/// Keeps the tokens that have `share` of the likeliest one's probability.
pub(super) fn min_p(scores: &mut [f32], share: f64, keep: usize) {
    let order = likeliest_first(scores);
    let Some(best) = order.first().map(|id| scores[*id as usize]) else {
        return;
    };
    let sum = log_sum(scores);
    let least = share * probability(best, sum);
    let enough = |id: &u32| probability(scores[*id as usize], sum) >= least;
    let count = order.partition_point(enough).max(keep).min(order.len());
    suppress(scores, &order[count..]);
}

/// Keeps the tokens whose surprise is nearest to the entropy until their probability reaches `share`, and those that are
/// as near as the last of them.
pub(super) fn typical_p(scores: &mut [f32], share: f64, keep: usize) {
    let sum = log_sum(scores);
    let entropy = entropy(scores, sum);
    let distance = |id: u32| ((sum - f64::from(scores[id as usize])) - entropy).abs();
    let mut order = likeliest_first(scores);
    order.sort_by(|a, b| distance(*a).total_cmp(&distance(*b)));
    let mut reached = 0.0;
    let last = order.iter().position(|id| {
        reached += probability(scores[*id as usize], sum);
        reached >= share
    });
    let Some(last) = last.or(order.len().checked_sub(1)) else {
        return;
    };
    let farthest = distance(order[last]);
    let near = order.partition_point(|id| distance(*id) <= farthest);
    let count = near.max(keep).min(order.len());
    suppress(scores, &order[count..]);
}

/// Keeps the tokens that are at least so probable as a function of the entropy (in nats) says.
pub(super) fn at_least(scores: &mut [f32], keep: usize, cutoff: impl FnOnce(f64) -> f64) {
    let sum = log_sum(scores);
    let cutoff = cutoff(entropy(scores, sum));
    if let Some(kept) = nth(scores, keep) {
        keep_if(scores, |score| {
            probability(score, sum) >= cutoff || score >= kept
        });
    }
}

/// The tokens that can come, the likeliest first, the first of equals before the others.
pub(crate) fn likeliest_first(scores: &[f32]) -> Vec<u32> {
    let open = |id: &u32| scores[*id as usize] > f32::NEG_INFINITY;
    let mut order: Vec<u32> = (0..scores.len() as u32).filter(open).collect();
    let score = |id: u32| scores[id as usize];
    order.sort_unstable_by(|a, b| score(*b).total_cmp(&score(*a)).then(a.cmp(b)));
    order
}

/// The logarithm of the sum of the exponentials; -∞ when nothing can come.
pub(crate) fn log_sum(scores: &[f32]) -> f64 {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if highest == f32::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    let sum: f64 = scores
        .iter()
        .map(|score| f64::from((score - highest).exp()))
        .sum();
    f64::from(highest) + sum.ln()
}

fn probability(score: f32, sum: f64) -> f64 {
    (f64::from(score) - sum).exp()
}

/// In nats.
fn entropy(scores: &[f32], sum: f64) -> f64 {
    let open = scores.iter().filter(|score| **score > f32::NEG_INFINITY);
    let part = |score: &f32| {
        let log = f64::from(*score) - sum;
        -log * log.exp()
    };
    open.map(part).sum()
}

/// The `count`-th greatest score; `None` when there are not more than so many.
fn nth(scores: &[f32], count: usize) -> Option<f32> {
    if count == 0 || count >= scores.len() {
        return None;
    }
    let mut order = scores.to_vec();
    let (_, nth, _) = order.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    Some(*nth)
}

fn keep_if(scores: &mut [f32], keep: impl Fn(f32) -> bool) {
    for score in scores.iter_mut().filter(|score| !keep(**score)) {
        *score = f32::NEG_INFINITY;
    }
}

fn suppress(scores: &mut [f32], ids: &[u32]) {
    for id in ids {
        scores[*id as usize] = f32::NEG_INFINITY;
    }
}
