//! Slices, what to collect next, and training rows that are probably wrong.

use std::collections::BTreeMap;
use std::sync::Mutex;

use finetune_data::{
    Document, Loaders, Mapping, OnError, Origin,
    mapping::AnyChat,
    synthesize::{Answer, Ask, Ended, Recipe, Refusal, Request, Synthesis},
};
use finetune_eval::{
    Analysis, Classes, Continuation, EvalError, Flow, Generation, LanguageModel, Outcome, Prompt,
    Result, Score,
    analysis::{Correction, Cut, Row, RowLoss, Slicer, Suspicion, Verdict, Vocabulary, losses},
};
use proptest::prelude::*;
use serde_json::json;

const TOPICS: [(&str, [&str; 6]); 3] = [
    (
        "baking",
        ["bread", "oven", "flour", "yeast", "dough", "crust"],
    ),
    (
        "adapters",
        ["rank", "lora", "adapter", "matrix", "factor", "merge"],
    ),
    (
        "sailing",
        ["boat", "harbour", "anchor", "sail", "mast", "keel"],
    ),
];

/// A question about a topic.
fn question(topic: usize, number: usize) -> String {
    let words = TOPICS[topic].1;
    let word = |shift: usize| words[(number + shift) % words.len()];
    format!(
        "Why does the {} need a {} with its {} ({number})?",
        word(0),
        word(1),
        word(3)
    )
}

/// Items of three topics of which those of one are wrong: `share` of ten.
fn outcomes(count: usize, bad: usize, share: usize) -> Vec<Outcome> {
    let outcome = |number: usize| {
        let topic = number % 3;
        let wrong = topic == bad && (number / 3) % 10 < share;
        let output = if wrong {
            "No idea at all"
        } else {
            "It holds the rest together"
        };
        Outcome::new(
            Origin::new("test.jsonl", number as u64 + 1),
            question(topic, number),
            "It holds the rest together",
            output,
        )
    };
    (0..count).map(outcome).collect()
}

fn documents(path: &str, count: usize) -> Vec<Document> {
    let document = |number: usize| Document {
        text: String::new(),
        fields: [
            ("subject".to_owned(), json!(TOPICS[number % 3].0)),
            ("year".to_owned(), json!(1900 + number)),
            ("id".to_owned(), json!(format!("item-{number}"))),
            (
                "tags".to_owned(),
                json!(vec![["odd", "even"][number % 2], "all"]),
            ),
            ("constant".to_owned(), json!("x")),
            ("prompt".to_owned(), json!(question(number % 3, number))),
            ("completion".to_owned(), json!("It holds the rest together")),
        ]
        .into_iter()
        .collect(),
        origin: Origin::new(path, number as u64 + 1),
    };
    (0..count).map(document).collect()
}

fn analyze(outcomes: &[Outcome]) -> Analysis {
    Classes::standard(Vocabulary::new())
        .analyze("tuned", outcomes)
        .expect("outcomes with references")
}

#[test]
fn the_failing_slice_comes_first_in_fields_and_topics() {
    let outcomes = outcomes(150, 1, 8);
    let documents = documents("test.jsonl", 150);
    let analysis = analyze(&outcomes);
    let slicer = Slicer::new(&analysis).all(&documents, &[]).unwrap();
    let slices = slicer.test().unwrap();
    let worse: Vec<(&str, &str)> = slices
        .worse()
        .map(|slice| (slice.by.as_str(), slice.value.as_str()))
        .collect();
    assert!(worse.contains(&("field subject", "adapters")), "{slices}");
    let about = |value: &str| TOPICS[1].1.iter().any(|word| value.contains(word));
    assert!(
        worse.len() > 1 && worse.iter().all(|(_, value)| about(value)),
        "{slices}"
    );
    assert!(worse.iter().any(|(by, _)| *by == "topic"), "{slices}");
    let adapters = slices
        .slices
        .iter()
        .find(|slice| slice.value == "adapters")
        .unwrap();
    assert_eq!((adapters.items.len(), adapters.wrong), (50, 40));
    assert_eq!((adapters.rest.value, adapters.rest.count), (0.0, 100));
    assert!(adapters.p_value <= adapters.corrected && adapters.corrected < 1e-10);
    let passed: BTreeMap<&str, &str> = slices
        .passed_over
        .iter()
        .map(|(cut, why)| (cut.as_str(), why.as_str()))
        .collect();
    assert!(passed["field id"].contains("more than 50"), "{passed:?}");
    assert!(passed["field constant"].contains("single"), "{passed:?}");
    assert!(
        slices
            .slices
            .iter()
            .any(|slice| slice.by == "field year" && slice.value.starts_with("up to "))
    );
    assert!(
        slices
            .slices
            .iter()
            .any(|slice| slice.by == "field tags" && slice.value == "odd")
    );
    let shown = slices.to_string();
    assert!(
        shown.contains("worse") && shown.contains("not cut by field id"),
        "{shown}"
    );
}

