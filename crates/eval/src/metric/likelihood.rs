//! Perplexity and bits per byte of plain text.

use super::{Better, Estimate, Interval, Metric, Unit, Z, no_outcomes};
use crate::{Outcome, Result};

/// `exp(−L/T)`: the exponential of the mean negative log-likelihood per unit, over the whole corpus (a ratio of sums,
/// not a mean of the documents' perplexities).
///
/// The unit is one of the outcomes' scores: tokens (comparable only between models of one tokenizer), words or bytes
/// (comparable between all). Definition as in lm-evaluation-harness (`word_perplexity`, `byte_perplexity`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Perplexity {
    /// Per token of the model's own tokenizer.
    Token,
    /// Per word: runs of characters between whitespace.
    Word,
    /// Per byte of UTF-8.
    Byte,
}

impl Perplexity {
    fn unit_score(self) -> &'static str {
        match self {
            Self::Token => "tokens",
            Self::Word => "words",
            Self::Byte => "bytes",
        }
    }
}

impl Metric for Perplexity {
    fn name(&self) -> &str {
        match self {
            Self::Token => "token perplexity",
            Self::Word => "word perplexity",
            Self::Byte => "byte perplexity",
        }
    }

    fn value(&self, outcomes: &[&Outcome]) -> Result<f64> {
        Ok(Ratio::of(self.name(), self.unit_score(), outcomes)?
            .value
            .exp())
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn measure(&self, outcomes: &[&Outcome]) -> Result<Estimate> {
        let ratio = Ratio::of(self.name(), self.unit_score(), outcomes)?;
        let value = ratio.value.exp();
        Ok(Estimate {
            value,
            error: ratio.error.map(|error| value * error),
            interval: ratio.interval().map(|Interval { low, high }| Interval {
                low: low.exp(),
                high: high.exp(),
            }),
            count: outcomes.len(),
        })
    }
}

/// `−L/(B·ln 2)`: how many bits the model needs per byte of UTF-8. Comparable between all models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitsPerByte;

impl Metric for BitsPerByte {
    fn name(&self) -> &'static str {
        "bits per byte"
    }

    fn value(&self, outcomes: &[&Outcome]) -> Result<f64> {
        Ok(Ratio::of(self.name(), "bytes", outcomes)?.value / std::f64::consts::LN_2)
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn measure(&self, outcomes: &[&Outcome]) -> Result<Estimate> {
        let ratio = Ratio::of(self.name(), "bytes", outcomes)?;
        let bits = |nats: f64| nats / std::f64::consts::LN_2;
        Ok(Estimate {
            value: bits(ratio.value),
            error: ratio.error.map(bits),
            interval: ratio.interval().map(|Interval { low, high }| Interval {
                low: bits(low),
                high: bits(high),
            }),
            count: outcomes.len(),
        })
    }
}

/// `r = Σ loss / Σ units` with its linearised standard error `√(n/(n−1)·Σ(lossᵢ − r·unitsᵢ)²) / Σ units`
/// (Cochran, *Sampling Techniques*, section 6.4).
struct Ratio {
    value: f64,
    error: Option<f64>,
}

impl Ratio {
    fn of(metric: &str, unit: &str, outcomes: &[&Outcome]) -> Result<Self> {
        let mut items = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            items.push((
                -outcome.score(metric, "log_likelihood")?,
                outcome.score(metric, unit)?,
            ));
        }
        let loss: f64 = items.iter().map(|item| item.0).sum();
        let units: f64 = items.iter().map(|item| item.1).sum();
        if units <= 0.0 {
            return Err(no_outcomes(metric));
        }
        let (value, n) = (loss / units, items.len() as f64);
        let error = (items.len() > 1).then(|| {
            let squares: f64 = items
                .iter()
                .map(|(loss, units)| (loss - value * units).powi(2))
                .sum();
            (n / (n - 1.0) * squares).sqrt() / units
        });
        Ok(Self { value, error })
    }

    fn interval(&self) -> Option<Interval> {
        self.error.map(|error| Interval {
            low: self.value - Z * error,
            high: self.value + Z * error,
        })
    }
}

#[cfg(test)]
mod tests {
    use finetune_data::Origin;

    use super::*;
    use crate::{EvalError, metric::Bootstrap};

    fn outcome(index: u64, log_likelihood: f64, bytes: f64) -> Outcome {
        Outcome::new(Origin::new("a.txt", index), "", "", "")
            .with_score("log_likelihood", log_likelihood)
            .with_score("bytes", bytes)
            .with_score("words", bytes / 5.0)
            .with_score("tokens", bytes / 4.0)
    }

    #[test]
    fn are_ratios_over_the_corpus() {
        let outcomes = [outcome(1, -100.0, 50.0), outcome(2, -30.0, 30.0)];
        let outcomes: Vec<_> = outcomes.iter().collect();
        let bits = BitsPerByte.measure(&outcomes).unwrap();
        assert!((bits.value - 130.0 / 80.0 / std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!(bits.count, 2);
        assert!(
            (Perplexity::Word.value(&outcomes).unwrap() - (130.0_f64 / 16.0).exp()).abs() < 1e-9
        );
        assert!(
            (Perplexity::Byte.value(&outcomes).unwrap() - (130.0_f64 / 80.0).exp()).abs() < 1e-12
        );
    }

    #[test]
    fn the_error_agrees_with_the_bootstrap() {
        let outcomes: Vec<_> = (0..300_u64)
            .map(|index| {
                let bytes = 100.0 + (index * 37 % 91) as f64;
                outcome(index, -bytes * (0.8 + 0.05 * (index % 11) as f64), bytes)
            })
            .collect();
        let outcomes: Vec<_> = outcomes.iter().collect();
        let exact = BitsPerByte.measure(&outcomes).unwrap();
        let drawn = Bootstrap::default()
            .estimate(exact.value, outcomes.len(), |draw| {
                BitsPerByte.value(
                    &draw
                        .iter()
                        .map(|&index| outcomes[index])
                        .collect::<Vec<_>>(),
                )
            })
            .unwrap();
        assert!((exact.error.unwrap() / drawn.error.unwrap() - 1.0).abs() < 0.1);
    }

    #[test]
    fn nothing_is_refused() {
        assert!(matches!(
            BitsPerByte.value(&[]),
            Err(EvalError::NoOutcomes { .. })
        ));
        let empty = outcome(1, 0.0, 0.0);
        assert!(matches!(
            BitsPerByte.value(&[&empty]),
            Err(EvalError::NoOutcomes { .. })
        ));
        let broken = outcome(1, f64::NAN, 5.0);
        assert!(matches!(
            BitsPerByte.value(&[&broken]),
            Err(EvalError::NotFinite { .. })
        ));
    }
}
