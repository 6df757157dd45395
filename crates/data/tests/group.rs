//! Records that lie in several rows are brought into one, and every row is accounted for.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use finetune_data::group::{self, Branches, Trees};
use finetune_data::mapping::{AnyPreference, ChatMapping, Format, Mapping};
use finetune_data::{Document, Origin, Turn, Value};
use proptest::prelude::*;
use serde_json::json;

fn rows(values: Vec<Value>) -> Vec<Document> {
    let row = |(value, place): (Value, u64)| Document {
        text: String::new(),
        fields: value.as_object().unwrap().clone().into_iter().collect(),
        origin: Origin::new("rows.jsonl", place),
    };
    values.into_iter().zip(1..).map(row).collect()
}

/// A row of OASST: two letters for identifier and parent (`.` for none), the text, and the rank.
fn message(ids: &str, role: &str, text: &str, rank: Option<u8>) -> Value {
    let (id, parent) = (&ids[..1], &ids[1..]);
    json!({"message_id": id, "parent_id": (parent != ".").then_some(parent), "role": role, "text": text, "rank": rank,
           "lang": "en", "deleted": false, "message_tree_id": "t"})
}

/// Two answers to a question, of which the second is better; a question behind each, of which one is answered twice.
fn oasst() -> Vec<Value> {
    vec![
        message("a.", "prompter", "Why?", None),
        message("ba", "assistant", "No.", Some(1)),
        message("ca", "assistant", "So.", Some(0)),
        message("db", "prompter", "No?", Some(0)),
        message("ec", "prompter", "How so?", Some(1)),
        message("fc", "prompter", "Really?", Some(0)),
        message("gf", "assistant", "Not rated.", None),
        message("hf", "assistant", "Yes.", Some(0)),
        message("if", "assistant", "Hm.", Some(1)),
        message("j.", "prompter", "Nobody answers.", None),
    ]
}

fn shown(turns: &[Turn]) -> String {
    let texts: Vec<&str> = turns.iter().map(|turn| turn.text.as_str()).collect();
    texts.join(" ")
}

fn chats(branches: Branches) -> (Vec<(String, u64)>, Trees) {
    let trees = Trees::of(rows(oasst()), branches).unwrap();
    let chats = trees.documents.iter().map(|document| {
        assert_eq!(document.fields["language"], "en");
        let chat = ChatMapping::default().example(document.clone()).unwrap();
        (shown(&chat.turns), chat.origin.place)
    });
    (chats.collect(), trees)
}

#[test]
fn trees_become_conversations() {
    let (best, trees) = chats(Branches::Best);
    assert_eq!(best, [("Why? So. Really? Yes.".to_owned(), 8)]);
    assert_eq!(trees.dropped, [("in no branch that is taken", 6)].into());
    let (all, trees) = chats(Branches::All);
    let expected = [
        ("Why? So. Really? Yes.", 8),
        ("Why? So. Really? Hm.", 9),
        ("Why? So. Really? Not rated.", 7),
        ("Why? No.", 2),
    ];
    assert_eq!(all, expected.map(|(text, place)| (text.to_owned(), place)));
    // Two questions that nobody answered, and one more at the end of a branch.
    assert_eq!(trees.dropped, [("in no branch that is taken", 3)].into());
}

#[test]
fn ranked_siblings_become_preferences() {
    let trees = Trees::of(rows(oasst()), Branches::Ranked).unwrap();
    let detected = Format::detect(&trees.documents).unwrap();
    assert_eq!(detected.format, Format::Rated);
    let pairs: Vec<_> = trees
        .documents
        .iter()
        .map(|document| {
            let pair = AnyPreference::Detect.example(document.clone()).unwrap();
            let texts = [&pair.prompt, &pair.chosen, &pair.rejected].map(|turns| shown(turns));
            (texts.join("|"), pair.origin.place)
        })
        .collect();
    let expected = [("Why?|So.|No.", 1), ("Why? So. Really?|Yes.|Hm.", 6)];
    assert_eq!(
        pairs,
        expected.map(|(text, place)| (text.to_owned(), place))
    );
    assert_eq!(trees.dropped, [("in no branch that is taken", 4)].into());
}

