//! Documents, sheets and books of random content, written here as their formats want it, are read back as they were.

#![cfg(all(feature = "office", feature = "sheets", feature = "epub"))]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use finetune_data::load::{Loaders, OnError};
use finetune_data::{Document, Value};
use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

// --- texts -----------------------------------------------------------------------------------------------------------

/// A paragraph as its words; one space stands between two.
fn paragraph() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-zA-Z0-9<>&\"'=éßЖ日🦀\u{301}]{1,8}", 1..6)
}

/// A block of a text.
#[derive(Debug, Clone)]
enum Block {
    Paragraph(Vec<String>),
    /// Rows of as many cells each.
    Table(Vec<Vec<String>>),
}

fn block() -> impl Strategy<Value = Block> {
    let word = || "[a-z&<é日]{1,4}";
    let table = (1_usize..4).prop_flat_map(move |width| {
        prop::collection::vec(prop::collection::vec(word(), width), 1..4)
    });
    prop_oneof![
        3 => paragraph().prop_map(Block::Paragraph),
        1 => table.prop_map(Block::Table),
    ]
}

impl Block {
    fn markdown(&self) -> String {
        match self {
            Self::Paragraph(words) => words.join(" "),
            Self::Table(rows) => {
                let line = |row: &Vec<String>| format!("| {} |", row.join(" | "));
                let mut lines: Vec<String> = rows.iter().map(line).collect();
                lines.insert(1, format!("|{}", " --- |".repeat(rows[0].len())));
                lines.join("\n")
            }
        }
    }
}

fn markdown(blocks: &[Block]) -> String {
    let blocks: Vec<String> = blocks.iter().map(Block::markdown).collect();
    blocks.join("\n\n")
}

/// XML of blocks: `paragraph` and `cell` are written around the words of each.
fn blocks_xml(
    blocks: &[Block],
    paragraph: impl Fn(&[String]) -> String,
    table: [&str; 6],
) -> String {
    let [
        table_start,
        row_start,
        cell_start,
        cell_end,
        row_end,
        table_end,
    ] = table;
    let cell = |word: &String| {
        let text = paragraph(std::slice::from_ref(word));
        format!("{cell_start}{text}{cell_end}")
    };
    let row = |row: &Vec<String>| {
        let cells: String = row.iter().map(cell).collect();
        format!("{row_start}{cells}{row_end}")
    };
    let block = |block: &Block| match block {
        Block::Paragraph(words) => paragraph(words),
        Block::Table(rows) => {
            let rows: String = rows.iter().map(row).collect();
            format!("{table_start}{rows}{table_end}")
        }
    };
    blocks.iter().map(block).collect()
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&#62;").replace('"', "&quot;")
}

fn zipped(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut container = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        container
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        container.write_all(content.as_bytes()).unwrap();
    }
    container.finish().unwrap().into_inner()
}

fn load(name: &str, bytes: &[u8]) -> Vec<Document> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let loaded = Loaders::default().load_all(&[path], &OnError::Stop);
    loaded.unwrap().0
}

const WORD: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const DRAWING: &str = "http://schemas.openxmlformats.org/drawingml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const OPEN: &str = "xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" \
                    xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\" \
                    xmlns:table=\"urn:oasis:names:tc:opendocument:xmlns:table:1.0\"";

/// Relations of a part: id, kind, target.
fn relations(list: &[(String, &str, String)]) -> String {
    let mut xml = "<Relationships>".to_owned();
    for (id, kind, target) in list {
        write!(
            xml,
            "<Relationship Id=\"{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>"
        )
        .unwrap();
    }
    xml + "</Relationships>"
}

fn docx(blocks: &[Block]) -> Vec<u8> {
    // A run for each word, and the space in the next one.
    let run = |(index, word): (usize, &String)| {
        let space = if index > 0 { " " } else { "" };
        let word = escaped(word);
        format!("<w:r><w:t xml:space=\"preserve\">{space}{word}</w:t></w:r>")
    };
    let paragraph = |words: &[String]| {
        let runs: String = words.iter().enumerate().map(run).collect();
        format!("<w:p>{runs}</w:p>")
    };
    let table = [
        "<w:tbl>", "<w:tr>", "<w:tc>", "</w:tc>", "</w:tr>", "</w:tbl>",
    ];
    let body = blocks_xml(blocks, paragraph, table);
    let document = format!("<w:document xmlns:w=\"{WORD}\"><w:body>{body}</w:body></w:document>");
    zipped(&[("word/document.xml", &document)])
}

