//! The inspection of files of every kind: from the records to the report, and to the rows that stay.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use finetune_data::encode::{Encoder, Truncation};
use finetune_data::mapping::{AnyChat, Mapping};
use finetune_data::quality::{
    Against, AnyExample, AnyMapping, Benchmark, DataReport, Inspected, Inspection, Keep, Reason,
    Rows, Spool,
};
use finetune_data::{Loaders, OnError, Origin, Result};
use serde_json::{Value, json};

use super::document;

/// A folder with a tokenizer and a chat template.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/assets/base");

/// A secret of each sort that the rows below hold; none may stand in a report.
const SECRETS: [&str; 4] = [
    "jane.doe@example.org",
    "sk-proj-abcdefghij0123456789ABCDEFGHIJ",
    "4111 1111 1111 1111",
    "AKIAIOSFODNN7EXAMPLE",
];

fn encoder() -> Encoder {
    Encoder::open(MODEL, "chat")
        .unwrap()
        .length(600)
        .truncation(Truncation::CutRight)
}

fn write(path: &Path, records: &[Value]) -> PathBuf {
    let lines = records.iter().map(|record| format!("{record}\n"));
    fs::write(path, lines.collect::<String>()).unwrap();
    path.to_owned()
}

fn inspect(path: &Path, inspection: &Inspection, against: &Against) -> (Spool, Inspected) {
    let paths = [path];
    let mapping = AnyMapping::detect(&Loaders::default(), &paths).unwrap();
    let read = Spool::read(&Loaders::default(), &paths, &OnError::Stop, mapping);
    let (rows, counts) = read.unwrap();
    let mut inspected = inspection.run(&rows, against, Some(&encoder())).unwrap();
    inspected.report = inspected.report.after(&counts);
    assert!(inspected.report.funnel.balanced());
    (rows, inspected)
}

fn no_secret(report: &DataReport) {
    let json = serde_json::to_string(report).unwrap();
    let tokens = report.shown.iter().map(|row| {
        let texts = row.tokens.iter().map(|(text, _)| text.as_str());
        texts.collect::<String>()
    });
    let forms = [json, report.to_string(), report.html().unwrap()];
    for shown in forms.into_iter().chain(tokens) {
        for secret in SECRETS {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        // Nor the half of one.
        for half in ["jane.doe", "abcdefghij0123456789", "4111 1111", "AKIAIOSF"] {
            assert!(!shown.contains(half), "{half} in {shown}");
        }
    }
}

/// Sixty words that no two numbers share.
fn words(number: usize) -> String {
    let words: Vec<String> = (0..60).map(|word| format!("w{number}x{word}")).collect();
    words.join(" ")
}

/// One row or two for each fault, among rows without any.
fn faulty() -> Vec<Value> {
    let pair = |prompt: &str, completion: &str| json!({"prompt": prompt, "completion": completion});
    let near = words(2).replace("w2x30", "other");
    let page = |number: usize| {
        let line = "Home | News | Contact";
        pair(
            &format!("{line}\n{line} again\nPage {number}?"),
            &format!("Of n{number}x all o{number}x is p{number}x told."),
        )
    };
    let mut rows = vec![
        pair("One?", &words(1)),
        pair("One?", &words(1)),
        pair("Two?", &words(2)),
        pair("Two?", &near),
        pair("What does the test ask?", &words(3)),
        pair("Which words?", &format!("Well: {} and so on", words(4))),
        pair(
            "Sprache?",
            "Der schnelle Fuchs springt über den faulen Hund, und niemand im Dorf wunderte sich darüber.",
        ),
        pair("Short?", "No."),
        pair("Where?", "In the cafÃ© by the cafÃ© of the cafÃ©."),
        pair("Again?", &"again and again and again and again ".repeat(12)),
        pair("Symbols?", &"# … ".repeat(40)),
        pair(
            "Who?",
            &format!(
                "Write to {} with {}, pay with {}, or {}.",
                SECRETS[0], SECRETS[1], SECRETS[2], SECRETS[3]
            ),
        ),
        pair("Capital?", "Paris, as far as it is known here."),
        pair("Capital?", "Rome, as far as it is known here."),
        pair("Long?", &words(5).repeat(4)),
        pair("Say <|user|> now.", "I would rather not say it at all."),
        pair(&words(6).repeat(4), "Nothing of this answer is learned."),
    ];
    rows.extend((0..12).map(page));
    rows
}

#[test]
fn every_filter_has_its_count_and_examples_in_every_form_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder.path().join("rows.jsonl"), &faulty());
    let mapping = AnyMapping::Chat(AnyChat::Detect);
    let test = json!({"prompt": "What does the test ask?", "completion": words(3)});
    let item = json!({"question": "Is it?", "text": words(4)});
    let against = Against::default()
        .test(&[document("test.jsonl", 3, test)], &mapping)
        .unwrap()
        .benchmark("bench", &[document("bench.jsonl", 9, item)]);
    let mut inspection = Inspection::default().skipping([]);
    inspection.language.wanted = vec!["eng".into()];
    inspection.length.least_words = 3;
    inspection.shown = 100;
    let (_, inspected) = inspect(&path, &inspection, &against);
    let report = &inspected.report;
    let file = folder.path().join("report.json");
    report.write(&file).unwrap();
    let json: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let (html, text) = (report.html().unwrap(), report.to_string());
    for reason in Reason::ALL {
        let found = report.findings.get(&reason);
        let found = found.unwrap_or_else(|| panic!("no {reason} in {text}"));
        let faults = inspected.faults.iter();
        let rows = faults.filter(|faults| faults.contains(reason)).count();
        assert_eq!(found.rows, rows as u64, "{reason}");
        assert_eq!(found.examples.len(), rows.min(5), "{reason}");
        let key = reason.key();
        assert_eq!(json["findings"][key]["rows"], rows, "{reason}");
        let title = format!("<h3>{}: {rows} rows, 0 dropped</h3>", reason.name());
        assert!(html.contains(&title), "{title} in {html}");
        assert!(
            text.contains(&format!("{reason}: {rows} rows, 0 dropped")),
            "{text}"
        );
        for example in &found.examples {
            let place = format!("rows.jsonl:{}", example.origin.place);
            assert!(html.contains(&place) && text.contains(&place), "{place}");
            assert!(
                !example.detail.is_empty() && !example.excerpt.is_empty(),
                "{example:?}"
            );
        }
    }
    let masked = report.shown.iter().find(|row| row.origin.place == 12);
    let masked: String = masked
        .unwrap()
        .tokens
        .iter()
        .map(|token| &*token.0)
        .collect();
    assert!(
        masked.contains("Write to <EMAIL> with <API_KEY>, pay with <CREDIT_CARD>, or <AWS_KEY>")
    );
    let leak = &report.leaks[0];
    assert!(leak.exact && leak.row.place == 5 && leak.test.place == 3);
    assert_eq!(
        report.overlaps.benchmarks,
        BTreeMap::from([("bench".to_owned(), 1)])
    );
    assert_eq!(report.overlaps.found[0].words, 60);
    assert!(html.contains("bench.jsonl:9") && html.contains("w4x0 w4x1"));
    assert!(report.diversity.largest[0].rows > 1 && report.clusters == 2);
    no_secret(report);
}

