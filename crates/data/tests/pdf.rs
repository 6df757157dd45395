//! PDF documents: compared with `PyMuPDF` and pypdf on the golden files of `reference/make_pdf.py`, and files that mean
//! harm.

#![allow(clippy::unwrap_used, missing_docs)]

mod words;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use finetune_data::load::pdf::{Pdf, Running};
use finetune_data::{Counts, DataError, Document, Load, Loaders, OnError};
use proptest::prelude::*;
use words::word_f1;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

fn load(name: &str) -> (Vec<Document>, Counts) {
    let path = file(&format!("golden/pdf/{name}.pdf"));
    Loaders::default()
        .load_all(&[path], &OnError::Stop)
        .unwrap()
}

fn texts(documents: &[Document]) -> Vec<&str> {
    documents
        .iter()
        .map(|document| document.text.as_str())
        .collect()
}

#[test]
fn the_words_of_each_page_are_those_that_the_reference_finds() {
    let mut bad = String::new();
    let names = [
        "single",
        "two_columns",
        "tables",
        "running",
        "hyphens",
        "rotated",
        "rotated_page",
        "unicode",
        "right_to_left",
        "many",
    ];
    for name in names {
        let (documents, _) = load(name);
        let expected = std::fs::read_to_string(file(&format!("golden/pdf/{name}.txt"))).unwrap();
        let expected: Vec<&str> = expected.split('\u{c}').collect();
        assert_eq!(documents.len(), expected.len(), "{name}");
        for (document, expected) in documents.iter().zip(&expected) {
            let f1 = word_f1(&document.text, expected);
            println!("{}: {f1:.4}", document.origin);
            if f1 < 0.95 {
                writeln!(
                    bad,
                    "{} {f1}\n{}\n-----\n{expected}",
                    document.origin, document.text
                )
                .unwrap();
            }
        }
    }
    assert!(bad.is_empty(), "{bad}");
}

/// Words alone do not tell in which order a line is read.
#[test]
fn lines_from_right_to_left_are_in_the_order_of_reading() {
    let (documents, _) = load("right_to_left");
    let expected = std::fs::read_to_string(file("golden/pdf/right_to_left.txt")).unwrap();
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(words(&documents[0].text), words(&expected));
}

#[test]
fn a_page_says_what_it_is() {
    let (documents, _) = load("single");
    let origin = documents[0].origin.to_string();
    assert!(origin.ends_with("single.pdf, page 1"), "{origin}");
    let fields = &documents[1].fields;
    let expected = [
        ("title", "The mills"),
        ("author", "Ada Brook"),
        ("subject", "A valley"),
        ("date", "2000-01-01T00:00:00+00:00"),
    ];
    for (name, value) in expected {
        assert_eq!(fields[name], value, "{name}");
    }
    assert_eq!(fields["keywords"], serde_json::json!(["river", "mills"]));
    assert_eq!(
        (&fields["page"], &fields["pages"]),
        (&2.into(), &documents.len().into())
    );
    assert_eq!(load("unicode").0[0].fields["date"], "2024-03-05T08:09:10Z");
}

#[test]
fn paragraphs_and_rows_keep_their_form() {
    let (documents, _) = load("single");
    let paragraphs: Vec<&str> = documents[0].text.split("\n\n").collect();
    assert_eq!(paragraphs[0], "The mills");
    assert!(paragraphs[1].starts_with("The river rises") && !paragraphs[1].contains('\n'));
    assert!(
        paragraphs[1].ends_with("thirty-one years."),
        "{}",
        paragraphs[1]
    );
    let text = &load("tables").0[0].text;
    assert!(
        text.contains("\nUpper mill\t412 m\tbelow the church\nOld mill\t388 m\tat the bridge\n"),
        "{text}"
    );
}

#[test]
fn columns_are_read_one_after_the_other() {
    let text = &load("two_columns").0[0].text;
    let reading = "A title that stands over both of the columns\n\nThe river rises in a narrow valley where the snow \
                   lasts until the end of May. Two hundred years ago the villages along its banks lived from the mills";
    assert!(text.starts_with(reading), "{text}");
    // Paragraphs begin every third sentence, each with five.
    let starts = [
        "The river rises",
        "When the railway",
        "Hydrologists were",
        "Today a path",
    ];
    for (index, paragraph) in text.split("\n\n").skip(1).take(9).enumerate() {
        assert!(
            paragraph.starts_with(starts[index % 4]) || index > 3,
            "{index}: {paragraph}"
        );
    }
}

#[test]
fn divided_words_and_ligatures_are_words() {
    let text = &load("hyphens").0[0].text;
    let words = [
        "measured",
        "county",
        "state-of-the-art",
        "rivers",
        "Anglo-Saxon",
        "well-known",
    ];
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
    let text = &load("unicode").0[0].text;
    assert!(text.contains("An efficient fine flow of offers."), "{text}");
}

