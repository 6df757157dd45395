//! Checks of rows before any work is done with them.

use std::borrow::Borrow;

use finetune_data::Origin;
use finetune_data::encode::{Encoded, Encoder, Row};
use sha2::{Digest, Sha256};

use crate::config::BatchConfig;
use crate::error::{Result, SHOWN, TrainError};
use crate::resume::hex;

/// The token ids that have a meaning of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Specials {
    /// Fills the places behind a row; any id of the vocabulary. Padding is known by its place, so this may be the
    /// stop token.
    pub pad: u32,
    /// Begins a text, where the tokenizer has such a token. A row that begins with two of them is refused.
    pub bos: Option<u32>,
    /// End an answer or a text. At least one row must learn one of them. Empty: not checked.
    pub stop: Vec<u32>,
}

impl Specials {
    /// Nothing is checked, and this id fills rows.
    pub fn padding(pad: u32) -> Self {
        Self {
            pad,
            ..Self::default()
        }
    }
}

impl From<&Encoder> for Specials {
    /// Those of the tokenizer and the template with which the rows were made. Rows are filled with id 0 where the
    /// tokenizer has no token for it: padding is known by its place, so any id will do.
    fn from(encoder: &Encoder) -> Self {
        Self {
            pad: encoder.tokenizer().pad().unwrap_or_default(),
            bos: encoder.tokenizer().bos(),
            stop: encoder.stops(),
        }
    }
}

/// The places of a document whose token is a target: learned, and not its first, which nothing precedes.
pub(crate) fn targets(encoded: &Encoded) -> impl Iterator<Item = usize> + '_ {
    (1..encoded.ids.len()).filter(|place| encoded.learn[*place])
}

/// Refuses rows that would waste the run: too long, nothing learned, begun twice, never stopped.
pub(crate) fn check<R: Borrow<Row>>(
    rows: impl IntoIterator<Item = R>,
    length: usize,
    specials: &Specials,
) -> Result<()> {
    let (mut count, mut stops) = (0, specials.stop.is_empty());
    let (mut empty, mut twice) = (Found::default(), Found::default());
    for row in rows {
        let row: &Row = row.borrow();
        check_size(row, length)?;
        count += 1;
        let ids = &row.encoded.ids;
        empty.add_if(targets(&row.encoded).next().is_none(), row);
        let bos = specials.bos;
        twice.add_if(bos.is_some_and(|bos| ids.starts_with(&[bos, bos])), row);
        stops |= targets(&row.encoded).any(|place| specials.stop.contains(&ids[place]));
    }
    if count == 0 {
        return Err(TrainError::NoRows);
    }
    if empty.count > 0 {
        return Err(TrainError::EmptyMask {
            count: empty.count,
            origins: empty.first,
        });
    }
    if let Some(bos) = specials.bos.filter(|_| twice.count > 0) {
        return Err(TrainError::TwoBos {
            count: twice.count,
            bos,
            origins: twice.first,
        });
    }
    if !stops {
        return Err(TrainError::NoStop {
            rows: count,
            stop: specials.stop.clone(),
        });
    }
    Ok(())
}

/// How many rows are so, and where the first of them come from.
#[derive(Default)]
struct Found {
    count: usize,
    first: Vec<Origin>,
}

impl Found {
    fn add_if(&mut self, so: bool, row: &Row) {
        if so {
            self.count += 1;
            if self.first.len() < SHOWN {
                self.first.push(row.origin.clone());
            }
        }
    }
}

pub(crate) fn check_size(row: &Row, length: usize) -> Result<()> {
    let Encoded { ids, learn, kinds } = &row.encoded;
    if learn.len() != ids.len() || kinds.len() != ids.len() {
        return Err(TrainError::RowInvalid {
            origin: row.origin.clone(),
            ids: ids.len(),
            learn: learn.len(),
            kinds: kinds.len(),
        });
    }
    if ids.len() > length {
        return Err(TrainError::TooLong {
            origin: row.origin.clone(),
            found: ids.len(),
            limit: length,
        });
    }
    Ok(())
}

