//! The order of rows as a pure function of (seed, epoch), by a generator of our own: it is the same on every machine
//! and in every version, and nobody else draws from it.

use crate::config::{BatchConfig, Order};

/// The batches of row numbers of an epoch, from number `from` on.
///
/// # Arguments
///
/// - `lengths`: tokens of each row
pub(crate) fn epoch(
    config: &BatchConfig,
    seed: u64,
    lengths: &[usize],
    epoch: u64,
    from: u64,
) -> impl Iterator<Item = Vec<usize>> + use<> {
    batches(config.order, lengths, config.rows, seed, epoch)
        .into_iter()
        .skip(from as usize)
}

/// Batches of row numbers, for one epoch.
///
/// # Arguments
///
/// - `lengths`: tokens of each row
/// - `size`: rows per batch; the last batch may be smaller
fn batches(order: Order, lengths: &[usize], size: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let mut rows: Vec<usize> = (0..lengths.len()).collect();
    let mut random = Random::new(seed, epoch);
    if order != Order::Sequential {
        random.shuffle(&mut rows);
    }
    if order == Order::Grouped {
        // Only rows within a stretch are sorted, so that batches still change from epoch to epoch.
        for stretch in rows.chunks_mut(size.saturating_mul(STRETCH)) {
            stretch.sort_by_key(|row| std::cmp::Reverse(lengths[*row]));
        }
    }
    let mut batches: Vec<Vec<usize>> = rows.chunks(size).map(<[usize]>::to_vec).collect();
    if order == Order::Grouped {
        random.shuffle(&mut batches);
    }
    batches
}

/// How many batches are sorted by length together.
const STRETCH: usize = 50;

/// `SplitMix64` (Steele, Lea & Flood 2014).
struct Random(u64);

impl Random {
    fn new(seed: u64, epoch: u64) -> Self {
        // One output of the seed's generator separates (seed, epoch) from (seed + 1, epoch - 1).
        let start = Self(seed).next();
        Self(start ^ Self(epoch.wrapping_add(GAMMA)).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, by the high half of a product; the bias is below `bound / 2^64`.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Fisher–Yates.
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// 2^64 over the golden ratio, odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order() -> impl Strategy<Value = Order> {
        prop_oneof![
            Just(Order::Shuffled),
            Just(Order::Sequential),
            Just(Order::Grouped)
        ]
    }

    proptest! {
        #[test]
        fn every_row_comes_once_per_epoch(
            order in order(),
            lengths in prop::collection::vec(1usize..50, 0..200),
            size in 1usize..9,
            seed: u64,
            epoch in 0u64..5,
        ) {
            let found = batches(order, &lengths, size, seed, epoch);
            prop_assert_eq!(found.len(), lengths.len().div_ceil(size));
            prop_assert!(found.iter().all(|batch| !batch.is_empty() && batch.len() <= size));
            let again = batches(order, &lengths, size, seed, epoch);
            prop_assert_eq!(&found, &again);
            let mut rows: Vec<usize> = found.into_iter().flatten().collect();
            if order == Order::Sequential {
                prop_assert!(rows.is_sorted());
            }
            rows.sort_unstable();
            prop_assert_eq!(rows, (0..lengths.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn seeds_and_epochs_give_different_orders() {
        let lengths = vec![1; 64];
        let orders: Vec<_> = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (u64::MAX, 0)]
            .into_iter()
            .map(|(seed, epoch)| batches(Order::Shuffled, &lengths, 1, seed, epoch))
            .collect();
        for (at, order) in orders.iter().enumerate() {
            assert!(orders[..at].iter().all(|other| other != order));
        }
    }

    #[test]
    fn the_order_never_changes_between_versions() {
        let found = batches(Order::Shuffled, &[1; 8], 8, 42, 0);
        assert_eq!(found, [[7, 5, 6, 4, 0, 3, 2, 1]]);
    }

    #[test]
    fn a_place_is_taken_equally_often() {
        let mut counts = [[0usize; 5]; 5];
        for epoch in 0..20_000 {
            let rows = batches(Order::Shuffled, &[1; 5], 5, 7, epoch).remove(0);
            for (place, row) in rows.into_iter().enumerate() {
                counts[place][row] += 1;
            }
        }
        assert!(
            counts
                .iter()
                .flatten()
                .all(|count| count.abs_diff(4000) < 300),
            "{counts:?}"
        );
    }

    #[test]
    fn grouping_puts_like_lengths_together() {
        let lengths: Vec<usize> = (0..400).map(|row| (row * 37) % 100 + 1).collect();
        let padded = |order| {
            batches(order, &lengths, 8, 1, 0)
                .iter()
                .map(|batch| {
                    let longest = batch.iter().map(|row| lengths[*row]).max().unwrap();
                    longest * batch.len()
                })
                .sum::<usize>()
        };
        assert!(padded(Order::Grouped) * 10 < padded(Order::Shuffled) * 7);
    }
}
