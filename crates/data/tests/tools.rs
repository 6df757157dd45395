//! Conversations with tools and thoughts: records to turns, and renders, masks and ids against transformers.

#![allow(clippy::unwrap_used)] // a test may panic

mod golden;

use std::collections::BTreeMap;

use finetune_data::mapping::{ChatMapping, Mapping, PreferenceMapping};
use finetune_data::template::{Alpaca, ChatTemplate, Piece, Source, Template};
use finetune_data::{Conversation, Document, Origin, Preference, Role, ToolCall, ToolUse, Turn};
use golden::{Case, Golden, goldens_of, joined, read, spans, spelt, tool_records};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};

fn document(record: Value) -> Document {
    let Value::Object(fields) = record else {
        panic!("{record}");
    };
    Document {
        text: String::new(),
        fields: fields.into_iter().collect(),
        origin: Origin::new("chats.jsonl", 3),
    }
}

fn conversation(record: Value) -> finetune_data::Result<Conversation> {
    ChatMapping::default().example(document(record))
}

/// What this template does not write of this record, which transformers drops without a word.
fn left_out(golden: &Golden, case: &Case) -> Option<&'static str> {
    match (golden.name.as_str(), case.conversation.as_str()) {
        // In the other the thought goes with the answer that is asked for.
        (_, "thought") if case.open => None,
        ("hermes" | "header_ids" | "brackets" | "fenced_text", "thought" | "thought_call") => {
            Some("leaves out what the assistant thinks")
        }
        // It writes the first of two calls.
        ("channels", "parallel") => Some("leaves out a call of \"get_weather\""),
        _ => None,
    }
}

/// Whether the published template rewrites earlier turns of this conversation.
fn rewrites(golden: &Golden, case: &Case) -> bool {
    // The tools stand before the last question, wherever that is.
    golden.name == "brackets" && case.conversation == "again"
}

#[test]
fn renders_masks_and_ids_equal_transformers() {
    let records = tool_records();
    let (mut renders, mut masks, mut refusals) = (0, 0, 0);
    for golden in goldens_of("tools") {
        let (tokenizer, _folder) = golden.tokenizer();
        for tagged in [false, true] {
            let template = golden.chat(tagged);
            for case in &golden.cases {
                let name = format!(
                    "{} {} open={} tagged={tagged}",
                    golden.name, case.conversation, case.open
                );
                let record = records[&case.conversation].clone();
                let found = template.render(&conversation(record).unwrap(), case.open);
                let expected = match (&case.error, left_out(&golden, case)) {
                    (Some(error), _) => Err(error.as_str()),
                    (None, Some(error)) => Err(error),
                    _ if rewrites(&golden, case) && !case.open && !tagged => {
                        Err("asked for an answer after 1 messages it writes")
                    }
                    _ => Ok(case.render.as_deref().unwrap()),
                };
                let pieces = match (expected, found) {
                    (Ok(expected), Ok(pieces)) => {
                        assert_eq!(joined(&pieces), expected, "{name}");
                        renders += 1;
                        pieces
                    }
                    (Err(expected), Err(error)) => {
                        assert!(error.to_string().contains(expected), "{name}: {error}");
                        refusals += 1;
                        continue;
                    }
                    (expected, found) => panic!("{name}: {expected:?} {found:?}"),
                };
                let encoded = tokenizer.encode_pieces(&pieces).unwrap();
                check_controls(&golden, &pieces, &encoded.ids, &name);
                if case.open {
                    continue;
                }
                assert_eq!(spans(&pieces), case.spans, "{name}");
                // Control tokens in a record are text here and tokens there.
                if spelt(&golden, &pieces) {
                    assert_ne!(encoded.ids, case.ids, "{name}");
                    continue;
                }
                assert_eq!(encoded.ids, case.ids, "{name}");
                let mask = encoded.learn.iter();
                let mask: String = mask.map(|learn| if *learn { '1' } else { '0' }).collect();
                assert_eq!(mask, case.mask, "{name}");
                masks += 1;
            }
        }
    }
    assert!(
        renders > 210 && masks > 80 && refusals > 20,
        "{renders} {masks} {refusals}"
    );
}