fn odt(blocks: &[Block]) -> Vec<u8> {
    let paragraph = |words: &[String]| {
        let words: Vec<String> = words.iter().map(|word| escaped(word)).collect();
        format!("<text:p>{}</text:p>", words.join("<text:s/>"))
    };
    let table = [
        "<table:table>",
        "<table:table-row>",
        "<table:table-cell>",
        "</table:table-cell>",
        "</table:table-row>",
        "</table:table>",
    ];
    let body = blocks_xml(blocks, paragraph, table);
    let content = format!(
        "<office:document-content {OPEN}><office:body><office:text>{body}</office:text></office:body></office:document-content>"
    );
    zipped(&[("content.xml", &content)])
}

fn pptx(slides: &[Vec<Vec<String>>]) -> Vec<u8> {
    let names: Vec<String> = (0..slides.len())
        .map(|index| format!("ppt/slides/s{index}.xml"))
        .collect();
    let mut list = String::new();
    let mut links = Vec::new();
    for index in 0..slides.len() {
        write!(list, "<p:sldId id=\"{index}\" r:id=\"r{index}\"/>").unwrap();
        links.push((format!("r{index}"), "slide", format!("slides/s{index}.xml")));
    }
    let presentation = format!(
        "<p:presentation xmlns:p=\"p\" xmlns:r=\"{OFFICE}\"><p:sldIdLst>{list}</p:sldIdLst></p:presentation>"
    );
    let root = relations(&[("a".into(), "officeDocument", "ppt/presentation.xml".into())]);
    let links = relations(&links);
    let paragraph = |words: &Vec<String>| {
        format!(
            "<a:p><a:r><a:t>{}</a:t></a:r></a:p>",
            escaped(&words.join(" "))
        )
    };
    let slide = |paragraphs: &Vec<Vec<String>>| {
        let body: String = paragraphs.iter().map(paragraph).collect();
        format!(
            "<p:sld xmlns:p=\"p\" xmlns:a=\"{DRAWING}\"><p:cSld><p:spTree><p:sp><p:nvSpPr/><p:txBody>{body}</p:txBody></p:sp></p:spTree></p:cSld></p:sld>"
        )
    };
    let slides: Vec<String> = slides.iter().map(slide).collect();
    let mut parts = vec![
        ("_rels/.rels", root.as_str()),
        ("ppt/presentation.xml", &presentation),
        ("ppt/_rels/presentation.xml.rels", &links),
    ];
    parts.extend(
        names
            .iter()
            .map(String::as_str)
            .zip(slides.iter().map(String::as_str)),
    );
    zipped(&parts)
}

fn epub(chapters: &[Vec<Block>]) -> Vec<u8> {
    let paragraph = |words: &[String]| format!("<p>{}</p>", escaped(&words.join("\n  ")));
    let table = ["<table>", "<tr>", "<td>", "</td>", "</tr>", "</table>"];
    let page = |blocks: &Vec<Block>| blocks_xml(blocks, paragraph, table);
    book(&chapters.iter().map(page).collect::<Vec<String>>())
}

