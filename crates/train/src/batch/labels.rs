//! Batches for classification and regression.

use burn::tensor::Device;
use finetune_data::encode::Row;
use finetune_data::{Label, Origin};
use finetune_model::Tokens;
use sha2::Digest;

use super::{Batch, Batches};
use super::{order, read, rows};
use crate::config::BatchConfig;
use crate::error::{Result, TrainError};

/// Rows of tokens with one label each.
#[derive(Clone, Debug)]
pub struct LabelBatch {
    /// The tokens, padded on the right by place.
    pub tokens: Tokens,
    /// The labels of the rows.
    pub labels: Labels,
    /// Where the rows come from.
    pub origins: Vec<Origin>,
    /// Tokens without padding.
    pub count: usize,
}

/// What is to be predicted of each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// Numbers of classes, from 0.
    Classes(Vec<u32>),
    /// Any number of classes for each row.
    Several {
        /// How many classes there are.
        classes: usize,
        /// Numbers of classes, from 0.
        rows: Vec<Vec<u32>>,
    },
    /// Values.
    Numbers(Vec<f32>),
}

impl Labels {
    /// How many answers are judged: one for each row, or one for each class of each row.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Several { classes, rows } => classes * rows.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn pick(&self, rows: &[usize]) -> Self {
        match self {
            Self::Classes(classes) => Self::Classes(rows.iter().map(|row| classes[*row]).collect()),
            Self::Several {
                classes,
                rows: known,
            } => Self::Several {
                classes: *classes,
                rows: rows.iter().map(|row| known[*row].clone()).collect(),
            },
            Self::Numbers(numbers) => Self::Numbers(rows.iter().map(|row| numbers[*row]).collect()),
        }
    }
}

impl Batch for LabelBatch {
    fn targets(&self) -> usize {
        self.labels.len()
    }

    fn tokens(&self) -> usize {
        self.count
    }

    fn origins(&self) -> Vec<Origin> {
        self.origins.clone()
    }
}

/// Encoded rows with labels as batches, in an order that (seed, epoch) fixes. Rows are not packed.
#[derive(Clone, Debug)]
pub struct LabelBatches {
    rows: Vec<Row>,
    labels: Labels,
    config: BatchConfig,
    seed: u64,
    pad: u32,
    device: Device,
}

impl LabelBatches {
    /// Rows of named classes.
    ///
    /// # Arguments
    ///
    /// - `rows`: with their labels; a number stands for the class that is called so, or else for the class of that
    ///   number
    /// - `names`: the classes, in the order of the model's outputs
    /// - `seed`: fixes the order
    /// - `pad`: the id behind a row
    ///
    /// # Errors
    ///
    /// When there are no rows, a row is too long, or a label is no class.
    pub fn classes(
        rows: Vec<(Row, Label)>,
        names: &[String],
        config: &BatchConfig,
        seed: u64,
        pad: u32,
        device: &Device,
    ) -> Result<Self> {
        let (rows, labels): (Vec<Row>, Vec<Label>) = rows.into_iter().unzip();
        let labels = rows
            .iter()
            .zip(&labels)
            .map(|(row, label)| class(&row.origin, label, names))
            .collect::<Result<_>>()?;
        Self::new(rows, Labels::Classes(labels), config, seed, pad, device)
    }

    /// Rows of which each has any number of named classes; a label that is no list is one class.
    ///
    /// # Arguments
    ///
    /// As [`LabelBatches::classes`].
    ///
    /// # Errors
    ///
    /// As [`LabelBatches::classes`].
    pub fn several(
        rows: Vec<(Row, Label)>,
        names: &[String],
        config: &BatchConfig,
        seed: u64,
        pad: u32,
        device: &Device,
    ) -> Result<Self> {
        let (rows, labels): (Vec<Row>, Vec<Label>) = rows.into_iter().unzip();
        let labels = Labels::Several {
            classes: names.len(),
            rows: rows
                .iter()
                .zip(&labels)
                .map(|(row, label)| classes(&row.origin, label, names))
                .collect::<Result<_>>()?,
        };
        Self::new(rows, labels, config, seed, pad, device)
    }

