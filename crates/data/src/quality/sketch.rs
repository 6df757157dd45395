//! `MinHash` signatures cut into bands: texts that share a band are candidates for being alike.
//!
//! Broder, "On the resemblance and containment of documents" (1997); banding after Leskovec, Rajaraman and Ullman,
//! "Mining of Massive Datasets", chapter 3. Our own, because two multiplications and a minimum are all there is to it,
//! and because a signature must be the same on every machine and in every release.

use super::words::{gram_hash, mixed};

/// The hash functions, and how their minima are cut into bands.
pub(crate) struct Sketch {
    /// Odd factor and summand of each function x ↦ (factor · x + summand) >> 32.
    functions: Vec<(u64, u64)>,
    bands: usize,
    rows: usize,
}

impl Sketch {
    /// Of all ways to cut the functions into bands, the one with the most rows in a band (the fewest candidates) that
    /// finds a pair at the threshold with a probability of at least `recall`: 1 - (1 - threshold^rows)^bands.
    pub(crate) fn new(functions: usize, threshold: f64, recall: f64, seed: u64) -> Self {
        let found = |rows: usize| {
            let bands = functions / rows;
            1.0 - (1.0 - threshold.powi(rows as i32)).powi(bands as i32)
        };
        let rows = (1..=functions).rev().find(|&rows| found(rows) >= recall);
        let rows = rows.unwrap_or(1);
        let place = |place: usize| mixed(seed ^ mixed(place as u64 + 1));
        Self {
            functions: (0..functions)
                .map(|index| (place(2 * index) | 1, place(2 * index + 1)))
                .collect(),
            bands: functions / rows,
            rows,
        }
    }

    pub(crate) fn bands(&self) -> usize {
        self.bands
    }

    /// A hash for each band of the signature of a set; none for an empty set.
    pub(crate) fn keys(&self, set: &[u64]) -> Vec<u64> {
        if set.is_empty() {
            return Vec::new();
        }
        // Function by function, so that a minimum stays in a register; the other way round is twice as slow.
        let hash = |function: (u64, u64), element: u64| {
            let (factor, summand) = function;
            factor.wrapping_mul(element).wrapping_add(summand) >> 32
        };
        let minima: Vec<u64> = self
            .functions
            .iter()
            .filter_map(|&function| set.iter().map(|&element| hash(function, element)).min())
            .collect();
        let bands = minima.chunks_exact(self.rows).take(self.bands);
        bands.map(gram_hash).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_as_long_as_the_recall_allows() {
        for (threshold, rows, bands) in [(0.8, 7, 18), (0.5, 3, 42), (0.95, 16, 8)] {
            let sketch = Sketch::new(128, threshold, 0.98, 0);
            assert_eq!((sketch.rows, sketch.bands()), (rows, bands), "{threshold}");
        }
    }

    #[test]
    fn minima_agree_as_often_as_the_sets_are_alike() {
        // Two sets of 1,500 with 1,000 in common: a similarity of one half. With bands of a single row, 512 functions
        // estimate it with a standard deviation of 0.022.
        let sketch = Sketch::new(512, 0.01, 0.98, 3);
        let sets: Vec<Vec<u64>> = [0..1_500, 500..2_000]
            .map(|range| range.map(mixed).collect())
            .to_vec();
        let (left, right) = (sketch.keys(&sets[0]), sketch.keys(&sets[1]));
        let same = left.iter().zip(&right).filter(|(a, b)| a == b).count();
        let estimate = same as f64 / sketch.bands() as f64;
        assert_eq!(sketch.rows, 1);
        assert!((estimate - 0.5).abs() < 0.08, "{estimate}");
    }
}
