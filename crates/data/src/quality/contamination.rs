//! Benchmark items inside the training data, found by the runs of words that they share.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::sample::{Sample, readable};
use super::words::{gram_hash, word_hashes, words};
use crate::document::Origin;
use crate::error::{DataError, Result};

/// How overlap with benchmark items is looked for.
///
/// A row overlaps with an item if they share a run of 13 words, compared without case and punctuation, as in Brown et
/// al., "Language Models are Few-Shot Learners" (2020), appendix C; for items of 8 to 12 words a run of 8 is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contamination {
    /// The least number of words in a shared run. Default 13.
    pub words: usize,
    /// The same for items that have fewer words than that. Still shorter items are counted and not searched for.
    /// Default 8.
    pub short_words: usize,
    /// A run that stands in more items than this is wording of the benchmark (such as "choose the right answer"), and
    /// does not count. Default 64.
    pub common: usize,
}

impl Default for Contamination {
    fn default() -> Self {
        Self {
            words: 13,
            short_words: 8,
            common: 64,
        }
    }
}

/// A row and a benchmark item that share a run of words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlap {
    /// The index of the row.
    pub row: usize,
    /// Where the row comes from.
    pub row_origin: Origin,
    /// The index of the item.
    pub item: usize,
    /// Where the item comes from.
    pub item_origin: Origin,
    /// The benchmark that the item belongs to; empty if it has no name.
    pub benchmark: String,
    /// The length in words of the longest run that both have.
    pub words: usize,
    /// The share of the item's words that stand in shared runs, from 0 to 1.
    pub share: f64,
    /// The longest run as the row writes it.
    pub row_text: String,
    /// The longest run as the item writes it.
    pub item_text: String,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlaps {
    /// How many items were searched for.
    pub items: u64,
    /// How many items were too short to be searched for.
    pub too_short: u64,
    /// How many runs stand in too many items, and did not count.
    pub common: u64,
    /// How many rows overlap with each benchmark that has a name.
    pub benchmarks: BTreeMap<String, u64>,
    /// The overlaps by row; of one row the item with the longest run first.
    pub found: Vec<Overlap>,
}

impl Contamination {
    /// Looks for items in rows.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if a run has no word, or the run for short items is the longer one.
    pub fn find(&self, rows: &[Sample<'_>], items: &[Sample<'_>]) -> Result<Overlaps> {
        let index = Items::new(self, items)?;
        let found: Vec<Vec<Overlap>> = rows
            .par_iter()
            .enumerate()
            .map(|(row, sample)| index.search(row, sample))
            .collect();
        Ok(Overlaps {
            found: found.into_iter().flatten().collect(),
            ..index.counts
        })
    }
}

/// The runs of all items.
pub(crate) struct Items<'a> {
    /// How many items there are to be found; nothing is found yet.
    pub(crate) counts: Overlaps,
    rows: &'a [Sample<'a>],
    hashes: Vec<Vec<u64>>,
    sizes: Vec<usize>,
    /// By size and hash of a run, the items that have it and the word at which it first stands.
    grams: HashMap<(usize, u64), Vec<(usize, usize)>>,
}

/// A run that a row and an item share: where it begins in each, in words, and how long it is.
#[derive(Clone, Copy)]
struct Span {
    row: usize,
    item: usize,
    length: usize,
}

