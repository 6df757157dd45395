//! Facts become pairs, and no held-out question is a training question.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use finetune_data::Result;
use finetune_data::generate::{Facts, Pair, Widening, write_pairs};
use finetune_data::load::{Loaders, OnError};
use finetune_data::mapping::{AnyChat, Mapping};
use proptest::prelude::*;
use tempfile::TempDir;

const PHRASINGS: &str = r#"{"kinds": {"what": ["what is {subject}?", "Explain {subject}.", "How do I {action}?"],
                                      "why": ["Why {subject}?"]},
                            "openers": ["Quick: {question}", "Please. {question}"]}"#;
const FACT: &str = r#"{"id":"a","topic":"t","kind":["what","why"],"subject":["LoRA","an adapter"],"answer":"{It} is.","questions":["Is {subject} {how}?"],"slots":{"how":"small"}}"#;

fn open(facts: &str, phrasings: &str) -> (TempDir, Result<Facts>) {
    let folder = tempfile::tempdir().unwrap();
    let (facts_path, phrasings_path) = (
        folder.path().join("facts.jsonl"),
        folder.path().join("phrasings.json"),
    );
    fs::write(&facts_path, facts).unwrap();
    fs::write(&phrasings_path, phrasings).unwrap();
    let facts = Facts::open(&facts_path, Some(&phrasings_path));
    (folder, facts)
}

fn normalized(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .collect::<String>()
        .to_lowercase()
}

/// What must hold for any pairs.
fn check_apart(pairs: &[Pair]) {
    let questions: BTreeSet<String> = pairs.iter().map(|pair| normalized(&pair.prompt)).collect();
    assert_eq!(
        questions.len(),
        pairs.len(),
        "no question twice, in whatever part"
    );
}

#[test]
fn a_fact_is_asked_about_in_every_wording() {
    let (_folder, facts) = open(FACT, PHRASINGS);
    let plan = Widening {
        held_out: 0.25,
        train: 100,
        test: 100,
        seed: 1,
    };
    let pairs = facts.unwrap().widen(&plan).unwrap();
    // Four wordings that can be filled (`action` has no value), two subjects, bare or behind one of two openers.
    assert_eq!(pairs.len(), 4 * 2 * 3);
    assert_eq!(pairs.iter().filter(|pair| pair.held_out).count(), 2 * 3);
    assert!(
        pairs
            .iter()
            .any(|pair| pair.prompt == "What is an adapter?")
    );
    assert!(
        pairs
            .iter()
            .any(|pair| pair.prompt == "Quick: Is LoRA small?")
    );
    assert!(
        pairs.iter().all(|pair| pair.completion == "{It} is."
            && pair.topic == "t"
            && pair.origin.place == 1)
    );
    check_apart(&pairs);
    // A wording is held out with everything that is made of it.
    let wordings = |held_out: bool| -> BTreeSet<String> {
        let of = pairs.iter().filter(|pair| pair.held_out == held_out);
        let bare = of.map(|pair| {
            pair.prompt
                .trim_start_matches("Quick: ")
                .trim_start_matches("Please. ")
        });
        bare.map(|prompt| {
            prompt
                .replace("LoRA", "{}")
                .replace("an adapter", "{}")
                .replace("An adapter", "{}")
        })
        .collect()
    };
    assert_eq!((wordings(false).len(), wordings(true).len()), (3, 1));
    assert!(wordings(false).is_disjoint(&wordings(true)));
}

#[test]
fn wordings_come_before_variations() {
    let (_folder, facts) = open(FACT, PHRASINGS);
    let pairs = facts
        .unwrap()
        .widen(&Widening {
            held_out: 0.25,
            train: 3,
            test: 1,
            seed: 5,
        })
        .unwrap();
    assert_eq!(pairs.len(), 4);
    assert!(
        pairs
            .iter()
            .all(|pair| !pair.prompt.starts_with("Quick") && !pair.prompt.starts_with("Please"))
    );
}

