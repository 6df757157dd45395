//! Long documents become chunks by their structure.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use finetune_data::chunk::{Chunker, Form};
use finetune_data::tokenizer::Tokenizer;
use finetune_data::{Document, Fields, Origin, Value};
use proptest::prelude::*;
use serde_json::json;

fn document(text: &str) -> Document {
    Document {
        text: text.into(),
        fields: Fields::new(),
        origin: Origin::new("a.md", 1),
    }
}

fn tokenizer() -> Tokenizer {
    Tokenizer::open(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/assets/base"
    ))
    .unwrap()
}

fn texts(chunks: &[Document]) -> Vec<&str> {
    chunks.iter().map(|chunk| chunk.text.as_str()).collect()
}

fn check(chunker: &Chunker, text: &str, expected: &[&str]) {
    let chunks = chunker.chunks(&document(text)).unwrap();
    assert_eq!(texts(&chunks), expected, "{text:?}");
}

/// Where a chunk lies.
fn span(chunk: &Document) -> (usize, usize) {
    let byte = |name: &str| usize::try_from(chunk.fields["chunk"][name].as_u64().unwrap()).unwrap();
    (byte("start"), byte("end"))
}

#[test]
fn a_chunk_ends_at_the_strongest_border_of_its_second_half() {
    check(
        &Chunker::characters(44),
        "# One\n\nFirst text.\n\nSecond text.\n\n## Two\n\nThird text.\n",
        &[
            "# One\n\nFirst text.\n\nSecond text.",
            "## Two\n\nThird text.",
        ],
    );
    // A heading is not left behind at the end of a chunk.
    check(
        &Chunker::characters(20),
        "A paragraph.\n\n# Two\n\nAnother one.\n",
        &["A paragraph.", "# Two\n\nAnother one."],
    );
    // More empty lines are a stronger border.
    check(
        &Chunker::characters(12).form(Form::Plain),
        "aaa\n\nbbb\n\n\n\nccc\n\nddd",
        &["aaa\n\nbbb", "ccc\n\nddd"],
    );
    check(&Chunker::characters(100), "short", &["short"]);
    check(&Chunker::characters(9), " \n \n", &[]);
    check(&Chunker::characters(9), "", &[]);
}

#[test]
fn a_heading_stands_above_the_first_words_of_a_long_paragraph() {
    let text = "# Title\n\nThe first sentence is here. The second is longer than the first. And a third.\n";
    check(
        &Chunker::characters(40),
        text,
        &[
            "# Title\n\nThe first sentence is here.",
            "The second is longer than the first.",
            "And a third.",
        ],
    );
}

#[test]
fn code_blocks_and_rows_stay_whole() {
    check(
        &Chunker::characters(40),
        "Some words before it.\n\n```\na = 1\n\n# b\nb = 2\n```\n\nAfter it.",
        &[
            "Some words before it.",
            "```\na = 1\n\n# b\nb = 2\n```\n\nAfter it.",
        ],
    );
    check(
        &Chunker::characters(40),
        "| a | b |\n|---|---|\n| one two three | four five |\n| six seven eight | nine |\n",
        &[
            "| a | b |\n|---|---|",
            "| one two three | four five |",
            "| six seven eight | nine |",
        ],
    );
    check(
        &Chunker::characters(33),
        "- an item of a list\n- another item\n  - with one below\n",
        &["- an item of a list", "- another item\n  - with one below"],
    );
    // Only a block that is longer than a chunk is taken apart, at lines, and its indentation stays.
    check(
        &Chunker::characters(24),
        "Hi.\n\n    let first = 1;\n    let second = 2;\n    let third = 3;\n",
        &[
            "Hi.",
            "    let first = 1;",
            "    let second = 2;",
            "    let third = 3;",
        ],
    );
}

#[test]
fn definitions_of_links_are_not_lost() {
    check(
        &Chunker::characters(30),
        "[a]: http://x.y/z\n",
        &["[a]: http://x.y/z"],
    );
}