#[test]
fn chance_is_no_slice() {
    // Wrong ones are spread evenly over everything.
    let mut outcomes = outcomes(300, 9, 0);
    for outcome in outcomes.iter_mut().step_by(7) {
        outcome.output = "No idea at all".into();
    }
    let documents = documents("test.jsonl", 300);
    let analysis = analyze(&outcomes);
    let slices = Slicer::new(&analysis)
        .all(&documents, &[])
        .unwrap()
        .test()
        .unwrap();
    assert_eq!(slices.worse().count(), 0, "{slices}");
    assert!(slices.slices.len() > 10);
}

#[test]
fn slices_by_class_and_by_nearness() {
    let outcomes = outcomes(90, 2, 9);
    let analysis = analyze(&outcomes);
    // The training set knows nothing of the third topic.
    let known: Vec<Document> = documents("train.jsonl", 90)
        .into_iter()
        .enumerate()
        .filter(|(number, _)| number % 3 != 2)
        .map(|(_, document)| document)
        .collect();
    let chats: Vec<_> = known
        .iter()
        .map(|document| {
            AnyChat::default()
                .example(document.clone())
                .expect("a pair")
        })
        .collect();
    let training: Vec<Row<'_>> = chats.iter().map(Row::from).collect();
    let slices = Slicer::new(&analysis)
        .nearness(&training)
        .class("wrong content")
        .correction(Correction::BenjaminiHochberg)
        .test()
        .unwrap();
    assert_eq!(slices.class.as_deref(), Some("wrong content"));
    let worst = slices.worse().next().expect("the far ones are wrong");
    assert_eq!(worst.by, "nearest training row");
    assert!(
        worst.value.starts_with("below") || worst.value.starts_with("0.2 to"),
        "{slices}"
    );
    let error = Slicer::new(&analysis)
        .class("wrong contnet")
        .test()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("wrong contnet") && error.contains("\"wrong content\""),
        "{error}"
    );
}

#[test]
fn items_without_a_document_are_an_error() {
    let outcomes = outcomes(9, 0, 5);
    let analysis = analyze(&outcomes);
    let error = Slicer::new(&analysis)
        .fields(&documents("other.jsonl", 9))
        .err()
        .expect("other origins")
        .to_string();
    assert!(error.contains("test.jsonl:1"), "{error}");
}

/// A collection for the topic of adapters, of which the training set has four rows.
fn collected(look: impl FnOnce(&finetune_eval::analysis::Collection)) {
    let outcomes = outcomes(150, 1, 8);
    let items = documents("test.jsonl", 150);
    let analysis = analyze(&outcomes);
    let train: Vec<Document> = documents("train.jsonl", 120)
        .into_iter()
        .enumerate()
        .filter(|(number, _)| number % 3 != 1 || *number < 12)
        .map(|(_, document)| document)
        .collect();
    let chats: Vec<_> = train
        .iter()
        .map(|document| {
            AnyChat::default()
                .example(document.clone())
                .expect("a pair")
        })
        .collect();
    let training: Vec<Row<'_>> = chats
        .iter()
        .zip(&train)
        .map(|(chat, document)| Row::from(chat).with_fields(document))
        .collect();
    let slicer = Slicer::new(&analysis)
        .all(&items, &[])
        .expect("a document for each");
    let slices = slicer.test().expect("no class was named");
    look(&slicer.collect(&slices, &training));
}

