//! Mixing: shares within their bound at every step, each item once, and the same items after a state is restored.

#![allow(clippy::unwrap_used)]

use finetune_data::DataError;
use finetune_data::mix::{Ending, Mix, MixState, Mixed, Weighted};
use finetune_data::stream::{Files, Shuffled};
use finetune_data::{Loaders, Result};
use proptest::prelude::*;

/// A mix of sources of these weights and lengths, whose items are (source, number).
fn mix(sources: &[(f64, usize)], seed: u64, ending: Ending) -> Mix<Vec<(usize, usize)>> {
    let sources = sources
        .iter()
        .enumerate()
        .map(|(index, &(weight, length))| Weighted {
            path: format!("{index}/data.jsonl").into(),
            weight,
            source: (0..length).map(|item| (index, item)).collect(),
        });
    Mix::new(sources.collect(), seed).unwrap().ending(ending)
}

fn all(mix: &Mix<Vec<(usize, usize)>>) -> Vec<(usize, usize)> {
    let items = mix.begin().unwrap().map(|item| item.unwrap().item);
    items.collect()
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        Just(Ending::First),
        Just(Ending::Rest),
        (0..4_u64).prop_map(|epochs| Ending::Repeat { epochs }),
    ]
}

fn sources() -> impl Strategy<Value = Vec<(f64, usize)>> {
    let weight = prop_oneof![Just(1.0), 0.001..10.0];
    prop::collection::vec((weight, 0..40_usize), 1..7)
}

proptest! {
    #[test]
    fn every_source_has_its_share_to_less_than_one_item_at_every_step(
        weights in prop::collection::vec(prop_oneof![Just(1.0), Just(0.0), 1e-6..1.0, 1.0..1e6], 1..12),
        seed: u64,
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0.0));
        let sum: f64 = weights.iter().sum();
        let sources: Vec<(f64, usize)> = weights.iter().map(|weight| (*weight, 3_000)).collect();
        let mut taken = vec![0_u32; weights.len()];
        for (step, item) in all(&mix(&sources, seed, Ending::First)).into_iter().enumerate() {
            taken[item.0] += 1;
            for (taken, weight) in taken.iter().zip(&weights) {
                let claim = weight / sum * (step + 1) as f64;
                // Weights are rounded to 2^-32 of their sum, and no less than that.
                let rounding = (step + 1) as f64 * weights.len() as f64 / 2_f64.powi(32);
                prop_assert!((f64::from(*taken) - claim).abs() < 1.0 + rounding, "{taken} {claim}");
            }
        }
    }

    #[test]
    fn going_on_with_the_rest_gives_every_item_once_and_each_source_in_its_order(sources in sources(), seed: u64) {
        let found = all(&mix(&sources, seed, Ending::Rest));
        for (index, (_, length)) in sources.iter().enumerate() {
            let items = found.iter().filter(|item| item.0 == index).map(|item| item.1);
            prop_assert_eq!(items.collect::<Vec<_>>(), (0..*length).collect::<Vec<_>>());
        }
    }

    #[test]
    fn repeating_reads_each_source_in_turn_and_no_more_often_than_allowed(
        sources in sources(),
        seed: u64,
        epochs in 0..4_u64,
    ) {
        let found = all(&mix(&sources, seed, Ending::Repeat { epochs }));
        for (index, &(_, length)) in sources.iter().enumerate() {
            let items: Vec<usize> = found.iter().filter(|item| item.0 == index).map(|item| item.1).collect();
            prop_assert!(items.len() >= length && items.len() <= length * epochs.max(1) as usize);
            prop_assert!(items.iter().enumerate().all(|(place, item)| *item == place % length));
        }
    }

    #[test]
    fn a_mix_resumed_at_any_step_goes_on_as_if_nothing_had_happened(
        sources in sources(),
        seed: u64,
        ending in ending(),
        step in 0..300_usize,
    ) {
        let mix = mix(&sources, seed, ending);
        let whole = all(&mix);
        let mut mixing = mix.begin().unwrap();
        for _ in mixing.by_ref().take(step) {}
        // The state goes through a file.
        let saved = serde_json::to_string(mixing.state()).unwrap();
        let state: MixState = serde_json::from_str(&saved).unwrap();
        prop_assert_eq!(state.step as usize, step.min(whole.len()));
        let rest: Vec<_> = mix.resume(state).unwrap().map(|item| item.unwrap().item).collect();
        prop_assert_eq!(&rest[..], &whole[step.min(whole.len())..]);
    }

    #[test]
    fn a_state_that_someone_wrote_is_refused_or_ends(
        step: u64,
        numbers in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<bool>()), 2),
        ending in ending(),
    ) {
        let mix = mix(&[(1.0, 5), (3.0, 9)], 1, ending);
        let mut state = mix.begin().unwrap().state().clone();
        state.step = step;
        for (source, (epoch, position, taken, over)) in state.sources.iter_mut().zip(numbers) {
            (source.epoch, source.position, source.taken, source.over) = (epoch, position, taken, over);
        }
        if let Ok(mixing) = mix.resume(state) {
            prop_assert!(mixing.take(100).count() <= 42);
        }
    }
}

