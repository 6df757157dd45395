//! Records of the usual data sets become examples.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};

use finetune_data::mapping::{
    AnyChat, ChatMapping, CompletionMapping, JudgedMapping, LabelMapping, Mapping,
    PreferenceMapping, TextMapping,
};
use finetune_data::{Conversation, DataError, Document, Label, Origin, Role, ToolUse, Turn, Value};
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
            (turns(&preference.chosen), turns(&preference.rejected)),
            (vec!["a:A".to_owned()], vec!["a:B".to_owned()])
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
        turns(&map(&renamed, json!({"p": "Q", "win": "A", "lose": "B"})).chosen),
        ["a:A"]
    );
    assert_eq!(
        map(&renamed, json!({"p": "Q", "win": "A", "lose": "B"})).prompt[0].role,
        Role::User
    );
}

#[test]
fn labels_can_be_several() {
    let classes =
        |names: &[&str]| Label::Classes(names.iter().copied().map(String::from).collect());
    for (mapping, fields, expected) in [
        (
            "auto",
            json!({"text": "t", "labels": ["joy", "anger"]}),
            classes(&["anger", "joy"]),
        ),
        ("", json!({"text": "t", "labels": []}), classes(&[])),
        (
            "",
            json!({"text": "t", "label": [17, 3]}),
            classes(&["17", "3"]),
        ),
        (
            "names=no|yes|maybe",
            json!({"text": "t", "labels": [2, 0]}),
            classes(&["maybe", "no"]),
        ),
        (
            "names=no|yes",
            json!({"text": "t", "label": 1}),
            Label::Class("yes".into()),
        ),
        (
            "names=no|yes",
            json!({"text": "t", "label": "1"}),
            Label::Class("yes".into()),
        ),
        (
            "names=no|yes",
            json!({"text": "t", "label": "no"}),
            Label::Class("no".into()),
        ),
        (
            "",
            json!({"text": "t", "labels": [0.0, 1.0, 1.0]}),
            classes(&["1", "2"]),
        ),
        (
            "",
            json!({"text": "t", "labels": [true, false]}),
            classes(&["0"]),
        ),
        (
            "kind=flags,names=a|b|c",
            json!({"text": "t", "labels": [1, 0, "1"]}),
            classes(&["a", "c"]),
        ),
        (
            "kind=classes",
            json!({"text": "t", "label": "joy"}),
            classes(&["joy"]),
        ),
        (
            "text=comment,labels=toxic|threat|insult",
            json!({"comment": "t", "toxic": 1, "threat": "0", "insult": true}),
            classes(&["insult", "toxic"]),
        ),
    ] {
        let mapping: LabelMapping = mapping.parse().unwrap();
        assert_eq!(map(&mapping, fields.clone()).label, expected, "{fields}");
    }
    assert_eq!(classes(&["joy", "anger"]).to_string(), "[anger, joy]");
    let label: Label = serde_json::from_value(json!(["joy", "anger", "joy"])).unwrap();
    let expected = BTreeSet::from(["anger".into(), "joy".into()]);
    assert_eq!(label, Label::Classes(expected));
}

