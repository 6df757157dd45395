//! How long rows are.

use serde::{Deserialize, Serialize};

use super::words::words;

/// The wanted lengths; what is not given is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Length {
    /// The fewest characters. Default 0.
    pub least_characters: usize,
    /// The most characters. Default no limit.
    pub most_characters: Option<usize>,
    /// The fewest words. Default 0.
    pub least_words: usize,
    /// The most words. Default no limit.
    pub most_words: Option<usize>,
}

/// The length of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// In characters.
    pub characters: usize,
    /// In words, as [`words`] finds them.
    pub words: usize,
}

impl Measured {
    /// Measures a text.
    pub fn of(text: &str) -> Self {
        Self {
            characters: text.chars().count(),
            words: words(text).count(),
        }
    }
}

impl Length {
    /// Why a length is not wanted, if it is not.
    pub fn fault(&self, measured: Measured) -> Option<String> {
        [
            (
                measured.characters,
                self.least_characters,
                self.most_characters,
                "characters",
            ),
            (measured.words, self.least_words, self.most_words, "words"),
        ]
        .into_iter()
        .find_map(|(found, least, most, unit)| {
            let most = most.unwrap_or(usize::MAX);
            if found < least {
                Some(format!("{found} {unit}, expected at least {least}"))
            } else if found > most {
                Some(format!("{found} {unit}, expected at most {most}"))
            } else {
                None
            }
        })
    }
}

/// How many rows have which length: counts by bins whose bounds double.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// `bins[0]` counts rows of length 0, and `bins[n]` those from 2^(n-1) up to 2^n, exclusively.
    pub bins: Vec<u64>,
    /// The shortest.
    pub least: u64,
    /// The longest.
    pub most: u64,
    /// The median; of an even number of rows the lower one.
    pub median: u64,
    /// The sum of all lengths.
    pub sum: u64,
}

impl Histogram {
    /// Counts lengths.
    pub fn of(lengths: impl IntoIterator<Item = u64>) -> Self {
        let mut lengths: Vec<u64> = lengths.into_iter().collect();
        lengths.sort_unstable();
        let mut histogram = Self {
            least: lengths.first().copied().unwrap_or(0),
            most: lengths.last().copied().unwrap_or(0),
            median: lengths
                .get(lengths.len().saturating_sub(1) / 2)
                .copied()
                .unwrap_or(0),
            ..Self::default()
        };
        for length in lengths {
            let bin = (u64::BITS - length.leading_zeros()) as usize;
            if histogram.bins.len() <= bin {
                histogram.bins.resize(bin + 1, 0);
            }
            histogram.bins[bin] += 1;
            histogram.sum = histogram.sum.saturating_add(length);
        }
        histogram
    }

    /// The bounds of a bin, both inclusive.
    pub fn bounds(bin: usize) -> (u64, u64) {
        match bin {
            0 => (0, 0),
            64.. => (1 << 63, u64::MAX),
            bin => (1 << (bin - 1), (1 << bin) - 1),
        }
    }

    /// How many rows were counted.
    pub fn rows(&self) -> u64 {
        self.bins.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_outside_the_limits_are_named() {
        let limits = Length {
            least_words: 2,
            most_characters: Some(9),
            ..Length::default()
        };
        let fault = |text| limits.fault(Measured::of(text));
        assert_eq!(fault("a word"), None);
        assert_eq!(fault("word").unwrap(), "1 words, expected at least 2");
        assert_eq!(
            fault("größe über alles").unwrap(),
            "16 characters, expected at most 9"
        );
    }

    #[test]
    fn bins_hold_every_length_once() {
        let histogram = Histogram::of([0, 1, 2, 3, 4, 7, 8, u64::MAX]);
        assert_eq!(&histogram.bins[..5], [1, 1, 2, 2, 1]);
        assert_eq!((histogram.bins[64], histogram.rows()), (1, 8));
        assert_eq!(
            (histogram.least, histogram.median, histogram.most),
            (0, 3, u64::MAX)
        );
        for (bin, bounds) in [(0, (0, 0)), (1, (1, 1)), (3, (4, 7))] {
            assert_eq!(Histogram::bounds(bin), bounds);
        }
        assert_eq!(Histogram::bounds(64).1, u64::MAX);
        assert_eq!(Histogram::of([]), Histogram::default());
    }
}
