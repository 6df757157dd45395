//! The inspection of whole data sets, and the report that it writes.

use finetune_data::encode::{Encoder, Truncation};
use finetune_data::load::Counts;
use finetune_data::quality::{
    Against, AnyExample, DataReport, EncodedRow, Funnel, Inspection, Reason,
};
use finetune_data::template::{Piece, Template};
use finetune_data::tokenizer::Tokenizer;
use finetune_data::{Conversation, Origin, Result};
use proptest::prelude::*;
use serde_json::json;

use super::{document, rows};

/// A template that forgets to end the answer.
struct NoEnd;

impl Template for NoEnd {
    fn render(&self, conversation: &Conversation, _: bool) -> Result<Vec<Piece>> {
        let answer = conversation
            .answer()
            .map(|text| Piece::text(text).learned());
        let question = Piece::text(conversation.question());
        Ok(std::iter::once(question).chain(answer).collect())
    }
}

/// A folder with a tokenizer and a chat template.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/assets/base");

/// More than the encoder's limit in any vocabulary of bytes.
const LONG: &str = "la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la \
la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la la";

fn chats() -> Vec<AnyExample> {
    let pairs = [
        ("What is a learning rate?", "The size of a step."),
        ("What is a learning rate?", "The size of a step."),
        ("What is a learning rate?", "A number."),
        ("Who wrote to a@b.co?", "<|user|> said <b>so</b>, cafÃ©."),
        ("Tell me all.", LONG),
    ];
    let numbered = pairs.into_iter().zip(1..);
    numbered
        .map(|((prompt, answer), line)| {
            let origin = Origin::new("chats.jsonl", line);
            Conversation::pair(prompt, answer)
                .with_origin(origin)
                .into()
        })
        .collect()
}

fn report() -> DataReport {
    let encoder = Encoder::open(MODEL, "chat")
        .unwrap()
        .length(60)
        .truncation(Truncation::Drop);
    let texts = ["Tell me all.\nla la la la la la la la la la la la la la"];
    let tests = rows("test.jsonl", &texts).into_iter().map(AnyExample::from);
    let item = document("songs.jsonl", 7, json!({"line": texts[0]}));
    let against = Against::default()
        .test_examples(tests)
        .benchmark("songs", &[item]);
    let inspected = Inspection::default()
        .drop_for([Reason::ExactDuplicate, Reason::Debris, Reason::Truncated])
        .run(&chats(), &against, Some(&encoder))
        .unwrap();
    assert_eq!(inspected.kept().collect::<Vec<_>>(), [0, 2]);
    inspected.report
}

#[test]
fn every_fault_is_counted_with_its_rows() {
    let report = report();
    let rows = |reason: Reason| report.findings.get(&reason).map_or(0, |found| found.rows);
    for (reason, count) in [
        (Reason::ExactDuplicate, 1),
        (Reason::Leak, 1),
        (Reason::Contaminated, 1),
        (Reason::Debris, 1),
        (Reason::Sensitive, 1),
        (Reason::Disagreement, 3),
        (Reason::Truncated, 1),
        (Reason::ControlTokens, 1),
        (Reason::Endless, 0),
        (Reason::Prose, 0),
    ] {
        assert_eq!(rows(reason), count, "{reason}: {report}");
    }
    assert_eq!(report.funnel.read, 5);
    assert_eq!(report.funnel.kept, 2);
    assert_eq!(report.funnel.dropped["exact duplicate"], 1);
    assert!(report.funnel.balanced());
    let shown = &report.shown[0];
    let learned: String = shown
        .tokens
        .iter()
        .filter(|(_, learned)| *learned)
        .map(|(text, _)| text.as_str())
        .collect();
    assert!(learned.contains("The size of a step."), "{learned}");
}

#[test]
fn the_report_reads_back_and_shows_no_personal_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let report = report();
    report.write(&path).unwrap();
    assert_eq!(DataReport::read(&path).unwrap(), report);
    let text = report.to_string();
    assert!(text.contains("5 read, 2 kept"), "{text}");
    assert!(
        text.contains("songs, songs.jsonl:7 share 17 words"),
        "{text}"
    );
    assert!(text.contains("+ \"The size of a step."), "{text}");
    std::fs::write(&path, "{\"funnel\": {\"red\": 1}}").unwrap();
    let error = DataReport::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("report.json:1:") && error.contains("red"),
        "{error}"
    );
}

