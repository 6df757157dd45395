//! Error classes, totals and flow.

use finetune_data::Origin;
use finetune_eval::{
    Analysis, EvalError, Finish, Flow, Outcome,
    analysis::{Classes, ErrorClass, Finding, Format, RIGHT, Vocabulary},
};
use proptest::prelude::*;

const REFERENCE: &str =
    "The rank sets the width of the update that an adapter adds to each weight.";

fn outcome(line: u64, output: &str) -> Outcome {
    let mut outcome = Outcome::new(
        Origin::new("qa.jsonl", line),
        format!("question {line}"),
        REFERENCE,
        output,
    );
    outcome.finished = Some(Finish::Stop);
    outcome
}

fn classes() -> Classes {
    Classes::standard(Vocabulary::of_texts([REFERENCE]).with_common_english())
}

fn analyze(outputs: &[&str]) -> Analysis {
    let outcomes: Vec<_> = (1..)
        .zip(outputs)
        .map(|(line, output)| outcome(line, output))
        .collect();
    classes()
        .analyze("model", &outcomes)
        .expect("outcomes with references")
}

/// The classes that hold, the main one first.
fn held(item: &Outcome) -> Vec<String> {
    let analysis = classes()
        .analyze("model", std::slice::from_ref(item))
        .expect("an outcome with a reference");
    analysis.items[0]
        .errors
        .iter()
        .map(|(name, _)| name.clone())
        .collect()
}

#[test]
fn every_class_is_found() {
    let check = |output: &str, expected: &[&str]| {
        assert_eq!(held(&outcome(1, output)), expected, "{output}");
    };
    check(REFERENCE, &[]);
    check("", &["empty"]);
    check(" \n", &["empty"]);
    check(
        "The rank the rank the rank the rank",
        &["repetition", "wrong content"],
    );
    check(
        "A river in the north of the country where people go to fish.",
        &["wrong content"],
    );
    check(
        "The rank sets the width of something.",
        &["partly right", "too short"],
    );
    check(
        &format!("{REFERENCE} And so we go on with more and more words."),
        &[],
    );
    let on_and_on = "It was a long day and we went out to see what there was to be seen by the water, and then home.";
    check(&format!("{REFERENCE} {on_and_on}"), &["too long"]);
    check(
        &format!("{on_and_on} {REFERENCE}"),
        &["partly right", "too long"],
    );
    check("The rank.", &["wrong content", "too short"]);
    check(
        "The rank sets the widht of the update that an adapter adds to each weight.",
        &["misspelt"],
    );
    let mut cut = outcome(1, REFERENCE);
    cut.finished = Some(Finish::Length);
    assert_eq!(held(&cut), ["cut off"]);
}

#[test]
fn the_nearest_reference_counts() {
    let mut item = outcome(1, "Eight.");
    item.references.push("Eight.".into());
    assert_eq!(held(&item), Vec::<String>::new());
}

#[test]
fn formats_are_demanded() {
    let check = |format: Format, good: &[&str], bad: &[&str]| {
        let classes = Classes::only([]).format(format);
        for (output, expected) in good
            .iter()
            .map(|output| (output, 0))
            .chain(bad.iter().map(|output| (output, 1)))
        {
            let analysis = classes.analyze("model", &[outcome(1, output)]).unwrap();
            assert_eq!(analysis.totals[0].count, expected, "{output}");
        }
    };
    check(
        Format::Json,
        &["{\"a\": [1]}", " 3 "],
        &["{", "", "{} {}", "yes"],
    );
    check(
        Format::Labels(vec!["yes".into(), "no".into()]),
        &["yes", " no\n"],
        &["Yes", "yes no", ""],
    );
    check(
        Format::regex("[a-z]+|[0-9]{4}").unwrap(),
        &["abc", "2024"],
        &["abc1", "20245", "a b"],
    );
    let error = Format::regex("(").unwrap_err().to_string();
    assert!(error.contains("pattern \"(\""), "{error}");
    let named: Vec<_> = classes()
        .format(Format::Json)
        .iter()
        .map(|class| class.name.clone())
        .collect();
    assert_eq!(named[..2], ["empty", "wrong format"]);
}

