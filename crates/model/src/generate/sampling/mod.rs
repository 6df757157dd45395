//! How the next token is chosen.

#[cfg(test)]
mod tests;

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