/// A preference with the texts that TRL makes of its prompt and answers.
#[derive(Deserialize)]
struct Preferences {
    records: Map<String, Value>,
    texts: BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>,
}

#[test]
fn preferences_are_rendered_as_by_trl() {
    let Preferences { records, texts } = serde_json::from_str(&read("preferences.json")).unwrap();
    let (mut compared, mut refused) = (0, 0);
    for golden in goldens_of("tools") {
        let template = golden.chat(false);
        for (name, record) in &records {
            let case = format!("{} {name}", golden.name);
            let mapping = PreferenceMapping::default();
            let pair = mapping.example(document(record.clone())).unwrap();
            let texts = &texts[&golden.name][name];
            let mut prompt = {
                let asked = Conversation::new(pair.prompt.clone()).with_tools(pair.tools.clone());
                joined(&template.render(&asked, true).unwrap())
            };
            for (answer, whole) in ["chosen", "rejected"].iter().zip(pair.conversations()) {
                let pieces = match template.render(&whole, false) {
                    Ok(pieces) => pieces,
                    // transformers drops it without a word.
                    Err(error) => {
                        let dropped = error.to_string().contains("what the assistant thinks");
                        assert!(dropped && name == "thought", "{case}: {error}");
                        refused += 1;
                        continue;
                    }
                };
                let whole = joined(&pieces);
                prompt.truncate(shared(&prompt, &whole));
                assert_eq!(&whole[prompt.len()..], texts[*answer], "{case} {answer}");
                // All that the assistant says in it is learned, and nothing of the prompt.
                let spans = spans(&pieces);
                let learned = spans.iter().filter(|(_, end)| *end > prompt.len());
                assert_eq!(
                    learned.clone().count(),
                    said(&pair, answer),
                    "{case} {answer}"
                );
                assert_eq!(learned.map(|(start, _)| *start).min(), Some(prompt.len()));
                compared += 1;
            }
            assert_eq!(prompt, texts["prompt"], "{case}");
        }
    }
    assert_eq!((compared, refused), (56, 4));
}

/// How many turns of the assistant an answer has.
fn said(pair: &Preference, answer: &str) -> usize {
    let turns = match answer {
        "chosen" => &pair.chosen,
        _ => &pair.rejected,
    };
    turns
        .iter()
        .filter(|turn| turn.role == Role::Assistant)
        .count()
}

/// How many bytes two texts begin with alike.
fn shared(one: &str, other: &str) -> usize {
    let mut alike = one.char_indices().zip(other.chars());
    alike
        .find(|((_, one), other)| one != other)
        .map_or(one.len().min(other.len()), |((at, _), _)| at)
}

/// Checks that a row has as many control tokens as the template wrote.
fn check_controls(golden: &Golden, pieces: &[Piece], ids: &[u32], name: &str) {
    let tokens = golden.added_tokens.as_array().unwrap();
    for token in tokens
        .iter()
        .filter(|token| token["special"] == json!(true))
    {
        let (id, content) = (&token["id"], token["content"].as_str().unwrap());
        let written = pieces
            .iter()
            .filter(|piece| piece.source == Source::Template)
            .map(|piece| piece.text.matches(content).count());
        let found = ids.iter().filter(|found| json!(found) == *id).count();
        assert_eq!(found, written.sum::<usize>(), "{name}: {content}");
    }
}