#[test]
fn the_first_source_that_ends_ends_the_mix() {
    let found = all(&mix(&[(1.0, 2), (1.0, 50)], 3, Ending::First));
    // The source with two items is asked for a third time in the third round of two.
    assert!(found.len() == 4 || found.len() == 5, "{found:?}");
}

#[test]
fn repeating_goes_on_until_the_longest_source_has_been_read() {
    let found = all(&mix(
        &[(1.0, 2), (1.0, 9)],
        3,
        Ending::Repeat { epochs: 100 },
    ));
    let first = found.iter().filter(|item| item.0 == 0).count();
    assert_eq!(found.len() - first, 9);
    assert!(first.abs_diff(9) <= 1, "{first}");
}

#[test]
fn equal_claims_are_ordered_by_the_seed() {
    let order = |seed| all(&mix(&[(1.0, 40), (1.0, 40)], seed, Ending::First));
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    // Pairs, each in an order of its own.
    let pairs: Vec<bool> = order(1).chunks(2).map(|pair| pair[0].0 == 0).collect();
    assert!(pairs.contains(&true) && pairs.contains(&false));
}

#[test]
fn weights_that_make_no_sense_are_refused() {
    let of = |weights: &[f64]| -> Result<Mix<Vec<u32>>> {
        let sources = weights.iter().enumerate().map(|(index, &weight)| Weighted {
            path: format!("{index}.jsonl").into(),
            weight,
            source: vec![1],
        });
        Mix::new(sources.collect(), 0)
    };
    for (weights, message) in [
        (&[1.0, f64::NAN][..], "1.jsonl: the weight is NaN; expected"),
        (&[-0.5, 1.0], "0.jsonl: the weight is -0.5; expected"),
        (&[f64::INFINITY], "0.jsonl: the weight is inf; expected"),
        (&[0.0, 0.0], "input: the weight is 0; expected"),
        (&[], "input: the weight is 0; expected"),
    ] {
        let error = of(weights).unwrap_err();
        assert!(matches!(error, DataError::BadWeight { .. }), "{error}");
        assert!(error.to_string().starts_with(message), "{error}");
    }
    // Their sum is not finite, their shares are.
    let mut mixing = of(&[f64::MAX, f64::MAX, f64::MIN_POSITIVE]).unwrap();
    mixing = mixing.ending(Ending::Rest);
    assert_eq!(mixing.begin().unwrap().count(), 3);
}

#[test]
fn files_of_the_same_name_are_told_apart_by_their_path() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = Vec::new();
    for (name, weight) in [("web", 3.0), ("books", 1.0)] {
        let path = folder.path().join(name).join("data.jsonl");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let line = |number| format!("{{\"from\":\"{name}\",\"n\":{number}}}\n");
        let lines: Vec<String> = (0..30).map(line).collect();
        std::fs::write(&path, lines.concat()).unwrap();
        let files = Files::new(Loaders::default(), vec![path.clone()]);
        sources.push(Weighted {
            source: Shuffled::new(files, 8, 5).unwrap(),
            weight,
            path,
        });
    }
    let mix = Mix::new(sources, 1).unwrap().ending(Ending::First);
    let mut mixing = mix.begin().unwrap();
    let mut web = 0;
    for item in mixing.by_ref().take(20) {
        let Mixed { source, item } = item.unwrap();
        assert_eq!(item.fields["from"], ["web", "books"][source]);
        web += usize::from(source == 0);
    }
    assert_eq!(web, 15);
    let state = mixing.state().clone();
    let paths: Vec<_> = state.sources.iter().map(|source| &source.path).collect();
    assert_ne!(paths[0], paths[1]);
    let rest: Vec<_> = mixing.map(Result::unwrap).collect();
    let resumed: Vec<_> = mix.resume(state).unwrap().map(Result::unwrap).collect();
    assert_eq!(rest, resumed);

    let twice = |path: &str| Weighted {
        path: path.into(),
        weight: 1.0,
        source: vec![1],
    };
    let error = Mix::new(vec![twice("a/x.jsonl"), twice("a/x.jsonl")], 0).unwrap_err();
    assert!(
        error.to_string().contains("found a/x.jsonl twice"),
        "{error}"
    );
}

#[test]
fn the_state_of_another_mix_is_refused() {
    let one = mix(&[(1.0, 5), (2.0, 5)], 1, Ending::Rest);
    let state = one.begin().unwrap().state().clone();
    let other = mix(&[(1.0, 5), (3.0, 5)], 1, Ending::Rest);
    let error = other.resume(state).err().unwrap().to_string();
    assert!(error.contains("the state of another mix"), "{error}");
}
