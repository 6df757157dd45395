//! A split into training, validation and test parts that is stable when data grows.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{DataError, Result};

/// A split by a hash of the text: where a text belongs depends on the text, the seed and the shares, and on nothing
/// else. Rows added later never move a row, and equal texts are always on the same side.
///
/// The parts are laid out on the unit interval as test, validation, train. So a greater `validation` takes rows from
/// training alone, and two splits with the same `test` and `seed` test on the same rows.
///
/// ```
/// use finetune_data::split::{Part, Split};
///
/// let split = Split { validation: 0.1, test: 0.2, seed: 1 };
/// let parts = split.apply(["What?", "Why?", "How?"], |question| (*question).to_string());
/// assert_eq!(parts.train.len() + parts.validation.len() + parts.test.len(), 3);
/// assert_eq!(split.part("Why?") == Part::Test, parts.test.contains(&"Why?"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Split {
    /// The expected share of rows for validation, in [0, 1). Default 0.1.
    pub validation: f64,
    /// The expected share of rows for the test, in [0, 1). Default 0.1.
    pub test: f64,
    /// Another seed is another split. Default 0.
    pub seed: u64,
}

impl Default for Split {
    fn default() -> Self {
        Self {
            validation: 0.1,
            test: 0.1,
            seed: 0,
        }
    }
}

/// The part of the data to which a row belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Learned from.
    Train,
    /// Looked at while training.
    Validation,
    /// Looked at once, at the end.
    Test,
}

/// Rows by part, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts<T> {
    /// The rows to learn from.
    pub train: Vec<T>,
    /// The rows to look at while training.
    pub validation: Vec<T>,
    /// The rows to look at once, at the end.
    pub test: Vec<T>,
}

impl Split {
    /// This share for validation, the rest to train on: for whoever keeps test rows in a file of their own.
    pub fn without_test(validation: f64) -> Self {
        Self {
            validation,
            test: 0.0,
            seed: 0,
        }
    }

    /// Checks the shares.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if a share is not a number in [0, 1), or both together leave nothing to train on.
    pub fn check(&self) -> Result<()> {
        for (name, share) in [("validation", self.validation), ("test", self.test)] {
            if !(0.0..1.0).contains(&share) {
                let (name, found) = (format!("split.{name}"), share.to_string());
                return Err(DataError::Setting {
                    name,
                    found,
                    expected: "a share in [0, 1)".into(),
                });
            }
        }
        let sum = self.validation + self.test;
        if sum >= 1.0 {
            let expected = "validation and test that leave something to train on".into();
            return Err(DataError::Setting {
                name: "split".into(),
                found: format!("shares of {sum} in sum"),
                expected,
            });
        }
        Ok(())
    }

    /// The part of a text, or of whatever else the bytes are.
    pub fn part(&self, text: impl AsRef<[u8]>) -> Part {
        // The upper 53 bits as a fraction: exact in a double.
        let hash = xxh3_64_with_seed(text.as_ref(), self.seed);
        let place = (hash >> 11) as f64 / (1_u64 << 53) as f64;
        if place < self.test {
            Part::Test
        } else if place < self.test + self.validation {
            Part::Validation
        } else {
            Part::Train
        }
    }

    /// Splits rows by the text that `text` gives for each: for conversations
    /// [`question`](crate::Conversation::question), so that no question is on two sides.
    pub fn apply<T, K: AsRef<[u8]>>(
        &self,
        rows: impl IntoIterator<Item = T>,
        text: impl Fn(&T) -> K,
    ) -> Parts<T> {
        let mut parts = Parts {
            train: Vec::new(),
            validation: Vec::new(),
            test: Vec::new(),
        };
        for row in rows {
            match self.part(text(&row)) {
                Part::Train => parts.train.push(row),
                Part::Validation => parts.validation.push(row),
                Part::Test => parts.test.push(row),
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_place_of_a_text_is_fixed_for_all_times() {
        // If this changes, a user's test rows become training rows with the next version.
        let split = Split {
            validation: 0.25,
            test: 0.25,
            seed: 7,
        };
        let parts: Vec<Part> = ["", "a", "b", "What is a tensor?", "é"]
            .iter()
            .map(|text| split.part(text))
            .collect();
        assert_eq!(
            parts,
            [
                Part::Train,
                Part::Train,
                Part::Validation,
                Part::Train,
                Part::Test
            ]
        );
    }

    #[test]
    fn shares_are_met() {
        let split = Split {
            validation: 0.1,
            test: 0.2,
            seed: 3,
        };
        let parts = split.apply((0..20_000).map(|row| row.to_string()), Clone::clone);
        // Three standard deviations of a binomial share are below 1 %.
        assert!((parts.test.len() as f64 / 20_000.0 - 0.2).abs() < 0.01);
        assert!((parts.validation.len() as f64 / 20_000.0 - 0.1).abs() < 0.01);
    }

    #[test]
    fn shares_that_make_no_sense_are_refused() {
        let nothing = Split {
            validation: 0.0,
            test: 0.0,
            seed: 0,
        };
        assert!(nothing.check().is_ok());
        for (validation, test) in [
            (f64::NAN, 0.1),
            (-0.1, 0.1),
            (1.0, 0.0),
            (0.5, 0.5),
            (0.1, f64::INFINITY),
        ] {
            let error = Split {
                validation,
                test,
                seed: 0,
            }
            .check()
            .unwrap_err();
            assert!(matches!(error, DataError::Setting { .. }), "{error}");
        }
    }

    proptest! {
        #[test]
        fn more_rows_move_none(
            rows in proptest::collection::vec(".{0,12}", 1..60),
            cut in 0..60_usize,
            seed: u64,
            validation in 0.0..0.5,
        ) {
            let split = Split { validation, test: 0.2, seed };
            let cut = cut.min(rows.len());
            let before = split.apply(rows[..cut].to_vec(), Clone::clone);
            let after = split.apply(rows.clone(), Clone::clone);
            prop_assert!(after.train.starts_with(&before.train));
            prop_assert!(after.validation.starts_with(&before.validation));
            prop_assert!(after.test.starts_with(&before.test));
            prop_assert_eq!(after.train.len() + after.validation.len() + after.test.len(), rows.len());
        }

        #[test]
        fn more_validation_takes_from_training_alone(rows in proptest::collection::vec(".{0,12}", 1..60)) {
            let small = Split { validation: 0.1, test: 0.2, seed: 1 };
            let great = Split { validation: 0.3, ..small };
            for row in rows {
                match small.part(&row) {
                    Part::Train => prop_assert!(great.part(&row) != Part::Test),
                    part => prop_assert_eq!(great.part(&row), part),
                }
            }
        }
    }
}