#[test]
fn what_stays_is_read_again_by_the_same_mapping_and_counts_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder.path().join("rows.jsonl"), &faulty());
    let drop = [
        Reason::ExactDuplicate,
        Reason::NearDuplicate,
        Reason::Debris,
        Reason::Truncated,
    ];
    let inspection = Inspection::default().drop_for(drop);
    let (rows, inspected) = inspect(&path, &inspection, &Against::default());
    let file = folder.path().join("kept.jsonl");
    let keep = Keep::new(&file, &[&path]).unwrap();
    let kept = keep.write(&rows, &inspected).unwrap();
    assert_eq!(kept.rows, inspected.report.funnel.kept);
    assert_eq!((kept.masked_rows, kept.masked), (1, 4));
    let written = fs::read_to_string(&file).unwrap();
    assert!(
        SECRETS.iter().all(|secret| !written.contains(secret)),
        "{written}"
    );
    let again = Loaders::default().examples(&[&file], &OnError::Stop, &AnyChat::Detect);
    let (again, _) = again.unwrap();
    assert_eq!(again.len() as u64, kept.rows);
    let stay: Vec<usize> = inspected.kept().collect();
    for (chat, row) in again.iter().zip(stay) {
        let AnyExample::Chat(before) = rows.example(row).unwrap().into_owned() else {
            panic!("row {row} is no conversation");
        };
        if inspected.faults[row].contains(Reason::Sensitive) {
            assert!(
                chat.turns[1]
                    .text
                    .contains("Write to <EMAIL> with <API_KEY>")
            );
        } else {
            assert_eq!(chat.turns, before.turns);
        }
        assert_eq!(chat.fields["source_place"], before.origin.place);
    }
    let unmasked = keep.masks(None).write(&rows, &inspected).unwrap();
    assert_eq!((unmasked.rows, unmasked.masked), (kept.rows, 0));
    let html = inspected.report.with_kept(Some(kept)).html().unwrap();
    assert!(html.contains("kept.jsonl holds the") && html.contains("dropped: near duplicate"));
}

