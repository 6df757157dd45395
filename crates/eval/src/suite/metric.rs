//! How scores of items become figures of tasks and groups, with the harness's standard errors.

use rayon::prelude::*;

use super::definition::{MetricEntry, OutputType, refused};
use super::filter::NONE;
use super::grade::{key, part};
use super::python::Random;
use crate::metric::{
    Better, BitsPerByte, BleuCounts, ChrfCounts, Perplexity, Unit, Words, deviation, mean,
    no_outcomes,
};
use crate::{Estimate, Interval, Metric, Outcome, Result};

/// How many resamples the harness draws, and how many where each is dear.
const RESAMPLES: usize = 100_000;
const DEAR_RESAMPLES: usize = 100;
/// How many resamples come from one generator.
const CHUNK: usize = 1000;

/// A metric of a task, named as in the harness.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Aggregated {
    key: String,
    kind: Kind,
    better: Better,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// Of one score of each item.
    Scores(Over),
    /// Of log-likelihoods by words or bytes.
    Ratio(Ratio),
    /// Of the right choices and the likeliest ones.
    Choices(Agreement),
    /// Of references and what this filter left of the answers.
    Texts { filter: String, overlap: Overlap },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Mean,
    Median,
    Perplexity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ratio {
    WordPerplexity,
    BytePerplexity,
    BitsPerByte,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    F1,
    Matthews,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overlap {
    Bleu,
    Chrf { words: bool },
}

/// The metrics that the harness measures where a task names none.
pub(super) fn defaults(output: OutputType) -> &'static [&'static str] {
    match output {
        OutputType::GenerateUntil => &["exact_match"],
        OutputType::MultipleChoice => &["acc", "acc_norm"],
        OutputType::Loglikelihood => &["perplexity", "acc"],
        OutputType::LoglikelihoodRolling => {
            &["word_perplexity", "byte_perplexity", "bits_per_byte"]
        }
    }
}

/// The scores that an item has, by what the model is asked for.
fn known(output: OutputType) -> &'static [&'static str] {
    match output {
        OutputType::GenerateUntil => &["exact_match", "bleu", "chrf", "chrf++"],
        OutputType::MultipleChoice => &[
            "acc",
            "acc_norm",
            "acc_bytes",
            "acc_mutual_info",
            "exact_match",
            "f1",
            "mcc",
        ],
        OutputType::Loglikelihood => &["perplexity", "acc"],
        OutputType::LoglikelihoodRolling => {
            &["word_perplexity", "byte_perplexity", "bits_per_byte"]
        }
    }
}

impl Aggregated {
    /// The metric of an entry after a filter. `own` says that the task grades in its own way and names its scores itself.
    ///
    /// # Errors
    /// If the metric or its aggregation is not known.
    pub(super) fn of(
        task: &str,
        entry: &MetricEntry,
        output: OutputType,
        own: bool,
        filter: &str,
    ) -> Result<Self> {
        let name = entry.metric.as_str();
        if !own && !known(output).contains(&name) {
            let reason = format!(
                "the metric {name:?} is not known for this output_type; expected one of {}",
                known(output).join(", ")
            );
            return Err(refused(task, &reason));
        }
        let filter = if output == OutputType::GenerateUntil {
            filter
        } else {
            NONE
        };
        let kind = Kind::of(name, output, entry.aggregation.as_deref(), filter);
        let kind = kind.ok_or_else(|| {
            let aggregation = entry.aggregation.as_deref().unwrap_or_default();
            refused(
                task,
                &format!("the aggregation {aggregation:?} is not known for the metric {name:?}"),
            )
        })?;
        let less = matches!(kind, Kind::Ratio(_) | Kind::Scores(Over::Perplexity));
        let higher = entry.higher_is_better.unwrap_or(!less);
        Ok(Self {
            key: key(name, filter),
            kind,
            better: if higher {
                Better::Higher
            } else {
                Better::Lower
            },
        })
    }
}

impl Kind {
    /// None if the aggregation is not one for this metric.
    fn of(name: &str, output: OutputType, aggregation: Option<&str>, filter: &str) -> Option<Self> {
        let fixed = match (output, name) {
            (OutputType::LoglikelihoodRolling, "word_perplexity") => {
                Some(("weighted_perplexity", Self::Ratio(Ratio::WordPerplexity)))
            }
            (OutputType::LoglikelihoodRolling, "byte_perplexity") => {
                Some(("weighted_perplexity", Self::Ratio(Ratio::BytePerplexity)))
            }
            (OutputType::LoglikelihoodRolling, "bits_per_byte") => {
                Some(("bits_per_byte", Self::Ratio(Ratio::BitsPerByte)))
            }
            (OutputType::MultipleChoice, "f1") => Some(("f1", Self::Choices(Agreement::F1))),
            (OutputType::MultipleChoice, "mcc") => {
                Some(("matthews_corrcoef", Self::Choices(Agreement::Matthews)))
            }
            (OutputType::GenerateUntil, "bleu" | "chrf" | "chrf++") => {
                let overlap = match name {
                    "bleu" => Overlap::Bleu,
                    name => Overlap::Chrf {
                        words: name == "chrf++",
                    },
                };
                let filter = filter.to_owned();
                Some((name, Self::Texts { filter, overlap }))
            }
            _ => None,
        };
        if let Some((expected, kind)) = fixed {
            return aggregation
                .is_none_or(|name| name == expected)
                .then_some(kind);
        }
        let over = match aggregation {
            None if name == "perplexity" => Over::Perplexity,
            // A mean that leaves out what is no number; scores here are always numbers.
            None | Some("mean" | "nanmean") => Over::Mean,
            Some("median") => Over::Median,
            Some("perplexity") => Over::Perplexity,
            Some(_) => return None,
        };
        Some(Self::Scores(over))
    }
}