#[test]
fn the_page_is_whole_and_escapes_what_comes_from_the_data() {
    let html = report().html().unwrap();
    assert!(html.contains("&lt;b&gt;so&lt;&#x2f;b&gt;"), "{html}");
    assert!(!html.contains("<b>so"));
    for outside in ["http://", "https://", "<script", "<link", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.matches("<svg").count() == 3 && html.contains("class=\"l\""));
    // An empty report is a page too.
    assert!(
        DataReport::default()
            .html()
            .unwrap()
            .contains("not looked for")
    );
}

#[test]
fn rows_without_an_end_and_rows_that_cannot_be_encoded_are_found() {
    let chats = [
        Conversation::pair("Why?", "Because."),
        Conversation::prompt("Why?"),
    ]
    .map(AnyExample::from);
    let tokenizer = Tokenizer::open(MODEL).unwrap();
    let rows = EncodedRow::of_all(&Encoder::new(tokenizer, Box::new(NoEnd)), &chats);
    assert!(rows[0].endless && rows[0].fault.is_none(), "{rows:?}");
    assert!(!rows[1].endless && rows[1].fault.is_some(), "{rows:?}");
    let whole = Encoder::open(MODEL, "chat").unwrap();
    assert!(!EncodedRow::of_all(&whole, &chats)[0].endless);
    let refusing = Encoder::open(MODEL, "chat").unwrap().length(3);
    let row = &EncodedRow::of_all(&refusing, &chats)[0];
    assert!(row.truncated() && row.report.longest > 3 && row.fault.is_none());
}

#[test]
fn what_loading_did_comes_before() {
    let counts = Counts {
        read: 10,
        kept: 5,
        quarantined: 2,
        blank: 3,
        ..Counts::default()
    };
    let report = report().after(&counts);
    let expected = "10 read, 2 kept, 2 quarantined, 3 dropped: blank, 1 dropped: debris of a conversion, 1 dropped: \
                    exact duplicate, 1 dropped: too many tokens";
    assert_eq!(report.funnel.to_string(), expected);
    assert!(report.funnel.balanced());
}

#[test]
fn dropping_for_a_check_that_is_skipped_is_refused() {
    let error = Inspection::default()
        .drop_for([Reason::Prose])
        .run(&Vec::new(), &Against::default(), None)
        .unwrap_err();
    assert!(
        error.to_string().contains("drop: found not prose"),
        "{error}"
    );
    let settings =
        r#"{"skip": ["language"], "drop": ["near_duplicate"], "duplicates": {"threshold": 0.7}}"#;
    let inspection: Inspection = serde_json::from_str(settings).unwrap();
    assert!(inspection.skip.contains(&Reason::Language));
    assert!(serde_json::from_str::<Inspection>(r#"{"dorp": []}"#).is_err());
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    let part = prop_oneof![
        "[a-c]{1,2}",
        Just("a@b.co".to_owned()),
        Just("cafÃ©".to_owned()),
        Just("\n".to_owned()),
        "\\PC{0,4}",
    ];
    let text = proptest::collection::vec(part, 0..12).prop_map(|parts| parts.join(" "));
    proptest::collection::vec(text, 0..20)
}

proptest! {
    #[test]
    fn counts_add_up_for_any_rows_and_any_reasons(
        texts in texts(),
        reasons in proptest::sample::subsequence(Reason::ALL.to_vec(), 0..Reason::ALL.len()),
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let data: Vec<AnyExample> = rows("a", &texts).into_iter().map(AnyExample::from).collect();
        let inspection = Inspection::default().skipping([]).drop_for(reasons);
        let inspected = inspection.run(&data, &Against::default(), None).unwrap();
        let report = inspected.report.clone();
        prop_assert!(report.funnel.balanced());
        prop_assert_eq!(report.funnel.read, data.len() as u64);
        prop_assert_eq!(report.funnel.kept, inspected.kept().count() as u64);
        prop_assert_eq!(report.words.rows(), data.len() as u64);
        prop_assert_eq!(report.languages.values().sum::<u64>(), data.len() as u64);
        for (reason, found) in &report.findings {
            let named = report.funnel.dropped.get(reason.name()).copied().unwrap_or(0);
            prop_assert_eq!(found.dropped, named);
            prop_assert!(found.dropped <= found.rows && !found.examples.is_empty());
            prop_assert!(found.examples.len() <= 5);
        }
        let json = serde_json::to_string(&report).unwrap();
        prop_assert_eq!(serde_json::from_str::<DataReport>(&json).unwrap(), report);
    }

    #[test]
    fn a_funnel_stays_balanced(rows in 0..50_u64, dropped in proptest::collection::vec("[a-c]", 0..50)) {
        let mut funnel = Funnel::of(rows);
        for reason in dropped.iter().take(rows as usize) {
            funnel.drop_row(reason);
            prop_assert!(funnel.balanced());
        }
    }
}