#[test]
fn what_to_collect_names_rows_and_numbers() {
    collected(|collection| {
        let need = collection
            .needs
            .iter()
            .find(|need| need.slice.value == "adapters")
            .unwrap();
        assert_eq!((collection.training, need.rows), (84, 4));
        assert_eq!(need.errors, [("wrong content".to_owned(), 40)]);
        // At least as many as are wrong.
        assert_eq!(need.wanted, 40);
        assert_eq!(need.nearest.len(), 4, "{:?}", need.nearest);
        assert!(
            need.nearest
                .iter()
                .all(|row| row.origin.path.to_str() == Some("train.jsonl") && row.similarity > 0.2)
        );
        let shown = collection.to_string();
        assert!(
            shown.contains("train.jsonl:") && shown.contains("write 40 more"),
            "{shown}"
        );
    });
}

/// A service that writes what it is asked for.
struct Writer(Mutex<Vec<String>>);

impl Ask for Writer {
    fn model(&self) -> &'static str {
        "writer"
    }

    fn ask(&self, request: &Request) -> Result<Answer, Refusal> {
        self.0
            .lock()
            .expect("no thread panics")
            .push(request.prompt.clone());
        let text =
            r#"{"pairs": [{"prompt": "What is a rank?", "completion": "A width."}]}"#.to_owned();
        Ok(Answer {
            text,
            ended: Ended::Stop,
            usage: None,
        })
    }
}

#[test]
fn the_generator_takes_the_prompt_file() {
    let folder = tempfile::tempdir().unwrap();
    collected(|collection| {
        collection.write(folder.path().join("collect")).unwrap();
        let recipe = Recipe::open(folder.path().join("collect.json")).unwrap();
        let (sources, _) = Loaders::default()
            .load_all(&[folder.path().join("collect.jsonl")], &OnError::Stop)
            .unwrap();
        assert_eq!(
            sources.len(),
            collection
                .needs
                .iter()
                .map(|need| need.wanted.div_ceil(3))
                .sum::<usize>()
        );
        let writer = Writer(Mutex::default());
        let (made, counts) = Synthesis::new(recipe)
            .temperature(0.0)
            .run(&writer, &sources)
            .unwrap();
        assert_eq!(
            (counts.answered as usize, made.len()),
            (sources.len(), sources.len())
        );
        let chat = AnyChat::default().example(made[0].clone()).unwrap();
        assert_eq!(chat.answer(), Some("A width."));
        for prompt in writer.0.lock().unwrap().iter() {
            assert!(
                prompt.contains("wrong content") && prompt.contains("Answer: It holds"),
                "{prompt}"
            );
        }
    });
}

#[test]
fn prompts_hold_nothing_of_the_items() {
    collected(|collection| {
        let prompts = serde_json::to_string(
            &collection
                .prompts()
                .iter()
                .map(|prompt| prompt.fields.clone())
                .collect::<Vec<_>>(),
        )
        .unwrap();
        // These stand in the items alone: the training set has four questions of this topic.
        for number in (13..150).step_by(3) {
            assert!(!prompts.contains(&question(1, number)), "{number}");
        }
    });
}

#[test]
fn nothing_to_collect_writes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let outcomes = outcomes(30, 9, 0);
    let analysis = analyze(&outcomes);
    let slicer = Slicer::new(&analysis).lengths();
    let collection = slicer.collect(&slicer.test().unwrap(), &[]);
    assert!(matches!(
        collection.write(folder.path().join("collect")),
        Err(EvalError::Setting { .. })
    ));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(collection.to_string().starts_with("Nothing to collect"));
}

/// Rows of two labels, of which three are wrong in some way, and their losses.
fn labelled() -> (Vec<(Origin, String, String)>, Vec<RowLoss>) {
    let mut rows: Vec<(Origin, String, String)> = Vec::new();
    for number in 0..200_usize {
        let label = if number % 2 == 0 { "good" } else { "bad" };
        let film = ["plot", "actor", "music", "ending", "camera"][number / 2 % 5];
        let text = format!(
            "the {film} of this {label} film number {} was {label} for me and for the {film}",
            number / 50
        );
        rows.push((
            Origin::new("train.jsonl", number as u64 + 1),
            text,
            label.to_owned(),
        ));
    }
    let mut losses: Vec<RowLoss> = rows
        .iter()
        .enumerate()
        .map(|(number, (origin, ..))| RowLoss {
            origin: origin.clone(),
            loss: 0.1 + 0.001 * (number % 7) as f64,
            tokens: 3,
        })
        .collect();
    let mut spoil = |number: usize, answer: &str, loss: f64| {
        answer.clone_into(&mut rows[number].2);
        losses[number].loss = loss;
    };
    spoil(10, "bad", 4.0);
    spoil(25, "goood", 5.0);
    spoil(50, "", 3.0);
    spoil(75, "schÃ¶n", 6.0);
    spoil(100, "good", 2.0);
    (rows, losses)
}