/// The fingerprint of a source of batches: of its settings, and of what `content` adds.
pub(crate) fn fingerprint(
    config: &BatchConfig,
    seed: u64,
    content: impl FnOnce(&mut Sha256),
) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{config:?} {seed}"));
    content(&mut hash);
    hex(&hash.finalize())
}

/// A running fingerprint of rows: ids, what is learned, kinds. Where they come from does not count, so that a moved
/// file is the same data.
pub(crate) fn digest(hash: &mut Sha256, encoded: &Encoded) {
    hash.update((encoded.ids.len() as u64).to_le_bytes());
    let mut bytes = Vec::with_capacity(encoded.ids.len() * 9);
    for ((id, learn), kind) in encoded.ids.iter().zip(&encoded.learn).zip(&encoded.kinds) {
        bytes.extend_from_slice(&id.to_le_bytes());
        bytes.push(u8::from(*learn));
        bytes.extend_from_slice(&kind.to_le_bytes());
    }
    hash.update(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ids: &[u32], learn: &[u8], place: u64) -> Row {
        Row {
            encoded: Encoded {
                ids: ids.to_vec(),
                learn: learn.iter().map(|one| *one == 1).collect(),
                kinds: vec![0; ids.len()],
            },
            origin: Origin::new("rows.jsonl", place),
        }
    }

    fn specials() -> Specials {
        Specials {
            pad: 0,
            bos: Some(1),
            stop: vec![2, 3],
        }
    }

    fn refusal(rows: &[Row]) -> String {
        check(rows, 6, &specials()).unwrap_err().to_string()
    }

    #[test]
    fn good_rows_pass() {
        check(
            &[
                row(&[1, 5, 6], &[0, 0, 1], 1),
                row(&[1, 5, 2], &[0, 0, 1], 2),
            ],
            6,
            &specials(),
        )
        .unwrap();
    }

    #[test]
    fn the_first_token_is_no_target() {
        let row = row(&[1, 5, 2, 7], &[1, 1, 0, 1], 1);
        assert_eq!(targets(&row.encoded).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn no_rows_are_refused() {
        assert!(matches!(
            check(&[], 6, &specials()),
            Err(TrainError::NoRows)
        ));
    }

    #[test]
    fn a_row_that_learns_nothing_is_named() {
        let message = refusal(&[row(&[1, 2], &[1, 1], 1), row(&[1, 2], &[1, 0], 9)]);
        assert!(
            message.starts_with("1 rows have no learned token"),
            "{message}"
        );
        assert!(message.contains("rows.jsonl:9"), "{message}");
    }

    #[test]
    fn two_bos_are_named() {
        let message = refusal(&[row(&[1, 1, 2], &[0, 1, 1], 4)]);
        assert!(
            message.contains("two begin-of-text tokens (id 1): rows.jsonl:4"),
            "{message}"
        );
    }

    #[test]
    fn rows_that_never_stop_are_refused() {
        // The stop token is there, but only as a prompt.
        let message = refusal(&[row(&[1, 2, 5], &[0, 0, 1], 1)]);
        assert!(
            message.contains("none of 1 rows learns a stop token (2, 3)"),
            "{message}"
        );
        let unchecked = Specials {
            stop: Vec::new(),
            ..specials()
        };
        check(&[row(&[1, 2, 5], &[0, 0, 1], 1)], 6, &unchecked).unwrap();
    }

    #[test]
    fn a_long_or_uneven_row_is_named() {
        let message = refusal(&[row(&[1; 7], &[1; 7], 3)]);
        assert!(
            message.contains("rows.jsonl:3: 7 tokens; expected at most batch.length = 6"),
            "{message}"
        );
        let message = refusal(&[row(&[1, 2, 3], &[1, 1], 8)]);
        assert!(
            message.contains("rows.jsonl:8: 3 ids, 2 marks"),
            "{message}"
        );
    }

    #[test]
    fn many_bad_rows_are_counted() {
        let rows: Vec<Row> = (1..=9).map(|place| row(&[4, 5], &[1, 0], place)).collect();
        let message = refusal(&rows);
        assert!(
            message.starts_with("9 rows") && message.contains("rows.jsonl:5"),
            "{message}"
        );
    }
}
