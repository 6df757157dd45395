//! A checkpoint's own chat template.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use minijinja::Value;
use minijinja::value::Serde;

use crate::document::Value as Json;
use crate::error::{Place, Result};
use crate::example::Conversation;
use crate::tokenizer::Tokenizer;

use super::{Piece, Source, Template, turns};

mod clock;
mod follow;
mod generation;
mod jinja;
mod json;
mod learned;
mod marks;
mod message;
mod probe;

pub use clock::{Clock, Moment};

use follow::Following;
use jinja::{Budget, Engine};
use learned::union;
use message::{Messages, size};
use probe::Probe;

/// The Jinja template that a checkpoint publishes, rendered byte for byte as transformers renders it.
///
/// What is learned: what stands in `{% generation %}`, if the template has such a tag; otherwise every answer with the
/// end of turn that the template writes after it, from where [`Template::render`] with `open` ends. A template that
/// rewrites earlier turns when another is added cannot be learned that way, and is refused unless only the last
/// answer is learned ([`Learn::Last`]).
///
/// Texts of the record stay texts: each is followed through the template, so that a `<|im_end|>` in a record can be
/// told from the template's own; those in tools, calls and their arguments too.
///
/// Tools, calls and results of tools, and what the assistant thinks, are handed over as transformers does. A call's
/// arguments are an object or their JSON text, whichever the template writes. A template that leaves out what a
/// conversation has of these is refused, where transformers drops it without a word.
///
/// ```
/// use finetune_data::template::{ChatTemplate, Template};
/// use finetune_data::Conversation;
///
/// let template = ChatTemplate::new(
///     "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}\
///      {% if add_generation_prompt %}<|assistant|>{% endif %}",
/// )?;
/// let pieces = template.render(&Conversation::pair("Why?", "So."), false)?;
/// let learned: String = pieces.iter().filter(|piece| piece.learn).map(|piece| piece.text.as_str()).collect();
/// assert_eq!(learned, "So.<|end|>");
/// assert_eq!(template.ends_with(), Some("<|end|>"));
/// # Ok::<(), finetune_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
    engine: Engine,
    variables: BTreeMap<String, Value>,
    learn: Learn,
    probe: OnceLock<Probe>,
}

/// Which answers of a conversation are learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Learn {
    /// All of them.
    #[default]
    Every,
    /// The last one.
    Last,
}

impl ChatTemplate {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// [`TemplateSyntax`](crate::DataError::TemplateSyntax), or [`TemplateLimit`](crate::DataError::TemplateLimit) if
    /// the source is longer than 256 KiB.
    pub fn new(source: &str) -> Result<Self> {
        Self::named("chat_template", source)
    }

    /// The chat template of a tokenizer, with its special tokens as variables (`bos_token`, `eos_token`, …).
    ///
    /// # Errors
    ///
    /// [`NoTemplate`](crate::DataError::NoTemplate) if the tokenizer has none, or several and none of them named
    /// `default`; and the errors of [`ChatTemplate::new`].
    pub fn of(tokenizer: &Tokenizer) -> Result<Self> {
        let (name, source) = tokenizer.default_chat_template()?;
        let mut template = Self::named(&name, source)?;
        for (name, token) in tokenizer.special_tokens() {
            template = template.variable(name, token);
        }
        Ok(template)
    }

    fn named(name: &str, source: &str) -> Result<Self> {
        Ok(Self {
            source: source.to_owned(),
            engine: Engine::compile(name, source, &Clock::default())?,
            variables: BTreeMap::from([
                ("tools".to_owned(), Value::from(())),
                ("documents".to_owned(), Value::from(())),
            ]),
            learn: Learn::default(),
            probe: OnceLock::new(),
        })
    }