#[test]
fn torn_trees_and_circles_are_counted() {
    let mut values = oasst();
    values[2]["deleted"] = json!(true);
    values.push(message("kz", "assistant", "To nobody.", None));
    values.push(message("ln", "prompter", "Round", None));
    values.push(message("nl", "assistant", "and round.", None));
    let trees = Trees::of(rows(values), Branches::Best).unwrap();
    assert_eq!(trees.documents.len(), 1);
    assert_eq!(trees.documents[0].fields["messages"][1]["content"], "No.");
    let expected = [
        ("deleted", 1),
        ("in no branch that is taken", 2),
        ("without the message that it answers", 8),
    ];
    assert_eq!(trees.dropped, expected.into());
}

#[test]
fn what_is_wrong_with_a_row_is_said_with_its_place() {
    let long = (0..300).map(|number: u32| {
        let parent = number.checked_sub(1).map(|parent| parent.to_string());
        let role = if number.is_multiple_of(2) {
            "prompter"
        } else {
            "assistant"
        };
        json!({"message_id": number.to_string(), "parent_id": parent, "role": role, "text": "x"})
    });
    for (values, kind, part) in [
        (
            vec![json!({"role": "prompter", "text": "a"})],
            "missing field",
            "message_id",
        ),
        (
            vec![json!({"message_id": "a", "role": "prompter", "text": 1})],
            "wrong type",
            "text",
        ),
        (
            vec![json!({"message_id": "a", "role": "cat", "text": "b"})],
            "unknown role",
            "cat",
        ),
        (
            vec![
                message("a.", "prompter", "b", None),
                message("a.", "prompter", "c", None),
            ],
            "duplicate key",
            "rows.jsonl:2",
        ),
        (long.collect(), "limit exceeded", "rows.jsonl:257"),
    ] {
        for branches in [Branches::Best, Branches::All, Branches::Ranked] {
            let error = Trees::of(rows(values.clone()), branches).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    let error = group::by("prompt", rows(vec![json!({"response": "a"})])).unwrap_err();
    assert_eq!(error.kind(), "missing field");
}

#[test]
fn rows_of_one_question_become_rated_answers() {
    let row = |prompt: &str, response: &str, score: u8| json!({"prompt": prompt, "response": response, "score": score});
    let values = vec![
        row("P", "a", 1),
        row("Q", "b", 4),
        row("P", "c", 3),
        row("Q", "d", 2),
        row("P", "e", 0),
    ];
    let grouped = group::by("prompt", rows(values)).unwrap();
    let pairs: Vec<_> = grouped
        .iter()
        .map(|document| {
            let pair = AnyPreference::Detect.example(document.clone()).unwrap();
            let texts = [&pair.prompt, &pair.chosen, &pair.rejected].map(|turns| shown(turns));
            (texts.concat(), document.origin.place)
        })
        .collect();
    assert_eq!(pairs, [("Pce".to_owned(), 1), ("Qbd".to_owned(), 2)]);
}

proptest! {
    /// However rows hang together and in whatever order they come, each stands in a document or is counted.
    #[test]
    fn every_row_is_accounted_for(
        parents in proptest::collection::vec((0_usize..12, any::<bool>(), 0_u8..4), 1..12),
    ) {
        let values: Vec<Value> = parents
            .iter()
            .enumerate()
            .map(|(at, (parent, assistant, rank))| {
                let role = if *assistant { "assistant" } else { "prompter" };
                let parent = (*parent > 0).then(|| parent.to_string());
                json!({"message_id": (at + 1).to_string(), "parent_id": parent, "role": role, "text": format!("<{at}>"),
                       "rank": (*rank < 3).then_some(rank), "deleted": *rank == 3 && *assistant})
            })
            .collect();
        for branches in [Branches::Best, Branches::All, Branches::Ranked] {
            let trees = Trees::of(rows(values.clone()), branches).unwrap();
            let fields: Vec<_> = trees.documents.iter().map(|document| &document.fields).collect();
            let text = format!("{fields:?}");
            let used = (0..values.len()).filter(|at| text.contains(&format!("<{at}>"))).count() as u64;
            prop_assert_eq!(used + trees.dropped.values().sum::<u64>(), values.len() as u64);
        }
    }
}