#[test]
fn a_chunk_knows_where_it_lies() {
    let mut whole = document("intro\n\n# One\n\n## `Two`\n\nText a.\n\n# Three\n\nText b.\n");
    whole.fields.insert("title".into(), json!("T"));
    whole.origin.place = 10;
    let chunks = Chunker::characters(28).chunks(&whole).unwrap();
    assert_eq!(
        texts(&chunks),
        [
            "intro",
            "# One\n\n## `Two`\n\nText a.",
            "# Three\n\nText b."
        ]
    );
    assert_eq!(chunks[1].fields["title"], "T");
    let lies = json!({"number": 2, "start": 7, "end": 31, "headings": ["One"]});
    assert_eq!(chunks[1].fields["chunk"], lies);
    assert_eq!(chunks[2].fields["chunk"]["headings"], json!(["Three"]));
    assert_eq!(chunks[0].fields["chunk"]["headings"], json!([]));
    let lines: Vec<u64> = chunks.iter().map(|chunk| chunk.origin.place).collect();
    assert_eq!(lines, [10, 12, 18]);
    // A chunk of a chunk keeps both places.
    let again = Chunker::characters(15)
        .form(Form::Markdown)
        .chunks(&chunks[1])
        .unwrap();
    assert_eq!(again[1].fields["chunk"]["headings"], json!(["One", "Two"]));
    assert_eq!(again[1].fields["chunk"]["of"], lies);
    // The place of a page of a PDF is no line.
    whole.origin = Origin::new("a.pdf", 3);
    let chunks = Chunker::characters(20).chunks(&whole).unwrap();
    assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.origin.place == 3));
}

#[test]
fn a_field_of_a_record_is_split_too() {
    let mut record = document("own");
    record
        .fields
        .insert("body".into(), json!("one two three four"));
    let chunks = Chunker::characters(9)
        .field("body")
        .chunks(&record)
        .unwrap();
    let bodies: Vec<&Value> = chunks.iter().map(|chunk| &chunk.fields["body"]).collect();
    assert_eq!(bodies, [&json!("one two"), &json!("three"), &json!("four")]);
    assert_eq!(chunks[1].text, "own");
    let error = Chunker::characters(9)
        .field("boddy")
        .chunks(&record)
        .unwrap_err();
    assert_eq!(error.kind(), "missing field");
    assert!(error.to_string().contains("\"body\""), "{error}");
    record.fields.insert("body".into(), json!(5));
    let error = Chunker::characters(9)
        .field("body")
        .chunks(&record)
        .unwrap_err();
    assert_eq!(error.kind(), "wrong type");
}

#[test]
fn settings_that_cannot_be_met_are_refused() {
    for chunker in [Chunker::characters(0), Chunker::characters(5).overlap(5)] {
        let error = chunker.chunks(&document("text")).unwrap_err();
        assert_eq!(error.kind(), "setting");
    }
}

#[test]
fn an_overlap_begins_at_a_word_and_never_in_code() {
    check(
        &Chunker::characters(20).overlap(8),
        "one two three four five six seven",
        &["one two three four", "four five six seven"],
    );
    check(
        &Chunker::characters(24).overlap(8),
        "Words before.\n\n```\nx y z\n```\n\nWords after the code.",
        &[
            "Words before.",
            "before.\n\n```\nx y z\n```",
            "Words after the code.",
        ],
    );
    check(
        &Chunker::characters(6).overlap(2).form(Form::Plain),
        "今日は良い天気です。",
        &["今日は", "日は良い天気", "天気です。"],
    );
}

#[test]
fn tokens_are_those_of_the_tokenizer() {
    let tokenizer = tokenizer();
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(20);
    let chunks = Chunker::tokens(&tokenizer, 32)
        .overlap(8)
        .chunks(&document(&text))
        .unwrap();
    assert!(chunks.len() > 4);
    for pair in chunks.windows(2) {
        assert!(tokenizer.encode(&pair[0].text).unwrap().len() <= 32);
        let shared = &text[span(&pair[1]).0..span(&pair[0]).1];
        let length = tokenizer.encode(shared).unwrap().len();
        assert!((4..=8).contains(&length), "{shared:?}: {length}");
    }
}

