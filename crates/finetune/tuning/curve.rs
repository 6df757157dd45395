//! Training on growing parts of the same data: what a learning curve is drawn from.
//!
//! The rows to train on are put into one order, by a hash of what is asked; the first `n` are the part of `n` rows. So
//! every part holds the smaller ones, and all are measured on the same held-out rows. A run is kept in
//! `FOLDER/<rows>-<seed>/`, and what is finished is never trained again: a later call with more sizes or seeds trains
//! what is missing, and a run that was killed goes on from its last checkpoint.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use super::{Place, Settings, Tuning};
use crate::data::Conversation;
use crate::data::split::Parts;
use crate::eval::learning_curve::{LearningCurve, Point};
use crate::eval::metric::{Better, Unit};
use crate::program::Failure;

/// The seed of the order of the rows; not that of a split, whose hash decides which rows there are.
const ORDER: u64 = 0x006c_6561_726e;
/// How many sizes a curve may have.
const SIZES: std::ops::RangeInclusive<usize> = 3..=8;
/// What a finished run leaves.
const FINISHED: &str = "finished.json";

/// How many rows to train on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// So many sizes: all rows, half of them, a quarter, and so on.
    Halves(usize),
    /// These numbers of rows.
    Rows(Vec<usize>),
}

impl FromStr for Sizes {
    type Err = String;

    /// Reads `5`, a number of sizes, or `100,200,400`, numbers of rows.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |word: &str| {
            let word = word.trim();
            word.parse::<usize>()
                .map_err(|_| format!("{word:?} is not a whole number; expected 5 or 100,200,400"))
        };
        let mut numbers = text.split(',').map(number).collect::<Result<Vec<_>, _>>()?;
        let sizes = if let [count] = numbers[..] {
            Self::Halves(count)
        } else {
            numbers.sort_unstable();
            numbers.dedup();
            Self::Rows(numbers)
        };
        let count = match &sizes {
            Self::Halves(count) => *count,
            Self::Rows(rows) => rows.len(),
        };
        if SIZES.contains(&count) {
            Ok(sizes)
        } else {
            Err(format!(
                "{count} different sizes; a curve needs {} to {}",
                SIZES.start(),
                SIZES.end()
            ))
        }
    }
}

impl Sizes {
    /// The sizes within so many rows, the smallest first.
    fn of(&self, all: usize) -> Result<Vec<usize>, Failure> {
        let sizes = match self {
            Self::Halves(count) => (0..*count).rev().map(|halvings| all >> halvings).collect(),
            Self::Rows(rows) => rows.clone(),
        };
        let (smallest, largest) = (
            sizes.first().copied().unwrap_or(0),
            sizes.last().copied().unwrap_or(0),
        );
        if smallest == 0 || largest > all {
            return Err(format!("the sizes {sizes:?} do not fit {all} rows to train on; give other --sizes, or more data").into());
        }
        Ok(sizes)
    }
}

/// The curve of a folder, and what it took.
#[derive(Clone, Debug)]
pub struct Grown {
    /// The lowest validation loss of each run, which is that of the model that the run keeps.
    pub curve: LearningCurve,
    /// How many runs were trained now; the others were finished before.
    pub trained: usize,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Finished {
    /// What makes it the same run: a hash of settings and data.
    identity: String,
    rows: usize,
    seed: u64,
    /// The lowest validation loss.
    loss: f64,
    /// The step at which it was measured.
    best: u64,
    /// All steps.
    steps: u64,
    seconds: f64,
}

impl Finished {
    /// The same, after a line that says how it ended.
    fn said(self, remark: &str) -> Self {
        println!(
            "{} rows, seed {}: validation loss {:.4}, lowest after {} of {} steps{remark}",
            self.rows, self.seed, self.loss, self.best, self.steps
        );
        self
    }
}

/// Trains on growing parts of the data with seeds that follow one another from the settings' one, and keeps the runs in
/// `folder`. Prints how each run ended.
///
/// The settings' `output` is not used: a run's checkpoints are removed when its figures are written. With `lora` the
/// seed of its fresh factors moves too.
///
/// # Errors
///
/// When there are no held-out rows or too few to train on, a run fails or is interrupted, or the folder holds runs of
/// other settings or data.
pub fn grow(
    settings: &Settings,
    sizes: &Sizes,
    seeds: u64,
    folder: &Path,
    device: &Device,
) -> Result<Grown, Failure> {
    let parts = settings.conversations()?;
    if parts.validation.is_empty() {
        return Err("no rows to validate on, which a learning curve is measured on; give --validation a larger share, or files".into());
    }
    if seeds == 0 {
        return Err("0 seeds; expected at least 1".into());
    }
    let sizes = sizes.of(parts.train.len())?;
    let ordered = shuffled(parts.train);
    let mut grown = Grown {
        curve: LearningCurve {
            metric: "validation loss".to_owned(),
            better: Better::Lower,
            unit: Unit::Number,
            items: parts.validation.len(),
            points: Vec::new(),
        },
        trained: 0,
    };
    for rows in sizes {
        let parts = Parts {
            train: ordered[..rows].to_vec(),
            validation: parts.validation.clone(),
            test: Vec::new(),
        };
        for seed in (0..seeds).map(|number| settings.train.seed.wrapping_add(number)) {
            let run = Run::new(settings, &parts, seed, folder)?;
            let before = run.finished()?;
            grown.trained += usize::from(before.is_none());
            let finished = match before {
                Some(before) => before.said(" (trained before)"),
                None => run.train(&parts, device)?.said(""),
            };
            grown.curve.points.push(Point {
                rows: rows as u64,
                seed,
                value: finished.loss,
            });
        }
    }
    Ok(grown)
}

/// The rows in an order that looks random and depends on what is asked alone, equal questions as they came. Rows that are
/// added later do not change the order of the others.
fn shuffled(mut rows: Vec<Conversation>) -> Vec<Conversation> {
    rows.sort_by_cached_key(|row| xxh3_64_with_seed(row.question().as_bytes(), ORDER));
    rows
}

/// A run over a part of the data.
struct Run {
    settings: Settings,
    identity: String,
    rows: usize,
    folder: PathBuf,
}

impl Run {
    fn new(
        settings: &Settings,
        parts: &Parts<Conversation>,
        seed: u64,
        folder: &Path,
    ) -> Result<Self, Failure> {
        let mut settings = settings.clone();
        if let Some(lora) = &mut settings.lora {
            lora.seed = lora
                .seed
                .wrapping_add(seed.wrapping_sub(settings.train.seed));
        }
        settings.train.seed = seed;
        let rows = parts.train.len();
        Ok(Self {
            identity: identity(&settings, parts)?,
            folder: folder.join(format!("{rows}-{seed}")),
            settings,
            rows,
        })
    }

