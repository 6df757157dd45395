//! Preferences in the forms of the usual data sets: one record of each, found and read.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use finetune_data::mapping::{
    AnyPreference, ComparisonMapping, Format, JudgedMapping, Mapping, Margin, PreferenceMapping,
    RatedMapping, Rating,
};
use finetune_data::quality::{Sample, Target};
use finetune_data::{
    DataError, Document, Loaders, OnError, Origin, Preference, Role, ToolCall, Turn, Value,
};
use proptest::prelude::*;
use serde_json::{Map, json};

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

fn message(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

/// Turns as `s:`, `u:` and `a:` texts.
fn shown(turns: &[Turn]) -> Vec<String> {
    turns
        .iter()
        .map(|turn| format!("{}:{}", &turn.role.name()[..1], turn.text))
        .collect()
}

/// What an answer of one turn says.
fn said(answer: &[Turn]) -> &str {
    let [turn] = answer else {
        panic!("{answer:?}");
    };
    &turn.text
}

/// A record of each data set with its format and the turns of its prompt; the better answer is `A`, the worse `B`.
fn pairs() -> Vec<(&'static str, Value, &'static [&'static str])> {
    let (user, good, bad) = (
        message("user", "Q"),
        message("assistant", "A"),
        message("assistant", "B"),
    );
    let asked = "\n\nHuman: P\n\nAssistant: R\n\nHuman: Q\n\nAssistant:";
    vec![
        (
            "TRL, standard, explicit prompt",
            json!({"prompt": "Q", "chosen": "A", "rejected": "B"}),
            &["u:Q"],
        ),
        (
            "TRL, conversational, explicit prompt",
            json!({"prompt": [user], "chosen": [good], "rejected": [bad]}),
            &["u:Q"],
        ),
        (
            "TRL, conversational, implicit prompt",
            json!({"chosen": [user, good], "rejected": [user, bad]}),
            &["u:Q"],
        ),
        (
            "H4, binarized",
            json!({"prompt": "Q", "chosen": [user, good], "rejected": [user, bad], "messages": [user, good],
                   "score_chosen": 8.0, "score_rejected": 6.5}),
            &["u:Q"],
        ),
        (
            "HH-RLHF",
            json!({"chosen": format!("{asked} A"), "rejected": format!("{asked} B")}),
            &["u:P", "a:R", "u:Q"],
        ),
        (
            "Intel, orca",
            json!({"system": "S", "question": "Q", "chosen": "A", "rejected": "B"}),
            &["s:S", "u:Q"],
        ),
        (
            "Argilla, cleaned",
            json!({"prompt": "Q", "chosen": [user, good], "chosen-rating": 4.5, "chosen-model": "x",
                   "rejected": [user, bad], "rejected-rating": 2.0}),
            &["u:Q"],
        ),
        (
            "Argilla, mean of ratings",
            json!({"instruction": "Q", "chosen_response": "A", "rejected_response": "B",
                   "chosen_avg_rating": 4.5, "rejected_avg_rating": 2.0}),
            &["u:Q"],
        ),
        (
            "Alpaca with two outputs",
            json!({"instruction": "Q", "input": "I", "chosen": "A", "rejected": "B"}),
            &["u:Q\n\nI"],
        ),
        (
            "ShareGPT with two answers",
            json!({"conversations": [{"from": "human", "value": "Q"}],
                   "chosen": {"from": "gpt", "value": "A"}, "rejected": {"from": "gpt", "value": "B"}}),
            &["u:Q"],
        ),
        (
            "OpenAI",
            json!({"input": {"messages": [user], "tools": [], "parallel_tool_calls": true},
                   "preferred_output": [good], "non_preferred_output": [bad]}),
            &["u:Q"],
        ),
        (
            "Stack Exchange, paired",
            json!({"question": "Q", "response_j": "A", "response_k": "B", "qid": 1}),
            &["u:Q"],
        ),
    ]
}

fn comparisons() -> Vec<(&'static str, Value, &'static [&'static str])> {
    let chat = |text: &str| json!([message("user", "Q"), message("assistant", text)]);
    vec![
        (
            "SHP, first",
            json!({"history": "Q", "human_ref_A": "A", "human_ref_B": "B", "labels": 1, "score_A": 9}),
            &["u:Q"],
        ),
        (
            "SHP, second",
            json!({"history": "Q", "human_ref_A": "B", "human_ref_B": "A", "labels": 0}),
            &["u:Q"],
        ),
        (
            "PKU-SafeRLHF",
            json!({"prompt": "Q", "response_0": "B", "response_1": "A", "is_response_0_safe": true,
                   "better_response_id": 1, "safer_response_id": 0}),
            &["u:Q"],
        ),
        (
            "AlpacaFarm",
            json!({"instruction": "Q", "input": "I", "output_1": "B", "output_2": "A", "preference": 2.0}),
            &["u:Q\n\nI"],
        ),
        (
            "HelpSteer2",
            json!({"prompt": "Q", "response_1": "A", "response_2": "B", "preference_strength": -2}),
            &["u:Q"],
        ),
        (
            "chatbot arena",
            json!({"question_id": "x", "model_a": "m", "conversation_a": chat("B"), "conversation_b": chat("A"),
                   "winner": "model_b"}),
            &["u:Q"],
        ),
        (
            "WebGPT",
            json!({"question": {"full_text": "Q", "id": "x"}, "answer_0": "A", "answer_1": "B",
                   "score_0": 0.5, "score_1": -0.5}),
            &["u:Q"],
        ),
        (
            "summaries from feedback",
            json!({"info": {"post": "Q", "title": "T"}, "summaries": [{"text": "B"}, {"text": "A"}], "choice": 1}),
            &["u:Q"],
        ),
        (
            "responses with a choice",
            json!({"prompt": "Q", "responses": ["A", "B"], "choice": 0}),
            &["u:Q"],
        ),
    ]
}

/// A completion of `UltraFeedback`, rated in two aspects.
fn rated(text: &str, overall: f64, aspects: [&str; 2]) -> Value {
    let [helpful, honest] = aspects.map(|rating| json!({"Rating": rating, "Rationale": "3 of 5"}));
    json!({"model": "m", "response": text, "overall_score": overall,
           "annotations": {"helpfulness": helpful, "honesty": honest}})
}

fn lists() -> Vec<(&'static str, Value, &'static [&'static str])> {
    vec![
        (
            // The overall score of 10 is the known fault of some copies.
            "UltraFeedback",
            json!({"source": "s", "instruction": "Q", "models": ["m"], "completions": [
                rated("C", 7.0, ["4", "N/A"]), rated("A", 8.0, ["5", "4"]),
                rated("B", 10.0, ["1", "2"]), rated("D", 1.0, ["N/A", "N/A"]),
            ]}),
            &["u:Q"],
        ),
        (
            "UltraFeedback without aspects",
            json!({"instruction": "Q", "completions": [
                {"response": "B", "overall_score": 3}, {"response": "A", "overall_score": "7.5"},
            ]}),
            &["u:Q"],
        ),
        (
            "distilabel",
            json!({"instruction": "Q", "generations": ["C", "B", "A"], "ratings": [3, 1, 5]}),
            &["u:Q"],
        ),
        (
            "Nectar",
            json!({"prompt": "\n\nHuman: Q\n\nAssistant: ", "answers": [
                {"answer": "B", "model": "x", "rank": 7.0}, {"answer": "A", "model": "y", "rank": 1.0},
                {"answer": "C", "model": "z", "rank": 2.0},
            ]}),
            &["u:Q"],
        ),
        (
            "texts with rewards",
            json!({"prompt": [message("system", "S"), message("user", "Q")], "responses": ["A", "B"],
                   "rewards": [0.1, -3.5]}),
            &["s:S", "u:Q"],
        ),
    ]
}

#[test]
fn every_form_is_found_and_read_and_its_mapping_reads_the_same() {
    let forms = [
        (Format::Preference, pairs()),
        (Format::Comparison, comparisons()),
        (Format::Rated, lists()),
    ];
    for (format, records) in forms {
        for (name, fields, prompt) in records {
            let record = document(fields);
            let detected = Format::detect(std::slice::from_ref(&record)).unwrap();
            assert_eq!(detected.format, format, "{name}");
            let found = AnyPreference::Detect.example(record.clone()).unwrap();
            assert_eq!(shown(&found.prompt), prompt, "{name}");
            let answers = (said(&found.chosen), said(&found.rejected));
            assert_eq!(answers, ("A", "B"), "{name}");
            let mapping: AnyPreference = detected.mapping.parse().unwrap();
            assert_ne!(mapping, AnyPreference::Detect, "{name}");
            assert_eq!(
                mapping.example(record).unwrap(),
                found,
                "{name}: {detected}"
            );
        }
    }
}

#[test]
fn answers_without_a_prompt_begin_with_it() {
    let read = |chosen: &str, rejected: &str| {
        PreferenceMapping::default()
            .example(document(json!({"chosen": chosen, "rejected": rejected})))
            .map(|found| {
                let answers =
                    [&found.chosen, &found.rejected].map(|answer| said(answer).to_owned());
                let [chosen, rejected] = answers;
                (shown(&found.prompt), chosen, rejected)
            })
    };
    let (prompt, chosen, rejected) = read("The sky is greyish.", "The sky is green.").unwrap();
    assert_eq!(prompt, ["u:The sky is"]);
    assert_eq!(
        (chosen.as_str(), rejected.as_str()),
        (" greyish.", " green.")
    );
    let (prompt, chosen, _) = read("Ölig ist größer", "Ölig ist größe").unwrap();
    assert_eq!(
        (prompt[0].as_str(), chosen.as_str()),
        ("u:Ölig ist", " größer")
    );
    assert_eq!(read("one", "two").unwrap_err().kind(), "missing field");
    assert_eq!(
        read("The sky", "The sky").unwrap_err().kind(),
        "no preference"
    );
    assert_eq!(read("The sky", "The ").unwrap_err().kind(), "empty content");
}

/// The reason for which a record is left out.
fn reason<M: Mapping>(mapping: &M, fields: Value) -> &'static str
where
    M::Example: std::fmt::Debug,
{
    match mapping.example(document(fields)).unwrap_err() {
        DataError::LeftOut { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn what_says_nothing_of_which_is_better_is_left_out_with_its_reason() {
    let any = AnyPreference::Detect;
    let list =
        |ratings: Value| json!({"prompt": "Q", "responses": ["A", "B", "C"], "scores": ratings});
    for (fields, expected) in [
        (list(json!([2, 2.0, "2"])), "rated equal"),
        (list(json!([2, null, "N/A"])), "without two rated answers"),
        (
            json!({"prompt": "Q", "responses": ["A"], "scores": [5]}),
            "without two rated answers",
        ),
        (
            json!({"prompt": "Q", "responses": ["A", "A"], "scores": [5, 1]}),
            "of equal answers",
        ),
        (
            json!({"prompt": "Q", "chosen": "A", "rejected": "B", "score_chosen": 4, "score_rejected": 4.0}),
            "rated equal",
        ),
        (
            json!({"conversation_a": [], "conversation_b": [], "winner": "tie (bothbad)"}),
            "without a winner",
        ),
        (
            json!({"prompt": "Q", "response_1": "A", "response_2": "B", "preference_strength": 0}),
            "without a winner",
        ),
        (
            json!({"prompt": "Q", "response_0": "A", "response_1": "B", "better_response_id": null}),
            "without a winner",
        ),
        (
            json!({"question": {"full_text": "Q"}, "answer_0": "A", "answer_1": "B", "score_0": 0.0, "score_1": -0.0}),
            "rated equal",
        ),
    ] {
        assert_eq!(reason(&any, fields.clone()), expected, "{fields}");
    }
    let wide: AnyPreference = "answers=responses,score=scores,margin=2".parse().unwrap();
    assert_eq!(
        reason(&wide, list(json!([2, 3.5, 3]))),
        "rated within the margin"
    );
    assert!(wide.example(document(list(json!([2, 4, 3])))).is_ok());
    let wide = PreferenceMapping {
        margin: Margin::new(3.0).unwrap(),
        ..PreferenceMapping::default()
    };
    // The pair is the data set's own choice: lower ratings may be better there.
    let pair = |rejected| json!({"prompt": "Q", "chosen": "A", "rejected": "B", "chosen-rating": 1, "rejected-rating": rejected});
    assert_eq!(reason(&wide, pair(3)), "rated within the margin");
    assert_eq!(said(&wide.example(document(pair(5))).unwrap().chosen), "A");
}

#[test]
fn left_out_records_are_counted_under_the_strictest_policy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.jsonl");
    let lines = [
        json!({"prompt": "Q", "responses": ["A", "B"], "scores": [5, 1]}),
        json!({"prompt": "Q", "responses": ["A", "B"], "scores": [3, 3]}),
        json!({"prompt": "Q", "responses": ["A"], "scores": [3]}),
        json!({"prompt": "Q", "responses": ["A", "B"], "scores": [3, 3]}),
    ];
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(&path, text.join("\n")).unwrap();
    let mapping = AnyPreference::Detect;
    let (kept, counts) = Loaders::default()
        .examples(&[&path], &OnError::Stop, &mapping)
        .unwrap();
    assert_eq!(kept.len(), 1);
    assert!(counts.balanced());
    assert_eq!(
        counts.to_string(),
        "4 read from 1 files: 1 kept, 2 rated equal, 1 without two rated answers"
    );
    std::fs::write(&path, text[1..3].join("\n")).unwrap();
    let error = Loaders::default()
        .examples(&[&path], &OnError::Stop, &mapping)
        .unwrap_err();
    assert!(error.to_string().contains("2 left out"), "{error}");
}

#[test]
fn broken_ratings_and_choices_are_errors() {
    let any = AnyPreference::Detect;
    for (fields, kind, part) in [
        (
            json!({"prompt": "Q", "responses": ["A", "B"], "scores": [5]}),
            "unexpected value",
            "one for each of 2 answers",
        ),
        (
            json!({"history": "Q", "human_ref_A": "A", "human_ref_B": "B", "labels": 7}),
            "unexpected value",
            "found \"7\"; expected 1 (the first) or 0 (the second)",
        ),
        (
            json!({"history": "Q", "human_ref_A": "A", "human_ref_B": "B", "labels": [1]}),
            "unexpected value",
            "\"[1]\"",
        ),
        (
            json!({"prompt": "Q", "completions": [{"response": "A", "score": 1}, {"response": 5, "score": 2}]}),
            "wrong type",
            "completions.1",
        ),
        (
            json!({"prompt": "Q", "completions": [{"response": "A", "score": 1}, {"response": " ", "score": 2}]}),
            "empty content",
            "completions.1",
        ),
        // A choice among three says nothing of the other two.
        (
            json!({"prompt": "Q", "responses": ["A", "B", "C"], "choice": 0}),
            "missing field",
            "\"responses\" (list of texts)",
        ),
        (
            json!({"prompt": "Q", "completion": "A"}),
            "other format",
            "prompts with completions (prompt, completion)",
        ),
        (
            json!({"prompt": "Q", "completions": ["A", "B"], "labels": [true, false]}),
            "other format",
            "steps judged one by one (prompt, completions, labels)",
        ),
        (
            json!({"input": {"messages": [message("user", "Q")], "tools": [{"type": "function"}]},
                   "preferred_output": [message("assistant", "A")],
                   "non_preferred_output": [message("assistant", "B")]}),
            "missing field",
            "tools.0.name",
        ),
        (
            json!({"input": {"messages": [message("user", "Q")], "tools": [{"name": "f"}]}, "tools": [{"name": "g"}],
                   "preferred_output": [message("assistant", "A")],
                   "non_preferred_output": [message("assistant", "B")]}),
            "unexpected value",
            "input.tools",
        ),
        (
            json!({"prompt": "Q", "rejected": "B", "chosen": [
                {"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": {}}}]},
                {"role": "tool", "tool_call_id": "y", "content": "R"}, message("assistant", "A"),
            ]}),
            "role order",
            "the result of the call \"y\"",
        ),
        (
            json!({"prompt": "Q", "rejected": "B", "chosen": [
                {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
                {"role": "tool", "content": "R"},
            ]}),
            "role order",
            "tool last",
        ),
        (
            json!({"prompt": "Q", "rejected": "B", "chosen": [
                message("assistant", "A"), message("user", "R"), message("assistant", "C"),
            ]}),
            "unsupported",
            "several turns",
        ),
    ] {
        let error = any.example(document(fields)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    for text in [
        "first=a,second=b",
        "first=a,choice=c",
        "first=a,second=b,choice=c,margin=1",
        "first=a,second=b,first_score=c",
        "answers=a,score=b,rank=c",
        "answers=a,score=b,margin=-1",
    ] {
        let error = text.parse::<AnyPreference>().unwrap_err();
        assert_eq!(error.kind(), "setting", "{text}: {error}");
    }
}

#[test]
fn names_can_be_given_to_answers_and_choices() {
    let record = json!({"frage": "Q", "eins": "B", "zwei": "A", "urteil": "Zweite"});
    let mapping: ComparisonMapping =
        "prompt=frage,first=eins,second=zwei,choice=urteil,first_if=erste|1,second_if=zweite|2"
            .parse()
            .unwrap();
    assert_eq!(
        said(&mapping.example(document(record)).unwrap().chosen),
        "A"
    );
    let record = json!({"frage": "Q", "liste": [{"t": "B", "n": {"note": 5}}, {"t": "A", "n": {"note": 1}}]});
    let mapping: RatedMapping = "prompt=frage,answers=liste,answer=t,rank=n.note"
        .parse()
        .unwrap();
    assert_eq!(mapping.rating, Rating::Rank("n.note".into()));
    assert_eq!(
        said(&mapping.example(document(record)).unwrap().chosen),
        "A"
    );
}

/// Calls, results and thoughts stay in the answers, wherever the tools are declared.
#[test]
fn answers_may_call_tools_and_think() {
    let called = json!({"role": "assistant", "thinking": "T", "tool_calls": [
        {"id": "x", "function": {"name": "f", "arguments": {"a": 1}}},
    ]});
    let result = json!({"role": "tool", "tool_call_id": "x", "content": "R"});
    let mut call = ToolCall::new("f", json!({"a": 1}));
    call.id = Some("x".into());
    let call = Turn::new(Role::Assistant, "").thinking("T").calling([call]);
    let (user, good) = (message("user", "Q"), message("assistant", "A"));
    let tools = json!([{"name": "f", "parameters": {}}]);
    let framed = [json!({"type": "function", "function": {"name": "f", "parameters": {}}})];
    for fields in [
        json!({"prompt": [user], "chosen": [called, result, good], "rejected": "B", "tools": tools}),
        json!({"chosen": [user, called, result, good], "rejected": [user, message("assistant", "B")],
               "tools": tools.to_string()}),
        json!({"input": {"messages": [user], "tools": tools}, "preferred_output": [called, result, good],
               "non_preferred_output": [message("assistant", "B")]}),
    ] {
        let found = AnyPreference::Detect
            .example(document(fields.clone()))
            .unwrap();
        assert_eq!(found.tools, framed, "{fields}");
        assert_eq!(shown(&found.prompt), ["u:Q"], "{fields}");
        assert_eq!(found.chosen[0], call, "{fields}");
        assert_eq!(shown(&found.chosen), ["a:", "t:R", "a:A"], "{fields}");
        assert_eq!(said(&found.rejected), "B", "{fields}");
        let [chosen, rejected] = found.conversations();
        assert_eq!(shown(&chosen.turns), ["u:Q", "a:", "t:R", "a:A"]);
        assert_eq!(shown(&rejected.turns), ["u:Q", "a:B"]);
        assert_eq!(
            (&chosen.tools, &rejected.tools),
            (&found.tools, &found.tools)
        );
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Preference>(&text).unwrap(), found);
    }
    let judged = json!({"prompt": [user], "completion": [called], "label": true, "tools": tools});
    let judged = JudgedMapping::default().example(document(judged)).unwrap();
    assert_eq!(
        (&judged.tools[..], &judged.answer[..]),
        (&framed[..], &[call][..])
    );
    assert_eq!(shown(&judged.conversation().turns), ["u:Q", "a:"]);
    // A call is no answer that could be compared with another one.
    assert_eq!(Sample::from(&judged).target, Target::Text);
    let judged = json!({"prompt": "Q", "completion": "A", "label": false});
    let judged = JudgedMapping::default().example(document(judged)).unwrap();
    let sample = Sample::from(&judged);
    let (prompt, answer) = ("Q".into(), "A".into());
    assert_eq!(sample.target, Target::Answer { prompt, answer });
    assert_eq!((&*sample.text, sample.origin.place), ("Q\nA", 1));
    // The answers differ behind the call.
    let fields = json!({"chosen": [user, called, result, good],
                        "rejected": [user, called, result, message("assistant", "B")], "tools": tools});
    let found = AnyPreference::Detect.example(document(fields)).unwrap();
    assert_eq!(shown(&found.prompt), ["u:Q", "a:", "t:R"]);
    assert_eq!((said(&found.chosen), said(&found.rejected)), ("A", "B"));
}

proptest! {
    /// The pair is the first of the highest against the first of the lowest, whatever the order of the others.
    #[test]
    fn the_best_is_preferred_to_the_worst(ratings in proptest::collection::vec(0_u8..5, 2..7)) {
        let answers: Vec<Value> = ratings
            .iter()
            .enumerate()
            .map(|(index, rating)| json!({"text": index.to_string(), "score": rating}))
            .collect();
        let mut fields = Map::new();
        fields.insert("prompt".into(), json!("Q"));
        fields.insert("answers".into(), Value::Array(answers));
        let first = |wanted: u8| ratings.iter().position(|rating| *rating == wanted).unwrap().to_string();
        let (high, low) = (*ratings.iter().max().unwrap(), *ratings.iter().min().unwrap());
        let found = RatedMapping::default().example(document(Value::Object(fields)));
        if high == low {
            prop_assert_eq!(found.unwrap_err().kind(), "left out");
        } else {
            let found = found.unwrap();
            let answers = (said(&found.chosen).to_owned(), said(&found.rejected).to_owned());
            prop_assert_eq!(answers, (first(high), first(low)));
        }
    }
}