#[test]
fn wrong_rows_are_found_by_their_losses() {
    let (rows, losses) = labelled();
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|(origin, input, reference)| Row {
            origin,
            input: input.into(),
            reference: reference.into(),
            fields: None,
        })
        .collect();
    let found = Suspicion::default().find(&rows, &losses).unwrap();
    let verdicts: BTreeMap<u64, Verdict> = found
        .suspects
        .iter()
        .map(|suspect| (suspect.origin.place, suspect.verdict))
        .collect();
    assert_eq!(
        verdicts,
        BTreeMap::from([
            (11, Verdict::Mislabelled),
            (26, Verdict::Malformed),
            (51, Verdict::Malformed),
            (76, Verdict::Malformed),
            (101, Verdict::Unlikely)
        ])
    );
    assert_eq!(
        found.suspects.last().unwrap().origin.place,
        101,
        "without a reason last"
    );
    let mislabelled = found
        .suspects
        .iter()
        .find(|suspect| suspect.origin.place == 11)
        .unwrap();
    assert!(
        mislabelled
            .reasons
            .iter()
            .any(|reason| reason.contains("train.jsonl:") && reason.contains("“good”")),
        "{mislabelled:?}"
    );
    let shown = found.to_string();
    assert!(
        shown.contains("train.jsonl:11: mislabelled") && shown.contains("wrong encoding"),
        "{shown}"
    );
    let error = Suspicion::default()
        .find(&rows, &losses[1..])
        .unwrap_err()
        .to_string();
    assert!(error.contains("200 rows and 199 losses"), "{error}");
    let mut swapped = losses.clone();
    swapped.swap(0, 1);
    let error = Suspicion::default()
        .find(&rows, &swapped)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("train.jsonl:1 has the loss of train.jsonl:2"),
        "{error}"
    );
    swapped = losses;
    swapped[3].loss = f64::NAN;
    assert!(matches!(
        Suspicion::default().find(&rows, &swapped),
        Err(EvalError::NotFinite { .. })
    ));
}

/// A model that finds long answers unlikely.
struct ByLength;

impl LanguageModel for ByLength {
    fn score(&self, requests: &[Continuation]) -> Result<Vec<Score>> {
        let score = |request: &Continuation| Score {
            log_likelihood: -(request.text.len() as f64),
            greedy: false,
            tokens: request.text.split_whitespace().count(),
        };
        Ok(requests.iter().map(score).collect())
    }

    fn generate(&self, _: &[Prompt]) -> Result<Vec<Generation>> {
        unreachable!("losses need no generation")
    }
}

#[test]
fn losses_come_from_the_model() {
    let (rows, _) = labelled();
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|(origin, input, reference)| Row {
            origin,
            input: input.into(),
            reference: reference.into(),
            fields: None,
        })
        .collect();
    let found = losses(&ByLength, &rows[..3]).unwrap();
    assert_eq!(
        found.iter().map(|loss| loss.loss).collect::<Vec<_>>(),
        [4.0, 3.0, 4.0]
    );
    assert_eq!(losses(&ByLength, &[]).unwrap(), []);
}

