//! What may be written at all: penalties, runs that must not stand twice, tokens that are forced or forbidden.

use super::Text;

/// Divides the scores of tokens when they are positive, and multiplies them when they are negative.
pub(super) fn penalize(scores: &mut [f32], tokens: &[u32], penalty: f64) {
    let penalty = penalty as f32;
    let mut seen = tokens.to_vec();
    seen.sort_unstable();
    seen.dedup();
    for id in seen {
        if let Some(score) = scores.get_mut(id as usize) {
            *score = if *score < 0.0 {
                *score * penalty
            } else {
                *score / penalty
            };
        }
    }
}

/// Forbids what would complete, after `context`, a run of `size` tokens that stands in `text`.
pub(super) fn no_repeat(scores: &mut [f32], text: &[u32], context: &[u32], size: usize) {
    let Some(start) = (context.len() + 1).checked_sub(size) else {
        return;
    };
    let begun = &context[start..];
    for run in text.windows(size) {
        if let Some((last, before)) = run.split_last()
            && before == begun
        {
            suppress(scores, &[*last]);
        }
    }
}

/// Forbids what would complete one of the runs.
pub(super) fn bad_words(scores: &mut [f32], text: &Text<'_>, runs: &[Vec<u32>]) {
    for run in runs {
        if let Some((last, before)) = run.split_last()
            && text.context.ends_with(before)
            && !(before.is_empty() && text.ends.contains(last))
        {
            suppress(scores, &[*last]);
        }
    }
}

/// Forbids tokens.
pub(super) fn suppress(scores: &mut [f32], tokens: &[u32]) {
    for id in tokens {
        if let Some(score) = scores.get_mut(*id as usize) {
            *score = f32::NEG_INFINITY;
        }
    }
}

/// Forbids all other tokens.
pub(super) fn force(scores: &mut [f32], tokens: &[u32]) {
    scores.fill(f32::NEG_INFINITY);
    for id in tokens {
        if let Some(score) = scores.get_mut(*id as usize) {
            *score = 0.0;
        }
    }
}

/// Raises the scores of tokens by `|score| · (factor ^ late - 1)`.
pub(super) fn hasten(scores: &mut [f32], tokens: &[u32], factor: f64, late: usize) {
    let grown = factor.powf(late as f64) - 1.0;
    for id in tokens {
        if let Some(score) = scores
            .get_mut(*id as usize)
            .filter(|score| score.is_finite())
        {
            *score += score.abs() * grown as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(change: impl FnOnce(&mut [f32])) -> Vec<u32> {
        let mut scores = [1.0f32; 6];
        change(&mut scores);
        let open = |id: &u32| scores[*id as usize] > f32::NEG_INFINITY;
        (0..6).filter(open).collect()
    }

    #[test]
    fn runs_do_not_stand_twice() {
        let context = [1, 2, 3, 1, 2];
        assert_eq!(
            left(|s| no_repeat(s, &context, &context, 3)),
            [0, 1, 2, 4, 5]
        );
        assert_eq!(left(|s| no_repeat(s, &context, &context, 1)), [0, 4, 5]);
        assert_eq!(left(|s| no_repeat(s, &context, &context, 7)).len(), 6);
        assert_eq!(
            left(|s| no_repeat(s, &[2, 5], &context, 2)),
            [0, 1, 2, 3, 4]
        );
    }

    #[test]
    fn bad_words_are_not_completed_and_may_be_begun() {
        let text = Text {
            prompt: &[],
            context: &[1, 2],
            opening: 0,
            limit: 9,
            ends: &[5],
        };
        let runs = [vec![1, 2, 3], vec![2, 4], vec![1, 0], vec![5], vec![1]];
        assert_eq!(left(|s| bad_words(s, &text, &runs)), [0, 2, 5]);
    }
}
