//! Office documents, spreadsheets and books against python-docx, python-pptx, openpyxl, odfpy and ebooklib;
//! `tests/reference/office.py` writes them. Hostile ones: `tests/hostile.rs`.

#![cfg(all(feature = "office", feature = "sheets", feature = "epub"))]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use finetune_data::document::PlaceUnit;
use finetune_data::load::{Loaders, OnError, Sheets};
use finetune_data::{Document, Load as _, Result, Value};
use words::word_f1;

static EXPECTED: LazyLock<BTreeMap<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("golden/office/expected.json")).unwrap());

fn golden(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    tests.join("golden/office").join(name)
}

fn load(path: &Path) -> Result<Vec<Document>> {
    let loaded = Loaders::default().load_all(&[path], &OnError::Stop)?;
    Ok(loaded.0)
}

/// The text without the marks of Markdown that are words: numbers of items and of notes.
fn unmarked(markdown: &str) -> String {
    let is_number = |word: &&str| {
        let number = word
            .trim_start_matches("[^")
            .trim_end_matches([']', ':', '.']);
        number.len() < word.len() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let lines = markdown.lines().map(|line| {
        let mut words = line.split_inclusive(' ').peekable();
        while words.peek().is_some_and(|word| is_number(&word.trim())) {
            words.next();
        }
        words
            .collect::<String>()
            .replace("[^1]", "")
            .replace("[^2]", "")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn check(name: &str, found: &str, expected: &str) {
    let f1 = word_f1(&unmarked(found), expected);
    println!("{name}: word F1 {f1:.4}");
    assert!(
        f1 >= 0.98,
        "{name}: {f1}\n{found}\n--- expected\n{expected}"
    );
}

#[test]
fn texts_have_the_words_of_the_reference() {
    for name in ["mill.docx", "mill.odt"] {
        let documents = load(&golden(name)).unwrap();
        assert_eq!(documents.len(), 1);
        // odfpy puts a note and its number where the note is anchored, without a space.
        let expected = EXPECTED[name].as_str().unwrap().replace("mill1A", "mill A");
        check(name, &documents[0].text, &expected);
    }
    let slides = load(&golden("mill.odp")).unwrap();
    let said: Vec<&str> = slides
        .iter()
        .flat_map(|slide| [Some(slide.text.as_str()), slide.fields["notes"].as_str()])
        .flatten()
        .collect();
    check(
        "mill.odp",
        &said.join("\n"),
        EXPECTED["mill.odp"].as_str().unwrap(),
    );
}

#[test]
fn structure_is_kept_as_markdown() {
    let document = &load(&golden("mill.docx")).unwrap()[0];
    for part in [
        "# The mill\n",
        "\n- ",
        "\n1. ",
        "| --- |",
        "](https://example.org/mill)",
    ] {
        assert!(document.text.contains(part), "{part:?}\n{}", document.text);
    }
    for name in ["title", "author", "date"] {
        assert!(
            document.fields.contains_key(name),
            "{name}: {:?}",
            document.fields
        );
    }
}

#[test]
fn tracked_changes_are_read_as_accepted_and_text_boxes_once() {
    let text = &load(&golden("tracked.docx")).unwrap()[0].text;
    println!("{text}");
    assert!(
        !text.contains("deleted") && text.contains("inserted"),
        "{text}"
    );
    assert_eq!(text.matches("In the box").count(), 1, "{text}");
}

#[test]
fn slides_come_in_their_order_with_notes() {
    let slides = load(&golden("mill.pptx")).unwrap();
    let expected = EXPECTED["mill.pptx"].as_array().unwrap();
    assert_eq!(slides.len(), expected.len());
    for (number, (slide, expected)) in (1..).zip(slides.iter().zip(expected)) {
        assert_eq!(
            (slide.origin.unit, slide.origin.place),
            (PlaceUnit::Slide, number)
        );
        check("slide", &slide.text, expected["text"].as_str().unwrap());
        assert_eq!(slide.fields["section"], expected["section"]);
        let notes = slide
            .fields
            .get("notes")
            .cloned()
            .unwrap_or_else(|| "".into());
        // An empty line stands between two paragraphs here.
        let paragraphs = expected["notes"].as_str().unwrap().replace('\n', "\n\n");
        assert_eq!(notes, paragraphs.as_str());
        assert_eq!(
            slide.fields.contains_key("hidden"),
            expected["hidden"] == true
        );
    }
}

/// Every cell of every row, as openpyxl reads it.
#[test]
fn cells_keep_their_values_and_types() {
    let rows = load(&golden("harvest.xlsx")).unwrap();
    let mut rows = rows.iter().peekable();
    for sheet in EXPECTED["harvest.xlsx"].as_array().unwrap() {
        let cells = sheet["rows"].as_array().unwrap();
        let cells: Vec<(u64, &Vec<Value>)> = (1..)
            .zip(cells.iter().map(|row| row.as_array().unwrap()))
            .collect();
        let is_empty = |row: &[Value]| row.iter().all(Value::is_null);
        let mut full = cells.into_iter().filter(|(_, row)| !is_empty(row));
        let Some((_, head)) = full.next() else {
            continue;
        };
        for (number, row) in full {
            let document = rows.next().unwrap();
            assert_eq!(
                (document.origin.unit, document.origin.place),
                (PlaceUnit::Row, number)
            );
            for (name, expected) in head.iter().zip(row) {
                let Some(name) = name.as_str() else { continue };
                let found = &document.fields[name];
                let same = match (found.as_f64(), expected.as_f64()) {
                    (Some(found), Some(expected)) => found.total_cmp(&expected).is_eq(),
                    _ => found == expected,
                };
                assert!(
                    same,
                    "{}: {name}: {found}; expected {expected}",
                    document.origin
                );
            }
        }
    }
    assert!(rows.next().is_none());
}

#[test]
fn a_sheet_may_be_one_table() {
    for name in ["harvest.xlsx", "harvest.ods"] {
        let sheets: Result<Vec<Document>> = Sheets::tables().load(&golden(name)).unwrap().collect();
        let sheets = sheets.unwrap();
        assert!(sheets[0].text.contains("wheat"), "{}", sheets[0].text);
        assert_eq!(sheets[0].fields["sheet"], "Harvest");
        // A text that begins as a formula does stands inside of a cell of a table, as it is.
        assert!(!sheets[0].text.lines().any(|line| line.starts_with('=')));
    }
}

#[test]
fn chapters_have_the_words_of_the_reference() {
    let chapters = load(&golden("mill.epub")).unwrap();
    let expected = EXPECTED["mill.epub"].as_array().unwrap();
    assert_eq!(chapters.len(), expected.len());
    for (chapter, expected) in chapters.iter().zip(expected) {
        check("chapter", &chapter.text, expected.as_str().unwrap());
        assert_eq!(chapter.origin.unit, PlaceUnit::Chapter);
        assert!(chapter.fields.contains_key("language"));
    }
}

/// A cell is one line: what is in it stays, and the marks that make lines of it do not.
#[test]
fn tables_headings_and_lists_in_a_cell_leave_no_marks() {
    let paragraph = |style: &str, text: &str| {
        format!(
            "<w:p><w:pPr><w:pStyle w:val=\"{style}\"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
        )
    };
    let row = |cells: &[&str]| -> String {
        let cells = cells.iter().map(|cell| format!("<w:tc>{cell}</w:tc>"));
        format!("<w:tr>{}</w:tr>", cells.collect::<String>())
    };
    let plain = |text: &str| paragraph("Normal", text);
    let inner = format!(
        "<w:tbl>{}{}{}</w:tbl>",
        row(&[&plain("a"), &plain("1|2")]),
        row(&[&plain(""), &plain("")]),
        row(&[&plain("b"), &plain("3")])
    );
    let cell = [paragraph("Heading1", "Sizes"), inner, plain("in all")].concat();
    let outer = format!(
        "<w:tbl>{}{}</w:tbl>",
        row(&[&plain("What"), &plain("How")]),
        row(&[&cell, &plain("x")])
    );
    let text = document(&outer);
    assert_eq!(
        text,
        "| What | How |\n| --- | --- |\n| Sizes a, 1\\|2; b, 3 in all | x |"
    );
}

/// The text of a DOCX document with this body.
fn document(body: &str) -> String {
    use std::io::Write as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.docx");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let word = "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let relation = format!(
        "<Relationship Id=\"r1\" Type=\"{office}/officeDocument\" Target=\"word/document.xml\"/>"
    );
    let styles =
        format!("<Relationship Id=\"r1\" Type=\"{office}/styles\" Target=\"styles.xml\"/>");
    let relations = "xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"";
    let kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml";
    let files = [
        (
            "[Content_Types].xml",
            format!(
                "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Default Extension=\"xml\" ContentType=\"application/xml\"/><Override PartName=\"/word/document.xml\" ContentType=\"{kind}\"/></Types>"
            ),
        ),
        (
            "_rels/.rels",
            format!("<Relationships {relations}>{relation}</Relationships>"),
        ),
        (
            "word/_rels/document.xml.rels",
            format!("<Relationships {relations}>{styles}</Relationships>"),
        ),
        (
            "word/styles.xml",
            format!(
                "<w:styles {word}><w:style w:type=\"paragraph\" w:styleId=\"Heading1\"><w:name w:val=\"heading 1\"/></w:style></w:styles>"
            ),
        ),
        (
            "word/document.xml",
            format!("<w:document {word}><w:body>{body}</w:body></w:document>"),
        ),
    ];
    for (name, content) in files {
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    load(&path).unwrap().remove(0).text
}