#[test]
fn flow_tells_what_became_of_each_class() {
    let (before, after) = (outcomes(60, 1, 10), outcomes(60, 1, 2));
    let (before, after) = (analyze(&before), analyze(&after));
    let flow = Flow::between(&before, &after).unwrap();
    let change = flow
        .changes
        .iter()
        .find(|change| change.class == "wrong content")
        .unwrap();
    assert_eq!(
        (change.before, change.after, change.gone, change.come),
        (20, 4, 16, 0)
    );
    // 2 · 2⁻¹⁶, and nothing else changed but what holds for the same items.
    assert!(change.p_value.unwrap() < 0.001);
    let examples = flow.examples("wrong content", "right", 3);
    assert_eq!(examples.len(), 3);
    assert!(
        examples
            .iter()
            .all(|&item| before.items[item].main.is_some() && after.items[item].main.is_none())
    );
    assert!(flow.examples("no such class", "right", 3).is_empty());
    let shown = flow.to_string();
    assert!(shown.contains("16 fixed, 0 broken"), "{shown}");
    assert!(
        before
            .to_string()
            .contains("Errors of tuned over 60 outputs")
    );
    let other = analyze(&outcomes(59, 1, 2));
    assert!(matches!(
        Flow::between(&before, &other),
        Err(EvalError::Unmatched { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn slices_account_for_their_items(count in 12_usize..60, bad in 0_usize..3, share in 0_usize..10) {
        let outcomes = outcomes(count, bad, share);
        let analysis = analyze(&outcomes);
        let cut = Cut::by("third", |row| vec![(row.origin.place % 3).to_string()]);
        let slices = Slicer::new(&analysis).cut(cut).least(1).test().unwrap();
        let wrong = analysis.items.iter().filter(|item| item.main.is_some()).count();
        prop_assert_eq!(slices.slices.iter().map(|slice| slice.items.len()).sum::<usize>(), count);
        prop_assert_eq!(slices.slices.iter().map(|slice| slice.wrong).sum::<usize>(), wrong);
        for slice in &slices.slices {
            prop_assert!((0.0..=1.0).contains(&slice.p_value) && slice.corrected >= slice.p_value);
            prop_assert_eq!(slice.share.count + slice.rest.count, count);
        }
    }
}

#[test]
fn outcomes_and_losses_are_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let lines = "{\"input\": \"q\", \"reference\": \"a\", \"output\": \"b\"}\n\n{\"input\": \"q\", \"references\": [\"a\", \"c\"], \
        \"output\": \"b\", \"finished\": \"length\", \"origin\": {\"path\": \"t.jsonl\", \"place\": 5}}\n";
    let mut found = Outcome::open(write("outputs.jsonl", lines)).unwrap();
    assert_eq!((found[0].origin.place, found[1].origin.place), (1, 5));
    assert_eq!(
        (found[1].references.len(), found[1].finished),
        (2, Some(finetune_eval::Finish::Length))
    );
    assert_eq!(
        Outcome::open(write(
            "outcomes.jsonl",
            &serde_json::to_string(&found[1]).unwrap()
        ))
        .unwrap(),
        found[1..]
    );
    let run = finetune_eval::Run::of_outcomes("tuned", "t", &[], found.clone()).unwrap();
    assert_eq!(
        Outcome::open(write("run.json", &serde_json::to_string(&run).unwrap())).unwrap(),
        found
    );

    let documents = documents("items.jsonl", 1);
    Outcome::place(&mut found[..1], &documents).unwrap();
    assert_eq!(found[0].origin, documents[0].origin);
    found.truncate(1);
    found.push(Outcome::new(Origin::default(), "q", "a", "b"));
    found[0].origin = Origin::default();
    let error = Outcome::place(&mut found, &documents)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("2 outputs without an origin and 1 documents"),
        "{error}"
    );

    let refused = |name: &str, text: &str, part: &str| {
        let error = Outcome::open(write(name, text)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    refused("a.jsonl", "\n{\"input\": \"q\"}\n", "a.jsonl:2:");
    refused(
        "b.jsonl",
        "{\"input\": \"q\", \"reference\": \"a\", \"output\": \"b\", \"outptu\": 1}",
        "outptu",
    );
    refused("c.jsonl", "\n\n", "c.jsonl");
    refused("d.json", "{\n\"model\": 1}", "d.json:2:");

    let losses = RowLoss::open(write(
        "losses.jsonl",
        "{\"origin\": {\"path\": \"t\", \"place\": 3}, \"loss\": 1.5, \"tokens\": 4}\n",
    ))
    .unwrap();
    assert_eq!((losses[0].origin.place, losses[0].tokens), (3, 4));
    let error = RowLoss::open(write("bad.jsonl", "{\"loss\": 1}"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("bad.jsonl:1:"), "{error}");
}
