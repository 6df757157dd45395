//! Whether a share differs from another by more than chance, and how that changes with the number of looks.

use serde::{Deserialize, Serialize};

/// The two-sided p-value of Fisher's exact test: how likely is a table at least as improbable as this one if both groups
/// had the same share of hits? The sum runs over the tables with the same margins that are no more probable than this
/// one, to a relative 1e-7, as in R.
///
/// ```
/// let p = finetune_eval::analysis::fisher_exact((8, 10), (1, 6));
/// assert!((p - 0.034_965).abs() < 1e-6);
/// ```
///
/// # Panics
/// If a group has more hits than items.
pub fn fisher_exact((hits, count): (usize, usize), (others, rest): (usize, usize)) -> f64 {
    assert!(
        hits <= count && others <= rest,
        "{hits} of {count} and {others} of {rest}: more hits than items"
    );
    let (all, drawn) = (count + rest, hits + others);
    let (low, high) = (drawn.saturating_sub(rest), drawn.min(count));
    // ln of the hypergeometric probability of k hits in the group, up to a constant, from one k to the next.
    let mut logs = Vec::with_capacity(high - low + 1);
    let mut log = 0.0_f64;
    for k in low..=high {
        logs.push(log);
        let up = (count - k) as f64 * (drawn - k) as f64;
        let down = (k + 1) as f64 * (all + k + 1 - count - drawn) as f64;
        log += (up / down).ln();
    }
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights = logs.iter().map(|log| (log - most).exp());
    let weights: Vec<f64> = weights.collect();
    let limit = weights[hits - low] * (1.0 + 1e-7);
    let total: f64 = weights.iter().sum();
    let tail: f64 = weights.iter().filter(|&&weight| weight <= limit).sum();
    (tail / total).min(1.0)
}

/// How p-values are corrected for the number of looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Holm (1979): the chance of a single false alarm among all looks stays below the level.
    #[default]
    Holm,
    /// Benjamini and Hochberg (1995): the share of false alarms among all alarms stays below the level.
    BenjaminiHochberg,
    /// None: every look by itself.
    None,
}

impl Correction {
    /// The corrected p-values, in the order of the given ones.
    pub fn adjust(self, p_values: &[f64]) -> Vec<f64> {
        let count = p_values.len();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
        let mut adjusted = p_values.to_vec();
        match self {
            Self::None => {}
            Self::Holm => {
                let mut most = 0.0_f64;
                for (rank, &at) in order.iter().enumerate() {
                    most = most.max((count - rank) as f64 * p_values[at]).min(1.0);
                    adjusted[at] = most;
                }
            }
            Self::BenjaminiHochberg => {
                let mut least = 1.0_f64;
                for (rank, &at) in order.iter().enumerate().rev() {
                    least = least.min(count as f64 / (rank + 1) as f64 * p_values[at]);
                    adjusted[at] = least;
                }
            }
        }
        adjusted
    }

    /// Its name in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holm => "Holm",
            Self::BenjaminiHochberg => "Benjamini–Hochberg",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, with probabilities as quotients of binomials.
    fn slow((a, n): (usize, usize), (c, m): (usize, usize)) -> f64 {
        let choose = |n: usize, k: usize| -> f64 {
            (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
        };
        let drawn = a + c;
        let p = |k: usize| choose(n, k) * choose(m, drawn - k) / choose(n + m, drawn);
        let seen = p(a);
        (drawn.saturating_sub(m)..=drawn.min(n))
            .map(p)
            .filter(|&p| p <= seen * (1.0 + 1e-7))
            .sum()
    }

    #[test]
    fn fisher_agrees_with_published_tables() {
        // Fisher's tea (two-sided, 4 + 4 cups), R's example of convictions of twins, SciPy's example of whales.
        for (group, rest, p) in [
            ((3, 4), (1, 4), 0.485_714_285_714_285_7),
            ((2, 17), (10, 13), 0.000_536_724_119_143_434_7),
            ((8, 10), (1, 6), 0.034_965_034_965_034_95),
            ((0, 5), (0, 7), 1.0),
            ((0, 0), (3, 7), 1.0),
        ] {
            let found = fisher_exact(group, rest);
            assert!((found - p).abs() < 1e-12, "{group:?} {rest:?}: {found}");
        }
    }

    #[test]
    fn fisher_stands_large_counts() {
        let p = fisher_exact((600, 1_000), (49_400, 99_000));
        assert!(p > 1e-12 && p < 1e-9, "{p}");
        assert!(fisher_exact((500, 1_000), (49_500, 99_000)) > 0.99);
    }

    #[test]
    fn corrections_agree_with_r() {
        // p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") and "BH"
        let p = [0.01, 0.04, 0.03, 0.005];
        let near = |found: Vec<f64>, expected: [f64; 4]| {
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 1e-12, "{found:?}");
            }
        };
        near(Correction::Holm.adjust(&p), [0.03, 0.06, 0.06, 0.02]);
        near(
            Correction::BenjaminiHochberg.adjust(&p),
            [0.02, 0.04, 0.04, 0.02],
        );
        near(Correction::None.adjust(&p), p);
    }

    proptest! {
        #[test]
        fn fisher_is_its_definition(a in 0_usize..12, b in 0_usize..12, c in 0_usize..12, d in 0_usize..12) {
            let (group, rest) = ((a, a + b), (c, c + d));
            prop_assert!((fisher_exact(group, rest) - slow(group, rest)).abs() < 1e-9);
            prop_assert!((fisher_exact(group, rest) - fisher_exact(rest, group)).abs() < 1e-9);
        }

        #[test]
        fn corrected_values_are_no_smaller_and_keep_their_order(p in prop::collection::vec(0.0_f64..=1.0, 1..20)) {
            for correction in [Correction::Holm, Correction::BenjaminiHochberg] {
                let adjusted = correction.adjust(&p);
                for (a, raw) in adjusted.iter().zip(&p) {
                    prop_assert!(*a >= raw - 1e-15 && *a <= 1.0);
                }
                for i in 0..p.len() {
                    for j in 0..p.len() {
                        prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j] + 1e-15);
                    }
                }
            }
        }
    }
}
