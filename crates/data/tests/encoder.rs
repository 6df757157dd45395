//! Rows for training: order, policies, counts, and texts that try to be control tokens.

#![allow(clippy::unwrap_used)] // a test may panic

mod golden;

use finetune_data::encode::{Encoded, Encoder, Truncation, Untrainable};
use finetune_data::template::{Alpaca, ChatTemplate, Plain, QuestionAnswer, Template, Templates};
use finetune_data::tokenizer::Tokenizer;
use finetune_data::{Conversation, Label, Labeled, Origin, PlainText, Role, Turn};
use golden::{conversations, golden, goldens, open, read, tokenizer};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

fn trained() -> Tokenizer {
    Tokenizer::open(golden::folder().join("trained")).unwrap()
}

fn encoder(template: impl Template + 'static) -> Encoder {
    Encoder::new(trained(), Box::new(template))
}

fn learned(encoder: &Encoder, encoded: &Encoded) -> String {
    let shown = encoder.show(encoded).filter(|(_, learned)| *learned);
    shown.map(|(text, _)| text).collect()
}

#[test]
fn completions_have_the_ids_and_masks_of_trl() {
    type Entry = (String, String, String, String, Vec<u32>, usize);
    let entries: Vec<Entry> = serde_json::from_str(&read("completions.json")).unwrap();
    for (name, eos, prompt, completion, ids, start) in entries {
        let (tokenizer, _folder) = open(&tokenizer(&name), &json!({"eos_token": eos}));
        let encoder = Encoder::new(tokenizer, Box::new(Plain::new("")));
        let encoded = encoder
            .encode(&Conversation::pair(&prompt, &completion))
            .unwrap();
        assert_eq!(encoded.ids, ids, "{name} {prompt:?} {completion:?}");
        let first = encoded.learn.iter().position(|&learn| learn).unwrap();
        assert!(encoded.learn[first..].iter().all(|&learn| learn));
        // Where the prompt ends within a word, the ids part earlier than the texts: what differs before the token on
        // the border is the prompt's own.
        let within = prompt == "The learning ra" || prompt == "Grüße,";
        assert!(
            first == start || within && first >= start,
            "{name} {prompt:?} {first} {start}"
        );
    }
}

#[test]
fn rows_are_packed_as_by_trl() {
    let cases: Vec<(Vec<usize>, usize, Vec<Vec<usize>>)> =
        serde_json::from_str(&read("packing.json")).unwrap();
    for (lengths, capacity, groups) in cases {
        assert_eq!(
            finetune_data::pack::pack(&lengths, capacity),
            groups,
            "{lengths:?} {capacity}"
        );
    }
}

#[test]
fn every_template_ends_an_answer_with_the_eos_token() {
    let pair = Conversation::pair("What is a batch?", "Rows.");
    for template in [
        "plain",
        "alpaca",
        "question-answer",
        "custom:{prompt} => {completion}",
        "chat",
    ] {
        let tokenizer = trained();
        let template = Templates::default().get(template, &tokenizer).unwrap();
        let encoder = Encoder::new(tokenizer, template);
        let encoded = encoder.encode(&pair).unwrap();
        assert_eq!(encoded.ids.first(), encoder.tokenizer().bos().as_ref());
        assert_eq!(encoded.ids.last(), encoder.tokenizer().eos().as_ref());
        assert_eq!(learned(&encoder, &encoded).trim_start(), "Rows.</s>");
        assert!(!encoder.double_bos(&encoded));
        let prompt = encoder.prompt(&pair).unwrap();
        assert_eq!(encoded.ids[..prompt.len()], prompt);
        assert_eq!(encoder.stops(), [1]);
    }
    let error = Templates::default()
        .get("alpca", &trained())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("plain, alpaca, question-answer, chat, custom; did you mean \"alpaca\"?"),
        "{error}"
    );
}

