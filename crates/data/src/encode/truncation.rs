//! Rows that are too long.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Encoded;
use crate::error::{DataError, Result, quoted};

/// What becomes of a row that is longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truncation {
    /// It is an error. Nothing is lost unnoticed; choose a greater length, or one of the others.
    #[default]
    Refuse,
    /// It is dropped, and counted.
    Drop,
    /// Its first tokens are cut off; a BOS token at its start stays.
    CutLeft,
    /// Its last tokens are cut off, which may take the end of an answer, and so the lesson where to stop.
    CutRight,
    /// As `CutLeft`, but the last answer stays whole; where that is impossible, the row is dropped, and counted.
    CutPrompt,
}

impl Truncation {
    /// The policies by name.
    const NAMES: [(&str, Self); 5] = [
        ("refuse", Self::Refuse),
        ("drop", Self::Drop),
        ("cut_left", Self::CutLeft),
        ("cut_right", Self::CutRight),
        ("cut_prompt", Self::CutPrompt),
    ];
}

impl FromStr for Truncation {
    type Err = DataError;

    /// `refuse`, `drop`, `cut_left`, `cut_right` or `cut_prompt`.
    fn from_str(name: &str) -> Result<Self> {
        let known = Self::NAMES.iter().find(|(known, _)| *known == name);
        known
            .map(|(_, policy)| *policy)
            .ok_or_else(|| DataError::Setting {
                name: "truncation".to_owned(),
                found: quoted(name),
                expected: format!("one of {}", Self::NAMES.map(|(known, _)| known).join(", ")),
            })
    }
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It fits; so many tokens were cut off.
    Fits(usize),
    /// It does not.
    TooLong,
}

impl Truncation {
    /// Cuts a row to a length, if this policy cuts.
    pub(super) fn cut(self, row: &mut Encoded, length: usize, bos: Option<u32>) -> Fit {
        let excess = row.ids.len().saturating_sub(length);
        if excess == 0 {
            return Fit::Fits(0);
        }
        // Where the cut begins, when tokens at the start go.
        let start = usize::from(length > 1 && bos.is_some() && row.ids.first() == bos.as_ref());
        match self {
            Self::Refuse | Self::Drop => return Fit::TooLong,
            Self::CutRight => row.remove(length..length + excess),
            Self::CutLeft => row.remove(start..start + excess),
            Self::CutPrompt => {
                let answer = row.last_answer();
                if answer < start + excess {
                    return Fit::TooLong;
                }
                row.remove(start..start + excess);
            }
        }
        Fit::Fits(excess)
    }
}

impl Encoded {
    fn remove(&mut self, range: std::ops::Range<usize>) {
        self.ids.drain(range.clone());
        self.learn.drain(range.clone());
        self.kinds.drain(range);
    }

    /// Where the last run of learned tokens begins; the row's length if there is none.
    pub(super) fn last_answer(&self) -> usize {
        let Some(last) = self.learn.iter().rposition(|&learn| learn) else {
            return self.learn.len();
        };
        self.learn[..last]
            .iter()
            .rposition(|&learn| !learn)
            .map_or(0, |place| place + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Learned tokens are those from 10.
    fn check(policy: Truncation, ids: &[u32], length: usize, expected: Option<&[u32]>) {
        let mut row = Encoded {
            ids: ids.to_vec(),
            learn: ids.iter().map(|&id| id >= 10).collect(),
            kinds: vec![0; ids.len()],
        };
        let fit = policy.cut(&mut row, length, Some(1));
        match expected {
            Some(expected) => {
                assert_eq!(
                    fit,
                    Fit::Fits(ids.len() - expected.len()),
                    "{policy:?} {ids:?}"
                );
                assert_eq!(row.ids, expected, "{policy:?} {ids:?}");
                assert!(row.learn.len() == row.ids.len() && row.kinds.len() == row.ids.len());
            }
            None => assert_eq!(fit, Fit::TooLong, "{policy:?} {ids:?}"),
        }
    }

    #[test]
    fn policies_have_the_same_names_everywhere() {
        for (name, policy) in Truncation::NAMES {
            assert_eq!(name.parse::<Truncation>().unwrap(), policy);
            let written = serde_json::to_string(&policy).unwrap();
            assert_eq!(written, format!("\"{name}\""));
        }
        let error = "cut".parse::<Truncation>().unwrap_err().to_string();
        assert!(
            error.contains("\"cut\"") && error.contains("cut_prompt"),
            "{error}"
        );
    }

    #[test]
    fn each_policy_cuts_where_it_says() {
        let row = [1, 2, 3, 10, 11];
        for policy in [Truncation::Refuse, Truncation::Drop, Truncation::CutPrompt] {
            check(policy, &row, 5, Some(&row));
        }
        check(Truncation::Refuse, &row, 4, None);
        check(Truncation::Drop, &row, 4, None);
        check(Truncation::CutRight, &row, 4, Some(&[1, 2, 3, 10]));
        check(Truncation::CutLeft, &row, 4, Some(&[1, 3, 10, 11]));
        check(Truncation::CutLeft, &row[1..], 2, Some(&[10, 11]));
        check(Truncation::CutLeft, &row, 2, Some(&[1, 11]));
        check(Truncation::CutPrompt, &row, 3, Some(&[1, 10, 11]));
        check(Truncation::CutPrompt, &row, 2, None);
        check(
            Truncation::CutPrompt,
            &[2, 10, 3, 11, 12],
            3,
            Some(&[3, 11, 12]),
        );
        check(Truncation::CutPrompt, &[2, 3, 4], 2, Some(&[3, 4]));
    }
}