impl Metric for Aggregated {
    fn name(&self) -> &str {
        &self.key
    }

    fn value(&self, outcomes: &[&Outcome]) -> Result<f64> {
        Ok(self.estimate(outcomes, false)?.value)
    }

    fn better(&self) -> Better {
        self.better
    }

    fn unit(&self) -> Unit {
        let share = ["acc", "exact_match", "f1"]
            .iter()
            .any(|name| self.key.starts_with(name));
        if share || self.key.ends_with("_acc") {
            Unit::Share
        } else {
            Unit::Number
        }
    }

    fn items(&self, outcomes: &[&Outcome]) -> Result<Option<Vec<f64>>> {
        match self.kind {
            Kind::Scores(Over::Mean) => self.scores(&self.key, outcomes).map(Some),
            _ => Ok(None),
        }
    }

    fn measure(&self, outcomes: &[&Outcome]) -> Result<Estimate> {
        self.estimate(outcomes, true)
    }
}

impl Aggregated {
    /// The value, and with `resample` how sure it is where that takes resampling.
    fn estimate(&self, outcomes: &[&Outcome], resample: bool) -> Result<Estimate> {
        let (often, seldom) = if resample {
            (RESAMPLES, DEAR_RESAMPLES)
        } else {
            (0, 0)
        };
        if outcomes.is_empty() {
            return Err(no_outcomes(&self.key));
        }
        match &self.kind {
            Kind::Scores(Over::Mean) => {
                let scores = self.scores(&self.key, outcomes)?;
                Estimate::of_mean(&scores).ok_or_else(|| no_outcomes(&self.key))
            }
            Kind::Scores(Over::Median) => {
                let scores = self.scores(&self.key, outcomes)?;
                Ok(resampled(&scores, often, |draw| median(draw.copied())))
            }
            Kind::Scores(Over::Perplexity) => {
                let scores = self.scores(&self.key, outcomes)?;
                Ok(resampled(&scores, often, perplexity))
            }
            Kind::Ratio(ratio) => {
                let estimate = match ratio {
                    Ratio::WordPerplexity => Perplexity::Word.measure(outcomes)?,
                    Ratio::BytePerplexity => Perplexity::Byte.measure(outcomes)?,
                    Ratio::BitsPerByte => BitsPerByte.measure(outcomes)?,
                };
                // The harness has no standard error of a ratio; the interval is ours.
                Ok(Estimate {
                    error: None,
                    ..estimate
                })
            }
            Kind::Choices(agreement) => {
                let gold = self.scores(part::GOLD, outcomes)?;
                let predicted = self.scores(part::PREDICTED, outcomes)?;
                let pairs: Vec<_> = gold
                    .iter()
                    .zip(predicted)
                    .map(|(gold, found)| (*gold as usize, found as usize))
                    .collect();
                Ok(match agreement {
                    Agreement::F1 => resampled(&pairs, often, f1),
                    Agreement::Matthews => resampled(&pairs, often, matthews),
                })
            }
            Kind::Texts { filter, overlap } => {
                let answer =
                    |outcome: &Outcome| outcome.judged.get(filter).cloned().unwrap_or_default();
                Ok(match overlap {
                    Overlap::Bleu => {
                        let counts = counted(outcomes, |one| {
                            BleuCounts::of(&one.references, &answer(one), Words::Mteval)
                        });
                        resampled(&counts, seldom, |draw| {
                            draw.copied().sum::<BleuCounts>().score()
                        })
                    }
                    Overlap::Chrf { words } => {
                        let counts = counted(outcomes, |one| {
                            ChrfCounts::of(&one.references, &answer(one), *words)
                        });
                        resampled(&counts, seldom, |draw| {
                            draw.copied().sum::<ChrfCounts>().score()
                        })
                    }
                })
            }
        }
    }

    fn scores(&self, name: &str, outcomes: &[&Outcome]) -> Result<Vec<f64>> {
        outcomes
            .iter()
            .map(|outcome| outcome.score(&self.key, name))
            .collect()
    }
}