#[test]
fn running_lines_are_left_out_and_counted() {
    let (documents, _) = load("running");
    for document in &documents {
        assert!(!document.text.contains("zq"), "{}", document.text);
        assert_eq!(document.fields["left_out"], 2);
        assert!(document.text.starts_with("Part"));
    }
    let path = file("golden/pdf/running.pdf");
    let kept = Pdf::default().running(Running::Kept).load(&path).unwrap();
    let kept: Vec<Document> = kept.map(Result::unwrap).collect();
    assert!(kept[2].text.contains("zqfoot 3 of 5") && kept[2].text.contains("zqhead"));
    assert!(!kept[2].fields.contains_key("left_out"));
}

#[test]
fn forms_are_fields_and_pages_without_text_are_counted() {
    let (documents, _) = load("form");
    let form = serde_json::json!({"name": "Ada Brook", "town": "Upper Mill"});
    assert_eq!(documents[0].fields["form"], form);
    let (documents, counts) = load("scanned");
    assert_eq!(texts(&documents), ["The first page has a text."]);
    assert_eq!((counts.read, counts.kept), (2, 1));
}

/// What becomes of a hostile file: the texts of its pages, or the error.
fn outcome(name: &str) -> Result<Vec<String>, DataError> {
    let path = file(&format!("hostile/pdf/{name}.pdf"));
    let started = Instant::now();
    let found = Pdf::default().load(&path);
    let found = found.and_then(|pages| pages.map(|page| page.map(|page| page.text)).collect());
    let took = started.elapsed();
    println!("{name}: {took:?} {found:?}");
    assert!(took < Duration::from_secs(10), "{name}: {took:?}");
    found
}

#[test]
fn files_that_mean_harm_end_in_an_error_or_in_what_can_be_read() {
    let hello = "Hello from the page";
    let readable = ["sound", "owner_only", "length_cycle", "previous_cycle"];
    for name in readable {
        assert_eq!(outcome(name).unwrap(), [hello], "{name}");
    }
    let empty = ["deep", "form_cycle", "not_a_number"];
    for name in empty {
        let found = outcome(name);
        let harmless = match &found {
            Ok(pages) => pages.iter().all(|page| page.len() < 10),
            Err(error) => matches!(error, DataError::Broken { .. }),
        };
        assert!(harmless, "{name}: {found:?}");
    }
    let broken = [
        "stream_bomb",
        "header_only",
        "garbage",
        "no_pages",
        "reference_cycle",
        "deep_object",
        "huge_number",
    ];
    for name in broken {
        let found = outcome(name);
        assert!(
            matches!(found, Err(DataError::Broken { .. })),
            "{name}: {found:?}"
        );
    }
    let _ = (
        outcome("truncated"),
        outcome("form_bomb"),
        outcome("huge_count"),
    );
    let error = outcome("page_cycle").unwrap_err();
    assert!(
        matches!(
            error,
            DataError::TooDeep { .. } | DataError::LimitExceeded { .. }
        ),
        "{error}"
    );
    for (name, said) in [
        (
            "encrypted",
            "a PDF that needs a password (it is encrypted by AES with 256 bits, revision 6)",
        ),
        (
            "aes_256_r5",
            "a PDF that is encrypted by AES with 256 bits (revision 5)",
        ),
        (
            "owner_only_r5",
            "a PDF that is encrypted by AES with 256 bits (revision 5)",
        ),
        (
            "rc4",
            "a PDF that is encrypted by RC4 with 128 bits (revision 3)",
        ),
        (
            "rc4_40",
            "a PDF that is encrypted by RC4 with 40 bits (revision 2)",
        ),
        (
            "aes_128",
            "a PDF that is encrypted by AES with 128 bits (revision 4)",
        ),
    ] {
        let error = outcome(name).unwrap_err().to_string();
        assert!(error.contains(&format!("{name}.pdf: {said}")), "{error}");
    }
}

#[test]
fn a_file_that_is_no_pdf_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pdf");
    std::fs::write(&path, "<html>").unwrap();
    let found = Pdf::default().load(&path).map(|_| ());
    assert!(
        matches!(found, Err(DataError::WrongFormat { .. })),
        "{found:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Wherever a file is damaged or cut, there are pages or an error.
    #[test]
    fn damaged_files_end_in_pages_or_an_error(
        name in prop::sample::select(vec!["golden/pdf/hyphens.pdf", "golden/pdf/form.pdf", "hostile/pdf/sound.pdf"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = std::fs::read(file(name)).unwrap();
        for (index, byte) in changes {
            let at = index.index(bytes.len() - 8) + 8;
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() - 8) + 8);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pdf");
        std::fs::write(&path, bytes).unwrap();
        let started = Instant::now();
        if let Ok(pages) = Pdf::default().load(&path) {
            prop_assert!(pages.count() < 10);
        }
        prop_assert!(started.elapsed() < Duration::from_secs(10));
    }
}
