//! Streams: each item once per epoch, and the same items after a state is restored.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};

use finetune_data::stream::{Files, Items, Shuffled, Source, Stream, StreamState};
use finetune_data::{Loaders, Result};
use proptest::prelude::*;

fn items<S: Source>(source: &S, epoch: u64, from: u64) -> Vec<S::Item> {
    let items = source.open(epoch, from).unwrap();
    items.map(Result::unwrap).collect()
}

proptest! {
    #[test]
    fn every_item_comes_once_per_epoch_and_not_much_too_early(
        length in 0..300_u64,
        buffer in 1..80_usize,
        seed: u64,
        epoch in 0..4_u64,
    ) {
        let source = Shuffled::new((0..length).collect::<Vec<u64>>(), buffer, seed).unwrap();
        let found = items(&source, epoch, 0);
        for (place, item) in found.iter().enumerate() {
            prop_assert!(*item < (place + buffer) as u64);
        }
        let mut sorted = found;
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..length).collect::<Vec<_>>());
    }

    #[test]
    fn opened_at_any_place_it_goes_on_as_if_nothing_had_happened(
        length in 0..300_u64,
        buffer in 1..80_usize,
        seed: u64,
        epoch in 0..3_u64,
        from in 0..320_u64,
    ) {
        let source = Shuffled::new((0..length).collect::<Vec<u64>>(), buffer, seed).unwrap();
        let whole = items(&source, epoch, 0);
        let rest = items(&source, epoch, from);
        prop_assert_eq!(&rest[..], &whole[(from as usize).min(whole.len())..]);
    }

    #[test]
    fn a_stream_killed_at_any_step_and_resumed_gives_the_same_items(
        length in 0..60_u64,
        buffer in 1..30_usize,
        seed: u64,
        epochs in 0..4_u64,
        step in 0..250_usize,
    ) {
        let source = Shuffled::new((0..length).collect::<Vec<u64>>(), buffer, seed).unwrap();
        let whole: Vec<u64> = Stream::new(&source, epochs).map(Result::unwrap).collect();
        prop_assert_eq!(whole.len() as u64, length * epochs);
        let mut stream = Stream::new(&source, epochs);
        for _ in stream.by_ref().take(step) {}
        let saved = serde_json::to_string(&stream.state()).unwrap();
        drop(stream);
        let state: StreamState = serde_json::from_str(&saved).unwrap();
        let rest: Vec<u64> = Stream::new(&source, epochs).resume(state).map(Result::unwrap).collect();
        prop_assert_eq!(&rest[..], &whole[step.min(whole.len())..]);
    }
}

#[test]
fn epochs_and_seeds_have_orders_of_their_own() {
    let of = |seed, epoch| {
        items(
            &Shuffled::new((0..64).collect::<Vec<u32>>(), 16, seed).unwrap(),
            epoch,
            0,
        )
    };
    let orders = [of(0, 0), of(0, 1), of(1, 0), of(1, 1), of(u64::MAX, 0)];
    for (index, order) in orders.iter().enumerate() {
        assert!(orders[..index].iter().all(|before| before != order));
    }
}

#[test]
fn the_order_never_changes_between_versions() {
    // If this changes, a run that is resumed with the next version sees some rows twice and others not at all.
    let source = Shuffled::new((0..10).collect::<Vec<u32>>(), 4, 42).unwrap();
    assert_eq!(items(&source, 0, 0), [1, 0, 4, 5, 3, 6, 2, 8, 7, 9]);
}

#[test]
fn a_buffer_of_the_whole_shuffles_evenly() {
    let mut counts = [[0_usize; 5]; 5];
    let source = Shuffled::new((0..5).collect::<Vec<usize>>(), 9, 3).unwrap();
    for epoch in 0..20_000 {
        for (place, item) in items(&source, epoch, 0).into_iter().enumerate() {
            counts[place][item] += 1;
        }
    }
    let even = |count: &usize| count.abs_diff(4_000) < 300;
    assert!(counts.iter().flatten().all(even), "{counts:?}");
}

/// A long source that counts what is read of it.
struct Counting<'a> {
    length: u64,
    read: &'a AtomicU64,
}

impl Source for Counting<'_> {
    type Item = u64;

    fn open(&self, _: u64, from: u64) -> Result<Items<'_, u64>> {
        let items = (from..self.length).inspect(|_| {
            self.read.fetch_add(1, Ordering::Relaxed);
        });
        Ok(Box::new(items.map(Ok)))
    }
}

#[test]
fn to_begin_far_inside_costs_what_the_buffer_costs() {
    let read = AtomicU64::new(0);
    let source = Counting {
        length: 1 << 40,
        read: &read,
    };
    let buffer = 1_000;
    let shuffled = Shuffled::new(source, buffer, 1).unwrap();
    let far = (1 << 40) - 5_000_000;
    let next: Vec<u64> = shuffled
        .open(0, far)
        .unwrap()
        .take(10)
        .map(Result::unwrap)
        .collect();
    let limit = 20 * buffer as u64;
    assert!(
        next.iter().all(|item| far.abs_diff(*item) < limit),
        "{next:?}"
    );
    assert!(read.load(Ordering::Relaxed) < limit);
    let more: Vec<u64> = shuffled
        .open(0, far + 5)
        .unwrap()
        .take(5)
        .map(Result::unwrap)
        .collect();
    assert_eq!(next[5..], more);
}

#[test]
fn broken_records_keep_their_place_and_a_stream_goes_on_behind_them() {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..50)
        .map(|line| match line % 10 {
            3 => "{broken".to_owned(),
            _ => format!("{{\"n\":{line}}}"),
        })
        .collect();
    for (name, lines) in [("a.jsonl", &lines[..20]), ("b.jsonl", &lines[20..])] {
        std::fs::write(folder.path().join(name), lines.join("\n")).unwrap();
    }
    let files = Files::new(Loaders::default(), vec![folder.path().to_owned()]);
    let source = Shuffled::new(files, 7, 1).unwrap();
    let shown = |from| -> Vec<String> {
        let stream = Stream::new(&source, 2).resume(StreamState {
            epoch: 0,
            step: from,
        });
        stream
            .map(|item| match item {
                Ok(document) => document.fields["n"].to_string(),
                Err(error) => error.to_string(),
            })
            .collect()
    };
    let whole = shown(0);
    assert_eq!(whole.len(), 100);
    assert_eq!(
        whole.iter().filter(|text| text.contains("found")).count(),
        10
    );
    assert_eq!(shown(33), whole[33..]);
}

#[test]
fn a_source_that_is_not_there_is_an_error_once() {
    let files = Files::new(Loaders::default(), vec!["no/such/file.jsonl".into()]);
    let found: Vec<_> = Stream::new(&files, 1).collect();
    assert_eq!(found.len(), 1);
    let error = found[0].as_ref().unwrap_err().to_string();
    assert!(error.contains("no/such/file.jsonl"), "{error}");
    assert!(Shuffled::new(vec![1], 0, 0).is_err());
}
