//! The format of a data set is found by its fields.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fmt::Debug;

use finetune_data::mapping::{
    AnyChat, AnyPreference, Detecting, Format, JudgedMapping, LabelMapping, Mapping,
    PreferenceMapping, TextMapping,
};
use finetune_data::{Document, Loaders, Origin, Role, Turn, Value};
use serde_json::json;

fn document(fields: Value) -> Document {
    let Value::Object(fields) = fields else {
        panic!("a record is an object")
    };
    Document {
        text: String::new(),
        fields: fields.into_iter().collect(),
        origin: Origin::new("data.jsonl", 1),
    }
}

/// A record in the schema of each usual data set, with its format and mapping.
fn samples() -> Vec<(Value, Format, &'static str)> {
    let openai = json!([{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]);
    let sharegpt = json!([{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]);
    vec![
        (
            json!({"messages": openai}),
            Format::Messages,
            "messages=messages",
        ),
        (
            json!({"id": "x", "conversations": sharegpt}),
            Format::ShareGpt,
            "messages=conversations",
        ),
        (
            json!({"instruction": "Q", "input": "", "output": "A"}),
            Format::Alpaca,
            "prompt=instruction,input=input,completion=output",
        ),
        (
            json!({"instruction": "Q", "context": "C", "response": "A", "category": "open"}),
            Format::Alpaca,
            "prompt=instruction,input=context,completion=response",
        ),
        (
            json!({"prompt": "Q", "completion": "A"}),
            Format::Completion,
            "prompt=prompt,completion=completion",
        ),
        (
            json!({"system_prompt": "S", "question": "Q", "response": "A"}),
            Format::Completion,
            "prompt=question,completion=response",
        ),
        (
            json!({"instruction": "Q", "input": "I", "output": "A"}),
            Format::Alpaca,
            "prompt=instruction,input=input,completion=output",
        ),
        (
            json!({"prompt": [{"role": "user", "content": "Q"}], "completion": [{"role": "assistant", "content": "A"}]}),
            Format::Completion,
            "prompt=prompt,completion=completion",
        ),
        (
            json!({"prompt": "Q", "completion": "A", "label": false}),
            Format::Judged,
            "prompt=prompt,completion=completion,good=label",
        ),
        (
            json!({"instruction": "Q", "input": "I", "output": "A", "kto_tag": true}),
            Format::Judged,
            "prompt=instruction,input=input,completion=output,good=kto_tag",
        ),
        (
            json!({"messages": openai, "label": "True"}),
            Format::Judged,
            "messages=messages,good=label",
        ),
        (
            json!({"prompt": "Q", "completions": ["A", "B"], "labels": [true, false]}),
            Format::Steps,
            "",
        ),
        (
            json!({"text": "T", "label": 1}),
            Format::Label,
            "text=text,label=label",
        ),
        (
            json!({"text": "T", "score": 0.5}),
            Format::Label,
            "text=text,label=score",
        ),
        (
            json!({"text": "T", "labels": [3, 17], "id": "x"}),
            Format::Labels,
            "text=text,label=labels",
        ),
        (
            json!({"premise": "P", "hypothesis": "H", "label": 2, "idx": 0}),
            Format::LabeledPair,
            "text=premise,pair=hypothesis,label=label",
        ),
        (
            json!({"sentence1": "P", "sentence2": "H", "label": 0.5}),
            Format::LabeledPair,
            "text=sentence1,pair=sentence2,label=label",
        ),
        (
            json!({"text": "T", "meta": {"set": "x"}}),
            Format::Text,
            "text=text",
        ),
    ]
}

#[test]
fn every_usual_format_is_found_and_its_mapping_reads_it() {
    for (fields, format, mapping) in samples() {
        let record = document(fields);
        let detected = Format::detect(std::slice::from_ref(&record)).unwrap();
        assert_eq!(
            (detected.format, detected.mapping.as_str()),
            (format, mapping),
            "{record:?}"
        );
        let (default, named) = match format {
            Format::Judged => both::<JudgedMapping>(mapping, &record),
            Format::Label | Format::Labels | Format::LabeledPair => {
                both::<LabelMapping>(mapping, &record)
            }
            Format::Text => both::<TextMapping>(mapping, &record),
            Format::Steps => continue,
            _ => both::<AnyChat>(mapping, &record),
        };
        assert_eq!(default, named, "{mapping}");
    }
}

/// The example of a record by the mapping that detects, and by one with names.
fn both<M: Detecting<Example: Debug>>(mapping: &str, record: &Document) -> (String, String) {
    let read = |mapping: M| format!("{:?}", mapping.example(record.clone()).unwrap());
    (read(M::default()), read(mapping.parse().unwrap()))
}

#[test]
fn transcripts_are_preferences_between_their_last_turns() {
    let start = "\n\nHuman: Hi.\n\nAssistant: Hello.\n\nHuman: Two lines,\n\nplease.\n\nAssistant:";
    let record =
        document(json!({"chosen": format!("{start} A\n\nB"), "rejected": format!("{start} C")}));
    let preference = PreferenceMapping::default().example(record).unwrap();
    let prompt: Vec<&str> = preference
        .prompt
        .iter()
        .map(|turn| turn.text.as_str())
        .collect();
    assert_eq!(prompt, ["Hi.", "Hello.", "Two lines,\n\nplease."]);
    assert_eq!(
        (&preference.chosen, &preference.rejected),
        (
            &vec![Turn::new(Role::Assistant, "A\n\nB")],
            &vec![Turn::new(Role::Assistant, "C")]
        )
    );
    let silent = document(json!({"chosen": format!("{start} A"), "rejected": start}));
    assert_eq!(
        PreferenceMapping::default()
            .example(silent)
            .unwrap_err()
            .kind(),
        "empty content"
    );
}

#[test]
fn the_most_frequent_format_is_told_with_its_share() {
    let pair = document(json!({"question": "Q", "answer": "A"}));
    let text = document(json!({"text": "T"}));
    let odd = document(json!({"id": 1}));
    let detected = Format::detect(&[text, pair.clone(), odd, pair]).unwrap();
    assert_eq!((detected.records, detected.of), (2, 4));
    let expected = "prompts with completions (question, answer) in 2 of 4 records";
    assert_eq!(detected.to_string(), expected);
    let mut own = document(json!({}));
    own.text = "A text.".into();
    assert_eq!(Format::detect(&[own]).unwrap().to_string(), "plain texts");
}

#[test]
fn an_unknown_format_tells_the_fields_and_what_they_may_be() {
    let error = Format::detect(&[document(json!({"frage": "Q", "anwser": "A"}))]).unwrap_err();
    assert_eq!(error.kind(), "missing field");
    let message = error.to_string();
    for part in [
        "data.jsonl:1",
        "\"anwser\" (text), \"frage\" (text)",
        "--map \"prompt=frage,completion=anwser\"",
        "messages=FIELD",
        "chosen=FIELD",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(Format::detect(&[]).unwrap_err().kind(), "empty data set");
}

/// The message of what is wrong with a file of these records, read as `M`.
fn refused<M: Detecting + Debug>(records: &[Value]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.jsonl");
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let error = Loaders::default()
        .mapping::<M, _>(&[&path], "auto")
        .unwrap_err();
    let folder = format!("{}/", folder.path().display());
    error.to_string().replace(&folder, "")
}

#[test]
fn what_a_mapping_does_not_read_is_named_with_a_mapping_to_try() {
    let judged = json!({"prompt": "Q", "completion": "A", "label": true});
    let pair = json!({"prompt": "Q", "chosen": "A", "rejected": "B"});
    let chat = json!([{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]);
    let chats = json!({"chosen": chat, "rejected": "B", "score_chosen": 1});
    let facts = json!({"id": 1, "questions": ["Q", "R"], "answer": "A", "meta": {"a": 1, "b": 2}});
    let german = json!({"frage": "Q", "antwort": "A", "note": 3});
    let toxic = json!({"comment": "T", "toxic": 0, "threat": 1, "id": 5});
    for (found, expected) in [
        (
            refused::<AnyChat>(std::slice::from_ref(&judged)),
            "data.jsonl:1: found answers judged good or bad (prompt, completion, label); expected conversations, or \
             prompts with completions. Learn those judged good, and leave out the others, with --map \
             \"prompt=prompt,completion=completion,good=label\"",
        ),
        (
            refused::<AnyChat>(std::slice::from_ref(&pair)),
            "data.jsonl:1: found preferences (prompt, chosen, rejected); expected conversations, or prompts with \
             completions. Learn the better answers with --map \"prompt=prompt,completion=chosen\"",
        ),
        (
            refused::<AnyChat>(&[chats]),
            "data.jsonl:1: found preferences (chosen, rejected); expected conversations, or prompts with completions. \
             Learn the better answers with --map \"messages=chosen\"",
        ),
        (
            refused::<AnyChat>(&[facts]),
            "data.jsonl:1: field \"prompt\" is missing (found: \"answer\" (text), \"id\" (number), \"meta\" (object of \
             a, b), \"questions\" (list of texts)). Name the fields with --map \"prompt=questions.0,completion=answer\"; \
             or as \"messages=FIELD\"",
        ),
        (
            refused::<AnyChat>(&[german]),
            "data.jsonl:1: field \"prompt\" is missing (found: \"antwort\" (text), \"frage\" (text), \"note\" (number)). \
             Name the fields with --map \"prompt=FIELD,completion=FIELD\"; or as \"messages=FIELD\"",
        ),
        (
            refused::<AnyPreference>(&[judged]),
            "data.jsonl:1: found answers judged good or bad (prompt, completion, label); expected a better and a worse \
             answer, or rated ones. It has the fields \"completion\" (text), \"label\" (true or false), \"prompt\" (text). \
             If they hold what is expected, name them with --map \"prompt=prompt,chosen=FIELD,rejected=FIELD\"",
        ),
        (
            refused::<LabelMapping>(&[toxic]),
            "data.jsonl:1: field \"text\" is missing (found: \"comment\" (text), \"id\" (number), \"threat\" (number), \
             \"toxic\" (number)). Name the fields with --map \"text=comment,labels=threat|toxic\"",
        ),
        (
            refused::<AnyChat>(&[json!({"text": "T"}), pair.clone(), pair]),
            "data.jsonl:2: found preferences",
        ),
    ] {
        assert!(found.starts_with(expected), "{found}");
    }
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.txt");
    std::fs::write(&page, "A text.").unwrap();
    let error = Loaders::default().mapping::<AnyChat, _>(&[page], "");
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("found plain texts;")
            && error.ends_with("no fields that could be named with --map"),
        "{error}"
    );
}

#[test]
fn a_look_at_the_first_records_says_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let alpaca = path(
        "alpaca.jsonl",
        "{\"instruction\":\"Q\",\"input\":\"I\",\"output\":\"A\"}\nbroken\n{\"id\":1}\n",
    );
    let shared = path(
        "shared.json",
        "[{\"conversations\":[{\"from\":\"human\",\"value\":\"Q\"},{\"from\":\"gpt\",\"value\":\"A\"}]}]",
    );
    let broken = path("broken.jsonl", "{\n");
    let loaders = Loaders::default();
    let (mapping, found) = loaders
        .mapping::<AnyChat, _>(&[&alpaca, &broken, &shared], "")
        .unwrap();
    assert_eq!(mapping, AnyChat::Detect);
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    let expected = [
        format!(
            "{}: Alpaca (instruction, input, output) in 1 of 2 records",
            alpaca.display()
        ),
        format!("{}: ShareGPT (conversations)", shared.display()),
    ];
    assert_eq!(found, expected);
    let (mapping, found) = loaders
        .mapping::<AnyChat, _>(&[&alpaca], "prompt=instruction,completion=output")
        .unwrap();
    assert!(matches!(mapping, AnyChat::Completion(_)) && found.is_empty());
    let none = folder.path().join("none.jsonl");
    assert!(loaders.mapping::<AnyChat, _>(&[none], "").is_err());
    assert!(
        loaders
            .mapping::<AnyChat, _>(&[&alpaca], "promt=a")
            .is_err()
    );
}
