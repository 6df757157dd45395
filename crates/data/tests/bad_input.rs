//! Every bad input gets its kind of error, with the place, what was found and what to do.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use finetune_data::example::Role;
use finetune_data::load::{Counts, Csv, Loaders, OnError};
use finetune_data::mapping::{
    AnyChat, ChatMapping, CompletionMapping, LabelMapping, Mapping, PreferenceMapping, TextMapping,
};
use finetune_data::{DataError, Document, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

/// A folder with files of a case.
struct Case {
    folder: TempDir,
}

impl Case {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

fn load(path: &Path) -> Result<(Vec<Document>, Counts)> {
    Loaders::default().load_all(&[path], &OnError::Stop)
}

/// Loads `content` under `name` and compares the kind and parts of the message; the folder is left out of both.
fn check(name: &str, content: impl AsRef<[u8]>, kind: &str, parts: &[&str]) {
    let case = Case::new();
    let error = load(&case.file(name, content)).unwrap_err();
    check_error(&case, &error, kind, parts);
}

fn check_error(case: &Case, error: &DataError, kind: &str, parts: &[&str]) {
    let folder = format!("{}/", case.folder.path().display());
    let message = error.to_string().replace(&folder, "");
    assert_eq!(error.kind(), kind, "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

fn gz(content: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(content).unwrap();
    packer.finish().unwrap()
}

fn utf16(text: &str, little: bool, mark: bool) -> Vec<u8> {
    let bytes = |unit: u16| {
        if little {
            unit.to_le_bytes()
        } else {
            unit.to_be_bytes()
        }
    };
    let mark = mark.then_some(0xFEFF);
    mark.into_iter()
        .chain(text.encode_utf16())
        .flat_map(bytes)
        .collect()
}

#[test]
fn b01_syntax_is_reported_at_the_files_line() {
    let content = "{\"messages\":[]}\n".repeat(36) + "{\"messages\":[}\n";
    check(
        "data.jsonl",
        content,
        "json syntax",
        &["data.jsonl:37:14: ", "expected value"],
    );
}

#[test]
fn b02_a_cut_last_line_is_suspected() {
    let parts = [
        "data.jsonl:2:11: unexpected end",
        "last line has no newline: file may be truncated",
    ];
    check(
        "data.jsonl",
        "{\"a\":1}\n{\"a\":\"half",
        "json syntax",
        &parts,
    );
}

#[test]
fn b03_a_byte_order_mark_is_accepted_at_the_start_alone() {
    let case = Case::new();
    for name in ["data.jsonl", "data.json", "data.csv", "data.txt", "data.md"] {
        let content = if name == "data.csv" {
            "\u{feff}a,b\n1,2\n"
        } else {
            "\u{feff}{\"a\":1}\n"
        };
        let (documents, counts) = load(&case.file(name, content)).unwrap();
        assert_eq!((documents.len(), counts.byte_order_marks), (1, 1), "{name}");
        assert!(
            documents[0].fields.contains_key("a") || !documents[0].text.contains('\u{feff}'),
            "{name}"
        );
    }
    check(
        "data.jsonl",
        "{\"a\":1}\n\u{feff}{\"a\":1}\n",
        "json syntax",
        &["data.jsonl:2:1", "byte order mark"],
    );
}

#[test]
fn b04_utf16_is_named() {
    let text = "{\"text\": \"hello\"}\n";
    for (little, mark, found) in [
        (true, true, "UTF-16LE"),
        (false, true, "UTF-16BE"),
        (true, false, "UTF-16LE"),
        (false, false, "UTF-16BE"),
    ] {
        // JSON has one encoding; texts and tables in another are read (tests/sources.rs).
        for name in ["data.jsonl", "data.json"] {
            check(
                name,
                utf16(text, little, mark),
                "encoding",
                &[name, &format!("looks like {found}")],
            );
        }
    }
    check(
        "data.txt",
        b"\xFF\xFE\0\0a\0\0\0",
        "encoding",
        &["UTF-32LE"],
    );
}

#[test]
fn b05_an_invalid_byte_has_a_place() {
    let parts = ["data.jsonl:2:8: ", "invalid byte 0xFF"];
    check(
        "data.jsonl",
        b"{\"a\":1}\n{\"\xC3\xA9\":\"x\xFF\xFE\"}\n",
        "utf-8",
        &parts,
    );
    check(
        "data.csv",
        b"a,b\n\"\xC3\xA9\n\n2\",\xE9\n",
        "utf-8",
        &["data.csv:4:4: ", "0xE9"],
    );
    check(
        "data.txt",
        b"\xC3\xB6ne\ntw\xE9\n",
        "utf-8",
        &["data.txt:2:3: ", "0xE9"],
    );
    check(
        "data.json",
        b"[\n {\"a\": \"\xC0\"}]",
        "utf-8",
        &["data.json:2:9: ", "0xC0"],
    );
}

#[test]
fn b06_to_b14_broken_json_is_told_apart() {
    let deep = format!("{{\"a\":{}}}\n", "[".repeat(100_000));
    let cases: [(&str, &str, &[&str]); 20] = [
        (
            "{\"a\":\"\\ud800\"}",
            "json syntax",
            &["data.jsonl:1:7: ", "lone surrogate"],
        ),
        (
            "{\"a\":\"x\ty\"}",
            "json syntax",
            &["data.jsonl:1:8: ", "control character U+0009"],
        ),
        (
            "{\"a\":\"x\0y\"}",
            "json syntax",
            &["data.jsonl:1:8: ", "control character U+0000"],
        ),
        (
            "{\"prompt\":\"a\",\"prompt\":\"b\"}",
            "duplicate key",
            &["data.jsonl:1:15: ", "\"prompt\""],
        ),
        (
            "{\"a\":{\"b\":1,\"b\":1}}",
            "duplicate key",
            &["data.jsonl:1:13: ", "\"b\""],
        ),
        (
            "{\"a\":NaN}",
            "json syntax",
            &["data.jsonl:1:6: ", "NaN", "expected value"],
        ),
        (
            "{\"a\":-Infinity}",
            "json syntax",
            &["data.jsonl:1:7: ", "Infinity"],
        ),
        (
            "{\"a\":1e999}",
            "number range",
            &["data.jsonl:1:6: ", "1e999"],
        ),
        (
            "{\"id\":12345678901234567890123}",
            "number range",
            &["data.jsonl:1:7: ", "12345678901234567890123"],
        ),
        (&deep, "too deep", &["data.jsonl:1:69: ", "limit 64"]),
        ("null", "not an object", &["data.jsonl:1:1: ", "found null"]),
        ("[1]", "not an object", &["found array"]),
        ("\"x\"", "not an object", &["found string"]),
        ("17", "not an object", &["found number"]),
        (
            "{\"a\":1},",
            "json syntax",
            &["data.jsonl:1:8: ", "trailing characters"],
        ),
        (
            "{\"a\":1,}",
            "json syntax",
            &["data.jsonl:1:7: ", "trailing comma"],
        ),
        (
            "{\"a\":1} // note",
            "json syntax",
            &["data.jsonl:1:9: ", "trailing characters"],
        ),
        (
            "{\"a\":1} {\"a\":2}",
            "json syntax",
            &["data.jsonl:1:9: ", "trailing characters"],
        ),
        (
            "{'a':1}",
            "json syntax",
            &["data.jsonl:1:2: ", "expected a name in double quotes"],
        ),
        (
            "{\"a\":1}\r{\"a\":2}",
            "json syntax",
            &["trailing characters", "old Mac line ends"],
        ),
    ];
    for (line, kind, parts) in cases {
        check("data.jsonl", format!("{line}\n"), kind, parts);
    }
}

#[test]
fn b08_escaped_control_characters_are_counted_or_refused() {
    let case = Case::new();
    let path = case.file(
        "data.jsonl",
        "{\"a\":\"x\\u0000\\u0007\\n\\t\"}\n{\"a\":[\"\\u001b\"]}\n",
    );
    let (documents, counts) = load(&path).unwrap();
    assert_eq!((documents.len(), counts.control_chars), (2, 3));
    let error = Loaders::default()
        .strict(true)
        .load_all(&[&path], &OnError::Stop)
        .unwrap_err();
    check_error(
        &case,
        &error,
        "control character",
        &["data.jsonl:1: ", "U+0000"],
    );
}

#[test]
fn b15_a_line_too_long_is_refused_without_holding_it() {
    let mut content = b"{\"a\":1}\n{\"a\":\"".to_vec();
    content.resize(40 << 20, b'x');
    content.extend(b"\"}\n{\"a\":2}\n");
    let case = Case::new();
    let path = case.file("data.jsonl", &content);
    check_error(
        &case,
        &load(&path).unwrap_err(),
        "line too long",
        &["data.jsonl:2:1: ", "limit 16 MiB"],
    );

    // It is one record: what follows is read, and the quarantine gets the line as it is.
    let quarantine = case.folder.path().join("bad");
    let (documents, counts) = Loaders::default()
        .load_all(&[&path], &OnError::Quarantine(quarantine.clone()))
        .unwrap();
    assert_eq!(
        (
            documents.len(),
            documents[1].origin.place,
            counts.quarantined
        ),
        (2, 3, 1)
    );
    let line_end = content.len() - b"{\"a\":2}\n".len();
    assert!(fs::read(&quarantine).unwrap() == content[8..line_end].to_vec());

    let array = [b"[".as_slice(), &content[8..line_end - 1], b", {\"a\":2}]"].concat();
    let (documents, counts) = Loaders::default()
        .load_all(&[case.file("data.json", array)], &OnError::Skip)
        .unwrap();
    assert_eq!((documents.len(), counts.skipped), (1, 1));
    assert!(counts.reasons.contains_key("line too long"));
}

#[test]
fn b16_nothing_to_read_is_an_error() {
    for name in [
        "data.jsonl",
        "data.csv",
        "data.txt",
        "data.json",
        "data.md",
        "data.jsonl.gz",
    ] {
        check(name, "", "empty data set", &[name, "no record"]);
    }
    check("data.jsonl", "\n  \r\n\n", "empty data set", &["3 blank"]);
    check("data.json", "[]", "empty data set", &["no record"]);
    check("data.csv", "a,b\n\n\n", "empty data set", &["2 blank"]);
    let case = Case::new();
    let mut documents = Loaders::default()
        .load(case.file("data.jsonl", "\n\n"))
        .unwrap();
    assert!(matches!(
        documents.next(),
        Some(Err(DataError::EmptyDataset { .. }))
    ));
    assert!(documents.next().is_none());
    let error = Loaders::default()
        .load_all(&[case.file("bad.jsonl", "{\n[\n")], &OnError::Skip)
        .unwrap_err();
    check_error(&case, &error, "empty data set", &["2 broken"]);
}

#[test]
fn b17_windows_line_ends_are_accepted() {
    let case = Case::new();
    for (name, content) in [
        ("a.jsonl", "{\"a\":\"1\"}\r\n{\"a\":\"2\"}\r\n"),
        ("a.csv", "a\r\n1\r\n2\r\n"),
        ("a.csv", "a\r\n\"1\"\r\n\"2\"\r\n"),
    ] {
        let (documents, _) = load(&case.file(name, content)).unwrap();
        let values: Vec<_> = documents
            .iter()
            .map(|document| document.fields["a"].as_str().unwrap())
            .collect();
        assert_eq!(values, ["1", "2"], "{content:?}");
    }
    assert_eq!(
        load(&case.file("a.txt", "one\r\ntwo\rthree\n")).unwrap().0[0].text,
        "one\ntwo\nthree\n"
    );
    check(
        "data.csv",
        "a,b\r1,2\r3,4\r",
        "csv syntax",
        &["data.csv:1:4: ", "old Mac line ends"],
    );
}

#[test]
fn b18_another_format_under_the_name_is_recognised() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let page = "\n <!DOCTYPE HTML><html><title>404</title></html>";
    for name in ["data.jsonl", "data.json", "data.csv"] {
        check(
            name,
            gz(b"{\"a\":1}\n"),
            "wrong format",
            &["gzip data", &format!("{name}.gz")],
        );
        check(name, b"PK\x03\x04rest", "wrong format", &["ZIP data"]);
        check(
            name,
            pointer,
            "wrong format",
            &["Git LFS pointer: run git lfs pull"],
        );
        check(name, page, "wrong format", &["HTML page"]);
    }
    check(
        "data.txt",
        pointer,
        "wrong format",
        &["Git LFS pointer: run git lfs pull"],
    );
    check("data.txt", b"%PDF-1.7", "wrong format", &["a PDF document"]);
    check(
        "data.jsonl.gz",
        "{\"a\":1}\n",
        "wrong format",
        &["expected gzip data", "Remove .gz"],
    );
    check("data.jsonl.gz", page.trim(), "wrong format", &["HTML page"]);
    check(
        "data.jsonl.gz",
        gz(pointer.as_bytes()),
        "wrong format",
        &["Git LFS pointer"],
    );
    check(
        "data.jsonl.gz",
        gz(&gz(b"{}")),
        "wrong format",
        &["gzip data", "packed twice"],
    );
    check(
        "data.tiff",
        "II*\0",
        "unknown format",
        &["\".tiff\"", "jsonl"],
    );
    check("data", "x", "unknown format", &["without an extension"]);
}

/// Maps a line with a mapping and compares the error.
fn check_mapping<M: Mapping>(mapping: &M, line: &str, kind: &str, parts: &[&str]) {
    let case = Case::new();
    let path = case.file("data.jsonl", format!("\n{line}\n"));
    let result = Loaders::default().collect(&[path], &OnError::Stop, |document| {
        mapping.example(document).map(drop)
    });
    let error = result.unwrap_err();
    let parts: Vec<&str> = parts.iter().copied().chain(["data.jsonl:2: "]).collect();
    check_error(&case, &error, kind, &parts);
}

#[test]
fn b19_fields_that_are_missing_or_of_another_type() {
    let completion = CompletionMapping::default();
    let parts = [
        "\"prompt\" is missing",
        "(found: \"Frage\", \"answr\")",
        "prompt=Frage,completion=answr",
    ];
    check_mapping(
        &completion,
        "{\"Frage\":\"a\",\"answr\":\"b\"}",
        "missing field",
        &parts,
    );
    let parts = [
        "\"completion\" is missing",
        "found: \"question\", \"reply\"",
        "prompt=question,completion=reply",
    ];
    check_mapping(
        &completion,
        "{\"question\":\"a\",\"reply\":\"b\"}",
        "missing field",
        &parts,
    );
    check_mapping(&completion, "{}", "missing field", &["found: no fields"]);
    let named: CompletionMapping = "prompt=question,completion=antwort".parse().unwrap();
    let parts = ["\"antwort\" is missing", "Did you mean \"antworten\"?"];
    check_mapping(
        &named,
        "{\"question\":\"a\",\"antworten\":\"b\"}",
        "missing field",
        &parts,
    );
    let parts = ["\"prompt\"", "found number; expected string"];
    check_mapping(
        &completion,
        "{\"prompt\":5,\"completion\":\"a\"}",
        "wrong type",
        &parts,
    );
    check_mapping(
        &TextMapping::default(),
        "{\"Text\":\"a\"}",
        "missing field",
        &["\"text\" is missing", "text=Text"],
    );
    check_mapping(
        &TextMapping::default(),
        "{\"text\":[]}",
        "wrong type",
        &["found array"],
    );
}

#[test]
fn b19_messages_labels_and_answers_of_another_form() {
    check_mapping(
        &ChatMapping::default(),
        "{\"messages\":\"x\"}",
        "wrong type",
        &["found string; expected array"],
    );
    check_mapping(
        &ChatMapping::default(),
        "{\"messages\":[1]}",
        "wrong type",
        &["messages.0", "found number"],
    );
    let parts = ["messages.0.content", "found: \"text_\""];
    check_mapping(
        &ChatMapping::default(),
        "{\"messages\":[{\"role\":\"user\",\"text_\":1}]}",
        "missing field",
        &parts,
    );
    check_mapping(
        &LabelMapping::default(),
        "{\"text\":\"a\",\"label\":null}",
        "missing field",
        &["\"label\""],
    );
    check_mapping(
        &LabelMapping::default(),
        "{\"text\":\"a\",\"label\":[[1]]}",
        "wrong type",
        &["\"label.0\"", "found array"],
    );
    let number: LabelMapping = "label=score,kind=number".parse().unwrap();
    check_mapping(
        &number,
        "{\"text\":\"a\",\"score\":\"high\"}",
        "wrong type",
        &["found string; expected number"],
    );
    check_mapping(
        &PreferenceMapping::default(),
        "{\"prompt\":\"a\",\"chosen\":\"b\"}",
        "missing field",
        &["\"rejected\""],
    );
    check_mapping(
        &PreferenceMapping::default(),
        "{\"chosen\":\"a\",\"rejected\":\"b\"}",
        "missing field",
        &["\"prompt\""],
    );
}

/// A chat of these roles.
fn chat(roles: &[&str]) -> String {
    let mut messages = String::new();
    for role in roles {
        let _ = write!(messages, "{{\"role\":\"{role}\",\"content\":\"x\"}},");
    }
    format!("{{\"messages\":[{}]}}", messages.trim_end_matches(','))
}

#[test]
fn b20_roles_and_their_order() {
    let parts = [
        "\"systm\"",
        "expected system, user, assistant or tool",
        "did you mean \"system\"?",
    ];
    check_mapping(
        &AnyChat::Detect,
        &chat(&["systm", "user"]),
        "unknown role",
        &parts,
    );
    let cases: [(&[&str], usize, &str); 7] = [
        (&["assistant", "user"], 1, "assistant first"),
        (&["user", "user"], 2, "user after user"),
        (
            &["user", "assistant", "assistant"],
            3,
            "assistant after assistant",
        ),
        (&["system", "assistant"], 2, "assistant after system"),
        (
            &["user", "assistant", "system"],
            3,
            "system after assistant",
        ),
        (&["user", "tool"], 2, "tool after user"),
        (&["system", "user"], 3, "the end of the conversation"),
    ];
    for (roles, turn, found) in cases {
        check_mapping(
            &AnyChat::Detect,
            &chat(roles),
            "role order",
            &[&format!("turn {turn}: found {found}")],
        );
    }
    check_mapping(
        &AnyChat::Detect,
        "{\"messages\":[]}",
        "empty conversation",
        &["no turns"],
    );
    let call = "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{}]}]}";
    check_mapping(
        &AnyChat::Detect,
        call,
        "missing field",
        &["messages.1.tool_calls.0.name", "A tool has a name"],
    );
    let image = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"http://x\"}]}]}";
    check_mapping(&AnyChat::Detect, image, "unsupported", &["\"image_url\""]);
    assert_eq!("GPT".parse::<Role>().unwrap(), Role::Assistant);
}

#[test]
fn b21_empty_texts_are_errors_that_a_policy_counts() {
    check_mapping(
        &AnyChat::Detect,
        "{\"prompt\":\" \\n\",\"completion\":\"a\"}",
        "empty content",
        &["prompt is empty"],
    );
    check_mapping(
        &AnyChat::Detect,
        "{\"prompt\":\"a\",\"completion\":\"\"}",
        "empty content",
        &["completion is empty"],
    );
    check_mapping(
        &TextMapping::default(),
        "{\"text\":\"\"}",
        "empty content",
        &["text"],
    );
    let empty = chat(&["user", "assistant"]).replacen("\"x\"", "\"\"", 1);
    check_mapping(
        &AnyChat::Detect,
        &empty,
        "empty content",
        &["messages.0.content"],
    );
    let case = Case::new();
    let path = case.file(
        "data.jsonl",
        "{\"text\":\" \"}\n{\"text\":\"a\"}\n{\"text\":\"\"}\n",
    );
    let text = |document| TextMapping::default().example(document);
    let (texts, counts) = Loaders::default()
        .collect(&[path], &OnError::Skip, text)
        .unwrap();
    assert_eq!(
        (
            texts.len(),
            counts.skipped,
            counts.reasons["empty content"].count
        ),
        (1, 2, 2)
    );
}

#[test]
fn b22_a_preference_needs_a_difference() {
    let equal = "{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"b\"}";
    check_mapping(
        &PreferenceMapping::default(),
        equal,
        "no preference",
        &["equal"],
    );
    let message =
        |role: &str, text: &str| format!("{{\"role\":\"{role}\",\"content\":\"{text}\"}}");
    let (user, answer) = (message("user", "q"), message("assistant", "a"));
    let equal = format!("{{\"chosen\":[{user},{answer}],\"rejected\":[{user},{answer}]}}");
    check_mapping(
        &PreferenceMapping::default(),
        &equal,
        "no preference",
        &["equal"],
    );
}

#[test]
fn b24_an_open_quote_ends_a_table_where_it_opened() {
    let parts = ["data.csv:3: ", "a quote opens here and never closes"];
    let content = "a,b\n1,2\n3,\"open\n4,5\n6,7\n";
    check("data.csv", content, "csv syntax", &parts);
    let case = Case::new();
    let (documents, counts) = Loaders::default()
        .load_all(&[case.file("data.csv", content)], &OnError::Skip)
        .unwrap();
    assert_eq!((documents.len(), counts.read, counts.skipped), (1, 2, 1));
    let first = &counts.reasons["csv syntax"].first;
    assert!(first.contains("Nothing behind it was read"), "{first}");
    check(
        "data.csv",
        "a,\"b\nc",
        "csv syntax",
        &["data.csv:1: ", "never closes"],
    );
    check(
        "data.csv",
        "a,b\n\"x\ny\",\"open\n",
        "csv syntax",
        &["data.csv:3: ", "never closes"],
    );
    check(
        "data.csv",
        "a,b\n1,\"x\" y\n",
        "csv syntax",
        &["data.csv:2:6: ", "behind a closing quote"],
    );
    check(
        "data.csv",
        "a,b\n1,2,3\n",
        "csv syntax",
        &["data.csv:2: ", "found 3 cells; expected 2"],
    );
    check(
        "data.csv",
        "a,b,a\n1,2,3\n",
        "duplicate key",
        &["data.csv:1:5: ", "\"a\""],
    );
    check(
        "data.csv",
        "a,,b\n1,2,3\n",
        "csv syntax",
        &["data.csv:1:3: ", "without a name"],
    );
}

#[test]
fn b25_a_file_that_changes_is_noticed() {
    let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(1000));
    for change in ["truncate", "append", "replace"] {
        let case = Case::new();
        let path = case.file("data.jsonl", line.repeat(1000));
        let mut documents = Loaders::default().load(&path).unwrap();
        documents.next().unwrap().unwrap();
        match change {
            "truncate" => fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(500_000)
                .unwrap(),
            "append" => fs::OpenOptions::new()
                .append(true)
                .open(&path)
                .unwrap()
                .write_all(line.as_bytes())
                .unwrap(),
            _ => fs::rename(case.file("other", "{\"a\":1}\n"), &path).unwrap(),
        }
        // A line that was cut in half may be reported first; the end is the change.
        let error = documents.filter_map(Result::err).last().unwrap();
        check_error(
            &case,
            &error,
            "file changed",
            &["data.jsonl: ", "1009000 bytes before"],
        );
    }
}

#[cfg(unix)]
#[test]
fn b26_what_is_no_file_is_refused_at_once() {
    let case = Case::new();
    let folder = case.folder.path();
    std::os::unix::fs::symlink(folder.join("b.jsonl"), folder.join("a.jsonl")).unwrap();
    std::os::unix::fs::symlink(folder.join("a.jsonl"), folder.join("b.jsonl")).unwrap();
    let error = Loaders::default()
        .load(folder.join("a.jsonl"))
        .map(drop)
        .unwrap_err();
    check_error(
        &case,
        &error,
        "not a regular file",
        &["a.jsonl: found a loop of links"],
    );
    let error = Loaders::default().load("/dev/zero").map(drop).unwrap_err();
    check_error(
        &case,
        &error,
        "not a regular file",
        &["/dev/zero: found a device"],
    );
    let loader: &dyn finetune_data::Load = &Csv::default();
    let error = loader.load(folder).map(drop).unwrap_err();
    check_error(&case, &error, "not a regular file", &["a directory"]);

    let case = Case::new();
    let socket = case.folder.path().join("s.jsonl");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = load(case.folder.path()).unwrap_err();
    check_error(
        &case,
        &error,
        "not a regular file",
        &["s.jsonl: found a socket"],
    );

    let case = Case::new();
    let inner = case.folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    std::os::unix::fs::symlink(case.folder.path(), inner.join("up")).unwrap();
    check_error(
        &case,
        &load(case.folder.path()).unwrap_err(),
        "not a regular file",
        &["inner/up: ", "loop of links"],
    );
}

#[cfg(unix)]
#[test]
fn b26_a_pipe_does_not_block() {
    let case = Case::new();
    let pipe = case.folder.path().join("p.jsonl");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "mkfifo is part of every Unix"
    );
    check_error(
        &case,
        &load(&pipe).unwrap_err(),
        "not a regular file",
        &["p.jsonl: found a pipe"],
    );
}

#[test]
fn b27_what_the_system_refuses_is_passed_on() {
    let case = Case::new();
    let error = load(&case.folder.path().join("none.jsonl")).unwrap_err();
    check_error(
        &case,
        &error,
        "input/output",
        &["none.jsonl: cannot open: No such file"],
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn b28_files_of_the_same_name_are_told_apart() {
    let case = Case::new();
    for folder in ["one", "two"] {
        fs::create_dir(case.folder.path().join(folder)).unwrap();
        case.file(&format!("{folder}/data.jsonl"), "{\"a\":1}\n");
    }
    let (documents, counts) = load(case.folder.path()).unwrap();
    let paths: Vec<_> = documents
        .iter()
        .map(|document| document.origin.path.clone())
        .collect();
    assert_eq!(
        paths,
        [
            case.folder.path().join("one/data.jsonl"),
            case.folder.path().join("two/data.jsonl")
        ]
    );
    assert_eq!(counts.files, 2);
}

#[test]
fn b62_packed_files_are_checked() {
    let good = gz("{\"a\":1}\n".repeat(1000).as_bytes());
    check(
        "data.jsonl.gz",
        &good[..good.len() - 10],
        "truncated",
        &["data.jsonl.gz: ", "ends too early"],
    );
    let mut flipped = good.clone();
    let checksum = flipped.len() - 6;
    flipped[checksum] ^= 1;
    check(
        "data.jsonl.gz",
        &flipped,
        "checksum",
        &["data.jsonl.gz: ", "corrupt"],
    );
    check(
        "data.jsonl.gz",
        gz(&vec![b'\n'; 64 << 20]),
        "limit exceeded",
        &["data.jsonl.gz: ", "ratio", "limit 200"],
    );
    let case = Case::new();
    let members = [gz(b"{\"a\":1}\n"), gz(b"{\"a\":2}\n")].concat();
    assert_eq!(
        load(&case.file("data.jsonl.gz", members)).unwrap().0.len(),
        2
    );
}

#[test]
fn json_files_that_are_broken_between_records() {
    let cases: [(&str, &[&str]); 14] = [
        ("[{\"a\":1},]", &["data.json:1:9: trailing comma"]),
        (
            "[{\"a\":1} {\"a\":2}]",
            &["data.json:1:10: found \"{\"; expected \",\" or \"]\""],
        ),
        (
            "[{\"a\":1},\n{\"a\":2}",
            &["data.json:2:8: unexpected end", "may be truncated"],
        ),
        (
            "[{\"a\":1},",
            &["data.json:1:10: unexpected end of the file; expected value"],
        ),
        (
            "[\n  {\"a\": [1}\n]",
            &["data.json:2:11: found \"}\"; expected \",\" or \"]\""],
        ),
        (
            "[\n {\"a\":\"open\n}]",
            &["data.json:2:12: found the control character U+000A"],
        ),
        ("[{\"a\":1}] x", &["data.json:1:11: trailing characters"]),
        (
            "{\"a\":1} {\"a\":2}",
            &["data.json:1:9: trailing characters"],
        ),
        (
            "{\"a\":1},\n{\"a\":2}",
            &["data.json:1:8: trailing characters"],
        ),
        ("{\"a\":1", &["data.json:1:7: unexpected end", "truncated"]),
        ("[,]", &["data.json:1:2: found \",\"; expected value"]),
        ("[", &["data.json:1:2: unexpected end"]),
        ("]", &["data.json:1:1: found \"]\"; expected value"]),
        ("hello", &["data.json:1:1: found \"hello\"; expected value"]),
    ];
    for (content, parts) in cases {
        check("data.json", content, "json syntax", parts);
    }
    check(
        "data.json",
        "[{\"a\":1},\n 5]",
        "not an object",
        &["data.json:2:2: found number"],
    );
    check(
        "data.json",
        "[{\"é\":1,\"é\":2}]",
        "duplicate key",
        &["data.json:1:9: "],
    );
}

#[test]
fn mappings_that_cannot_be_read() {
    for (text, parts) in [
        ("promt=a", ["\"promt\"", "did you mean prompt?"]),
        ("prompt", ["\"prompt\"", "prompt=FIELD"]),
        ("prompt=a,prompt=b", ["\"prompt=b\"", "only once"]),
    ] {
        let error = text.parse::<CompletionMapping>().unwrap_err();
        assert!(matches!(error, DataError::Setting { .. }));
        assert!(
            parts.iter().all(|part| error.to_string().contains(part)),
            "{error}"
        );
    }
}
