//! What encoding did to the data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Counts of what became of the rows, for the log and the report. Nothing is dropped or cut without being counted
/// here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodeReport {
    /// Examples that came in.
    pub rows: u64,
    /// Rows that came out. A long text gives several, one for each block.
    pub kept: u64,
    /// Examples dropped because they were too long.
    pub too_long: u64,
    /// Examples dropped because nothing of them would have been learned.
    pub untrainable: u64,
    /// Rows that were cut.
    pub cut: u64,
    /// Tokens that were cut off.
    pub cut_tokens: u64,
    /// Tokens in the rows that came out.
    pub tokens: u64,
    /// Tokens among them that are learned, and can be predicted: a row's first token cannot.
    pub learned: u64,
    /// The longest example, in tokens, before anything was cut.
    pub longest: u64,
    /// Rows that begin with two BOS tokens: the template writes one, and the tokenizer adds another.
    pub double_bos: u64,
    /// Control tokens spelt out in records, such as `<|im_end|>`. They were encoded as plain text.
    pub spelt_controls: u64,
}

impl EncodeReport {
    /// Adds the counts of another report.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.kept += other.kept;
        self.too_long += other.too_long;
        self.untrainable += other.untrainable;
        self.cut += other.cut;
        self.cut_tokens += other.cut_tokens;
        self.tokens += other.tokens;
        self.learned += other.learned;
        self.longest = self.longest.max(other.longest);
        self.double_bos += other.double_bos;
        self.spelt_controls += other.spelt_controls;
    }

    /// Examples that were dropped, for whatever reason.
    pub fn dropped(&self) -> u64 {
        self.too_long + self.untrainable
    }
}

impl fmt::Display for EncodeReport {
    /// One line; what did not happen is not mentioned.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kept > self.rows {
            write!(f, "{} rows of {} texts", self.kept, self.rows)?;
        } else {
            write!(f, "{} of {} rows", self.kept, self.rows)?;
        }
        write!(
            f,
            ", {} tokens ({} learned), longest {}",
            self.tokens, self.learned, self.longest
        )?;
        for (count, what) in [
            (self.too_long, "too long and dropped"),
            (self.untrainable, "without anything to learn and dropped"),
            (self.double_bos, "beginning with two BOS tokens"),
            (
                self.spelt_controls,
                "control tokens in records, taken as text",
            ),
        ] {
            if count > 0 {
                write!(f, "; {count} {what}")?;
            }
        }
        if self.cut > 0 {
            write!(f, "; {} cut by {} tokens", self.cut, self.cut_tokens)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_mentions_what_happened() {
        let mut report = EncodeReport {
            rows: 3,
            kept: 2,
            too_long: 1,
            tokens: 20,
            learned: 8,
            longest: 30,
            ..EncodeReport::default()
        };
        assert_eq!(
            report.to_string(),
            "2 of 3 rows, 20 tokens (8 learned), longest 30; 1 too long and dropped"
        );
        report.add(&report.clone());
        assert_eq!((report.rows, report.longest, report.dropped()), (6, 30, 2));
    }
}