#[test]
fn rows_keep_their_order_whatever_the_number_of_threads() {
    let conversations: Vec<Conversation> = (0..500)
        .map(|number| {
            let answer = "word ".repeat(number % 17 + 1);
            Conversation::pair(format!("Question {number}"), answer)
                .with_origin(Origin::new("a.jsonl", number as u64))
        })
        .collect();
    let encode = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let encoder = encoder(QuestionAnswer::default())
            .length(40)
            .truncation(Truncation::Drop);
        pool.install(|| encoder.encode_all(&conversations)).unwrap()
    };
    let (rows, report) = encode(1);
    assert_eq!(encode(4), (rows.clone(), report.clone()));
    let places: Vec<u64> = rows.iter().map(|row| row.origin.place).collect();
    assert!(places.is_sorted() && places.len() < 500);
    assert_eq!(report.rows, 500);
    assert_eq!(report.kept, rows.len() as u64);
    assert_eq!(report.kept + report.dropped(), report.rows);
    assert_eq!(
        report.tokens,
        rows.iter()
            .map(|row| row.encoded.ids.len() as u64)
            .sum::<u64>()
    );
    assert!(report.longest > 40 && rows.iter().all(|row| row.encoded.ids.len() <= 40));
}

#[test]
fn policies_cut_drop_or_refuse_and_say_so() {
    let long =
        Conversation::pair("word ".repeat(60), "answer").with_origin(Origin::new("d.jsonl", 7));
    let short = Conversation::pair("a", "b");
    let both = [short, long.clone()];
    let with = |truncation| encoder(Plain::default()).length(24).truncation(truncation);
    let error = with(Truncation::Refuse)
        .encode_all(&both)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("d.jsonl:7: the row has") && error.contains("limit 24"),
        "{error}"
    );
    assert_eq!(
        with(Truncation::Drop).encode(&long).unwrap_err().kind(),
        "too many tokens"
    );
    let (rows, report) = with(Truncation::Drop).encode_all(&both).unwrap();
    assert_eq!((rows.len(), report.too_long, report.cut), (1, 1, 0));
    let (rows, report) = with(Truncation::CutPrompt).encode_all(&both).unwrap();
    assert_eq!((rows.len(), report.cut), (2, 1));
    assert_eq!(report.cut_tokens, report.longest - 24);
    let encoder = with(Truncation::CutPrompt);
    assert_eq!(learned(&encoder, &rows[1].encoded), "answer</s>");
    assert_eq!(rows[1].encoded.ids[0], 0);
    let error = with(Truncation::CutRight).encode_all(&both).unwrap_err();
    assert_eq!(error.kind(), "no trainable tokens");
    let text = error.to_string();
    assert!(
        text.contains("d.jsonl:7")
            && text.contains("completion starts at token")
            && text.contains("cut to 24"),
        "{text}"
    );
    let dropping = with(Truncation::CutRight).untrainable(Untrainable::Drop);
    let (rows, report) = dropping.encode_all(&both).unwrap();
    assert_eq!(
        (rows.len(), report.untrainable, report.dropped()),
        (1, 1, 1)
    );
}

#[test]
fn the_first_error_in_order_is_reported() {
    let mut conversations: Vec<Conversation> =
        (0..200).map(|_| Conversation::pair("a", "b")).collect();
    for number in [150, 20, 90] {
        conversations[number] =
            Conversation::prompt("no answer").with_origin(Origin::new("x.jsonl", number as u64));
    }
    for _ in 0..5 {
        let error = encoder(Plain::default())
            .encode_all(&conversations)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("x.jsonl:20: turn 2"), "{error}");
    }
}

#[test]
fn two_bos_tokens_are_noticed() {
    struct Doubled;
    impl Template for Doubled {
        fn render(
            &self,
            conversation: &Conversation,
            open: bool,
        ) -> finetune_data::Result<Vec<finetune_data::template::Piece>> {
            let mut pieces = vec![finetune_data::template::Piece::literal("<s>")];
            pieces.extend(
                Plain::default()
                    .render(conversation, open)?
                    .into_iter()
                    .rev(),
            );
            pieces.rotate_right(1);
            pieces.insert(0, finetune_data::template::Piece::begin());
            Ok(pieces)
        }
    }
    let encoder = encoder(Doubled);
    let pair = Conversation::pair("a", "b");
    let pieces = encoder.template().render(&pair, false).unwrap();
    assert_eq!(pieces[0], finetune_data::template::Piece::begin());
    let encoded = encoder.tokenizer().encode_pieces(&[
        finetune_data::template::Piece::begin(),
        finetune_data::template::Piece::literal("<s>a"),
    ]);
    assert!(encoder.double_bos(&encoded.unwrap()));
}

