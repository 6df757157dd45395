//! What needs no feature: issues as conversations, types of tables, and data sets that are JSON lines.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;

use finetune_data::load::{Csv, GithubIssues};
use finetune_data::{Document, Load, Loaders, OnError};
use serde_json::json;

fn issues(content: &serde_json::Value) -> Vec<Document> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("issues.json");
    fs::write(&path, content.to_string()).unwrap();
    GithubIssues
        .load(&path)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

#[test]
fn issues_of_gh_are_conversations() {
    let documents = issues(&json!([
        {"number": 7, "title": "It breaks", "body": "Always.\r\nSee log.", "author": {"login": "ann"},
         "createdAt": "2024-01-02T03:04:05Z", "url": "https://github.com/o/r/issues/7", "labels": [{"name": "bug"}],
         "comments": [{"author": {"login": "bob"}, "body": "Which version?", "createdAt": "2024-01-03T00:00:00Z"},
                      {"author": {"login": "ann"}, "body": "1.0", "createdAt": "2024-01-04T00:00:00Z"}]},
        {"number": 8, "title": "Only a title", "body": "", "author": null, "comments": []},
    ]));
    assert_eq!(documents.len(), 2);
    assert_eq!(
        documents[0].text,
        "ann: It breaks\n\nAlways.\nSee log.\nbob: Which version?\nann: 1.0"
    );
    let expected = json!({
        "title": "It breaks", "author": "ann", "date": "2024-01-02T03:04:05Z", "id": 7, "kind": "issue",
        "url": "https://github.com/o/r/issues/7", "keywords": ["bug"], "participants": ["ann", "bob"],
        "messages": [
            {"role": "user", "content": "It breaks\n\nAlways.\nSee log.", "name": "ann", "time": "2024-01-02T03:04:05Z"},
            {"role": "assistant", "content": "Which version?", "name": "bob", "time": "2024-01-03T00:00:00Z"},
            {"role": "user", "content": "1.0", "name": "ann", "time": "2024-01-04T00:00:00Z"},
        ],
    });
    assert_eq!(
        serde_json::to_value(&documents[0].fields).unwrap(),
        expected
    );
    assert_eq!(documents[1].text, "ghost: Only a title");
    assert!(
        documents[1]
            .origin
            .to_string()
            .ends_with("issues.json, entry 2")
    );
}

#[test]
fn issues_and_comments_of_the_api_are_joined() {
    let api = "https://api.github.com/repos/o/r/issues/3";
    let documents = issues(&json!([
        {"issue_url": api, "user": {"login": "bob"}, "body": "Early.", "created_at": "t1"},
        {"url": api, "html_url": "https://github.com/o/r/pull/3", "number": 3, "title": "T", "body": "B",
         "user": {"login": "ann"}, "created_at": "t0", "comments": 2, "pull_request": {"url": "x"}},
        {"issue_url": api, "user": {"login": "ann"}, "body": "Late.", "created_at": "t2"},
        {"issue_url": "https://api.github.com/repos/o/r/issues/4", "user": {"login": "eve"}, "body": "Alone."},
    ]));
    let texts: Vec<&str> = documents
        .iter()
        .map(|document| document.text.as_str())
        .collect();
    assert_eq!(
        texts,
        ["ann: T\n\nB\nbob: Early.\nann: Late.", "eve: Alone."]
    );
    assert_eq!(documents[0].fields["kind"], "pull request");
    assert_eq!(documents[0].fields["url"], "https://github.com/o/r/pull/3");
}

#[test]
fn what_is_no_issue_is_an_error_of_its_entry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    fs::write(
        &path,
        "[{\"title\":\"T\",\"body\":\"B\",\"number\":1},{\"x\":1}]",
    )
    .unwrap();
    let loaders = Loaders::default().with(GithubIssues);
    let (documents, counts) = loaders.load_all(&[&path], &OnError::Skip).unwrap();
    assert_eq!((documents.len(), counts.skipped), (1, 1));
    assert_eq!(counts.reasons["missing field"].count, 1);
}