/// A book of pages with these bodies.
fn book(pages: &[String]) -> Vec<u8> {
    let container =
        "<container><rootfiles><rootfile full-path=\"b/a.opf\"/></rootfiles></container>";
    let (mut manifest, mut spine) = (String::new(), String::new());
    for index in 0..pages.len() {
        write!(
            manifest,
            "<item id=\"c{index}\" href=\"{index}.xhtml\" media-type=\"application/xhtml+xml\"/>"
        )
        .unwrap();
        write!(spine, "<itemref idref=\"c{index}\"/>").unwrap();
    }
    let package =
        format!("<package><manifest>{manifest}</manifest><spine>{spine}</spine></package>");
    let page = |body: &String| format!("<html><body>{body}</body></html>");
    let names: Vec<String> = (0..pages.len())
        .map(|index| format!("b/{index}.xhtml"))
        .collect();
    let pages: Vec<String> = pages.iter().map(page).collect();
    let mut parts = vec![("META-INF/container.xml", container), ("b/a.opf", &package)];
    parts.extend(
        names
            .iter()
            .map(String::as_str)
            .zip(pages.iter().map(String::as_str)),
    );
    zipped(&parts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn texts_are_read_as_they_were_written(blocks in prop::collection::vec(block(), 1..8)) {
        for (name, bytes) in [("a.docx", docx(&blocks)), ("a.odt", odt(&blocks))] {
            let documents = load(name, &bytes);
            prop_assert_eq!(documents.len(), 1);
            prop_assert_eq!(&documents[0].text, &markdown(&blocks), "{}", name);
        }
    }

    #[test]
    fn slides_are_read_as_they_were_written(
        slides in prop::collection::vec(prop::collection::vec(paragraph(), 1..4), 1..5)
    ) {
        let found: Vec<String> = load("a.pptx", &pptx(&slides)).into_iter().map(|slide| slide.text).collect();
        let slide = |paragraphs: &Vec<Vec<String>>| {
            let paragraphs: Vec<String> = paragraphs.iter().map(|words| words.join(" ")).collect();
            paragraphs.join("\n\n")
        };
        let expected: Vec<String> = slides.iter().map(slide).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn chapters_are_read_as_they_were_written(
        chapters in prop::collection::vec(prop::collection::vec(block(), 1..5), 1..5)
    ) {
        let found: Vec<String> = load("a.epub", &epub(&chapters)).into_iter().map(|chapter| chapter.text).collect();
        let expected: Vec<String> = chapters.iter().map(|blocks| markdown(blocks)).collect();
        prop_assert_eq!(found, expected);
    }
}

/// An empty block inside of a link takes the spaces before it away.
#[test]
fn a_link_around_blocks_is_no_link() {
    let cases = [
        ("<br/><a href='http://x'><div> </div></a>b", "b"),
        (
            "<p>a</p><br/><a href='http://x'><p>b</p>c</a>",
            "a\n\nb\n\nc",
        ),
        ("a <a href='http://x'>b</a>", "a [b](http://x)"),
    ];
    for (body, expected) in cases {
        let chapters = load("a.epub", &book(&[body.into()]));
        assert_eq!(chapters[0].text, expected, "{body}");
    }
}

// --- sheets ----------------------------------------------------------------------------------------------------------

fn cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("a cell holds no infinity", |number| number.is_finite())
            .prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[a-z =+@_x0-9A-F\"<>&\né日🦀\u{1}\u{b}]{0,12}".prop_map(Value::from),
        "(_x00[0-9a-f]{2}_?|_x|[=+@-]){1,3}".prop_map(Value::from),
    ]
}

const WIDTH: usize = 4;

/// Rows below a head; each has as many cells.
fn grid() -> impl Strategy<Value = Vec<Vec<Value>>> {
    let row = prop::collection::vec(cell(), WIDTH);
    // A row may be there several times.
    let rows = prop::collection::vec((row, 1_usize..3), 0..8);
    rows.prop_map(|rows| {
        let rows = rows.into_iter();
        rows.flat_map(|(row, times)| std::iter::repeat_n(row, times))
            .collect()
    })
}

/// The rows that are not empty, with their numbers in the sheet.
fn expected(grid: &[Vec<Value>]) -> Vec<(u64, BTreeMap<String, Value>)> {
    let rows = (2..)
        .zip(grid)
        .filter(|(_, row)| row.iter().any(|cell| !cell.is_null()));
    rows.map(|(number, row)| {
        let cells = row.iter().enumerate();
        let mut fields: BTreeMap<String, Value> = cells
            .map(|(column, cell)| (format!("c{column}"), cell.clone()))
            .collect();
        fields.insert("sheet".into(), "S".into());
        (number, fields)
    })
    .collect()
}

fn found(name: &str, bytes: &[u8]) -> Vec<(u64, BTreeMap<String, Value>)> {
    let rows = load(name, bytes).into_iter();
    rows.map(|row| (row.origin.place, row.fields.into_iter().collect()))
        .collect()
}

fn with_head(grid: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let head = (0..WIDTH)
        .map(|column| format!("c{column}").into())
        .collect();
    std::iter::once(head).chain(grid.iter().cloned()).collect()
}

fn xlsx(grid: &[Vec<Value>]) -> Vec<u8> {
    let (mut rows, mut shared) = (String::new(), Vec::new());
    for (number, row) in (1..).zip(with_head(grid)) {
        write!(rows, "<row r=\"{number}\">").unwrap();
        for (letter, cell) in ('A'..).zip(row) {
            let at = format!("{letter}{number}");
            match cell {
                Value::Null => continue,
                Value::Bool(value) => {
                    write!(rows, "<c r=\"{at}\" t=\"b\"><v>{}</v></c>", u8::from(value))
                }
                Value::Number(value) => write!(rows, "<c r=\"{at}\"><v>{value}</v></c>"),
                Value::String(text) => {
                    let text = excel_text(&text);
                    match letter {
                        'A' => write!(
                            rows,
                            "<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>"
                        ),
                        'B' => write!(rows, "<c r=\"{at}\" t=\"str\"><v>{text}</v></c>"),
                        _ => {
                            shared.push(format!(
                                "<si><r><t xml:space=\"preserve\">{text}</t></r></si>"
                            ));
                            write!(
                                rows,
                                "<c r=\"{at}\" t=\"s\"><v>{}</v></c>",
                                shared.len() - 1
                            )
                        }
                    }
                }
                other => panic!("{other} is no cell"),
            }
            .unwrap();
        }
        rows.push_str("</row>");
    }
    let sheet = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
    let shared = format!("<sst>{}</sst>", shared.concat());
    let workbook = format!(
        "<workbook xmlns:r=\"{OFFICE}\"><sheets><sheet name=\"S\" r:id=\"s\"/></sheets></workbook>"
    );
    let root = relations(&[("a".into(), "officeDocument", "xl/workbook.xml".into())]);
    let links = relations(&[
        ("s".into(), "worksheet", "sheet.xml".into()),
        ("t".into(), "sharedStrings", "shared.xml".into()),
    ]);
    zipped(&[
        ("_rels/.rels", &root),
        ("xl/workbook.xml", &workbook),
        ("xl/_rels/workbook.xml.rels", &links),
        ("xl/sheet.xml", &sheet),
        ("xl/shared.xml", &shared),
    ])
}

/// A text as Excel writes it: what XML forbids as `_x0001_`, and what looks like that with its own line below escaped.
fn excel_text(text: &str) -> String {
    let mut written = String::new();
    for character in text.replace("_x", "_x005F_x").chars() {
        if character.is_control() && !matches!(character, '\n' | '\t') {
            write!(written, "_x{:04X}_", character as u32).unwrap();
        } else {
            written.push(character);
        }
    }
    escaped(&written)
}

fn ods(grid: &[Vec<Value>]) -> Vec<u8> {
    let (mut rows, mut grid) = (String::new(), with_head(grid).into_iter().peekable());
    while let Some(row) = grid.next() {
        let mut times = 1;
        while grid.next_if_eq(&row).is_some() {
            times += 1;
        }
        write!(
            rows,
            "<table:table-row table:number-rows-repeated=\"{times}\">"
        )
        .unwrap();
        let mut cells = row.into_iter().peekable();
        while let Some(cell) = cells.next() {
            let mut times = 1;
            while cells.next_if_eq(&cell).is_some() {
                times += 1;
            }
            let (attributes, content) = ods_cell(&cell);
            write!(
                rows,
                "<table:table-cell table:number-columns-repeated=\"{times}\"{attributes}>{content}</table:table-cell>"
            )
            .unwrap();
        }
        rows.push_str("</table:table-row>");
    }
    let content = format!(
        "<office:document-content {OPEN}><office:body><office:spreadsheet><table:table table:name=\"S\">{rows}</table:table>\
         </office:spreadsheet></office:body></office:document-content>"
    );
    zipped(&[("content.xml", &content)])
}

/// Attributes and content of a cell. XML holds no control characters, so texts have none here.
fn ods_cell(cell: &Value) -> (String, String) {
    match cell {
        Value::Bool(value) => (
            format!(" office:value-type=\"boolean\" office:boolean-value=\"{value}\""),
            String::new(),
        ),
        Value::Number(value) => (
            format!(" office:value-type=\"float\" office:value=\"{value}\""),
            String::new(),
        ),
        Value::String(text) => {
            let paragraph = |line: &str| {
                format!(
                    "<text:p>{}</text:p>",
                    escaped(line).replace("  ", " <text:s/>")
                )
            };
            let paragraphs: String = text.split('\n').map(paragraph).collect();
            (" office:value-type=\"string\"".into(), paragraphs)
        }
        _ => (String::new(), String::new()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn cells_are_read_as_they_were_written(grid in grid()) {
        prop_assume!(!expected(&grid).is_empty());
        prop_assert_eq!(found("a.xlsx", &xlsx(&grid)), expected(&grid));
        let printable = |cell: Value| match cell {
            Value::String(text) => text.replace(['\u{1}', '\u{b}'], "").into(),
            other => other,
        };
        let grid: Vec<Vec<Value>> = grid.into_iter().map(|row| row.into_iter().map(printable).collect()).collect();
        prop_assert_eq!(found("a.ods", &ods(&grid)), expected(&grid));
    }
}
