//! Records of the usual data sets become examples.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;

use finetune_data::mapping::{
    AnyChat, ChatMapping, CompletionMapping, LabelMapping, Mapping, PreferenceMapping, TextMapping,
};
use finetune_data::{Conversation, Document, Label, Origin, Role, Turn, Value};
use serde_json::json;

fn document(fields: Value) -> Document {
    let Value::Object(fields) = fields else {
        panic!("a record is an object")
    };
    Document {
        text: String::new(),
        fields: fields.into_iter().collect(),
        origin: Origin::new("data.jsonl", 3),
    }
}

fn map<M: Mapping>(mapping: &M, fields: Value) -> M::Example {
    mapping.example(document(fields)).unwrap()
}

/// Turns as `s:`, `u:`, `a:` and `t:` texts.
fn turns(turns: &[Turn]) -> Vec<String> {
    turns
        .iter()
        .map(|turn| format!("{}:{}", &turn.role.name()[..1], turn.text))
        .collect()
}

fn check(fields: Value, expected: &[&str]) -> Conversation {
    let conversation = map(&AnyChat::Detect, fields);
    assert_eq!(turns(&conversation.turns), expected);
    assert_eq!(conversation.origin, Origin::new("data.jsonl", 3));
    conversation
}

#[test]
fn pairs_are_found_by_their_usual_names() {
    for (prompt, completion) in [
        ("prompt", "completion"),
        ("instruction", "output"),
        ("instruction", "response"),
        ("question", "answer"),
        ("query", "response"),
        ("problem", "solution"),
        ("input", "output"),
    ] {
        check(
            json!({prompt: "Q", completion: "A", "id": 7}),
            &["u:Q", "a:A"],
        );
    }
    let conversation = check(
        json!({"system_prompt": "S", "question": "Q", "response": "A", "id": 7, "note": null}),
        &["s:S", "u:Q", "a:A"],
    );
    let rest = BTreeMap::from([
        ("id".to_string(), json!(7)),
        ("note".to_string(), Value::Null),
    ]);
    assert_eq!(conversation.fields, rest);
}

#[test]
fn the_input_of_an_instruction_is_kept_apart_too() {
    let with = check(
        json!({"instruction": "Translate.", "input": "Haus", "output": "house"}),
        &["u:Translate.\n\nHaus", "a:house"],
    );
    assert_eq!(
        (&with.fields["instruction"], &with.fields["input"]),
        (&json!("Translate."), &json!("Haus"))
    );
    for empty in [json!(""), Value::Null] {
        let without = check(
            json!({"instruction": "Greet.", "input": empty, "output": "Hi"}),
            &["u:Greet.", "a:Hi"],
        );
        assert!(!without.fields.contains_key("instruction"));
    }
    check(
        json!({"instruction": "Q", "context": "C", "response": "A"}),
        &["u:Q\n\nC", "a:A"],
    );
}