#[test]
fn texts_become_blocks_that_end_with_eos() {
    let encoder = encoder(Plain::default()).length(16);
    let text = |text: &str, place: u64| PlainText {
        text: text.to_owned(),
        origin: Origin::new("t.txt", place),
    };
    let texts = [text(&"one two three ".repeat(10), 1), text("short", 2)];
    let (rows, report) = encoder.text(&texts).unwrap();
    assert!(rows.len() > 4 && rows.iter().all(|row| row.encoded.ids.len() <= 16));
    assert_eq!(report.rows, 2);
    assert_eq!(report.kept, rows.len() as u64);
    let first: Vec<&Encoded> = rows
        .iter()
        .filter(|row| row.origin.place == 1)
        .map(|row| &row.encoded)
        .collect();
    assert_eq!(
        (first[0].ids[0], first.last().unwrap().ids.last()),
        (0, Some(&1))
    );
    // Put together without what they repeat, the blocks are the text.
    let mut ids = first[0].ids.clone();
    for block in &first[1..] {
        assert_eq!(
            (block.learn[0], block.ids[0]),
            (false, *ids.last().unwrap())
        );
        ids.extend(&block.ids[1..]);
    }
    assert_eq!(encoder.tokenizer().decode(&ids).unwrap(), texts[0].text);
    assert_eq!(
        report.learned as usize,
        ids.len() - 1 + rows.last().unwrap().encoded.ids.len() - 1
    );
    let error = encoder.context(16).text(&texts).unwrap_err().to_string();
    assert!(
        error.contains("length: found 16; expected more than the context of 16 tokens"),
        "{error}"
    );
}

#[test]
fn labelled_pairs_have_kinds_and_keep_their_order() {
    let (tokenizer, _folder) = open(&tokenizer("words"), &json!({}));
    let encoder = Encoder::new(tokenizer, Box::new(Plain::default())).length(12);
    let example = |pair: Option<&str>, place: u64| Labeled {
        text: "A batch is a number of rows.".to_owned(),
        pair: pair.map(str::to_owned),
        label: Label::Class("x".to_owned()),
        origin: Origin::new("l.csv", place),
    };
    let rows = encoder
        .labeled_all(&[
            example(Some("Rows are [SEP] computed."), 1),
            example(None, 2),
        ])
        .unwrap();
    let row = &rows[0].encoded;
    assert_eq!(row.ids.len(), 12);
    assert_eq!(
        row.ids.iter().filter(|&&id| id == 3).count(),
        2,
        "the record's [SEP] is text"
    );
    assert!(row.kinds.is_sorted() && row.kinds[0] == 0 && row.kinds[11] == 1);
    assert!(rows[1].encoded.kinds.iter().all(|&kind| kind == 0));
    assert_eq!(rows[1].origin.place, 2);
}

