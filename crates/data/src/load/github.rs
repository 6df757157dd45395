//! Issues of GitHub, exported as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Json;
use super::whole::DOCUMENT_LIMIT;
use crate::document::{
    Document, Documents, Fields, Load, Origin, PlaceUnit, Record, Records, documents,
};
use crate::error::{DataError, Place, Result};

/// Loads `.json` files of GitHub issues and pull requests: every issue with its comments is a conversation.
///
/// Read is what `gh issue list --json number,title,body,author,comments,createdAt,labels,url` prints, and the lists of
/// GitHub's REST API: issues, comments, or both in one file, where comments are joined to their issues by address.
/// Comments whose issue is not in the file are a conversation of their own.
///
/// The text is the transcript, `name: text` for each. `messages` has it turn by turn (`role`, `content`, `name`,
/// `time`): the role of who opened the issue is `user`, anybody else's is `assistant`; the first one begins with the
/// title. The other fields are `title`, `author`, `date`, `url`, `id` (the issue's number), `keywords` (its labels),
/// `kind` (`issue` or `pull request`) and `participants`. The place is the entry of the issue or its first comment.
///
/// It is not among the default loaders, for it takes any `.json` file: add it with [`Loaders::with`](super::Loaders::with).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GithubIssues;

impl Load for GithubIssues {
    fn extensions(&self) -> &[&str] {
        &["json"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn whole(&self) -> bool {
        true
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let mut issues = Issues::default();
        let mut broken = Vec::new();
        let mut size = 0;
        for (index, entry) in Json.load(path)?.enumerate() {
            let origin = Origin::of(path, PlaceUnit::Entry, index as u64 + 1);
            let added = entry.and_then(|entry| {
                size += entry.fields.values().map(length).sum::<u64>();
                issues.add(entry.fields, origin)
            });
            broken.extend(added.err());
            if size > DOCUMENT_LIMIT {
                return Err(DataError::LimitExceeded {
                    place: Place::file(path),
                    what: "the size of the issues in bytes",
                    found: size,
                    limit: DOCUMENT_LIMIT,
                    hint: "Export fewer issues into a file",
                });
            }
        }
        let documents = issues.list.into_iter().map(|issue| Ok(issue.document()));
        let broken = broken.into_iter().map(Err);
        Ok(Box::new(
            documents
                .chain(broken)
                .map(|document| Ok(Record::ready(document))),
        ))
    }
}

fn length(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(length).sum(),
        Value::Object(fields) => fields.values().map(length).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

/// Issues in the order of their first entries.
#[derive(Default)]
struct Issues {
    list: Vec<Issue>,
    /// Where in the list an issue is, by its address.
    known: BTreeMap<String, usize>,
}

struct Issue {
    origin: Origin,
    /// Empty if only comments are known.
    fields: Map<String, Value>,
    title: String,
    opener: String,
    messages: Vec<Message>,
}

struct Message {
    name: String,
    text: String,
    time: String,
}

impl Issues {
    fn add(&mut self, mut entry: Fields, origin: Origin) -> Result<()> {
        let comment_of = entry.get("issue_url").and_then(Value::as_str).map(short);
        if let Some(url) = comment_of {
            let message = message(&Value::Object(entry.into_iter().collect()));
            self.issue(url, origin).messages.push(message);
            return Ok(());
        }
        if !entry.contains_key("title") || !entry.contains_key("body") {
            let found: Vec<&str> = entry.keys().map(String::as_str).collect();
            return Err(DataError::MissingField {
                place: Place::from(&origin),
                field: "title or body".into(),
                found: crate::error::escaped(&found.join(", ")),
                hint: "Export issues: gh issue list --json number,title,body,author,comments,createdAt,labels,url".into(),
            });
        }
        let comments = entry.remove("comments");
        let entry = Value::Object(entry.into_iter().collect());
        let url = text(&entry, &["url", "html_url"]);
        let known = if url.is_empty() {
            format!("#{}", entry["number"])
        } else {
            short(&url)
        };
        let issue = self.issue(known, origin);
        let first = message(&entry);
        issue.opener.clone_from(&first.name);
        issue.fields = described(&entry);
        issue.title = text(&entry, &["title"]);
        issue.messages.insert(0, first);
        if let Some(Value::Array(comments)) = comments {
            issue.messages.extend(comments.iter().map(message));
        }
        Ok(())
    }

    fn issue(&mut self, url: String, origin: Origin) -> &mut Issue {
        let list = &mut self.list;
        let index = *self.known.entry(url).or_insert_with(|| {
            list.push(Issue {
                origin,
                fields: Map::new(),
                title: String::new(),
                opener: String::new(),
                messages: Vec::new(),
            });
            list.len() - 1
        });
        &mut list[index]
    }
}

/// What an issue's addresses, of the page and of the API, have in common: `owner/name/7`.
fn short(url: &str) -> String {
    let parts: Vec<&str> = url
        .split('/')
        .filter(|part| !matches!(*part, "issues" | "pull" | "repos"))
        .collect();
    parts[parts.len().saturating_sub(3)..].join("/")
}

/// The first of these fields that is a text.
fn text(entry: &Value, names: &[&str]) -> String {
    let found = names.iter().find_map(|name| entry[*name].as_str());
    found.unwrap_or_default().to_string()
}

fn message(entry: &Value) -> Message {
    // `gh` calls them author, the API user; who left GitHub is neither.
    let login = entry["author"]["login"]
        .as_str()
        .or_else(|| entry["user"]["login"].as_str());
    Message {
        name: login.unwrap_or("ghost").to_string(),
        text: text(entry, &["body"]).replace("\r\n", "\n"),
        time: text(entry, &["createdAt", "created_at"]),
    }
}

fn described(entry: &Value) -> Map<String, Value> {
    let labels = entry["labels"].as_array().into_iter().flatten();
    let labels: Vec<Value> = labels
        .filter_map(|label| label["name"].as_str())
        .map(Value::from)
        .collect();
    let is_pull =
        !entry["pull_request"].is_null() || text(entry, &["url", "html_url"]).contains("/pull/");
    let address = match entry["html_url"].as_str() {
        Some(url) => url.to_string(),
        None => text(entry, &["url"]),
    };
    let fields = [
        ("title", Value::from(text(entry, &["title"]))),
        ("url", Value::from(address)),
        (
            "date",
            Value::from(text(entry, &["createdAt", "created_at"])),
        ),
        ("id", entry["number"].clone()),
        ("keywords", Value::Array(labels)),
        (
            "kind",
            Value::from(if is_pull { "pull request" } else { "issue" }),
        ),
    ];
    let empty = |value: &Value| *value == Value::Null || *value == json!("") || *value == json!([]);
    fields
        .into_iter()
        .filter(|(_, value)| !empty(value))
        .map(|(name, value)| (name.to_string(), value))
        .collect()
}

impl Issue {
    fn document(self) -> Document {
        let mut participants: Vec<Value> = Vec::new();
        let (mut lines, mut messages) = (Vec::new(), Vec::new());
        let opened = !self.opener.is_empty();
        for (index, message) in self.messages.iter().enumerate() {
            let titled = opened && index == 0;
            let content = match (titled, message.text.trim()) {
                (true, "") => self.title.clone(),
                (true, text) => format!("{}\n\n{text}", self.title),
                (false, text) => text.to_string(),
            };
            let asks = opened && message.name == self.opener;
            lines.push(format!("{}: {content}", message.name));
            let role = if asks { "user" } else { "assistant" };
            messages.push(json!({"role": role, "content": content, "name": message.name, "time": message.time}));
            if !participants.iter().any(|known| *known == message.name) {
                participants.push(message.name.clone().into());
            }
        }
        let mut fields: Fields = self.fields.into_iter().collect();
        if opened {
            fields.insert("author".into(), self.opener.into());
        }
        fields.insert("messages".into(), messages.into());
        fields.insert("participants".into(), participants.into());
        Document {
            text: lines.join("\n"),
            fields,
            origin: self.origin,
        }
    }
}