    /// Sets a variable of the template: `bos_token`, or a switch such as `enable_thinking`.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        let value = Value::from(Serde(value.into()));
        self.variables.insert(name.into(), value);
        self.probe = OnceLock::new();
        self
    }

    /// Sets the clock that `strftime_now` reads; the system's is the default.
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.engine.set_clock(clock);
        self
    }

    /// Sets which answers are learned; all is the default.
    pub fn learn(mut self, learn: Learn) -> Self {
        self.learn = learn;
        self
    }

    /// Whether the template says itself what is learned, with `{% generation %}`.
    pub fn has_generation(&self) -> bool {
        self.engine.has_generation
    }

    /// Renders messages in the `OpenAI` form, with whatever keys they have, as
    /// `apply_chat_template(messages, add_generation_prompt=open, tokenize=False)` does: keys whose value is null are
    /// dropped, and a message's reasoning is found under each of the names that templates use for it.
    ///
    /// # Errors
    ///
    /// What the template raises, what it does wrong, or the limit that it passes.
    pub fn text(&self, messages: &[Json], open: bool) -> Result<String> {
        let (values, bytes) = (messages.iter().map(size)).fold((0, 0), |sum, (values, bytes)| {
            (sum.0 + values, sum.1 + bytes)
        });
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| Value::from(Serde(normalized(message))))
            .collect();
        let budget = Budget::of(values, bytes);
        let variables = self.variables(Value::from(messages), open);
        self.engine
            .render(variables, None, budget, &Place::default())
    }

    fn variables(&self, messages: Value, open: bool) -> BTreeMap<String, Value> {
        let mut variables = self.variables.clone();
        variables.insert("messages".to_owned(), messages);
        variables.insert("add_generation_prompt".to_owned(), Value::from(open));
        variables
    }

    fn probe(&self) -> &Probe {
        self.probe.get_or_init(|| Probe::of(self))
    }
}

impl Template for ChatTemplate {
    fn render(&self, conversation: &Conversation, open: bool) -> Result<Vec<Piece>> {
        let (turns, tools) = (turns(conversation, open)?, conversation.tools.as_slice());
        let (probe, place) = (self.probe(), Place::from(&conversation.origin));
        probe.check(self, (turns, tools), &place)?;
        let messages = Messages::of(tools, turns, probe.form);
        let following = Following::new(self, turns, &messages, place)?;
        let whole = following.whole(open)?;
        let learned = if open {
            Vec::new()
        } else {
            following.learned(&whole)?
        };
        let texts = union(whole.texts.into_iter().flatten().collect());
        Ok(pieces(&whole.text, &learned, &texts))
    }

    fn ends_with(&self) -> Option<&str> {
        let end = self.probe().end.as_deref()?;
        (!end.is_empty()).then_some(end)
    }

    fn settings(&self) -> String {
        // The name is a path, and the clock moves: neither makes it another template.
        format!("{}\n{:?}\n{:?}", self.source, self.variables, self.learn)
    }
}

/// Cuts a text at the borders of both lists of spans.
fn pieces(text: &str, learned: &[Range<usize>], texts: &[Range<usize>]) -> Vec<Piece> {
    let borders = |spans: &[Range<usize>]| {
        let list = spans.iter().flat_map(|span| [span.start, span.end]);
        list.collect::<Vec<_>>()
    };
    let mut places = [vec![0, text.len()], borders(learned), borders(texts)].concat();
    places.sort_unstable();
    places.dedup();
    let inside = |spans: &[Range<usize>], place: usize| {
        let next = spans.partition_point(|span| span.end <= place);
        spans.get(next).is_some_and(|span| span.start <= place)
    };
    places
        .windows(2)
        .map(|place| Piece {
            text: text[place[0]..place[1]].to_owned(),
            learn: inside(learned, place[0]),
            source: if inside(texts, place[0]) {
                Source::Text
            } else {
                Source::Template
            },
        })
        .collect()
}

/// A message as transformers hands it to the template.
fn normalized(message: &Json) -> Json {
    let Json::Object(message) = message else {
        return message.clone();
    };
    let mut message: serde_json::Map<String, Json> = message
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let names = ["reasoning_content", "thinking", "reasoning"];
    if let Some(reasoning) = names.iter().find_map(|name| message.get(*name)).cloned() {
        message
            .entry("thinking")
            .or_insert_with(|| reasoning.clone());
        message.insert("reasoning_content".to_owned(), reasoning);
    }
    Json::Object(message)
}
