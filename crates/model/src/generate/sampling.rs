//! How the next token is chosen.

use serde::{Deserialize, Serialize};

use super::process::{self, Text};
use super::rules::Rules;
use crate::noise::Noise;

/// How the next token is chosen. The default is greedy: the most likely token, the first of equals.
///
/// The steps are those of transformers, in its order: the [rules](Rules) and the repetition penalty, then, where tokens
/// are drawn, temperature, top-k, top-p, min-p, typical-p, epsilon and eta; then the draw. Names and meanings are those
/// of `generation_config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Divides the logits before drawing; 0 means greedy. From 0 upwards, default 0.
    pub temperature: f64,
    /// Draw among this many most likely tokens only, and those as likely as the last of them. Default: all.
    pub top_k: Option<usize>,
    /// Draw among the smallest set of tokens whose probability reaches this share (Holtzman et al. 2020). In (0, 1],
    /// default 1.
    pub top_p: f64,
    /// Draw among the tokens that have at least this share of the likeliest one's probability (Nguyen et al. 2024). In
    /// [0, 1], default 0.
    pub min_p: f64,
    /// Draw among the tokens whose surprise is nearest to the one that is expected, until their probability reaches this
    /// share (Meister et al. 2023). In (0, 1], default 1.
    pub typical_p: f64,
    /// Draw among the tokens that are at least so probable (Hewitt et al. 2022). In [0, 1), default 0.
    pub epsilon_cutoff: f64,
    /// The same with a bound that falls where much is possible: `min(eta, sqrt(eta) · exp(-entropy))`. In [0, 1),
    /// default 0.
    pub eta_cutoff: f64,
    /// Logits of tokens that already stand before are divided by this when positive and multiplied when negative
    /// (CTRL, arXiv:1909.05858). Above 0, default 1 (none).
    pub repetition_penalty: f64,
    /// What may be written at all, and where.
    pub rules: Rules,
    /// With equal seeds, prompts and weights the same tokens are drawn.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: None,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            epsilon_cutoff: 0.0,
            eta_cutoff: 0.0,
            repetition_penalty: 1.0,
            rules: Rules::default(),
            seed: 0,
        }
    }
}

impl Sampling {
    /// Whether the likeliest token is taken, and none drawn.
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0
    }

    /// What is wrong with the settings, one sentence each; empty when they can be used.
    ///
    /// # Arguments
    /// - `vocabulary`: the number of tokens that the model knows
    pub fn problems(&self, vocabulary: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |name: &str, value: f64, right: bool, expected: &str| {
            if !right {
                found.push(format!("{name} is {value}; expected {expected}"));
            }
        };
        let heat = self.temperature;
        let number = "a finite number from 0 (greedy) upwards";
        check("temperature", heat, heat.is_finite() && heat >= 0.0, number);
        let shares = [("top_p", self.top_p), ("typical_p", self.typical_p)];
        for (name, share) in shares {
            let right = share > 0.0 && share <= 1.0;
            check(name, share, right, "a share above 0 and up to 1");
        }
        let right = (0.0..=1.0).contains(&self.min_p);
        check("min_p", self.min_p, right, "a share from 0 to 1");
        let cutoffs = [
            ("epsilon_cutoff", self.epsilon_cutoff),
            ("eta_cutoff", self.eta_cutoff),
        ];
        for (name, cutoff) in cutoffs {
            let right = (0.0..1.0).contains(&cutoff);
            check(name, cutoff, right, "a probability from 0 and below 1");
        }
        let penalties = [
            ("repetition_penalty", self.repetition_penalty),
            (
                "encoder_repetition_penalty",
                self.rules.encoder_repetition_penalty,
            ),
        ];
        for (name, penalty) in penalties {
            let right = penalty.is_finite() && penalty > 0.0;
            check(name, penalty, right, "a number above 0");
        }
        if self.top_k == Some(0) {
            found.push(
                "top_k is 0; expected at least 1, or nothing to draw among all tokens".to_owned(),
            );
        }
        found.extend(self.rules.problems(vocabulary));
        found
    }

    /// What becomes of the logits (or log-probabilities) of the next token: what cannot come has -∞.
    ///
    /// # Arguments
    /// - `scores`: one value per token of the vocabulary; changed in place
    /// - `keep`: how many tokens stay, however improbable; 1, and more where several continuations are wanted
    pub fn process(&self, scores: &mut [f32], text: &Text<'_>, keep: usize) {
        for process in process::all(self, text, keep) {
            process.apply(scores, text);
        }
    }

    /// The next token of one row; `None` when the rules allow none.
    ///
    /// # Arguments
    /// - `logits`: one value per token of the vocabulary; changed in place
    /// - `noise`: this row's and this step's randomness
    pub fn choose(&self, logits: &mut [f32], text: &Text<'_>, noise: Noise) -> Option<u32> {
        self.process(logits, text, 1);
        if self.is_greedy() {
            return greatest(logits);
        }
        draw(logits, f64::from(noise.uniform(0)))
    }
}

