//! Special tokens in the text.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{
    Finding, Rule,
    prose::{code, quoted, touches},
};
use crate::Outcome;

/// How special tokens, marks of chat templates, tokens of single bytes, pieces of tokenizers and broken characters look.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"<\|[^|<>\s]{1,40}\|>|<｜[^｜<>\s]{1,40}｜>|</?s>|<(?:pad|unk|bos|eos|mask|cls|sep|eot|start_of_turn|end_of_turn)>",
        r"|\[/?INST\]|<</?SYS>>|\[(?:CLS|SEP|PAD|MASK|UNK|BOS|EOS)\]|<0x[0-9A-Fa-f]{2}>",
        r"|<(?:extra_id|unused|reserved_special_token)_?\d+>|\u{fffd}+|▁\pL+|\p{Ll}Ġ\pL+"
    ))
    .expect("the pattern is a constant that a test compiles")
});

/// A special token of a model stands in the text: `<|im_end|>`, `</s>`, `[INST]`, `<0x0A>`, `▁the`, a replacement
/// character; and what [`tokens`](SpecialTokens::tokens) names.
///
/// Not counted is what the question or a reference also has, what is quoted or in code, what is spoken of (the `[MASK]`
/// token), and `<s>` with `</s>` around a part of a line, which is HTML.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpecialTokens {
    /// Further tokens, such as all special ones of the tokenizer; none by default.
    pub tokens: Vec<String>,
}

impl Rule for SpecialTokens {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        let output = &outcome.output;
        let mut spans: Vec<Range<usize>> =
            TOKEN.find_iter(output).map(|token| token.range()).collect();
        for token in self.tokens.iter().filter(|token| !token.is_empty()) {
            spans.extend(
                output
                    .match_indices(token.as_str())
                    .map(|(at, token)| at..at + token.len()),
            );
        }
        if spans.is_empty() {
            return Vec::new();
        }
        spans.sort_unstable_by_key(|span| (span.start, span.end));
        spans.dedup_by(|next, span| next.start < span.end);
        let silent = [code(output), quoted(output)].concat();
        spans.retain(|span| {
            let token = &output[span.clone()];
            let known = |text: &String| text.contains(token);
            !touches(&silent, span)
                && !outcome.references.iter().chain([&outcome.input]).any(known)
                && !is_spoken_of(output, span)
                && !is_struck(output, span)
        });
        spans
            .into_iter()
            .map(|span| {
                let token = &output[span.clone()];
                let rule = if token.starts_with('\u{fffd}') {
                    "broken character"
                } else {
                    "special token"
                };
                let detail = format!("“{token}”");
                Finding::at(rule, span, detail)
            })
            .collect()
    }
}

/// Whether the text speaks of a token: the word `token` or the like stands beside it.
fn is_spoken_of(text: &str, span: &Range<usize>) -> bool {
    let word = |part: Option<&str>| {
        let part = part.unwrap_or_default();
        let part = part
            .trim_matches(|c: char| !c.is_alphanumeric())
            .to_lowercase();
        [
            "token",
            "tokens",
            "symbol",
            "symbols",
            "tag",
            "tags",
            "marker",
            "markers",
            "placeholder",
        ]
        .contains(&part.as_str())
    };
    word(text[span.end..].split_whitespace().next())
        || word(text[..span.start].split_whitespace().next_back())
}

/// Whether a token is HTML's mark of struck text: opened and closed inside a line, with more text around it.
fn is_struck(text: &str, span: &Range<usize>) -> bool {
    let line = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[span.end..]
        .find('\n')
        .map_or(text.len(), |at| span.end + at);
    let line = text[line..end].trim();
    let within = line.find("<s>").zip(line.rfind("</s>"));
    ["<s>", "</s>"].contains(&&text[span.clone()])
        && within.is_some_and(|(open, close)| open < close && (open > 0 || close + 4 < line.len()))
}