#[test]
fn the_choice_depends_on_the_seed_and_not_on_other_facts() {
    let other = FACT
        .replace("\"a\"", "\"b\"")
        .replace("LoRA", "DoRA")
        .replace("an adapter", "a decomposition");
    let (_one, one) = open(FACT, PHRASINGS);
    let (_two, two) = open(&format!("{other}\n{FACT}\n"), PHRASINGS);
    let (one, two) = (one.unwrap(), two.unwrap());
    let prompts = |facts: &Facts, seed| -> Vec<(String, bool)> {
        let pairs = facts
            .widen(&Widening {
                seed,
                ..Widening::default()
            })
            .unwrap();
        pairs
            .into_iter()
            .filter(|pair| pair.id == "a")
            .map(|pair| (pair.prompt, pair.held_out))
            .collect()
    };
    assert_eq!(prompts(&one, 3), prompts(&one, 3));
    assert_eq!(prompts(&one, 3), prompts(&two, 3));
    assert!((0..20).any(|seed| prompts(&one, seed) != prompts(&one, 3)));
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let fact = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut fact: serde_json::Value = serde_json::from_str(FACT).unwrap();
        change(&mut fact);
        fact.to_string()
    };
    let cases: [(String, &str, &str); 12] = [
        (
            fact(&|fact| fact["colour"] = "red".into()),
            PHRASINGS,
            "facts.jsonl:1: unknown field `colour`",
        ),
        (
            fact(&|fact| drop(fact.as_object_mut().unwrap().remove("answer"))),
            PHRASINGS,
            "missing field `answer`",
        ),
        (
            fact(&|fact| fact["answer"] = " ".into()),
            PHRASINGS,
            "facts.jsonl:1: answer is empty",
        ),
        (
            fact(&|fact| fact["subject"] = 5.into()),
            PHRASINGS,
            "expected a text, or a list of texts",
        ),
        (
            fact(&|fact| fact["kind"] = "whose".into()),
            PHRASINGS,
            "no phrasings of kind \"whose\"; known: what, why",
        ),
        (
            fact(&|fact| fact["questions"][0] = "{which}?".into()),
            PHRASINGS,
            "nothing fills {which} in the question",
        ),
        (
            fact(&|fact| fact["questions"][0] = "{which".into()),
            PHRASINGS,
            "in the pattern \"{which\"",
        ),
        (
            format!("{FACT}\n{FACT}"),
            PHRASINGS,
            "facts.jsonl:2: the id \"a\" stands here twice",
        ),
        (
            format!("{FACT}\n{}", fact(&|fact| fact["id"] = "b".into())),
            PHRASINGS,
            "is also asked about the fact of",
        ),
        (
            "{\"id\":\"a\",\"topic\":\"t\",\"answer\":\"x\"}".into(),
            PHRASINGS,
            "nothing asks about this fact",
        ),
        (
            FACT.into(),
            "{\"kinds\":{\"what\":[],\"why\":[]},\"openers\":[\"{other}\"]}",
            "must hold {question} once",
        ),
        (
            FACT.into(),
            "{\"kinds\":{},\"more\":1}",
            "phrasings.json:1: unknown field `more`",
        ),
    ];
    for (facts, phrasings, message) in cases {
        let (_folder, facts) = open(&facts, phrasings);
        let error = facts
            .and_then(|facts| facts.widen(&Widening::default()))
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{message:?} is not in: {error}");
    }
    let (_folder, facts) = open(FACT, PHRASINGS);
    assert!(
        facts
            .unwrap()
            .widen(&Widening {
                held_out: 1.0,
                ..Widening::default()
            })
            .is_err()
    );
}

#[test]
fn written_pairs_load_as_conversations() {
    let (folder, facts) = open(FACT, PHRASINGS);
    let pairs = facts.unwrap().widen(&Widening::default()).unwrap();
    let path = folder.path().join("pairs.jsonl");
    write_pairs(&path, &pairs).unwrap();
    let load = |document| AnyChat::Detect.example(document);
    let (conversations, _) = Loaders::default()
        .collect(&[&path], &OnError::Stop, load)
        .unwrap();
    assert_eq!(conversations.len(), pairs.len());
    for (conversation, pair) in conversations.iter().zip(&pairs) {
        assert_eq!(conversation.turns, pair.conversation().turns);
        assert_eq!(conversation.fields["held_out"], pair.held_out);
    }
}

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/assets")
        .join(name)
}

#[test]
fn the_examples_facts_give_about_a_thousand_pairs() {
    let facts = Facts::open(&asset("facts.jsonl"), Some(&asset("phrasings.json"))).unwrap();
    for seed in 0..5 {
        let pairs = facts
            .widen(&Widening {
                seed,
                ..Widening::default()
            })
            .unwrap();
        check_apart(&pairs);
        let mut by_fact: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for pair in &pairs {
            let (learned, held_out) = by_fact.entry(&pair.id).or_default();
            *(if pair.held_out { held_out } else { learned }) += 1;
        }
        assert_eq!(by_fact.len(), facts.len(), "every fact is asked about");
        assert!(
            by_fact
                .values()
                .all(|(learned, held_out)| *learned == 8 && *held_out == 2),
            "{by_fact:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn held_out_questions_are_never_training_questions(
        questions in proptest::collection::vec("[ab]{1,3}[ ?!]{0,2}", 1..8),
        subjects in proptest::collection::vec("[abAB]{1,3}", 1..4),
        held_out in 0.0..0.99,
        train in 0..20_usize,
        test in 0..20_usize,
        seed: u64,
    ) {
        let phrasings = r#"{"kinds": {"k": ["{subject}", "a {subject}"]}, "openers": ["a {question}", "b, {question}"]}"#;
        let fact = serde_json::json!(
            {"id": "x", "topic": "t", "kind": "k", "subject": subjects, "answer": "y", "questions": questions}
        );
        let (_folder, facts) = open(&fact.to_string(), phrasings);
        let pairs = facts.unwrap().widen(&Widening { seed, held_out, train, test }).unwrap();
        let words = |text: &str| {
            let lower = text.to_lowercase();
            lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        };
        let questions: BTreeSet<String> = pairs.iter().map(|pair| words(&pair.prompt)).collect();
        prop_assert_eq!(questions.len(), pairs.len());
        prop_assert!(pairs.iter().filter(|pair| pair.held_out).count() <= test);
        prop_assert!(pairs.iter().filter(|pair| !pair.held_out).count() <= train);
    }
}