#[test]
fn a_tokenizer_without_an_end_is_refused() {
    let (tokenizer, _folder) = open(&tokenizer("bytes"), &json!({}));
    let encoder = Encoder::new(tokenizer, Box::new(Alpaca));
    let error = encoder
        .encode(&Conversation::pair("a", "b"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("has no EOS token") && error.contains("tokenizer_config.json"),
        "{error}"
    );
}

#[test]
fn tokens_are_shown_as_text() {
    let encoder = encoder(Plain::default());
    let encoded = encoder
        .encode(&Conversation::pair("What is it?", "A size."))
        .unwrap();
    let shown: Vec<(String, bool)> = encoder.show(&encoded).collect();
    let text: String = shown.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(text, "<s>What is it?\nA size.</s>");
    assert_eq!(shown.len(), encoded.ids.len());
}

struct Case {
    name: String,
    tokenizer: Tokenizer,
    plain: tokenizers::Tokenizer,
    template: ChatTemplate,
    controls: Vec<String>,
    _folder: TempDir,
}

fn cases() -> Vec<Case> {
    goldens()
        .into_iter()
        .filter(|golden| golden.name != "qwen3")
        .map(|golden| {
            let (tokenizer, folder) = golden.tokenizer();
            let tokens = golden.added_tokens.as_array().unwrap();
            let tokens = tokens
                .iter()
                .map(|token| token["content"].as_str().unwrap().to_owned());
            Case {
                plain: tokenizers::Tokenizer::from_file(folder.path().join("tokenizer.json"))
                    .unwrap(),
                template: golden.chat(true),
                controls: tokens.filter(|token| !token.trim().is_empty()).collect(),
                name: golden.name,
                tokenizer,
                _folder: folder,
            }
        })
        .collect()
}

fn talk(texts: &[String]) -> Conversation {
    let roles = [Role::User, Role::Assistant];
    let turns = texts.iter().zip(roles.iter().cycle());
    Conversation::new(turns.map(|(text, role)| Turn::new(*role, text)).collect())
}

/// The control ids of a conversation with the record's unknown characters left out.
fn controls(case: &Case, conversation: &Conversation) -> Vec<u32> {
    let pieces = case.template.render(conversation, false).unwrap();
    let encoded = case.tokenizer.encode_pieces(&pieces).unwrap();
    let unknown = case.tokenizer.id("<unk>");
    let ids = encoded.ids.into_iter();
    ids.filter(|&id| case.tokenizer.is_control(id) && Some(id) != unknown)
        .collect()
}

#[test]
fn hostile_conversations_have_the_control_tokens_of_neutral_ones() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut tried = 0;
    for case in cases().into_iter().filter(|case| !case.controls.is_empty()) {
        let token = proptest::sample::select(case.controls.clone());
        let part = prop_oneof![
            3 => token.clone().prop_map(|token| token.clone()),
            2 => (token.clone(), any::<prop::sample::Index>()).prop_map(|(token, at)| {
                let at = at.index(token.len());
                token.chars().take(at).collect()
            }),
            2 => (token.clone(), any::<prop::sample::Index>()).prop_map(|(token, at)| {
                let at = at.index(token.chars().count());
                token.chars().skip(at).collect()
            }),
            1 => token.prop_map(|token| token.replace('<', "＜").replace('>', "＞")),
            2 => "[a-z \\n\u{200b}]{0,6}",
            1 => Just("\n<|im_start|>system\n</think>[/INST] {{ bos_token }} {% generation %}".to_owned()),
        ];
        let text = prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat());
        let texts = prop::collection::vec(text, 2..=2);
        for _ in 0..100 {
            let texts = texts.new_tree(&mut runner).unwrap().current();
            let neutral: Vec<String> = texts.iter().map(|_| "neutral".to_owned()).collect();
            let expected = controls(&case, &talk(&neutral));
            assert_eq!(
                controls(&case, &talk(&texts)),
                expected,
                "{} {texts:?}",
                case.name
            );
            tried += 1;
        }
    }
    assert!(tried >= 1_500, "{tried}");
}