/// The articles of Wikipedia, as the hub has them.
#[test]
fn wikipedia_as_a_data_set_needs_no_loader_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wiki.jsonl");
    let line = json!({"id": "1", "url": "https://x.org/T", "title": "T", "text": "A text."});
    fs::write(&path, format!("{line}\n")).unwrap();
    let mapping = finetune_data::mapping::TextMapping::default();
    let (texts, _) = Loaders::default()
        .examples(&[path], &OnError::Stop, &mapping)
        .unwrap();
    assert_eq!(texts[0].text, "A text.");
}

/// The Pile is JSON lines, packed as `.zst`.
#[cfg(feature = "zstd")]
#[test]
fn the_pile_needs_no_loader_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("00.jsonl.zst");
    let lines = "{\"text\":\"One.\",\"meta\":{\"pile_set_name\":\"Pile-CC\"}}\n{\"text\":\"Two.\",\"meta\":{\"pile_set_name\":\"ArXiv\"}}\n";
    fs::write(&path, zstd::encode_all(lines.as_bytes(), 3).unwrap()).unwrap();
    let (documents, _) = Loaders::default()
        .load_all(&[&path], &OnError::Stop)
        .unwrap();
    assert_eq!(documents[1].fields["meta"]["pile_set_name"], "ArXiv");
    let mapping = finetune_data::mapping::TextMapping::default();
    let (texts, _) = Loaders::default()
        .examples(&[&path], &OnError::Stop, &mapping)
        .unwrap();
    assert_eq!(texts[0].text, "One.");
}

#[test]
fn columns_of_a_table_may_have_types() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let mut table =
        String::from("id,zip,score,ok,note\n7,01234,0.5,true,\n-8,99999,,False,NaN\n\nbroken\n");
    table += &"1,2,3,,1e5\n".repeat(2000);
    table += "x,2,3,,\n9,,,,\n";
    fs::write(&path, &table).unwrap();
    let loaders = Loaders::default().with(Csv::default().typed());
    let rows: Vec<_> = loaders.load(&path).unwrap().collect();
    let fields = |row: usize| serde_json::to_value(&rows[row].as_ref().unwrap().fields).unwrap();
    assert_eq!(rows.len(), 2 + 1 + 2000 + 2);
    assert_eq!(
        fields(0),
        json!({"id": 7, "zip": "01234", "score": 0.5, "ok": true, "note": ""})
    );
    assert_eq!(
        fields(1),
        json!({"id": -8, "zip": "99999", "score": null, "ok": false, "note": "NaN"})
    );
    assert!(
        rows[2]
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("a.csv:5: found 1 cells")
    );
    assert_eq!(
        fields(3),
        json!({"id": 1, "zip": "2", "score": 3, "ok": null, "note": "1e5"})
    );
    let late = rows[2003].as_ref().unwrap_err().to_string();
    assert!(
        late.contains("a.csv:2006: column \"id\": found \"x\"; expected a number"),
        "{late}"
    );
    assert_eq!(
        fields(2004),
        json!({"id": 9, "zip": "", "score": null, "ok": null, "note": ""})
    );
    let plain: Vec<_> = Loaders::default()
        .load(&path)
        .unwrap()
        .filter_map(Result::ok)
        .collect();
    assert_eq!(plain.len(), 2004);
    assert_eq!(plain[0].fields["id"], "7");
}

#[test]
fn a_quote_that_never_closes_is_an_error_behind_the_rows_that_tell_types() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, "a\n1\n\"2\n").unwrap();
    let loaders = Loaders::default().with(Csv::default().typed());
    let rows: Vec<_> = loaders.load(&path).unwrap().collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].as_ref().unwrap().fields["a"], 1);
    assert!(
        rows[1]
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("never closes")
    );
}