#[test]
fn own_classes_come_from_outside() {
    let shouting = ErrorClass::new("shouting", "capitals only", |item: &Outcome| {
        let loud = item.output.len() > 3 && item.output == item.output.to_uppercase();
        if loud {
            vec![Finding::whole("capitals", "all letters are capitals")]
        } else {
            Vec::new()
        }
    });
    let analysis = classes()
        .first(shouting)
        .analyze("model", &[outcome(1, &REFERENCE.to_uppercase())])
        .unwrap();
    assert_eq!(analysis.items[0].main.as_deref(), Some("shouting"));
    assert_eq!(analysis.totals[0].main, 1);
    let without = classes().without("misspelt");
    assert!(without.iter().all(|class| class.name != "misspelt"));
}

#[test]
fn totals_carry_their_count() {
    let analysis = analyze(&[REFERENCE, "", "A river.", "A river."]);
    assert_eq!((analysis.right.value, analysis.right.count), (0.25, 4));
    let total = |name: &str| {
        analysis
            .totals
            .iter()
            .find(|total| total.name == name)
            .unwrap()
    };
    assert_eq!(
        (total("wrong content").count, total("wrong content").main),
        (2, 2)
    );
    assert_eq!((total("too short").count, total("too short").main), (2, 0));
    assert!((total("empty").share.value - 0.25).abs() < 1e-12);
    // Equally far from the reference, but with more errors than the empty one.
    assert_eq!(analysis.worst(2), [2, 3]);
}

#[test]
fn nothing_is_analysed_over_nothing() {
    assert!(matches!(
        classes().analyze("model", &[]),
        Err(EvalError::NoOutcomes { .. })
    ));
    let mut bare = outcome(5, "text");
    bare.references.clear();
    let error = classes().analyze("model", &[bare]).unwrap_err().to_string();
    assert!(error.contains("qa.jsonl:5"), "{error}");
}

#[test]
fn flow_counts_what_became_of_what() {
    let before = analyze(&["", "", "A river.", REFERENCE, REFERENCE]);
    let after = analyze(&[REFERENCE, "A river.", REFERENCE, REFERENCE, ""]);
    let flow = Flow::between(&before, &after).unwrap();
    let place = |name: &str| flow.classes.iter().position(|class| class == name).unwrap();
    assert_eq!(flow.classes.last().map(String::as_str), Some(RIGHT));
    assert_eq!(flow.count(place("empty"), place(RIGHT)), 1);
    assert_eq!(flow.count(place("empty"), place("wrong content")), 1);
    assert_eq!(flow.count(place(RIGHT), place("empty")), 1);
    assert_eq!((flow.fixed, flow.broken, flow.p_value), (2, 1, Some(1.0)));
    assert_eq!(
        (flow.fixed_items(), flow.broken_items()),
        (vec![0, 2], vec![4])
    );
    let error = Flow::between(&before, &analyze(&[REFERENCE]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("5 items and 1 items"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn evidence_lies_in_the_output(outputs in prop::collection::vec("(\\PC{0,12} ?){0,12}", 1..6)) {
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let analysis = analyze(&outputs);
        for item in &analysis.items {
            prop_assert_eq!(item.main.is_none(), item.errors.is_empty());
            prop_assert!((0.0..=1.0).contains(&item.similarity));
            for finding in item.errors.iter().flat_map(|(_, findings)| findings) {
                if let Some(span) = finding.span.clone() {
                    prop_assert!(item.outcome.output.get(span).is_some());
                }
            }
        }
    }

    #[test]
    fn flow_accounts_for_every_item(pairs in prop::collection::vec((0_usize..4, 0_usize..4), 1..30)) {
        let texts = ["", "A river.", REFERENCE, "no no no no no"];
        let side = |pick: fn(&(usize, usize)) -> usize| -> Vec<&str> { pairs.iter().map(|pair| texts[pick(pair)]).collect() };
        let (before, after) = (analyze(&side(|pair| pair.0)), analyze(&side(|pair| pair.1)));
        let flow = Flow::between(&before, &after).unwrap();
        let total: usize = flow.counts.iter().flatten().sum();
        prop_assert_eq!(total, pairs.len());
        let right = (after.right.value * pairs.len() as f64).round() as i64;
        let was = (before.right.value * pairs.len() as f64).round() as i64;
        prop_assert_eq!(right - was, flow.fixed as i64 - flow.broken as i64);
    }
}