#[test]
fn rows_are_never_kept_where_the_next_run_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let input = write(&folder.path().join("rows.jsonl"), &faulty());
    for (path, inputs) in [
        (input.clone(), vec![input.as_path()]),
        (folder.path().join("new/kept.jsonl"), vec![folder.path()]),
    ] {
        let error = Keep::new(&path, &inputs).unwrap_err().to_string();
        assert!(error.contains("keep: found"), "{error}");
    }
    assert!(Keep::new(folder.path().join("rows.jsonl.kept"), &[input]).is_ok());
}

/// Records of each kind, the first two alike.
fn kinds() -> [(&'static str, Value, Value); 5] {
    [
        (
            "conversations",
            json!({"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}),
            json!({"messages": [{"role": "user", "content": "When?"}, {"role": "assistant", "content": "Now."}]}),
        ),
        (
            "conversations",
            json!({"instruction": "Say why.", "input": "the sky", "output": "It is blue."}),
            json!({"instruction": "Say when.", "input": "", "output": "Now."}),
        ),
        (
            "texts with a label",
            json!({"text": "All is well.", "label": "good"}),
            json!({"text": "All is bad.", "label": "bad"}),
        ),
        (
            "preferences",
            json!({"prompt": "Why?", "chosen": "It is so.", "rejected": "No."}),
            json!({"prompt": "When?", "chosen": "Today.", "rejected": "Never."}),
        ),
        (
            "plain texts",
            json!({"text": "One thing."}),
            json!({"text": "Another thing."}),
        ),
    ]
}

#[test]
fn examples_of_every_kind_are_inspected_and_kept() {
    for (kind, one, other) in kinds() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(
            &folder.path().join("rows.jsonl"),
            &[one.clone(), one, other],
        );
        let inspection = Inspection::default().drop_for([Reason::ExactDuplicate]);
        let (rows, inspected) = inspect(&path, &inspection, &Against::default());
        assert_eq!(rows.mapping().kind(), kind);
        let report = &inspected.report;
        assert_eq!((report.funnel.read, report.funnel.kept), (3, 2), "{kind}");
        assert_eq!(report.funnel.dropped["exact duplicate"], 1, "{kind}");
        assert_eq!(report.tokens.as_ref().unwrap().rows(), 3, "{kind}");
        let preferences = kind == "preferences";
        assert_eq!(
            report.shown.len(),
            if preferences { 4 } else { 2 },
            "{kind}"
        );
        let learned = |learn: bool| {
            let mut rows = report.shown.iter();
            rows.all(|row| row.tokens.iter().any(|(_, learned)| *learned == learn))
        };
        match kind {
            "texts with a label" => {
                assert!(!learned(true));
                assert_eq!(report.shown[0].note, "label good");
                assert_eq!((report.diversity.labels, report.diversity.labeled), (2, 3));
                let html = report.html().unwrap();
                assert!(
                    html.contains("Rows by label") && html.contains("label good, 66.7 %"),
                    "{html}"
                );
            }
            "plain texts" => assert!(learned(true)),
            _ => assert!(learned(true) && learned(false)),
        }
        let file = folder.path().join("kept.jsonl");
        Keep::new(&file, &[&path])
            .unwrap()
            .write(&rows, &inspected)
            .unwrap();
        let (again, second) = inspect(&file, &inspection, &Against::default());
        assert_eq!(second.report.funnel.kept, 2, "{kind}");
        let texts = |rows: &Spool, row: usize| {
            let document = rows.document(row).unwrap();
            rows.mapping().example(document).map(|mut example| {
                forget(&mut example);
                example
            })
        };
        for (row, before) in [(0, 0), (1, 2)] {
            assert_eq!(
                texts(&again, row).unwrap(),
                texts(&rows, before).unwrap(),
                "{kind}"
            );
        }
    }
}

/// Takes away where an example comes from, and what it carries beside.
fn forget(example: &mut AnyExample) {
    match example {
        AnyExample::Chat(chat) => {
            chat.origin = Origin::default();
            chat.fields.retain(|name, _| !name.starts_with("source_"));
        }
        AnyExample::Label(labeled) => labeled.origin = Origin::default(),
        AnyExample::Preference(preference) => preference.origin = Origin::default(),
        AnyExample::Text(text) => text.origin = Origin::default(),
    }
}

#[test]
fn documents_of_a_folder_are_plain_texts() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("a.md"),
        "---\ntitle: One\n---\nA thing of its own.\n",
    )
    .unwrap();
    fs::write(folder.path().join("b.txt"), "Another thing.\n").unwrap();
    let (rows, inspected) = inspect(folder.path(), &Inspection::default(), &Against::default());
    assert_eq!((rows.mapping().kind(), rows.len()), ("plain texts", 2));
    let kept = tempfile::tempdir().unwrap();
    let file = kept.path().join("kept.jsonl");
    Keep::new(&file, &[folder.path()])
        .unwrap()
        .write(&rows, &inspected)
        .unwrap();
    let (again, _) = Loaders::default()
        .load_all(&[&file], &OnError::Stop)
        .unwrap();
    assert_eq!(again[0].fields["title"], "One");
    assert!(
        again[0].fields["source_path"]
            .as_str()
            .unwrap()
            .ends_with("a.md")
    );
}