/// The index of the greatest value, the first of equals; `None` when all are -∞ or NaN.
fn greatest(values: &[f32]) -> Option<u32> {
    let mut best: Option<usize> = None;
    for (index, value) in values.iter().enumerate() {
        if *value > best.map_or(f32::NEG_INFINITY, |best| values[best]) {
            best = Some(index);
        }
    }
    best.map(|best| best as u32)
}

/// A token by its probability: the place in `0..1`, counted from the likeliest token on.
fn draw(scores: &[f32], place: f64) -> Option<u32> {
    let order = process::likeliest_first(scores);
    let highest = f64::from(scores[*order.first()? as usize]);
    let weight = |id: u32| (f64::from(scores[id as usize]) - highest).exp();
    let total: f64 = order.iter().map(|id| weight(*id)).sum();
    let mut left = place * total;
    let chosen = order.iter().find(|id| {
        left -= weight(**id);
        left < 0.0
    });
    chosen.or(order.last()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Text<'_> = Text {
        prompt: &[],
        context: &[],
        opening: 0,
        limit: 64,
        ends: &[],
    };

    fn counts(sampling: &Sampling, logits: &[f32]) -> Vec<usize> {
        let mut counts = vec![0; logits.len()];
        for step in 0..20_000 {
            let noise = Noise::new(3, step, 0);
            let id = sampling.choose(&mut logits.to_vec(), &TEXT, noise).unwrap();
            counts[id as usize] += 1;
        }
        counts
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        let choose =
            |logits: &[f32]| Sampling::default().choose(&mut logits.to_vec(), &TEXT, Noise::off());
        assert_eq!(choose(&[0.5, 2.0, 2.0, 1.0]), Some(1));
        assert_eq!(choose(&[f32::NEG_INFINITY; 3]), None);
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
    fn what_is_cut_is_never_drawn() {
        let logits = [3.0_f32, 2.0, 1.0, 0.0]; // softmax: .644 .237 .087 .032
        let warm = Sampling {
            temperature: 1.0,
            ..Sampling::default()
        };
        let table = [
            (
                Sampling {
                    top_k: Some(2),
                    ..warm.clone()
                },
                2,
            ),
            (
                Sampling {
                    top_p: 0.85,
                    ..warm.clone()
                },
                2,
            ),
            (
                Sampling {
                    top_p: 0.01,
                    ..warm.clone()
                },
                1,
            ),
            (
                Sampling {
                    min_p: 0.3,
                    ..warm.clone()
                },
                2,
            ),
            (
                Sampling {
                    epsilon_cutoff: 0.05,
                    ..warm.clone()
                },
                3,
            ),
            (
                Sampling {
                    epsilon_cutoff: 0.9,
                    ..warm.clone()
                },
                1,
            ),
        ];
        for (sampling, left) in table {
            let counts = counts(&sampling, &logits);
            let drawn = counts.iter().filter(|count| **count > 0).count();
            assert_eq!(drawn, left, "{sampling:?}: {counts:?}");
        }
    }

    #[test]
    fn bad_settings_are_named() {
        let sampling = Sampling {
            temperature: f64::NAN,
            top_k: Some(0),
            top_p: 0.0,
            min_p: 2.0,
            typical_p: -1.0,
            epsilon_cutoff: 1.0,
            eta_cutoff: f64::INFINITY,
            repetition_penalty: -1.0,
            rules: Rules {
                encoder_repetition_penalty: 0.0,
                bad_words_ids: vec![vec![1, 9], vec![]],
                forced_bos_token_id: Some(7),
                forced_eos_token_id: vec![8],
                exponential_decay_length_penalty: Some((1, 0.0)),
                suppress_tokens: vec![7],
                begin_suppress_tokens: vec![7],
                ..Rules::default()
            },
            seed: 0,
        };
        let problems = sampling.problems(7);
        let expected = [
            "temperature",
            "top_p",
            "typical_p",
            "min_p",
            "epsilon_cutoff",
            "eta_cutoff",
            "repetition_penalty",
            "encoder_repetition_penalty",
            "top_k",
            "bad_words_ids",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "suppress_tokens",
            "begin_suppress_tokens",
            "bad_words_ids",
            "exponential_decay_length_penalty",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, name) in problems.iter().zip(expected) {
            assert!(problem.starts_with(name), "{problem}, expected {name}");
        }
        assert!(Sampling::default().problems(7).is_empty());
    }
}
