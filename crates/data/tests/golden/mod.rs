//! The golden files that `tests/reference/make_templates.py` and `make_tools.py` write.

#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub)] // each test uses its part

use std::fs;
use std::path::{Path, PathBuf};

use finetune_data::template::{ChatTemplate, Clock, Moment, Piece, Source};
use finetune_data::tokenizer::Tokenizer;
use finetune_data::{Conversation, Turn};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/templates")
}

pub fn read(name: &str) -> String {
    let path = folder().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A template with what transformers renders with it.
#[derive(Deserialize)]
pub struct Golden {
    #[serde(skip)]
    pub name: String,
    pub template: String,
    pub tagged: String,
    pub tokenizer: String,
    pub added_tokens: Value,
    pub special_tokens: Map<String, Value>,
    pub cases: Vec<Case>,
}

#[derive(Deserialize)]
pub struct Case {
    pub conversation: String,
    pub open: bool,
    pub render: Option<String>,
    pub error: Option<String>,
    #[serde(default)]
    pub spans: Vec<(usize, usize)>,
    #[serde(default)]
    pub ids: Vec<u32>,
    #[serde(default)]
    pub mask: String,
}

/// The templates of one folder: `chat`, or `tools`.
pub fn goldens_of(kind: &str) -> Vec<Golden> {
    let mut names: Vec<String> = fs::read_dir(folder().join(kind))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|name| Golden {
            name: name.clone(),
            ..serde_json::from_str(&read(&format!("{kind}/{name}.json"))).unwrap()
        })
        .collect()
}

pub fn goldens() -> Vec<Golden> {
    goldens_of("chat")
}

/// The records with tools and thoughts, by name.
pub fn tool_records() -> Map<String, Value> {
    serde_json::from_str(&read("tools.json")).unwrap()
}

pub fn golden(name: &str) -> Golden {
    goldens()
        .into_iter()
        .find(|golden| golden.name == name)
        .unwrap()
}

impl Golden {
    /// The template as it is published, or with `{% generation %}`.
    pub fn chat(&self, tagged: bool) -> ChatTemplate {
        let clock = Clock::fixed(Moment {
            year: 2024,
            month: 7,
            day: 4,
            hour: 15,
            minute: 6,
            second: 9,
        });
        let source = if tagged { &self.tagged } else { &self.template };
        let mut template = ChatTemplate::new(source).unwrap().clock(&clock);
        for (name, token) in &self.special_tokens {
            template = template.variable(name, token.clone());
        }
        template
    }

    /// The tokenizer with the template's tokens added, opened from a folder as a checkpoint has it.
    pub fn tokenizer(&self) -> (Tokenizer, TempDir) {
        let mut state = tokenizer(&self.tokenizer);
        state["added_tokens"] = self.added_tokens.clone();
        let mut config = self.special_tokens.clone();
        config.insert("chat_template".into(), json!(self.template));
        open(&state, &Value::Object(config))
    }
}

/// The state of one of the small tokenizers.
pub fn tokenizer(name: &str) -> Value {
    serde_json::from_str(&read(&format!("tokenizers/{name}.json"))).unwrap()
}

/// Writes a folder with a tokenizer and opens it.
pub fn open(state: &Value, config: &Value) -> (Tokenizer, TempDir) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tokenizer.json"), state.to_string()).unwrap();
    fs::write(
        folder.path().join("tokenizer_config.json"),
        config.to_string(),
    )
    .unwrap();
    (Tokenizer::open(folder.path()).unwrap(), folder)
}

pub fn conversations() -> Vec<(String, Conversation)> {
    let all: Map<String, Value> = serde_json::from_str(&read("conversations.json")).unwrap();
    all.into_iter()
        .map(|(name, messages)| {
            let turns = messages.as_array().unwrap().iter().map(|message| {
                let text = |key: &str| message[key].as_str().unwrap();
                Turn::new(text("role").parse().unwrap(), text("content"))
            });
            (name, Conversation::new(turns.collect()))
        })
        .collect()
}

pub fn conversation(name: &str) -> Conversation {
    let mut all = conversations().into_iter();
    all.find(|(known, _)| known == name).unwrap().1
}

/// The text of a render.
pub fn joined(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| piece.text.as_str()).collect()
}

/// The learned spans of a render, in bytes.
pub fn spans(pieces: &[Piece]) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut place = 0;
    for piece in pieces {
        let end = place + piece.text.len();
        if piece.learn {
            match spans.last_mut() {
                Some(last) if last.1 == place => last.1 = end,
                _ => spans.push((place, end)),
            }
        }
        place = end;
    }
    spans
}

/// Whether a text of the record spells a token of the vocabulary.
pub fn spelt(golden: &Golden, pieces: &[Piece]) -> bool {
    let tokens = golden.added_tokens.as_array().unwrap();
    let mut texts = pieces.iter().filter(|piece| piece.source == Source::Text);
    texts.any(|piece| {
        let mut contents = tokens
            .iter()
            .map(|token| token["content"].as_str().unwrap());
        contents.any(|content| !content.trim().is_empty() && piece.text.contains(content))
    })
}
