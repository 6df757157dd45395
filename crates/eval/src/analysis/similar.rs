//! Which texts are near a text, by the words and pairs of words that they share.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use super::{english::is_function_word, prose::lowered};

/// A term of more rows than this, and of more than a fiftieth of all, names no candidates: it says little of what a text
/// is about, and would make every row one.
const COMMON: usize = 200;

/// Texts as vectors: `tf · idf` of their words and pairs of neighbouring words, of length 1, so that the product of two is
/// their cosine. `idf = ln((1 + rows) / (1 + rows with the term)) + 1`.
pub(super) struct Index {
    terms: HashMap<u64, u32>,
    idf: Vec<f64>,
    /// By term, the rows that have it with its weight there.
    postings: Vec<Vec<(u32, f64)>>,
    rows: usize,
}

impl Index {
    pub(super) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut terms: HashMap<u64, u32> = HashMap::new();
        let mut rows: Vec<Vec<(u32, f64)>> = Vec::new();
        let mut having: Vec<usize> = Vec::new();
        for text in texts {
            let row: Vec<(u32, f64)> = counted(text)
                .into_iter()
                .map(|(hash, count)| {
                    let next = terms.len() as u32;
                    let term = *terms.entry(hash).or_insert(next);
                    if term == next {
                        having.push(0);
                    }
                    having[term as usize] += 1;
                    (term, count)
                })
                .collect();
            rows.push(row);
        }
        let all = rows.len();
        let idf: Vec<f64> = having
            .iter()
            .map(|&having| ((1 + all) as f64 / (1 + having) as f64).ln() + 1.0)
            .collect();
        let mut postings: Vec<Vec<(u32, f64)>> = vec![Vec::new(); terms.len()];
        for (number, mut row) in (0..).zip(rows) {
            weigh(&mut row, &idf);
            for (term, weight) in row {
                postings[term as usize].push((number, weight));
            }
        }
        Self {
            terms,
            idf,
            postings,
            rows: all,
        }
    }

    /// The rows nearest to a text with their cosines, the nearest first, then in their order; without `except`, and without
    /// those that share no term that is rare enough.
    pub(super) fn nearest(
        &self,
        text: &str,
        count: usize,
        except: Option<usize>,
        sums: &mut Sums,
    ) -> Vec<(usize, f64)> {
        let all = counted(text);
        let mut row: Vec<(u32, f64)> = Vec::with_capacity(all.len());
        let mut unknown = 0.0;
        for (hash, count) in all {
            match self.terms.get(&hash) {
                Some(&term) => row.push((term, count)),
                // A term that no row has is as rare as can be.
                None => unknown += (count * (((1 + self.rows) as f64).ln() + 1.0)).powi(2),
            }
        }
        for (term, weight) in &mut row {
            *weight *= self.idf[*term as usize];
        }
        row.sort_unstable_by_key(|&(term, _)| term);
        let known: f64 = row.iter().map(|(_, weight)| weight * weight).sum();
        let norm = (known + unknown).sqrt();
        sums.values.resize(self.rows, 0.0);
        let limit = COMMON.max(self.rows / 50);
        // Rare terms name the candidates; common ones add to those alone.
        for rare in [true, false] {
            for &(term, weight) in &row {
                let postings = &self.postings[term as usize];
                if (postings.len() <= limit) != rare {
                    continue;
                }
                for &(row, other) in postings {
                    let sum = &mut sums.values[row as usize];
                    if rare && *sum == 0.0 {
                        sums.touched.push(row);
                    }
                    if rare || *sum > 0.0 {
                        *sum += weight * other / norm;
                    }
                }
            }
        }
        let mut found: Vec<(usize, f64)> = Vec::with_capacity(sums.touched.len());
        for row in sums.touched.drain(..) {
            let sum = std::mem::take(&mut sums.values[row as usize]);
            if except != Some(row as usize) {
                found.push((row as usize, sum.min(1.0)));
            }
        }
        let order = |a: &(usize, f64), b: &(usize, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if found.len() > count && count > 0 {
            found.select_nth_unstable_by(count - 1, order);
        }
        found.truncate(count);
        found.sort_by(order);
        found
    }
}

/// Room for the sums of one search after another.
#[derive(Default)]
pub(super) struct Sums {
    values: Vec<f64>,
    touched: Vec<u32>,
}

/// The terms of a text with how often it has them, in an order that depends on the text alone.
fn counted(text: &str) -> Vec<(u64, f64)> {
    let words: Vec<u64> = lowered(text)
        .iter()
        .filter(|(_, word)| !is_function_word(word))
        .map(|(_, word)| xxh3_64(word.as_bytes()))
        .collect();
    let pairs = words
        .windows(2)
        .map(|pair| pair[0].rotate_left(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ pair[1]);
    let mut hashes: Vec<u64> = words.iter().copied().chain(pairs).collect();
    hashes.sort_unstable();
    hashes
        .chunk_by(|a, b| a == b)
        .map(|same| (same[0], same.len() as f64))
        .collect()
}

/// Multiplies counts with their `idf` and divides by the length of the whole.
fn weigh(row: &mut [(u32, f64)], idf: &[f64]) {
    for (term, weight) in row.iter_mut() {
        *weight *= idf[*term as usize];
    }
    row.sort_unstable_by_key(|&(term, _)| term);
    let norm = row
        .iter()
        .map(|(_, weight)| weight * weight)
        .sum::<f64>()
        .sqrt();
    for (_, weight) in row {
        *weight /= norm;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_nearest_text_comes_first() {
        // The words that hold the sentences together do not count: the third has nothing else.
        let texts = [
            "What does the rank of an adapter set?",
            "How is bread baked in an oven?",
            "Which rank should an adapter have?",
        ];
        let index = Index::new(texts);
        let mut sums = Sums::default();
        let found = index.nearest("the rank of an adapter", 2, None, &mut sums);
        assert_eq!(
            found.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
            [2, 0]
        );
        let found = index.nearest(texts[1], 3, None, &mut sums);
        assert_eq!((found.len(), found[0].0), (1, 1));
        assert!((found[0].1 - 1.0).abs() < 1e-12);
        assert!(index.nearest(texts[1], 3, Some(1), &mut sums).is_empty());
        assert!(index.nearest("", 3, None, &mut sums).is_empty());
    }

    proptest! {
        #[test]
        fn a_text_is_nearest_to_itself(texts in prop::collection::vec("[a-e]{2,3}( [a-e]{2,3}){0,5}", 1..12), at in 0_usize..12) {
            let index = Index::new(texts.iter().map(String::as_str));
            let text = &texts[at % texts.len()];
            let found = index.nearest(text, 1, None, &mut Sums::default());
            if let Some((row, cosine)) = found.first() {
                prop_assert!((cosine - 1.0).abs() < 1e-9);
                let again = index.nearest(&texts[*row], 1, None, &mut Sums::default());
                prop_assert!((again[0].1 - 1.0).abs() < 1e-9);
            }
        }
    }
}