    /// Rows with numbers, for regression.
    ///
    /// # Errors
    ///
    /// When there are no rows, a row is too long, or a label is no finite number.
    pub fn numbers(
        rows: Vec<(Row, Label)>,
        config: &BatchConfig,
        seed: u64,
        pad: u32,
        device: &Device,
    ) -> Result<Self> {
        let (rows, labels): (Vec<Row>, Vec<Label>) = rows.into_iter().unzip();
        let labels = rows
            .iter()
            .zip(&labels)
            .map(|(row, label)| number(&row.origin, label))
            .collect::<Result<_>>()?;
        Self::new(rows, Labels::Numbers(labels), config, seed, pad, device)
    }

    /// The same rows in order, to validate on.
    pub fn in_order(mut self) -> Self {
        self.config = self.config.in_order();
        self
    }

    fn new(
        rows: Vec<Row>,
        labels: Labels,
        config: &BatchConfig,
        seed: u64,
        pad: u32,
        device: &Device,
    ) -> Result<Self> {
        if rows.is_empty() {
            return Err(TrainError::NoRows);
        }
        for row in &rows {
            rows::check_size(row, config.length)?;
        }
        Ok(Self {
            rows,
            labels,
            config: config.clone(),
            seed,
            pad,
            device: device.clone().without_autodiff(),
        })
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    fn batch(&self, numbers: &[usize]) -> Result<LabelBatch> {
        let rows: Vec<&Row> = numbers.iter().map(|row| &self.rows[*row]).collect();
        let tokens = read::padded(&rows, self.pad, &self.device)?;
        Ok(LabelBatch {
            tokens: read::with_kinds(tokens, &rows)?,
            labels: self.labels.pick(numbers),
            origins: rows.iter().map(|row| row.origin.clone()).collect(),
            count: rows.iter().map(|row| row.encoded.ids.len()).sum(),
        })
    }
}

impl Batches<LabelBatch> for LabelBatches {
    fn per_epoch(&self, _epoch: u64) -> u64 {
        self.rows.len().div_ceil(self.config.rows) as u64
    }

    fn epoch(&self, epoch: u64, from: u64) -> Box<dyn Iterator<Item = Result<LabelBatch>> + '_> {
        let lengths: Vec<usize> = self.rows.iter().map(|row| row.encoded.ids.len()).collect();
        let rest = order::epoch(&self.config, self.seed, &lengths, epoch, from);
        Box::new(rest.map(|rows| self.batch(&rows)))
    }

    fn fingerprint(&self) -> String {
        rows::fingerprint(&self.config, self.seed, |hash| {
            hash.update(format!(" {:?}", self.labels));
            for row in &self.rows {
                rows::digest(hash, &row.encoded);
            }
        })
    }
}

fn class(origin: &Origin, label: &Label, names: &[String]) -> Result<u32> {
    let found = match label {
        Label::Class(name) => names.iter().position(|known| known == name),
        Label::Number(number) => names
            .iter()
            .position(|known| *known == number.to_string())
            .or_else(|| {
                (number.fract() == 0.0 && (0.0..names.len() as f64).contains(number))
                    .then_some(*number as usize)
            }),
        Label::Classes(_) => {
            return Err(TrainError::LabelInvalid {
                origin: origin.clone(),
                found: shown(label),
                expected: "one class, not a list; LabelBatches::several takes lists".to_owned(),
            });
        }
    };
    found
        .map(|class| class as u32)
        .ok_or_else(|| TrainError::LabelInvalid {
            origin: origin.clone(),
            found: shown(label),
            expected: format!("one of {}", names.join(", ")),
        })
}

/// The numbers of all classes of a row.
fn classes(origin: &Origin, label: &Label, names: &[String]) -> Result<Vec<u32>> {
    match label {
        Label::Classes(several) => several
            .iter()
            .map(|name| class(origin, &Label::Class(name.clone()), names))
            .collect(),
        one => Ok(vec![class(origin, one, names)?]),
    }
}

fn number(origin: &Origin, label: &Label) -> Result<f32> {
    match label {
        Label::Number(number) if (*number as f32).is_finite() => Ok(*number as f32),
        _ => Err(TrainError::LabelInvalid {
            origin: origin.clone(),
            found: shown(label),
            expected: "a finite number".to_owned(),
        }),
    }
}

/// A label as an error shows it: escaped, and cut.
fn shown(label: &Label) -> String {
    match label {
        Label::Class(name) => format!("{:?}", name.chars().take(200).collect::<String>()),
        Label::Number(number) => number.to_string(),
        Label::Classes(_) => {
            let names = label.to_string();
            format!("{:?}", names.chars().take(200).collect::<String>())
        }
    }
}