#[test]
fn records_become_turns() {
    let tools = json!([{"name": "add", "parameters": {}}]);
    let framed = json!({"type": "function", "function": {"name": "add", "parameters": {}}});
    let called = |id: Option<&str>, arguments: Value| {
        let mut call = ToolCall::new("add", arguments);
        call.id = id.map(str::to_owned);
        ToolUse::Calls(vec![call])
    };
    let ask = json!({"role": "user", "content": "1 + 2?"});
    let numbers = "{\"a\": 1}";
    for (case, (message, expected)) in [
        (
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": "x", "type": "function", "function": {"name": "add", "arguments": numbers}}]}),
            called(Some("x"), json!(numbers)),
        ),
        (
            json!({"role": "assistant", "tool_calls": [{"name": "add", "arguments": {"a": 1}}]}),
            called(None, json!({"a": 1})),
        ),
        (
            json!({"role": "assistant", "content": "", "tool_calls": "[{\"name\": \"add\"}]"}),
            called(None, json!({})),
        ),
        (
            json!({"role": "assistant", "content": "", "function_call": {"name": "add", "arguments": ""}}),
            called(None, json!({})),
        ),
        (
            json!({"from": "function_call", "value": "{\"name\": \"add\", \"arguments\": {\"a\": 1}}"}),
            called(None, json!({"a": 1})),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        for tools in [tools.clone(), json!(tools.to_string()), json!([framed])] {
            let record = json!({"messages": [ask, message], "tools": tools});
            let found = conversation(record).unwrap();
            assert_eq!(found.tools, std::slice::from_ref(&framed), "{case}");
            let turn = Turn {
                tools: expected.clone(),
                ..Turn::new(Role::Assistant, "")
            };
            assert_eq!(found.turns[1], turn, "{case}");
            assert_eq!(found.answer(), None, "{case}");
            assert_eq!(found.without_answer().turns.len(), 1, "{case}");
            let text = serde_json::to_string(&found).unwrap();
            assert_eq!(serde_json::from_str::<Conversation>(&text).unwrap(), found);
        }
    }
}

#[test]
fn results_and_thoughts_are_kept() {
    let record = json!({"functions": [], "messages": [
        {"role": "user", "content": "1 + 2?"},
        {"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "add", "arguments": {}}}], "thinking": "Add."},
        {"role": "tool", "tool_call_id": "x", "name": "add", "content": "3"},
        {"role": "assistant", "content": "3", "reasoning": " "},
    ]});
    let found = conversation(record).unwrap();
    assert_eq!(found.turns[1].thought.as_deref(), Some("Add."));
    let result = ToolUse::Result {
        id: Some("x".into()),
        name: Some("add".into()),
    };
    assert_eq!(found.turns[2].tools, result);
    assert_eq!(found.turns[3], Turn::new(Role::Assistant, "3"));
    assert!(found.tools.is_empty() && found.fields.is_empty());
    // A field that happens to be called so stays a field.
    let record = json!({"tools": "hammer, saw", "messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
    ]});
    let found = conversation(record).unwrap();
    assert_eq!(found.fields["tools"], "hammer, saw");
}

#[test]
fn what_is_wrong_with_a_call_is_said_with_its_place() {
    let call = |function: Value| json!({"role": "assistant", "tool_calls": [function]});
    let ask = json!({"role": "user", "content": "a"});
    let result = json!({"role": "tool", "tool_call_id": "y", "content": "3"});
    let good = call(json!({"id": "x", "name": "f"}));
    for (messages, kind, parts) in [
        (
            json!([ask, call(json!({}))]),
            "missing field",
            ["messages.1.tool_calls.0.name", "has a name"],
        ),
        (
            json!([ask, call(json!({"name": 1}))]),
            "wrong type",
            ["messages.1.tool_calls.0.name", "number"],
        ),
        (
            json!([ask, call(json!(7))]),
            "wrong type",
            ["messages.1.tool_calls.0", "object"],
        ),
        (
            json!([ask, call(json!({"name": "f", "arguments": "{\"a\": tru}"}))]),
            "json syntax",
            ["messages.1.tool_calls.0.arguments:1:7", "found \"tru\""],
        ),
        (
            json!([ask, call(json!({"name": "f", "arguments": [1]}))]),
            "wrong type",
            ["messages.1.tool_calls.0.arguments", "array"],
        ),
        (
            json!([{"role": "user", "content": "a", "tool_calls": [{"name": "f"}]}]),
            "unsupported",
            ["messages.0", "by the user"],
        ),
        (
            json!([{"role": "user", "content": "a", "thinking": "b"}]),
            "unsupported",
            ["messages.0.thinking", "of the user"],
        ),
        (
            json!([ask, good, result]),
            "role order",
            ["turn 3", "\"y\""],
        ),
        (
            json!([ask, {"from": "function_call", "value": "[]"}]),
            "empty content",
            ["messages.1.content", "empty"],
        ),
    ] {
        let error = conversation(json!({"messages": messages})).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let error = error.to_string();
        assert!(error.starts_with("chats.jsonl:3"), "{error}");
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    for (tools, kind, part) in [
        (
            json!([{"type": "function", "function": {}}]),
            "missing field",
            "tools.0.name",
        ),
        (json!([3]), "wrong type", "tools.0"),
        (json!("[{]"), "json syntax", "tools"),
    ] {
        let answer = json!({"role": "assistant", "content": "b"});
        let record = json!({"messages": [ask, answer], "tools": tools});
        let error = conversation(record).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_template_that_leaves_out_tools_is_refused() {
    let records = tool_records();
    let simple = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}";
    let template = ChatTemplate::new(simple).unwrap();
    for (record, expected) in [
        ("declared", "the tools that the conversation declares"),
        ("thought", "what the assistant thinks"),
    ] {
        let found = conversation(records[record].clone()).unwrap();
        let error = template.render(&found, false).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let error = Alpaca.render(&found, false).unwrap_err().to_string();
        assert!(error.contains("Use the template chat"), "{error}");
    }
    let mut called = conversation(records["called"].clone()).unwrap();
    called.tools.clear();
    let error = template.render(&called, false).unwrap_err().to_string();
    assert!(error.contains("calls of tools"), "{error}");
    let error = Alpaca.render(&called, false).unwrap_err().to_string();
    assert!(error.contains("calls of tools"), "{error}");
    let ignores = simple.replace(
        "{% for m in messages %}",
        "{% for m in messages if m.role != 'tool' %}",
    );
    let told = Conversation::new(vec![
        Turn::new(Role::User, "a"),
        Turn::new(Role::Assistant, "b"),
        Turn::new(Role::Tool, "c"),
        Turn::new(Role::Assistant, "d"),
    ]);
    assert!(template.render(&told, false).is_ok());
    let template = ChatTemplate::new(&ignores).unwrap();
    let error = template.render(&told, false).unwrap_err().to_string();
    assert!(error.contains("results of tools"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever stands in a call, no control token comes of it, and the learned span holds it.
    #[test]
    fn texts_of_calls_stay_texts(
        name in "[a-z_]{1,8}",
        key in "\\PC{0,8}|.{0,4}<\\|im_end\\|>",
        argument in "\\PC{0,12}|.{0,4}(<\\|im_end\\|>|</s>|<tool_call>|\u{fdd0}).{0,4}",
        said in "\\PC{0,8}",
    ) {
        let mut goldens = goldens_of("tools");
        goldens.retain(|golden| ["hermes", "fenced_text"].contains(&golden.name.as_str()));
        let call = ToolCall::new(name, json!({key: argument}));
        let conversation = Conversation::new(vec![
            Turn::new(Role::User, "q"),
            Turn::new(Role::Assistant, said).calling([call]),
        ]);
        for golden in goldens {
            let (tokenizer, _folder) = golden.tokenizer();
            let whole = golden.chat(false).render(&conversation, false).unwrap();
            let asked = golden.chat(false).render(&conversation, true).unwrap();
            let encoded = tokenizer.encode_pieces(&whole).unwrap();
            check_controls(&golden, &whole, &encoded.ids, &golden.name);
            let (before, all) = (joined(&asked), joined(&whole));
            prop_assert!(all.starts_with(&before));
            let end = all.trim_end_matches('\n').len();
            prop_assert_eq!(spans(&whole), [(before.len(), end)]);
        }
    }
}
