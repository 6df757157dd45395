//! Choosing the next token from a row of logits.

use serde::{Deserialize, Serialize};

use crate::noise::Noise;

/// How the next token is chosen. The default is greedy: the most likely token, the first of equals.
///
/// The steps are those of transformers, in its order: repetition penalty, temperature, top-k, top-p, draw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Divides the logits before drawing; 0 means greedy. From 0 upwards, default 0.
    pub temperature: f64,
    /// Draw among this many most likely tokens only. Default: all.
    pub top_k: Option<usize>,
    /// Draw among the smallest set of tokens whose probability reaches this share. In (0, 1], default 1.
    pub top_p: f64,
    /// Logits of tokens that already stand in prompt or answer are divided by this when positive and multiplied when
    /// negative (CTRL, arXiv:1909.05858). Above 0, default 1 (none).
    pub repetition_penalty: f64,
    /// With equal seeds, prompts and weights the same tokens are drawn.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: None,
            top_p: 1.0,
            repetition_penalty: 1.0,
            seed: 0,
        }
    }
}

impl Sampling {
    /// What is wrong with the settings, one sentence each; empty when they can be used.
    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            found.push(format!(
                "temperature is {}; expected a finite number from 0 (greedy) upwards",
                self.temperature
            ));
        }
        if self.top_k == Some(0) {
            found.push(
                "top_k is 0; expected at least 1, or nothing to draw among all tokens".to_owned(),
            );
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            found.push(format!(
                "top_p is {}; expected a share above 0 and up to 1",
                self.top_p
            ));
        }
        if !(self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0) {
            found.push(format!(
                "repetition_penalty is {}; expected a number above 0",
                self.repetition_penalty
            ));
        }
        found
    }

    /// The next token of one row.
    ///
    /// # Arguments
    /// * `logits` - one value per token of the vocabulary; changed in place
    /// * `context` - the tokens before it, prompt included
    /// * `noise` - this row's and this step's randomness
    ///
    /// # Panics
    /// When `logits` is empty.
    pub fn choose(&self, logits: &mut [f32], context: &[u32], noise: Noise) -> u32 {
        assert!(
            !logits.is_empty(),
            "logits: expected one value per token of the vocabulary, found none"
        );
        self.penalize(logits, context);
        if self.temperature == 0.0 {
            return greatest(logits);
        }
        let kept = self.likeliest(logits);
        draw(&kept, f64::from(noise.uniform(0)))
    }

    fn penalize(&self, logits: &mut [f32], context: &[u32]) {
        // 1 changes nothing, to the bit; then the context need not be sorted.
        if self.repetition_penalty.to_bits() == 1f64.to_bits() {
            return;
        }
        let penalty = self.repetition_penalty as f32;
        let mut seen: Vec<u32> = context.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = if *logit < 0.0 {
                    *logit * penalty
                } else {
                    *logit / penalty
                };
            }
        }
    }

    /// The tokens that may be drawn with their probabilities, the likeliest first.
    fn likeliest(&self, logits: &[f32]) -> Vec<(u32, f64)> {
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let by_logit = |a: &u32, b: &u32| {
            logits[*b as usize]
                .total_cmp(&logits[*a as usize])
                .then(a.cmp(b))
        };
        if let Some(k) = self.top_k.filter(|k| *k < order.len()) {
            order.select_nth_unstable_by(k - 1, by_logit);
            order.truncate(k);
        }
        order.sort_unstable_by(by_logit);
        let highest = f64::from(logits[order[0] as usize]);
        let weight =
            |id: u32| ((f64::from(logits[id as usize]) - highest) / self.temperature).exp();
        let mut kept: Vec<(u32, f64)> = order.into_iter().map(|id| (id, weight(id))).collect();
        let total: f64 = kept.iter().map(|(_, w)| w).sum();
        for (_, w) in &mut kept {
            *w /= total;
        }
        if self.top_p < 1.0 {
            let mut reached = 0.0;
            let count = kept.iter().position(|(_, p)| {
                reached += p;
                reached >= self.top_p
            });
            kept.truncate(count.map_or(kept.len(), |at| at + 1));
        }
        kept
    }
}

/// The index of the greatest value, the first of equals.
pub(crate) fn greatest(values: &[f32]) -> u32 {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best as u32
}

fn draw(kept: &[(u32, f64)], uniform: f64) -> u32 {
    let total: f64 = kept.iter().map(|(_, p)| p).sum();
    let mut left = uniform * total;
    for (id, p) in kept {
        left -= p;
        if left < 0.0 {
            return *id;
        }
    }
    kept[kept.len() - 1].0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(sampling: &Sampling, logits: &[f32]) -> Vec<usize> {
        let mut counts = vec![0; logits.len()];
        for step in 0..20_000 {
            let id = sampling.choose(&mut logits.to_vec(), &[], Noise::new(3, step, 0));
            counts[id as usize] += 1;
        }
        counts
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        let sampling = Sampling::default();
        assert_eq!(
            sampling.choose(&mut [0.5, 2.0, 2.0, 1.0], &[], Noise::off()),
            1
        );
    }

    #[test]
    fn drawn_shares_follow_the_softmax() {
        let sampling = Sampling {
            temperature: 0.5,
            ..Sampling::default()
        };
        let logits = [0.0_f32, 0.5, 1.0];
        let weights: Vec<f64> = logits.iter().map(|l| (f64::from(*l) / 0.5).exp()).collect();
        let total: f64 = weights.iter().sum();
        for (count, weight) in counts(&sampling, &logits).iter().zip(&weights) {
            assert!(
                (*count as f64 / 20_000.0 - weight / total).abs() < 0.015,
                "{count} of 20000, expected {}",
                weight / total
            );
        }
    }

    #[test]
    fn top_k_and_top_p_close_the_tail() {
        let logits = [3.0_f32, 2.0, 1.0, 0.0];
        let k = counts(
            &Sampling {
                temperature: 1.0,
                top_k: Some(2),
                ..Sampling::default()
            },
            &logits,
        );
        assert!(k[0] > 0 && k[1] > 0 && k[2] == 0 && k[3] == 0, "{k:?}");
        // softmax: .644 .237 .087 .032; the first two reach .88
        let p = counts(
            &Sampling {
                temperature: 1.0,
                top_p: 0.85,
                ..Sampling::default()
            },
            &logits,
        );
        assert!(p[1] > 0 && p[2] == 0 && p[3] == 0, "{p:?}");
        let least = counts(
            &Sampling {
                temperature: 1.0,
                top_p: 0.01,
                ..Sampling::default()
            },
            &logits,
        );
        assert_eq!(least[0], 20_000);
    }

    #[test]
    fn the_penalty_lowers_what_was_said() {
        let sampling = Sampling {
            repetition_penalty: 2.0,
            ..Sampling::default()
        };
        assert_eq!(
            sampling.choose(&mut [1.9, 2.0, -1.0], &[1], Noise::off()),
            0
        );
        assert_eq!(
            sampling.choose(&mut [-1.5, -1.0, -3.0], &[1, 1], Noise::off()),
            0
        );
    }

    #[test]
    fn bad_settings_are_named() {
        let sampling = Sampling {
            temperature: f64::NAN,
            top_k: Some(0),
            top_p: 0.0,
            repetition_penalty: -1.0,
            seed: 0,
        };
        let problems = sampling.problems().join("\n");
        for name in ["temperature", "top_k", "top_p", "repetition_penalty"] {
            assert!(problems.contains(name), "{problems}");
        }
    }
}