#[test]
fn broken_records_follow_the_policy_and_are_counted() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let good = json!({"prompt": "Why?", "completion": "Because."});
    let lines = format!(
        "{good}\n{{\"prompt\": \"{}\"}}\n\n{good}\nnot json {}\n",
        SECRETS[0], SECRETS[1]
    );
    fs::write(&path, lines).unwrap();
    let read = |on_error: &OnError| {
        let loaders = Loaders::default();
        let mapping = AnyMapping::detect(&loaders, &[&path])?;
        Spool::read(&loaders, &[&path], on_error, mapping)
    };
    let error = read(&OnError::Stop).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("rows.jsonl:2"), "{error}");
    let aside = folder.path().join("aside.jsonl");
    for (on_error, dropped, quarantined) in [
        (OnError::Skip, 4, 0),
        (OnError::Quarantine(aside.clone()), 2, 2),
    ] {
        let (rows, counts) = read(&on_error)?;
        let inspection = Inspection::default().drop_for([Reason::ExactDuplicate]);
        let inspected = inspection.run(&rows, &Against::default(), None)?;
        let report = inspected.report.after(&counts);
        let funnel = &report.funnel;
        assert_eq!(
            (funnel.read, funnel.kept, funnel.quarantined),
            (5, 1, quarantined)
        );
        assert_eq!(funnel.dropped.values().sum::<u64>(), dropped);
        assert!(funnel.balanced());
        assert_eq!(report.broken.values().sum::<u64>(), 2);
        assert!(report.html().unwrap().contains("Broken records: "));
        no_secret(&report);
    }
    assert_eq!(fs::read_to_string(aside).unwrap().lines().count(), 2);
    Ok(())
}

#[test]
fn tests_and_benchmarks_are_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let pair = json!({"prompt": "Two?", "completion": words(2)});
    // The same conversation in another form.
    let chat = json!({"messages": [{"role": "user", "content": "Two?"}, {"role": "assistant", "content": words(2)}]});
    let quiz = json!({"question": "Which?", "choices": {"text": [words(2), words(3)]}});
    let path = write(&folder.path().join("rows.jsonl"), &[pair]);
    let test = write(&folder.path().join("test.jsonl"), &[chat]);
    let items = write(&folder.path().join("quiz.jsonl"), &[quiz]);
    let benchmark: Benchmark = format!("quiz={}", items.display()).parse().unwrap();
    let mapping = AnyMapping::Chat(AnyChat::Detect);
    let against = Against::read(&Loaders::default(), &[test], &[benchmark], &mapping).unwrap();
    let (_, inspected) = inspect(&path, &Inspection::default(), &against);
    assert!(inspected.report.leaks[0].exact);
    assert_eq!(inspected.report.overlaps.benchmarks["quiz"], 1);
    for text in ["quiz", "=quiz.jsonl", "quiz="] {
        let error = text.parse::<Benchmark>().unwrap_err().to_string();
        assert!(error.contains("NAME=FILE"), "{error}");
    }
    let error = "near_duplicates".parse::<Reason>().unwrap_err().to_string();
    assert!(error.contains("did you mean near_duplicate?"), "{error}");
    for reason in Reason::ALL {
        assert_eq!(reason.key().parse::<Reason>().unwrap(), reason);
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.key());
    }
}

#[test]
fn a_run_of_words_that_ends_inside_a_secret_shows_no_half_of_it() {
    let shared: Vec<String> = (0..14).map(|word| format!("n{word}")).collect();
    let shared = shared.join(" ");
    let row = json!({"prompt": "Q?", "completion": format!("{shared} {}", SECRETS[0])});
    let item = json!({"text": format!("{shared} jane.doe and others")});
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder.path().join("rows.jsonl"), &[row]);
    let against = Against::default().benchmark("b", &[document("b", 1, item)]);
    let (_, inspected) = inspect(&path, &Inspection::default(), &against);
    let overlap = &inspected.report.overlaps.found[0];
    assert_eq!(overlap.words, 16);
    assert!(overlap.row_text.ends_with("n13 <EMAIL>"), "{overlap:?}");
}