#[test]
fn several_labels_that_make_no_sense_are_errors() {
    for (mapping, fields, kind, part) in [
        (
            "",
            json!({"text": "t", "labels": [1, 0, 1]}),
            "unexpected value",
            "kind=flags",
        ),
        (
            "",
            json!({"text": "t", "labels": ["a", " "]}),
            "empty content",
            "labels.1",
        ),
        (
            "",
            json!({"text": "t", "labels": [0.5, 1.0]}),
            "unexpected value",
            "\"labels.0\"",
        ),
        (
            "names=a|b",
            json!({"text": "t", "label": 2}),
            "unexpected value",
            "one of a, b, or a number below 2",
        ),
        (
            "names=a|b",
            json!({"text": "t", "label": -1}),
            "unexpected value",
            "\"-1\"",
        ),
        (
            "names=a|b,kind=flags",
            json!({"text": "t", "label": [1]}),
            "unexpected value",
            "2 classes",
        ),
        (
            "labels=a|b",
            json!({"text": "t", "a": 1, "b": 2}),
            "unexpected value",
            "0 or 1",
        ),
        (
            "labels=a|b",
            json!({"text": "t", "a": 1}),
            "missing field",
            "\"b\"",
        ),
        (
            "kind=flags",
            json!({"text": "t", "label": 1}),
            "wrong type",
            "array of 0 and 1",
        ),
    ] {
        let mapping: LabelMapping = mapping.parse().unwrap();
        let error = mapping.example(document(fields)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    for text in ["kind=many", "label=a,labels=b|c"] {
        assert!(text.parse::<LabelMapping>().is_err(), "{text}");
    }
}

#[test]
fn answers_are_judged_good_or_bad() {
    let user = json!({"role": "user", "content": "Q"});
    let answer = json!({"role": "assistant", "content": "A"});
    for (mapping, fields, prompt) in [
        (
            "",
            json!({"prompt": "Q", "completion": "A", "label": true}),
            vec!["u:Q"],
        ),
        (
            "",
            json!({"prompt": [user], "completion": [answer], "label": true}),
            vec!["u:Q"],
        ),
        (
            "auto",
            json!({"messages": [user, answer], "label": true}),
            vec!["u:Q"],
        ),
        (
            "",
            json!({"instruction": "Q", "input": "I", "output": "A", "kto_tag": "True"}),
            vec!["u:Q\n\nI"],
        ),
        (
            "",
            json!({"system": "S", "conversations": [user, answer], "label": 1}),
            vec!["s:S", "u:Q"],
        ),
        (
            "prompt=q,completion=a,good=liked",
            json!({"q": "Q", "a": "A", "liked": "1"}),
            vec!["u:Q"],
        ),
        (
            "messages=chat,good=liked",
            json!({"chat": [user, answer], "liked": true}),
            vec!["u:Q"],
        ),
    ] {
        let mapping: JudgedMapping = mapping.parse().unwrap();
        let judged = map(&mapping, fields.clone());
        assert_eq!(turns(&judged.prompt), prompt, "{fields}");
        assert_eq!(
            (turns(&judged.answer), judged.good),
            (vec!["a:A".to_owned()], true),
            "{fields}"
        );
    }
    let bad = json!({"prompt": "Q", "completion": "A", "label": false});
    assert!(!map(&JudgedMapping::default(), bad).good);
    for (fields, kind) in [
        (json!({"prompt": "Q", "completion": "A"}), "missing field"),
        (json!({"prompt": "Q", "label": true}), "missing field"),
        (
            json!({"prompt": "Q", "completion": "A", "label": 2}),
            "unexpected value",
        ),
        (
            json!({"prompt": "Q", "completion": "A", "label": "good"}),
            "unexpected value",
        ),
        (
            json!({"prompt": "Q", "completion": [user], "label": true}),
            "role order",
        ),
        (
            json!({"messages": [answer], "label": true}),
            "missing field",
        ),
        (
            json!({"messages": [user, answer, user], "label": true}),
            "role order",
        ),
    ] {
        let error = JudgedMapping::default()
            .example(document(fields))
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[test]
fn judged_answers_are_no_conversations_until_the_good_ones_are_asked_for() {
    let record = |good: Value| json!({"prompt": "Q", "completion": "A", "label": good, "id": 7});
    for judgement in [
        json!(true),
        json!(false),
        json!("False"),
        json!(0),
        json!(1.0),
    ] {
        let error = AnyChat::Detect
            .example(document(record(judgement)))
            .unwrap_err();
        assert_eq!(error.kind(), "other format", "{error}");
        assert!(error.to_string().contains("good=label"), "{error}");
    }
    let chat = json!({"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}], "label": true});
    assert!(AnyChat::Detect.example(document(chat.clone())).is_err());
    for text in [
        "good=label",
        "prompt=prompt,completion=completion,good=label",
        "good=label, prompt=prompt",
    ] {
        let mapping: AnyChat = text.parse().unwrap();
        let good = map(&mapping, record(json!(true)));
        assert_eq!(turns(&good.turns), ["u:Q", "a:A"]);
        assert_eq!(good.fields, BTreeMap::from([("id".to_string(), json!(7))]));
        let bad = mapping.example(document(record(json!(false)))).unwrap_err();
        let left_out = matches!(
            bad,
            DataError::LeftOut {
                reason: "judged bad",
                ..
            }
        );
        assert!(left_out, "{bad}");
        let odd = mapping
            .example(document(record(json!("maybe"))))
            .unwrap_err();
        assert_eq!(odd.kind(), "unexpected value");
    }
    let mapping: AnyChat = "messages=messages,good=label".parse().unwrap();
    assert_eq!(turns(&map(&mapping, chat).turns), ["u:Q", "a:A"]);
    // What is named is read as it is named, judged or not; and a class is no judgement.
    let named: AnyChat = "prompt=prompt,completion=completion".parse().unwrap();
    let read = map(&named, record(json!(false)));
    assert_eq!(turns(&read.turns), ["u:Q", "a:A"]);
    check(record(json!(3)), &["u:Q", "a:A"]);
    for text in ["good=", "good=a,good=b"] {
        assert!(text.parse::<AnyChat>().is_err(), "{text}");
    }
}

#[test]
fn prompts_and_completions_can_be_messages() {
    let user = |text: &str| json!({"role": "user", "content": text});
    let assistant = |text: &str| json!({"role": "assistant", "content": text});
    check(
        json!({"prompt": [user("Q")], "completion": [assistant("A")]}),
        &["u:Q", "a:A"],
    );
    check(
        json!({"prompt": [{"role": "system", "content": "S"}, user("P"), assistant("R"), user("Q")],
               "completion": [assistant("A"), user("T"), assistant("U")], "system": "other"}),
        &["s:S", "u:P", "a:R", "u:Q", "a:A", "u:T", "a:U"],
    );
    check(
        json!({"prompt": "Q", "completion": [user("Q"), assistant("A")]}),
        &["u:Q", "a:A"],
    );
    let call =
        json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]});
    let record = json!({"prompt": [user("Q")], "completion": [call], "tools": [{"name": "f"}]});
    let calling = map(&AnyChat::Detect, record);
    assert_eq!(calling.tools.len(), 1);
    assert!(calling.turns[1].tools != ToolUse::None && calling.fields.is_empty());
    let record = json!({"prompt": [user("Q")], "completion": [user("A")]});
    let error = AnyChat::Detect.example(document(record)).unwrap_err();
    assert_eq!(error.kind(), "role order");
}
