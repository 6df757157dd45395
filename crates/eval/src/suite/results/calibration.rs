//! Whether a model knows what it knows, and whether it goes by length.

use std::fmt;

use super::{Results, Sample};

/// Into how many bins of equal width confidence is parted.
const BINS: usize = 10;

/// How the confidence of a model fits how often it is right, and how its choices go by length.
///
/// Confidence is the share that the likeliest choice has of the probability of all choices of its question.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calibration {
    /// The number of questions.
    pub n: usize,
    /// The mean confidence.
    pub confidence: f64,
    /// The share of right answers.
    pub accuracy: f64,
    /// The expected calibration error (Naeini et al. 2015): the mean distance between confidence and accuracy over ten
    /// bins of confidence, each by its number of questions.
    pub error: f64,
    /// How often the model prefers the longest choice, in characters.
    pub prefers_longest: f64,
    /// How often the longest choice is right.
    pub longest_right: f64,
}

impl Results {
    /// The calibration of a task of multiple choice; none for another task.
    pub fn calibration(&self, task: &str) -> Option<Calibration> {
        Calibration::of(self.samples.get(task)?)
    }
}

impl Calibration {
    fn of(samples: &[Sample]) -> Option<Self> {
        let answered: Vec<Answered<'_>> = samples.iter().filter_map(Answered::of).collect();
        let n = answered.len();
        let mean = |value: &dyn Fn(&Answered<'_>) -> f64| {
            answered.iter().map(value).sum::<f64>() / n as f64
        };
        let mut bins = [(0.0, 0.0); BINS];
        for one in &answered {
            let bin = ((one.confidence * BINS as f64) as usize).min(BINS - 1);
            bins[bin].0 += one.confidence;
            bins[bin].1 += one.right;
        }
        let share = |holds: bool| f64::from(u8::from(holds));
        (n > 0).then(|| Self {
            n,
            confidence: mean(&|one| one.confidence),
            accuracy: mean(&|one| one.right),
            error: bins
                .iter()
                .map(|(confidence, right)| (confidence - right).abs())
                .sum::<f64>()
                / n as f64,
            prefers_longest: mean(&|one| share(one.is_longest(one.prediction))),
            longest_right: mean(&|one| {
                share(
                    one.sample
                        .references
                        .iter()
                        .any(|text| one.is_longest(text)),
                )
            }),
        })
    }
}

/// A question of multiple choice with its answer.
struct Answered<'s> {
    sample: &'s Sample,
    prediction: &'s str,
    confidence: f64,
    right: f64,
}

impl<'s> Answered<'s> {
    fn of(sample: &'s Sample) -> Option<Self> {
        let prediction = sample.prediction.as_deref()?;
        let right = *sample.scores.get("acc")?;
        if sample.choices.len() < 2 || sample.choices.len() != sample.log_likelihoods.len() {
            return None;
        }
        let most = sample
            .log_likelihoods
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let mass: f64 = sample
            .log_likelihoods
            .iter()
            .map(|one| (one - most).exp())
            .sum();
        Some(Self {
            sample,
            prediction,
            confidence: 1.0 / mass,
            right,
        })
    }

    fn is_longest(&self, text: &str) -> bool {
        let length = |text: &str| text.chars().count();
        let longest = self
            .sample
            .choices
            .iter()
            .map(|choice| length(choice))
            .max();
        longest == Some(length(text))
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        write!(
            f,
            "confidence {}, right {}, calibration error {}; prefers the longest choice in {}, which is right in {}",
            percent(self.confidence),
            percent(self.accuracy),
            percent(self.error),
            percent(self.prefers_longest),
            percent(self.longest_right)
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(
        log_likelihoods: &[f64],
        choices: &[&str],
        prediction: usize,
        right: usize,
    ) -> Sample {
        serde_json::from_value(json!({
            "id": 1, "index": 0, "origin": {"path": "a.jsonl", "place": 1}, "question": "", "choices": choices,
            "references": [choices[right]], "log_likelihoods": log_likelihoods, "prediction": choices[prediction],
            "scores": {"acc": f64::from(u8::from(prediction == right))}
        }))
        .unwrap()
    }

    #[test]
    fn confidence_is_compared_with_how_often_it_is_right() {
        let even = 0.5_f64.ln();
        let sure = [0.9_f64.ln(), 0.1_f64.ln()];
        let samples = [
            sample(&[even, even], &["a", "bb"], 0, 0),
            sample(&[even, even], &["a", "bb"], 0, 1),
            sample(&sure, &["aaa", "bb"], 0, 1),
        ];
        let found = Calibration::of(&samples).unwrap();
        assert_eq!(found.n, 3);
        assert!((found.confidence - (0.5 + 0.5 + 0.9) / 3.0).abs() < 1e-12);
        assert!((found.accuracy - 1.0 / 3.0).abs() < 1e-12);
        // The two at 0.5 are right once, as they should be; the one at 0.9 is wrong.
        assert!((found.error - 0.9 / 3.0).abs() < 1e-12);
        assert!((found.prefers_longest - 1.0 / 3.0).abs() < 1e-12);
        assert!((found.longest_right - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(Calibration::of(&[]), None);
    }
}
