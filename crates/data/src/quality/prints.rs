//! What is held of each row to find the rows that are like it: a hash of its text, and one for each band of its sketch.

use xxhash_rust::xxh3::xxh3_128;

use super::sketch::Sketch;
use super::words::shingles;

/// The prints of rows: 16 bytes for the text, 4 for each band, and one.
///
/// Two texts share a hash of 128 bits with a probability of 2⁻¹²⁸: rows that do are equal. Keys of 32 bits are shared by
/// chance now and then; they only name candidates, which are verified.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prints {
    texts: Vec<u128>,
    keys: Vec<u32>,
    worded: Vec<bool>,
    bands: usize,
}

/// The print of one row.
#[derive(Debug, Clone)]
pub(crate) struct Print {
    text: u128,
    /// Empty for a text without words.
    keys: Vec<u32>,
}

impl Print {
    /// The print of a text by a sketch of its runs of so many words.
    pub(crate) fn of(text: &str, words: usize, sketch: &Sketch) -> Self {
        Self::new(text, &sketch.keys(&shingles(text, words)))
    }

    /// The print of a text whose keys are known.
    pub(crate) fn new(text: &str, keys: &[u64]) -> Self {
        Self {
            text: xxh3_128(text.as_bytes()),
            keys: keys.iter().map(|key| (key >> 32) as u32).collect(),
        }
    }
}

impl Prints {
    /// No rows yet, of sketches with so many bands.
    pub(crate) fn new(bands: usize) -> Self {
        Self {
            bands,
            ..Self::default()
        }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, print: &Print) {
        self.texts.push(print.text);
        self.worded.push(!print.keys.is_empty());
        if print.keys.is_empty() {
            self.keys.resize(self.keys.len() + self.bands, 0);
        } else {
            self.keys.extend(&print.keys);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(crate) fn bands(&self) -> usize {
        self.bands
    }

    /// The hashes of the texts.
    pub(crate) fn texts(&self) -> &[u128] {
        &self.texts
    }

    /// The hash of a row's text.
    pub(crate) fn text(&self, row: usize) -> u128 {
        self.texts[row]
    }

    /// The key of a band; none for a text without words, which is like no other.
    pub(crate) fn key(&self, row: usize, band: usize) -> Option<u32> {
        self.worded[row].then(|| self.keys[row * self.bands + band])
    }

    /// What puts rows with a band in common into an order in which those that have more in common are near each other:
    /// the keys of the bands that follow it, and the hash of the text.
    pub(crate) fn order(&self, row: usize, band: usize) -> impl Iterator<Item = u128> {
        let keys = &self.keys[row * self.bands..][..self.bands];
        let turned = keys[band + 1..].iter().chain(&keys[..band]);
        turned.map(|&key| u128::from(key)).chain([self.texts[row]])
    }
}

impl FromIterator<Print> for Prints {
    /// The bands are those of the first row with words.
    fn from_iter<I: IntoIterator<Item = Print>>(rows: I) -> Self {
        let rows: Vec<Print> = rows.into_iter().collect();
        let bands = rows.iter().map(|print| print.keys.len()).max();
        let mut prints = Self::new(bands.unwrap_or(0));
        for print in &rows {
            prints.push(print);
        }
        prints
    }
}
