//! The tweets of a Twitter (X) archive.

mod thread;

use std::path::Path;

use serde_json::{Value, json};

use super::parse;
use super::sniff::Format;
use super::time::Time;
use super::whole::{EXPORT_LIMIT, noted};
use crate::calendar;
use crate::document::{Document, Documents, Load, Origin, PlaceUnit, Record, Records, documents};
use crate::error::{DataError, Place, Result};

/// Loads `tweets.js` (or `tweet.js`, and its numbered parts) of the archive that Twitter hands out to its users.
///
/// It is recognised by its beginning, `window.YTD.tweets.part0 = `. Each tweet becomes a document; its place is its
/// number in the file. Its text has the short links replaced by what they lead to, and those of pictures taken out.
/// Fields: `id`, `date` (UTC), `language`, `url`, `author` (if `account.js` lies beside the file), `kind` (`tweet`,
/// `reply`, `retweet` or `thread`), `reply_to`, `left_out` (the number of pictures and videos).
///
/// A retweet in an archive is somebody else's text, and cut at its end: [`Tweets::retweets`] leaves them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tweets {
    /// Join what its author answered to their own tweets with these: a document per thread. No by default.
    pub threads: bool,
    /// Keep retweets. Yes by default.
    pub retweets: bool,
}

impl Default for Tweets {
    fn default() -> Self {
        Self {
            threads: false,
            retweets: true,
        }
    }
}

impl Tweets {
    /// Whether threads of oneself become one document.
    pub fn threads(mut self, threads: bool) -> Self {
        self.threads = threads;
        self
    }

    /// Whether retweets are kept.
    pub fn retweets(mut self, retweets: bool) -> Self {
        self.retweets = retweets;
        self
    }
}

impl Load for Tweets {
    fn extensions(&self) -> &[&str] {
        &[]
    }

    fn recognises(&self, _path: &Path, head: &[u8]) -> bool {
        let head = String::from_utf8_lossy(head);
        matches!(assigned(&head), Some(("tweet" | "tweets", _)))
    }

    fn whole(&self) -> bool {
        true
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let (notes, value) = script(path, &["tweet", "tweets"])?;
        let author = author(path);
        let values = value.as_array().map_or(&[][..], Vec::as_slice);
        let mut records = notes;
        let mut tweets = Vec::new();
        for (value, place) in values.iter().zip(1..) {
            let place = Origin::of(path, PlaceUnit::Entry, place);
            match Tweet::of(value.get("tweet").unwrap_or(value), &place) {
                Ok(tweet) if tweet.kind == "retweet" && !self.retweets => {
                    records.push(Record::dropped("retweet"));
                }
                Ok(tweet) => tweets.push(tweet),
                Err(error) => records.push(Record::ready(Err(error))),
            }
        }
        let tweets = if self.threads {
            thread::joined(tweets)
        } else {
            tweets
        };
        let read = tweets
            .into_iter()
            .map(|tweet| tweet.record(author.as_ref()));
        records.extend(read);
        Ok(Box::new(records.into_iter().map(Ok)))
    }
}

/// The name and the value of `window.YTD.NAME.part0 = VALUE`.
fn assigned(text: &str) -> Option<(&str, &str)> {
    let rest = text.trim_start().strip_prefix("window.YTD.")?;
    let (name, rest) = rest.split_once('.')?;
    let (part, value) = rest.split_once('=')?;
    let number = part.trim().strip_prefix("part")?;
    let good = number.bytes().all(|byte| byte.is_ascii_digit());
    good.then_some((name, value))
}

/// The value that a script of an archive assigns to one of these names.
fn script(path: &Path, names: &[&str]) -> Result<(Vec<Record>, Value)> {
    let (notes, text) = noted(path, Format::Json, EXPORT_LIMIT)?;
    let found = assigned(&text).filter(|(name, _)| names.contains(name));
    let Some((_, value)) = found else {
        return Err(DataError::WrongFormat {
            place: Place::file(path),
            found: "another script",
            expected: "tweets, such as window.YTD.tweets.part0 = […]",
            hint: "Name the file tweets.js of the archive".into(),
        });
    };
    let before = &text[..text.len() - value.len()];
    let line = before.matches('\n').count() as u64 + 1;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[line_start..].chars().count() as u64 + 1;
    let value = value.trim_end().trim_end_matches(';');
    let place = Place::at(path, line, column);
    let value = parse::value_within(value, &place, EXPORT_LIMIT.memory)?;
    Ok((notes, value))
}

/// Whose archive it is.
struct Author {
    /// The name in addresses.
    user: String,
    name: String,
}