#[test]
fn chats_are_found_in_both_forms() {
    let openai = json!({"messages": [
        {"role": "system", "content": "S"},
        {"role": "user", "content": [{"type": "text", "text": "Q"}, {"type": "text", "text": "!"}], "name": "x"},
        {"role": "assistant", "content": "A", "tool_calls": null, "weight": 1},
        {"role": "tool", "content": ""},
        {"role": "assistant", "content": "B"},
    ], "id": 1});
    let conversation = check(openai, &["s:S", "u:Q!", "a:A", "t:", "a:B"]);
    assert_eq!(conversation.fields.len(), 1);
    let sharegpt = json!({"system": "S", "conversations": [
        {"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}, {"from": "human", "value": "R"},
    ]});
    check(sharegpt, &["s:S", "u:Q", "a:A", "u:R"]);
    let both = json!({"system": "T", "conversations": [
        {"from": "system", "value": "S"}, {"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"},
    ]});
    check(both, &["s:S", "u:Q", "a:A"]);
    check(
        json!({"messages": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}),
        &["u:Q", "a:A"],
    );
}

#[test]
fn names_can_be_given() {
    let mapping: CompletionMapping = "prompt=question, completion=answers.text.0, input=passage"
        .parse()
        .unwrap();
    let record = json!({"question": "Q", "answers": {"text": ["A", "B"]}, "passage": "P"});
    let conversation = map(&mapping, record);
    assert_eq!(turns(&conversation.turns), ["u:Q\n\nP", "a:A"]);
    let mapping: AnyChat = "messages=dialog,role=who,content=what".parse().unwrap();
    let record = json!({"dialog": [{"who": "user", "what": "Q"}, {"who": "bot", "what": "A"}]});
    assert_eq!(turns(&map(&mapping, record).turns), ["u:Q", "a:A"]);
    let mapping: AnyChat = "prompt=a,completion=b".parse().unwrap();
    assert_eq!(
        turns(&map(&mapping, json!({"a": "Q", "b": "A", "messages": []})).turns),
        ["u:Q", "a:A"]
    );
    assert_eq!("".parse::<AnyChat>().unwrap(), AnyChat::Detect);
    assert!(matches!(
        "messages=x".parse::<AnyChat>(),
        Ok(AnyChat::Chat(ChatMapping { .. }))
    ));
    // A name with dots is a field's own name first.
    let mapping: TextMapping = "text=a.b".parse().unwrap();
    assert_eq!(
        map(&mapping, json!({"a.b": "x", "a": {"b": "y"}})).text,
        "x"
    );
}

#[test]
fn texts_come_from_the_document_or_a_field() {
    assert_eq!(
        map(&TextMapping::default(), json!({"content": "x"})).text,
        "x"
    );
    let mut markdown = document(json!({"text": "front matter"}));
    markdown.text = "body".into();
    assert_eq!(
        TextMapping::default().example(markdown).unwrap().text,
        "body"
    );
}

#[test]
fn labels_are_classes_or_numbers() {
    let labels = [
        ("", json!("positive"), Label::Class("positive".into())),
        ("", json!(1), Label::Class("1".into())),
        ("", json!(true), Label::Class("true".into())),
        ("", json!(2.5), Label::Number(2.5)),
        ("kind=number", json!(3), Label::Number(3.0)),
        ("kind=number", json!("3.5"), Label::Number(3.5)),
        ("kind=class", json!(2.5), Label::Class("2.5".into())),
    ];
    for (mapping, label, expected) in labels {
        let mapping = if mapping.is_empty() {
            LabelMapping::default()
        } else {
            mapping.parse().unwrap()
        };
        let labeled = map(&mapping, json!({"text": "t", "label": label}));
        assert_eq!(
            (labeled.text.as_str(), labeled.pair, labeled.label),
            ("t", None, expected)
        );
    }
    let pair = map(
        &LabelMapping::default(),
        json!({"premise": "p", "hypothesis": "h", "label": 0}),
    );
    assert_eq!((pair.text.as_str(), pair.pair.as_deref()), ("p", Some("h")));
    let named: LabelMapping = "text=hypothesis,label=gold".parse().unwrap();
    let single = map(
        &named,
        json!({"premise": "p", "hypothesis": "h", "gold": "yes"}),
    );
    assert_eq!((single.text.as_str(), single.pair), ("h", None));
}

#[test]
fn preferences_are_flat_or_conversational() {
    let mapping = PreferenceMapping::default();
    let user = |text: &str| json!({"role": "user", "content": text});
    let assistant = |text: &str| json!({"role": "assistant", "content": text});
    let cases = [
        (
            json!({"prompt": "Q", "chosen": "A", "rejected": "B", "system": "S"}),
            vec!["s:S", "u:Q"],
        ),
        (
            json!({"question": "Q", "chosen": "A", "rejected": "B"}),
            vec!["u:Q"],
        ),
        (
            json!({"prompt": "Q", "chosen": [assistant("A")], "rejected": [assistant("B")]}),
            vec!["u:Q"],
        ),
        (
            json!({"prompt": [user("Q")], "chosen": [assistant("A")], "rejected": [assistant("B")]}),
            vec!["u:Q"],
        ),
        (
            json!({"chosen": [user("Q"), assistant("A")], "rejected": [user("Q"), assistant("B")]}),
            vec!["u:Q"],
        ),
        (
            json!({"prompt": "Q", "chosen": [user("Q"), assistant("A")], "rejected": [user("Q"), assistant("B")]}),
            vec!["u:Q"],
        ),
        (
            json!({"chosen": [user("P"), assistant("R"), user("Q"), assistant("A")],
                   "rejected": [user("P"), assistant("R"), user("Q"), assistant("B")]}),
            vec!["u:P", "a:R", "u:Q"],
        ),
    ];
    for (record, prompt) in cases {
        let preference = map(&mapping, record);
        assert_eq!(turns(&preference.prompt), prompt);
        assert_eq!(
            (preference.chosen.as_str(), preference.rejected.as_str()),
            ("A", "B")
        );
    }
    let several = json!({"chosen": [user("Q"), assistant("A"), user("R"), assistant("C")],
                         "rejected": [user("Q"), assistant("B")]});
    assert!(
        mapping
            .example(document(several))
            .unwrap_err()
            .to_string()
            .contains("several turns")
    );
    let renamed: PreferenceMapping = "prompt=p,chosen=win,rejected=lose".parse().unwrap();
    assert_eq!(
        map(&renamed, json!({"p": "Q", "win": "A", "lose": "B"})).chosen,
        "A"
    );
    assert_eq!(
        map(&renamed, json!({"p": "Q", "win": "A", "lose": "B"})).prompt[0].role,
        Role::User
    );
}