    /// What the run left, if it was finished.
    fn finished(&self) -> Result<Option<Finished>, Failure> {
        let path = self.folder.join(FINISHED);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", path.display()).into()),
        };
        let finished: Finished = serde_json::from_str(&text).map_err(|error| {
            format!(
                "{}: {error}; remove the folder to train the run again",
                path.display()
            )
        })?;
        if finished.identity != self.identity {
            return Err(format!(
                "{}: the run was trained with other settings or other data; choose another --output, or remove the folder",
                path.display()
            )
            .into());
        }
        Ok(Some(finished))
    }

    /// Trains, from the last checkpoint on if there is one, and leaves the figures alone.
    fn train(&self, parts: &Parts<Conversation>, device: &Device) -> Result<Finished, Failure> {
        let tuning = Tuning::open(self.settings.clone(), device.clone())?;
        let place = Place {
            run: &self.folder,
            resume: true,
            output: None,
        };
        let summary = tuning.run_on(parts, self.settings.train.seed, place)?;
        let best = summary.best.ok_or("the run was never validated")?;
        let finished = Finished {
            identity: self.identity.clone(),
            rows: self.rows,
            seed: self.settings.train.seed,
            loss: best.loss,
            best: best.step,
            steps: summary.step,
            seconds: summary.seconds,
        };
        self.keep(&finished)
            .map_err(|error| format!("{}: {error}", self.folder.display()))?;
        Ok(finished)
    }

    /// Writes the figures beside their place and moves them there, then removes the checkpoints.
    fn keep(&self, finished: &Finished) -> io::Result<()> {
        let beside = self.folder.join(format!("{FINISHED}.tmp"));
        fs::write(&beside, serde_json::to_string_pretty(finished)?)?;
        fs::rename(beside, self.folder.join(FINISHED))?;
        for entry in self.folder.read_dir()? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// A hash of everything that decides how a run ends: the settings but for where results go and how often it is saved,
/// and the rows. Where the rows come from does not count, so that a moved file is the same data.
fn identity(settings: &Settings, parts: &Parts<Conversation>) -> Result<String, Failure> {
    let settings = Settings {
        data: Vec::new(),
        map: None,
        output: None,
        validation: super::Validation::default(),
        ..settings.clone()
    };
    let mut settings = serde_json::to_value(settings)?;
    if let Some(train) = settings["train"].as_object_mut() {
        train.remove("checkpoint");
    }
    let mut hash = Xxh3::new();
    hash.update(settings.to_string().as_bytes());
    for rows in [&parts.train, &parts.validation] {
        hash.update(&(rows.len() as u64).to_le_bytes());
        for row in rows {
            let text = serde_json::to_string(&(&row.turns, &row.tools, &row.fields))?;
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
    }
    Ok(format!("{:032x}", hash.digest128()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_added_leave_the_order_of_the_others() {
        let order = |names: &[&str]| -> Vec<String> {
            let rows = names
                .iter()
                .map(|name| Conversation::pair(*name, "answer"))
                .collect();
            shuffled(rows).iter().map(Conversation::question).collect()
        };
        let names = ["a", "b", "c", "d", "e", "f"];
        let (few, all) = (order(&names[..4]), order(&names));
        assert_ne!(all, names);
        assert_eq!(
            all.into_iter()
                .filter(|name| few.contains(name))
                .collect::<Vec<_>>(),
            few
        );
    }

    #[test]
    fn sizes_are_a_count_or_a_list() {
        assert_eq!("5".parse(), Ok(Sizes::Halves(5)));
        assert_eq!(
            "400, 100,200,100".parse(),
            Ok(Sizes::Rows(vec![100, 200, 400]))
        );
        for (text, part) in [
            ("2", "2 different sizes"),
            ("9", "3 to 8"),
            ("1,1,2", "2 different"),
            ("", "not a whole number"),
            ("a,b,c", "\"a\""),
        ] {
            let error = text.parse::<Sizes>().expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_fit_the_data() {
        let sizes = |sizes: Sizes, all| sizes.of(all).map_err(|error| error.to_string());
        assert_eq!(sizes(Sizes::Halves(4), 1001), Ok(vec![125, 250, 500, 1001]));
        for (wanted, all) in [
            (Sizes::Halves(4), 7),
            (Sizes::Rows(vec![1, 2, 9]), 8),
            (Sizes::Rows(vec![0, 2, 9]), 9),
        ] {
            let error = sizes(wanted, all).expect_err("too few rows");
            assert!(error.contains(&format!("do not fit {all} rows")), "{error}");
        }
    }
}