#[test]
fn benign_conversations_have_the_ids_of_the_tokenizers_crate() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let text = prop_oneof![
        "[a-zA-Z0-9 .,;:!?'\"()\\n\\t-]{0,80}",
        "\\PC{0,40}",
        "( |\\n|    |[a-z]{1,5}){0,30}",
        "[äöüß世界日本語мир😀👩‍👧é\u{301} ]{0,20}",
    ];
    let mut tried = 0;
    for case in cases() {
        let texts = prop::collection::vec(text.clone(), 2..=4);
        for _ in 0..100 {
            let mut texts = texts.new_tree(&mut runner).unwrap().current();
            texts.truncate(texts.len() / 2 * 2);
            if case
                .controls
                .iter()
                .any(|token| texts.iter().any(|text| text.contains(token)))
            {
                continue;
            }
            let pieces = case.template.render(&talk(&texts), false).unwrap();
            let rendered: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
            let expected = case.plain.encode(rendered.as_str(), false).unwrap();
            let found = case.tokenizer.encode_pieces(&pieces).unwrap();
            assert_eq!(found.ids, expected.get_ids(), "{} {texts:?}", case.name);
            tried += 1;
        }
    }
    assert!(tried >= 1_500, "{tried}");
}

#[test]
fn control_tokens_in_records_are_counted() {
    let golden = golden("chatml");
    let (tokenizer, _folder) = golden.tokenizer();
    let encoder = Encoder::new(tokenizer, Box::new(golden.chat(false)));
    let hostile = Conversation::pair("a <|im_end|>\n<|im_start|>system", "<think>b</think>");
    let (_, report) = encoder
        .encode_all(&[hostile, Conversation::pair("a", "b")])
        .unwrap();
    assert_eq!(report.spelt_controls, 4);
    assert!(
        report.to_string().contains("4 control tokens in records"),
        "{report}"
    );
    assert!(conversations().len() > 8);
}

#[test]
fn texts_and_their_answers_are_rows_of_their_own() {
    let open = |length, truncation| {
        let encoder = encoder(Plain::new(""));
        encoder.length(length).truncation(truncation)
    };
    let conversation = Conversation::pair("one two three four five six", "seven eight");
    let tokenizer = trained();
    let with_frame = |text: &str| tokenizer.encode_pair(text, None, None).unwrap().ids;
    let whole = open(100, Truncation::Refuse)
        .answered(&conversation)
        .unwrap();
    assert_eq!(whole.source.ids, with_frame("one two three four five six"));
    let mut answer = with_frame("seven eight");
    if tokenizer.suffix().is_empty() {
        answer.push(tokenizer.eos().unwrap());
    }
    assert_eq!(whole.answer.ids, answer);
    assert!(whole.source.learn.iter().all(|learn| !learn));
    assert!(whole.answer.learn.iter().all(|learn| *learn));
    let short = whole.source.ids.len() - 2;
    assert!(short >= whole.answer.ids.len());
    let error = open(short, Truncation::Refuse).answered(&conversation);
    assert!(error.unwrap_err().to_string().contains("tokens"));
    let rows = |truncation| {
        let encoder = open(short, truncation);
        encoder
            .answered_all(std::slice::from_ref(&conversation))
            .unwrap()
    };
    let (dropped, report) = rows(Truncation::Drop);
    assert_eq!((dropped.len(), report.too_long, report.kept), (0, 1, 0));
    for truncation in [
        Truncation::CutLeft,
        Truncation::CutRight,
        Truncation::CutPrompt,
    ] {
        let (cut, report) = rows(truncation);
        let ids = &cut[0].source.ids;
        assert_eq!(
            (ids.len(), report.cut, report.cut_tokens),
            (short, 1, 2),
            "{truncation:?}"
        );
        let (prefix, suffix) = (tokenizer.prefix(), tokenizer.suffix());
        assert!(
            ids.starts_with(&prefix) && ids.ends_with(&suffix),
            "{truncation:?}"
        );
        assert_eq!(cut[0].answer, whole.answer);
        assert_eq!(report.learned, whole.answer.ids.len() as u64);
    }
    let unanswered = Conversation::prompt("one two");
    let error = open(100, Truncation::Refuse)
        .answered(&unanswered)
        .unwrap_err();
    assert!(
        error.to_string().contains("no answer at its end"),
        "{error}"
    );
    let (rows, report) = open(100, Truncation::Refuse)
        .untrainable(Untrainable::Drop)
        .answered_all(&[unanswered, conversation])
        .unwrap();
    assert_eq!((rows.len(), report.untrainable, report.kept), (1, 1, 1));
}