impl<'a> Items<'a> {
    /// As [`Contamination::find`] says.
    pub(crate) fn new(settings: &Contamination, items: &'a [Sample<'a>]) -> Result<Self> {
        if settings.short_words == 0 || settings.short_words > settings.words {
            return Err(DataError::Setting {
                name: "contamination.short_words".into(),
                found: settings.short_words.to_string(),
                expected: format!("1 to contamination.words, which is {}", settings.words),
            });
        }
        let mut overlaps = Overlaps::default();
        let hashes: Vec<Vec<u64>> = items
            .par_iter()
            .map(|item| word_hashes(&item.text))
            .collect();
        let mut grams: HashMap<(usize, u64), Vec<(usize, usize)>> = HashMap::new();
        for (item, hashes) in hashes.iter().enumerate() {
            let size = match hashes.len() {
                length if length >= settings.words => settings.words,
                length if length >= settings.short_words => settings.short_words,
                _ => {
                    overlaps.too_short += 1;
                    continue;
                }
            };
            overlaps.items += 1;
            for (place, run) in hashes.windows(size).enumerate() {
                let places = grams.entry((size, gram_hash(run))).or_default();
                // One place of an item is enough, and keeps the search short where an item repeats a word for ever.
                if places.last().is_none_or(|&(last, _)| last != item)
                    && places.len() <= settings.common
                {
                    places.push((item, place));
                }
            }
        }
        let before = grams.len();
        grams.retain(|_, places| places.len() <= settings.common);
        overlaps.common = (before - grams.len()) as u64;
        Ok(Self {
            counts: overlaps,
            rows: items,
            hashes,
            sizes: vec![settings.words, settings.short_words],
            grams,
        })
    }

    /// The items themselves.
    pub(crate) fn rows(&self) -> &'a [Sample<'a>] {
        self.rows
    }

    /// The items that a row overlaps with, the one with the longest run first.
    pub(crate) fn search(&self, row: usize, sample: &Sample<'_>) -> Vec<Overlap> {
        let hashes = word_hashes(&sample.text);
        let mut spans: BTreeMap<usize, Vec<Span>> = BTreeMap::new();
        let mut sizes = self.sizes.clone();
        sizes.dedup();
        for size in sizes {
            // The row's word up to which the runs of an item at this distance are known.
            let mut known: HashMap<(usize, isize), usize> = HashMap::new();
            for (start, run) in hashes.windows(size).enumerate() {
                let places = self.grams.get(&(size, gram_hash(run)));
                for &(item, place) in places.into_iter().flatten() {
                    let known = known
                        .entry((item, start as isize - place as isize))
                        .or_default();
                    if start < *known {
                        continue;
                    }
                    let both = hashes[start..].iter().zip(&self.hashes[item][place..]);
                    let length = both.take_while(|(left, right)| left == right).count();
                    *known = start + length;
                    spans.entry(item).or_default().push(Span {
                        row: start,
                        item: place,
                        length,
                    });
                }
            }
        }
        let mut found: Vec<Overlap> = spans
            .into_iter()
            .filter_map(|(item, spans)| self.overlap(row, sample, item, &spans))
            .collect();
        found.sort_by_key(|overlap| std::cmp::Reverse(overlap.words));
        found
    }

    fn overlap(
        &self,
        row: usize,
        sample: &Sample<'_>,
        item: usize,
        spans: &[Span],
    ) -> Option<Overlap> {
        let mut covered = vec![false; self.hashes[item].len()];
        for span in spans {
            covered[span.item..span.item + span.length].fill(true);
        }
        let longest = spans.iter().rev().max_by_key(|span| span.length)?;
        let shared = covered.iter().filter(|&&covered| covered).count();
        Some(Overlap {
            row,
            row_origin: readable(sample.origin),
            item,
            benchmark: String::new(),
            item_origin: readable(self.rows[item].origin),
            words: longest.length,
            share: shared as f64 / covered.len() as f64,
            row_text: written(&sample.text, longest.row, longest.length),
            item_text: written(&self.rows[item].text, longest.item, longest.length),
        })
    }
}

/// So many words of a text from a word on, as they are written there.
fn written(text: &str, from: usize, length: usize) -> String {
    let mut run = words(text).skip(from).take(length);
    let Some((start, first)) = run.next() else {
        return String::new();
    };
    let end = run
        .last()
        .map_or(start + first.len(), |(at, word)| at + word.len());
    text[start..end].to_owned()
}
