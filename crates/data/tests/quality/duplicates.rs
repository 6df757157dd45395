//! Duplicates are found, and what stays depends neither on the order of rows nor on the number of threads.

use std::collections::BTreeSet;

use finetune_data::quality::{Duplicate, Duplicates, Sample, clusters};
use finetune_data::{Origin, PlainText};
use proptest::prelude::*;

use super::rows;

fn find(rows: &[PlainText], settings: &Duplicates) -> Vec<Option<Duplicate>> {
    let samples: Vec<Sample<'_>> = rows.iter().map(Sample::from).collect();
    settings.find(&samples).unwrap()
}

#[test]
fn small_sets_have_the_similarity_that_is_counted_by_hand() {
    let settings = Duplicates {
        threshold: 0.5,
        words: 1,
        ..Duplicates::default()
    };
    let data = rows(
        "a",
        &[
            "a b c d",
            "a b c e",
            "x y z",
            "a b c d",
            "A, b; c d!",
            "",
            "",
            "q",
        ],
    );
    let found = find(&data, &settings);
    // {a b c d} and {a b c e}: three of five.
    let near = Duplicate::Near {
        of: 0,
        similarity: 3.0 / 5.0,
    };
    assert_eq!(
        found,
        [
            None,
            Some(near),
            None,
            Some(Duplicate::Exact { of: 0 }),
            Some(Duplicate::Near {
                of: 0,
                similarity: 1.0
            }),
            None,
            Some(Duplicate::Exact { of: 5 }),
            None
        ]
    );
    assert_eq!(clusters(&found), [vec![0, 1, 3, 4], vec![5, 6]]);
}

#[test]
fn a_chain_is_one_cluster_and_its_first_row_stays() {
    let settings = Duplicates {
        threshold: 0.6,
        words: 1,
        recall: 0.9999,
        ..Duplicates::default()
    };
    // Each is like the next (4 of 6), and the first is not like the last (3 of 7).
    let data = rows("a", &["3 4 5 6 7", "1 2 3 4 5", "2 3 4 5 6"]);
    let found = find(&data, &settings);
    assert_eq!(found[0], None);
    assert_eq!(found[1].map(Duplicate::of), Some(0));
    assert_eq!(found[2].map(Duplicate::of), Some(0));
    assert!((found[1].unwrap().similarity() - 3.0 / 7.0).abs() < 1e-12);
}

#[test]
fn candidates_are_verified_and_pairs_above_the_threshold_are_found() {
    // 300 texts of 60 words, each with a copy in which one word is another: 50 of 60 runs of five stay.
    let mut texts: Vec<String> = Vec::new();
    for number in 0..300 {
        let words: Vec<String> = (0..60).map(|word| format!("w{number}x{word}")).collect();
        texts.push(words.join(" "));
        let mut changed = words.clone();
        changed[3] = "other".into();
        texts.push(changed.join(" "));
        // Half of the words are others: far below the threshold.
        let mut far = words;
        far.iter_mut().step_by(2).for_each(|word| word.push('y'));
        texts.push(far.join(" "));
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let found = find(&rows("a", &texts), &Duplicates::default());
    let near = found.iter().flatten().count();
    // The similarity is 52/60, and such a pair is found with a probability of 1 - (1 - 0.867^7)^18 = 0.9997.
    assert!((298..=300).contains(&near), "{near}");
    for (row, duplicate) in found.iter().enumerate() {
        if let Some(duplicate) = duplicate {
            assert_eq!((row % 3, duplicate.of()), (1, row - 1));
            assert!(duplicate.similarity() >= 0.8);
        }
    }
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    for (settings, name) in [
        (
            Duplicates {
                threshold: 0.0,
                ..Duplicates::default()
            },
            "duplicates.threshold",
        ),
        (
            Duplicates {
                words: 0,
                ..Duplicates::default()
            },
            "duplicates.words",
        ),
        (
            Duplicates {
                permutations: 0,
                ..Duplicates::default()
            },
            "duplicates.permutations",
        ),
        (
            Duplicates {
                recall: f64::NAN,
                ..Duplicates::default()
            },
            "duplicates.recall",
        ),
    ] {
        let error = settings.check().unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

/// Rows of few words, so that many are alike; some share an origin.
fn data() -> impl Strategy<Value = Vec<PlainText>> {
    let text = proptest::collection::vec(0..6_u8, 0..12).prop_map(|words| {
        let words: Vec<String> = words.iter().map(|word| format!("w{word}")).collect();
        words.join(" ")
    });
    proptest::collection::vec((text, 0..20_u64), 1..40).prop_map(|rows| {
        rows.into_iter()
            .map(|(text, place)| PlainText {
                text,
                origin: Origin::new("file", place),
            })
            .collect()
    })
}

/// The rows that stay, as a set: origin, text, and how often.
fn kept(rows: &[PlainText], settings: &Duplicates) -> Vec<(Origin, String)> {
    let found = find(rows, settings);
    let stay = rows.iter().zip(&found).filter(|(_, found)| found.is_none());
    let mut kept: Vec<_> = stay
        .map(|(row, _)| (row.origin.clone(), row.text.clone()))
        .collect();
    kept.sort();
    kept
}

proptest! {
    #[test]
    fn what_stays_does_not_depend_on_the_order(
        (rows, shuffled) in data().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        words in 1..3_usize,
        threshold in 0.2..1.0_f64,
    ) {
        let settings = Duplicates { threshold, words, ..Duplicates::default() };
        prop_assert_eq!(kept(&rows, &settings), kept(&shuffled, &settings));
    }

    #[test]
    fn what_is_found_does_not_depend_on_the_number_of_threads(rows in data()) {
        let settings = Duplicates { threshold: 0.5, words: 1, ..Duplicates::default() };
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| find(&rows, &settings))
        };
        let one = with(1);
        prop_assert_eq!(&one, &with(2));
        prop_assert_eq!(&one, &with(8));
    }

    #[test]
    fn every_row_stays_or_repeats_one_that_stays(rows in data()) {
        let settings = Duplicates { threshold: 0.5, words: 1, ..Duplicates::default() };
        let found = find(&rows, &settings);
        let groups = clusters(&found);
        let grouped: BTreeSet<usize> = groups.iter().flatten().copied().collect();
        prop_assert_eq!(grouped.len(), groups.iter().map(Vec::len).sum::<usize>());
        for group in &groups {
            prop_assert_eq!(found[group[0]], None);
            prop_assert!(group[1..].iter().all(|&row| found[row].is_some()));
        }
        for (row, duplicate) in found.iter().enumerate() {
            prop_assert!(duplicate.is_none() || grouped.contains(&row));
            if let Some(Duplicate::Exact { of }) = duplicate {
                prop_assert_eq!(&rows[row].text, &rows[*of].text);
            }
        }
        let texts: BTreeSet<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        let exact = found.iter().filter(|found| matches!(found, Some(Duplicate::Exact { .. }))).count();
        prop_assert_eq!(texts.len(), rows.len() - exact);
    }
}
