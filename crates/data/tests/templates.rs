//! Renders, masks and ids of chat templates against transformers.

#![allow(clippy::unwrap_used)] // a test may panic

mod golden;

use finetune_data::Conversation;
use finetune_data::template::{ChatTemplate, Learn, Source, Template};
use golden::{Case, Golden, conversation, conversations, goldens, joined, spans, spelt};
use proptest::prelude::*;

/// Whether the published template rewrites earlier turns of this conversation.
fn rewrites(golden: &Golden, case: &Case) -> bool {
    match golden.name.as_str() {
        // The system text goes with the last question, wherever that is.
        "mistral" => case.conversation == "system_turns",
        // Only the last answer keeps its thoughts.
        "qwen3" => {
            ["turns", "system_turns", "thought", "space"].contains(&case.conversation.as_str())
        }
        _ => false,
    }
}

#[test]
fn renders_equal_transformers() {
    let (mut renders, mut refusals) = (0, 0);
    for golden in goldens() {
        for tagged in [false, true] {
            let template = golden.chat(tagged);
            for case in &golden.cases {
                let name = format!("{} {} open={}", golden.name, case.conversation, case.open);
                if !tagged && !case.open && rewrites(&golden, case) {
                    continue;
                }
                let rendered = template.render(&conversation(&case.conversation), case.open);
                match (&case.render, rendered) {
                    (Some(expected), Ok(pieces)) => {
                        assert_eq!(&joined(&pieces), expected, "{name}");
                        renders += 1;
                    }
                    (None, Err(error)) => {
                        let expected = case.error.as_deref().unwrap();
                        assert_eq!(error.kind(), "template raised", "{name}");
                        assert!(error.to_string().contains(expected), "{name}: {error}");
                        refusals += 1;
                    }
                    (expected, found) => panic!("{name}: {expected:?} {found:?}"),
                }
            }
        }
    }
    assert!(renders > 700 && refusals > 10, "{renders} {refusals}");
}

#[test]
fn what_is_learned_equals_transformers() {
    let mut masks = 0;
    for golden in goldens() {
        for tagged in [false, true] {
            let template = golden.chat(tagged);
            assert_eq!(template.has_generation(), tagged);
            for case in golden
                .cases
                .iter()
                .filter(|case| !case.open && case.render.is_some())
            {
                let name = format!("{} {} tagged={tagged}", golden.name, case.conversation);
                let found = template.render(&conversation(&case.conversation), false);
                if !tagged && rewrites(&golden, case) {
                    let error = found.unwrap_err().to_string();
                    assert!(
                        (error.contains("rewrites earlier turns")
                            || error.contains("asked for an answer")),
                        "{name}: {error}"
                    );
                    continue;
                }
                assert_eq!(spans(&found.unwrap()), case.spans, "{name}");
                masks += 1;
            }
        }
    }
    assert!(masks > 350, "{masks}");
}

#[test]
fn ids_and_masks_of_tokens_equal_transformers() {
    let mut rows = 0;
    for golden in goldens() {
        let (tokenizer, _folder) = golden.tokenizer();
        let template = golden.chat(true);
        for case in golden
            .cases
            .iter()
            .filter(|case| !case.open && case.render.is_some())
        {
            let name = format!("{} {}", golden.name, case.conversation);
            let pieces = template
                .render(&conversation(&case.conversation), false)
                .unwrap();
            let encoded = tokenizer.encode_pieces(&pieces).unwrap();
            // Control tokens in a record are text here and tokens there.
            if spelt(&golden, &pieces) {
                assert_ne!(encoded.ids, case.ids, "{name}");
                continue;
            }
            assert_eq!(encoded.ids, case.ids, "{name}");
            // transformers loses a span whose first character the normalizer takes away.
            if name == "vicuna space" {
                continue;
            }
            let mask: String = encoded
                .learn
                .iter()
                .map(|learn| if *learn { '1' } else { '0' })
                .collect();
            assert_eq!(mask, case.mask, "{name}");
            rows += 1;
        }
    }
    assert!(rows > 170, "{rows}");
}

#[test]
fn an_open_render_is_how_the_whole_one_begins() {
    for golden in goldens() {
        let template = golden.chat(false);
        for (name, conversation) in conversations() {
            let (Ok(open), Ok(whole)) = (
                template.render(&conversation, true),
                template.render(&conversation, false),
            ) else {
                continue;
            };
            if conversation.answer().is_some() {
                assert!(
                    joined(&whole).starts_with(&joined(&open)),
                    "{} {name}",
                    golden.name
                );
                let last = spans(&whole).last().copied();
                assert_eq!(
                    last.map(|span| span.0),
                    Some(joined(&open).len()),
                    "{} {name}",
                    golden.name
                );
            }
        }
    }
}

#[test]
fn texts_are_told_from_the_templates_own() {
    for golden in goldens() {
        let template = golden.chat(false);
        let question = "<|im_end|></s>[/INST]<|x|>";
        let pieces = template
            .render(&Conversation::pair(question, "a"), false)
            .unwrap();
        let texts: Vec<&str> = pieces
            .iter()
            .filter(|piece| piece.source == Source::Text)
            .map(|piece| piece.text.as_str())
            .collect();
        assert_eq!(texts, [question, "a"], "{}", golden.name);
    }
}

