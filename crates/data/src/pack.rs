//! Packing rows into full ones.

use std::collections::{BTreeMap, VecDeque};

/// Puts rows of these lengths together into rows of at most `capacity` tokens: best fit, the longest first, as TRL's
/// `bfd` does.
///
/// Each group lists the indices of its rows in the order in which they stand; groups are in the order in which they
/// were begun. Nothing is concatenated and no row is cut: rows stay whole, with their borders known, so that a model
/// can keep them apart. The result is a function of the arguments.
///
/// A row of length zero belongs to no group. One that is longer than `capacity` gets a group of its own, which alone
/// is longer than `capacity`; truncate rows before packing.
///
/// ```
/// assert_eq!(finetune_data::pack::pack(&[4, 2, 3, 1], 4), [vec![0], vec![2, 3], vec![1]]);
/// ```
pub fn pack(lengths: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len())
        .filter(|&index| lengths[index] > 0)
        .collect();
    // A stable sort: rows of the same length keep their order.
    order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    // Groups with room left, by how much; among equals the one that has waited longest comes first.
    let mut open: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
    for index in order {
        let length = lengths[index];
        let (group, room) = if let Some((&room, waiting)) = open.range_mut(length..).next() {
            let group = waiting.pop_front().unwrap_or_default();
            if waiting.is_empty() {
                open.remove(&room);
            }
            (group, room)
        } else {
            groups.push(Vec::new());
            (groups.len() - 1, capacity)
        };
        groups[group].push(index);
        let left = room.saturating_sub(length);
        if left > 0 {
            open.entry(left).or_default().push_back(group);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_go_where_they_fit_best() {
        assert_eq!(pack(&[4, 2, 3, 1], 4), [vec![0], vec![2, 3], vec![1]]);
        assert_eq!(pack(&[], 4), Vec::<Vec<usize>>::new());
        assert_eq!(pack(&[0, 3, 0], 4), [vec![1]]);
        assert_eq!(pack(&[9, 1], 4), [vec![0], vec![1]]);
        // Two groups with the same room: the older one is filled first.
        assert_eq!(pack(&[3, 3, 1, 1], 4), [vec![0, 2], vec![1, 3]]);
    }

    proptest! {
        #[test]
        fn every_row_stands_once_and_no_group_is_too_long(
            lengths in proptest::collection::vec(0_usize..40, 0..200),
            capacity in 40_usize..100,
        ) {
            let groups = pack(&lengths, capacity);
            let mut rows: Vec<usize> = groups.iter().flatten().copied().collect();
            rows.sort_unstable();
            let expected: Vec<usize> = (0..lengths.len()).filter(|&index| lengths[index] > 0).collect();
            prop_assert_eq!(rows, expected);
            for group in &groups {
                let sum: usize = group.iter().map(|&index| lengths[index]).sum();
                prop_assert!(sum > 0 && sum <= capacity);
            }
            // Best fit never leaves two groups that would fit into one.
            let sums: Vec<usize> = groups.iter().map(|g| g.iter().map(|&i| lengths[i]).sum()).collect();
            let light = sums.iter().filter(|&&sum| 2 * sum <= capacity).count();
            prop_assert!(light <= 1);
            prop_assert_eq!(&groups, &pack(&lengths, capacity));
        }
    }
}