fn counted<C: Send>(outcomes: &[&Outcome], count: impl Fn(&Outcome) -> C + Sync) -> Vec<C> {
    outcomes.par_iter().map(|outcome| count(outcome)).collect()
}

/// An estimate whose standard error is that of the harness's bootstrap: the deviation of the statistic over resamples,
/// each thousand of them drawn by Python's generator, seeded by their number.
fn resampled<T: Sync, S>(items: &[T], resamples: usize, statistic: S) -> Estimate
where
    S: Fn(&mut dyn Iterator<Item = &T>) -> f64 + Sync,
{
    let value = statistic(&mut items.iter());
    if items.len() < 2 || resamples == 0 {
        return Estimate::bare(value, items.len());
    }
    let chunk = CHUNK.min(resamples);
    let replicates: Vec<f64> = (0..resamples / chunk)
        .into_par_iter()
        .flat_map_iter(|number| {
            let mut random = Random::new(number as u64);
            let statistic = &statistic;
            (0..chunk).map(move |_| {
                let mut draw = (0..items.len()).map(|_| &items[random.choice(items.len())]);
                statistic(&mut draw)
            })
        })
        .collect();
    let error = deviation(&replicates, mean(&replicates));
    Estimate {
        value,
        error,
        interval: error.map(|error| Interval::normal(value, error)),
        count: items.len(),
    }
}

fn perplexity(items: &mut dyn Iterator<Item = &f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for item in items {
        sum += item;
        count += 1.0;
    }
    (-sum / count).exp()
}

/// The upper one of the two in the middle, as in the harness.
fn median(items: impl Iterator<Item = f64>) -> f64 {
    let mut items: Vec<f64> = items.collect();
    items.sort_by(f64::total_cmp);
    items[items.len() / 2]
}

/// F1 of the class 1, as scikit-learn computes it for two classes; 0 where nothing is of it.
fn f1(pairs: &mut dyn Iterator<Item = &(usize, usize)>) -> f64 {
    let (mut both, mut gold, mut found) = (0.0, 0.0, 0.0);
    for pair in pairs {
        gold += f64::from(u8::from(pair.0 == 1));
        found += f64::from(u8::from(pair.1 == 1));
        both += f64::from(u8::from(*pair == (1, 1)));
    }
    if gold + found == 0.0 {
        0.0
    } else {
        2.0 * both / (gold + found)
    }
}

/// Matthews' correlation for any number of classes (Gorodkin 2004); 0 where all are of one class.
fn matthews(pairs: &mut dyn Iterator<Item = &(usize, usize)>) -> f64 {
    let mut right = 0.0;
    let mut total = 0.0;
    let mut classes: Vec<(f64, f64)> = Vec::new();
    for &(gold, found) in pairs {
        let most = gold.max(found);
        if classes.len() <= most {
            classes.resize(most + 1, (0.0, 0.0));
        }
        classes[gold].0 += 1.0;
        classes[found].1 += 1.0;
        right += f64::from(u8::from(gold == found));
        total += 1.0;
    }
    let sum = |of: fn(&(f64, f64)) -> f64| classes.iter().map(of).sum::<f64>();
    let shared = sum(|(gold, found)| gold * found);
    let spread = |squares: f64| total * total - squares;
    let scale =
        (spread(sum(|(gold, _)| gold * gold)) * spread(sum(|(_, found)| found * found))).sqrt();
    if scale == 0.0 {
        0.0
    } else {
        (right * total - shared) / scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bootstrap_is_the_harnesss() {
        let items = [-1.0, -2.5, -0.25, -4.0, -1.5];
        let estimate = resampled(&items, RESAMPLES, perplexity);
        assert!((estimate.value - PERPLEXITY).abs() < 1e-12, "{estimate:?}");
        assert!(
            (estimate.error.unwrap() - PERPLEXITY_ERROR).abs() < 1e-9,
            "{estimate:?}"
        );
        let pairs = [(0, 0), (1, 1), (1, 0), (0, 0), (1, 1), (0, 1), (1, 1)];
        for (found, value, error) in [
            (resampled(&pairs, 2000, f1), F1.0, F1.1),
            (resampled(&pairs, 2000, matthews), MATTHEWS.0, MATTHEWS.1),
        ] {
            assert!((found.value - value).abs() < 1e-12, "{found:?}");
            assert!((found.error.unwrap() - error).abs() < 1e-9, "{found:?}");
        }
        assert_eq!(resampled(&[1.0], RESAMPLES, perplexity).error, None);
    }

    const PERPLEXITY: f64 = 6.359_819_522_601_832;
    const PERPLEXITY_ERROR: f64 = 5.009_921_637_661_621;
    const F1: (f64, f64) = (0.75, 0.194_930_934_908_880_08);
    const MATTHEWS: (f64, f64) = (0.416_666_666_666_666_7, 0.377_178_687_215_112_83);
}