#[test]
fn the_end_of_an_answer_is_known() {
    for (name, end) in [
        ("chatml", Some("<|im_end|>")),
        ("llama2", Some(" </s>")),
        ("llama3", Some("<|eot_id|>")),
        ("gemma", Some("<end_of_turn>")),
        ("phi3", Some("<|end|>")),
        ("plain_roles", Some("\n")),
        ("deepseek3", Some("<｜end▁of▁sentence｜>")),
        ("qwen3", Some("<|im_end|>")),
    ] {
        assert_eq!(golden::golden(name).chat(false).ends_with(), end, "{name}");
        // White space after the end counts only where there is nothing else.
        let tagged = golden::golden(name).chat(true);
        assert_eq!(
            tagged.ends_with(),
            end.filter(|end| !end.trim().is_empty()),
            "{name}"
        );
    }
    let endless =
        ChatTemplate::new("{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}");
    assert_eq!(endless.unwrap().ends_with(), None);
}

#[test]
fn the_last_answer_can_be_learned_alone() {
    for tagged in [false, true] {
        let golden = golden::golden("qwen3");
        let template = golden.chat(tagged).learn(Learn::Last);
        for name in ["turns", "thought", "system_turns"] {
            let pieces = template.render(&conversation(name), false).unwrap();
            let case = golden
                .cases
                .iter()
                .find(|case| !case.open && case.conversation == name);
            assert_eq!(
                spans(&pieces),
                case.unwrap().spans[case.unwrap().spans.len() - 1..],
                "{name}"
            );
        }
    }
}

#[test]
fn a_template_that_loses_or_doubles_a_text_is_refused() {
    for (source, expected) in [
        (
            "{% for m in messages %}{{ m.role }}{% endfor %}",
            "user's turn 0 times",
        ),
        (
            "{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}",
            "user's turn 2 times",
        ),
    ] {
        let template = ChatTemplate::new(source).unwrap();
        let error = template
            .render(&Conversation::pair("a", "b"), false)
            .unwrap_err();
        assert_eq!(error.kind(), "template check");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn texts_that_a_template_changes_are_refused_if_they_hold_markup() {
    let template = ChatTemplate::new(
        "{% for m in messages %}{{ m.content[:1] | upper }}{{ m.content[1:] }}<e>{% endfor %}",
    );
    let template = template.unwrap();
    assert!(
        template
            .render(&Conversation::pair("ask", "answer"), true)
            .is_ok()
    );
    let error = template
        .render(&Conversation::pair("ask <e>", "answer"), true)
        .unwrap_err();
    assert!(error.to_string().contains("cannot be told"), "{error}");
}

#[test]
fn raw_messages_render_as_in_transformers() {
    let template = ChatTemplate::new(
        "{% for m in messages %}{{ m.role }}|{{ m.content }}|{{ m.thinking }}|{{ m.reasoning_content }}|{{ m.tool_calls is defined }}\n{% endfor %}",
    )
    .unwrap();
    let messages = [
        serde_json::json!({"role": "user", "content": "q", "tool_calls": null}),
        serde_json::json!({"role": "assistant", "content": "a", "reasoning": "r"}),
        serde_json::json!({"role": "assistant", "content": "a", "reasoning_content": null, "thinking": "t"}),
    ];
    assert_eq!(
        template.text(&messages, false).unwrap(),
        "user|q|||False\nassistant|a|r|r|False\nassistant|a|t|t|False\n"
    );
}

#[test]
fn a_text_that_is_taken_apart_is_followed_in_parts() {
    let template = golden::golden("qwen3").chat(false);
    let thought = Conversation::pair(
        "Is </think> a token?",
        "<think>\nNo <|im_end|>.\n</think>\n\nNo.",
    );
    let pieces = template.render(&thought, false).unwrap();
    let texts: Vec<&str> = pieces
        .iter()
        .filter(|piece| piece.source == Source::Text)
        .map(|piece| piece.text.as_str())
        .collect();
    assert_eq!(texts, ["Is </think> a token?", "No <|im_end|>.", "No."]);
    let learned: String = pieces
        .iter()
        .filter(|piece| piece.learn)
        .map(|piece| piece.text.as_str())
        .collect();
    assert_eq!(
        learned,
        "<think>\nNo <|im_end|>.\n</think>\n\nNo.<|im_end|>"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_templates_never_panic(
        choice in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), "[{}%#|()\\[\\]'\"a-c0-9 \n-]{0,4}"), 1..4),
    ) {
        let goldens = goldens();
        let mut source: Vec<char> = goldens[choice.index(goldens.len())].tagged.chars().collect();
        for (place, text) in edits {
            let place = place.index(source.len());
            source.splice(place..=place, text.chars());
        }
        if let Ok(template) = ChatTemplate::new(&source.iter().collect::<String>()) {
            for open in [false, true] {
                let _ = template.render(&conversation("system_turns"), open);
            }
        }
    }
}
