//! The format of a data set is found by its fields.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use finetune_data::mapping::{
    AnyChat, Format, LabelMapping, Mapping, PreferenceMapping, TextMapping,
};
use finetune_data::{Document, Origin, Value};
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
    let worse = json!([{"role": "user", "content": "Q"}, {"role": "assistant", "content": "B"}]);
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
            "prompt=instruction,completion=output",
        ),
        (
            json!({"instruction": "Q", "context": "C", "response": "A", "category": "open"}),
            Format::Alpaca,
            "prompt=instruction,completion=response",
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
            json!({"prompt": "Q", "chosen": "A", "rejected": "B"}),
            Format::Preference,
            "prompt=prompt,chosen=chosen,rejected=rejected",
        ),
        (
            json!({"chosen": openai, "rejected": worse, "score_chosen": 8.0}),
            Format::Preference,
            "chosen=chosen,rejected=rejected",
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
        let read = match format {
            Format::Preference => mapping
                .parse::<PreferenceMapping>()
                .unwrap()
                .example(record)
                .map(drop),
            Format::Label | Format::LabeledPair => mapping
                .parse::<LabelMapping>()
                .unwrap()
                .example(record)
                .map(drop),
            Format::Text => mapping
                .parse::<TextMapping>()
                .unwrap()
                .example(record)
                .map(drop),
            _ => mapping
                .parse::<AnyChat>()
                .unwrap()
                .example(record)
                .map(drop),
        };
        read.unwrap();
    }
}

#[test]
fn a_format_that_no_mapping_reads_is_told_too() {
    for (fields, expected) in [
        (
            json!({"prompt": "Q", "completion": "A", "label": false}),
            Format::Judged,
        ),
        (
            json!({"instruction": "Q", "completions": [{"response": "A", "overall_score": 7}]}),
            Format::Rated,
        ),
    ] {
        let detected = Format::detect(&[document(fields)]).unwrap();
        assert_eq!((detected.format, detected.mapping.as_str()), (expected, ""));
    }
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
        (preference.chosen.as_str(), preference.rejected.as_str()),
        ("A\n\nB", "C")
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
    let expected = "prompts with their completion in 2 of 4 records, by the mapping \"prompt=question,completion=answer\"";
    assert_eq!(detected.to_string(), expected);
    let mut own = document(json!({}));
    own.text = "A text.".into();
    assert_eq!(
        Format::detect(&[own]).unwrap().to_string(),
        "plain texts in 1 of 1 records"
    );
}

#[test]
fn an_unknown_format_tells_the_fields_and_what_they_may_be() {
    let error = Format::detect(&[document(json!({"frage": "Q", "anwser": "A"}))]).unwrap_err();
    assert_eq!(error.kind(), "missing field");
    let message = error.to_string();
    for part in [
        "data.jsonl:1",
        "\"anwser\", \"frage\"",
        "completion=anwser",
        "messages=FIELD",
        "chosen=FIELD",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(Format::detect(&[]).is_err());
}