fn author(path: &Path) -> Option<Author> {
    let (_, value) = script(&path.with_file_name("account.js"), &["account"]).ok()?;
    let account = value.get(0)?.get("account")?;
    let user = account.get("username")?.as_str()?.to_owned();
    let name = account.get("accountDisplayName").and_then(Value::as_str);
    // It goes into addresses.
    let good = !user.is_empty()
        && user
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    good.then(|| Author {
        name: name.unwrap_or(&user).to_owned(),
        user,
    })
}

/// A tweet, or a thread of them.
struct Tweet {
    id: String,
    text: String,
    kind: &'static str,
    time: Option<Time>,
    language: Option<String>,
    reply_to: Option<String>,
    media: u64,
    origin: Origin,
}

impl Tweet {
    fn of(value: &Value, origin: &Origin) -> Result<Self> {
        let text_of = |name: &str| value.get(name).and_then(Value::as_str);
        let id = text_of("id_str").or_else(|| text_of("id"));
        let text = text_of("full_text").or_else(|| text_of("text"));
        let (Some(id), Some(text)) = (id, text) else {
            return Err(DataError::Broken {
                place: Place::from(origin),
                format: "tweet",
                message: "it has no id_str or no full_text".into(),
                hint: "Get the archive again",
            });
        };
        let reply_to =
            text_of("in_reply_to_status_id_str").or_else(|| text_of("in_reply_to_status_id"));
        let kind = match (text.starts_with("RT @"), reply_to) {
            (true, _) => "retweet",
            (false, Some(_)) => "reply",
            (false, None) => "tweet",
        };
        let (text, media) = written_out(text, value);
        // "und" and the codes that begin with q say that there is no language.
        let language = text_of("lang").filter(|code| !code.starts_with('q') && *code != "und");
        Ok(Self {
            id: id.to_owned(),
            text,
            kind,
            time: text_of("created_at").and_then(created),
            language: language.map(|code| if code == "in" { "id" } else { code }.to_owned()),
            reply_to: reply_to.map(str::to_owned),
            media,
            origin: origin.clone(),
        })
    }

    fn record(self, author: Option<&Author>) -> Record {
        if self.text.trim().is_empty() {
            return Record::dropped("tweet without text");
        }
        let user = author.map_or("i", |author| &author.user);
        let number = self.id.bytes().all(|byte| byte.is_ascii_digit());
        let url = number.then(|| format!("https://x.com/{user}/status/{}", self.id));
        let known = [
            ("date", self.time.map(|time| json!(time.to_string()))),
            ("language", self.language.map(|code| json!(code))),
            ("url", url.map(|url| json!(url))),
            ("author", author.map(|author| json!(author.name))),
            ("reply_to", self.reply_to.map(|id| json!(id))),
            (
                "left_out",
                (self.media > 0).then(|| json!({"media": self.media})),
            ),
            ("kind", Some(json!(self.kind))),
            ("id", Some(json!(self.id))),
        ];
        let fields = known.into_iter();
        let fields = fields.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Record::ready(Ok(Document {
            text: self.text,
            fields: fields.collect(),
            origin: self.origin,
        }))
    }
}

/// The text with what its short links lead to, and how many of them were pictures and videos.
fn written_out(text: &str, value: &Value) -> (String, u64) {
    let under = |group: &str, name: &str| -> Vec<(String, String)> {
        let entities = value.get(group).and_then(|group| group.get(name));
        let entities = entities.and_then(Value::as_array);
        let link = |entity: &Value| {
            let part = |name: &str| entity.get(name).and_then(Value::as_str);
            Some((
                part("url")?.to_owned(),
                part("expanded_url").unwrap_or_default().to_owned(),
            ))
        };
        entities.into_iter().flatten().filter_map(link).collect()
    };
    let mut text = text.to_owned();
    let more = under("extended_entities", "media");
    let media = if more.is_empty() {
        under("entities", "media")
    } else {
        more
    };
    let replace = |text: &str, short: &str, by: &str| {
        // A short link may be the beginning of another one.
        let mut shown = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(short) {
            let ends = !after.starts_with(|next: char| next.is_ascii_alphanumeric());
            shown.push_str(before);
            shown.push_str(if ends { by } else { short });
            rest = after;
        }
        shown + rest
    };
    for (short, long) in under("entities", "urls") {
        if !short.is_empty() && !long.is_empty() {
            text = replace(&text, &short, &long);
        }
    }
    for (short, _) in &media {
        if !short.is_empty() {
            text = replace(&text, short, "");
        }
    }
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    (text.trim().to_owned(), media.len() as u64)
}

/// `Wed Oct 10 20:19:24 +0000 2018`.
fn created(text: &str) -> Option<Time> {
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_, month, day, clock, offset, year] = parts[..] else {
        return Time::iso(text);
    };
    let month = calendar::month(month)?;
    Time::iso(&format!("{year}-{month:02}-{day:0>2}T{clock}{offset}"))
}