#[test]
fn a_long_text_of_one_block_is_split_in_time() {
    let lines = "a line of a log with some words in it\n".repeat(40_000);
    let start = std::time::Instant::now();
    let chunks = Chunker::characters(400)
        .form(Form::Plain)
        .chunks(&document(&lines))
        .unwrap();
    assert_eq!(chunks.len(), 4_000);
    let word = "x".repeat(1_000_000);
    let chunks = Chunker::tokens(&tokenizer(), 256)
        .chunks(&document(&word))
        .unwrap();
    assert!(chunks.iter().all(|chunk| !chunk.text.is_empty()));
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

/// Markdown of every kind of block, and text that only looks like it.
fn markdown() -> impl Strategy<Value = String> {
    let words = "[a-zé日。 ]{0,40}";
    let block = prop_oneof![
        words.prop_map(|text| format!("{text}\n\n")),
        ("#{1,6}", words).prop_map(|(marks, text)| format!("{marks} {text}\n\n")),
        prop::collection::vec("[a-z =]{0,20}", 0..6)
            .prop_map(|lines| format!("```\n{}\n```\n", lines.join("\n"))),
        prop::collection::vec("[a-z ]{0,12}", 1..5)
            .prop_map(|rows| format!("| a |\n|---|\n| {} |\n\n", rows.join(" |\n| "))),
        prop::collection::vec("[a-z ]{0,20}", 1..4)
            .prop_map(|items| format!("- {}\n", items.join("\n- "))),
        words.prop_map(|text| format!("> {text}\n")),
        "[ \n|`#>\\[\\]:*_-]{0,12}",
        "\\PC{0,30}",
    ];
    prop::collection::vec(block, 0..12).prop_map(|blocks| blocks.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_in_a_chunk_and_in_order(
        text in markdown(),
        limit in 1_usize..80,
        overlap in 0_usize..20,
        plain in any::<bool>(),
    ) {
        let overlap = overlap.min(limit - 1);
        let form = if plain { Form::Plain } else { Form::Markdown };
        let chunks = Chunker::characters(limit).overlap(overlap).form(form).chunks(&document(&text)).unwrap();
        let mut covered = 0;
        for (index, chunk) in chunks.iter().enumerate() {
            let (start, end) = span(chunk);
            prop_assert_eq!(&chunk.text, &text[start..end]);
            prop_assert!(chunk.text.chars().count() <= limit);
            prop_assert!(!chunk.text.trim().is_empty());
            prop_assert_eq!(&chunk.fields["chunk"]["number"], &json!(index + 1));
            prop_assert_eq!(chunk.origin.place, 1 + text[..start].matches('\n').count() as u64);
            if start >= covered {
                prop_assert!(text[covered..start].trim().is_empty(), "lost {:?}", &text[covered..start]);
            } else {
                let shared = &text[start..covered];
                prop_assert!(shared.chars().count() <= overlap, "{shared:?}");
            }
            prop_assert!(end > covered);
            covered = end;
        }
        prop_assert!(text[covered..].trim().is_empty(), "lost {:?}", &text[covered..]);
    }

    #[test]
    fn an_overlap_of_prose_is_as_long_as_words_allow(
        words in prop::collection::vec("[a-z]{1,6}", 1..60),
        limit in 20_usize..60,
        overlap in 7_usize..19,
    ) {
        let text = words.join(" ");
        let chunks = Chunker::characters(limit).overlap(overlap).form(Form::Plain).chunks(&document(&text)).unwrap();
        for pair in chunks.windows(2) {
            let (start, end) = (span(&pair[1]).0, span(&pair[0]).1);
            prop_assert!(start < end);
            // One word more would be too much.
            let before = text[..start - 1].rfind(' ').map_or(0, |place| place + 1);
            prop_assert!(end - before + 2 > overlap || before <= span(&pair[0]).0);
        }
    }

    #[test]
    fn code_that_fits_is_never_cut(
        before in "[a-z ]{0,60}",
        lines in prop::collection::vec("[a-z =]{1,12}", 1..5),
        after in "[a-z ]{0,60}",
        overlap in 0_usize..15,
    ) {
        let code = format!("```\n{}\n```", lines.join("\n"));
        let text = format!("{before}\n\n{code}\n\n{after}\n");
        let chunks = Chunker::characters(72).overlap(overlap).form(Form::Markdown).chunks(&document(&text)).unwrap();
        prop_assert!(chunks.iter().any(|chunk| chunk.text.contains(&code)));
        let torn = chunks.iter().filter(|chunk| chunk.text.contains("```") && !chunk.text.contains(&code));
        prop_assert_eq!(torn.count(), 0);
    }
}
