//! Subtitles: SRT, `WebVTT` and `YouTube`'s json3, as sentences with their times.
//!
//! The parsers are our own: the crates there are give neither the lines of cues nor go on behind a broken one, and
//! half of the files in the world break the rules somewhere.

mod cue;
mod ends;
mod json3;
mod marked;
mod sentence;
mod tags;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::outline::Outline;
use super::packing::Packing;
use super::parse;
use super::sniff::Format;
use super::whole::{Limit, json as read_json, noted};
use crate::document::{Document, Documents, Load, Origin, PlaceUnit, Record, Records, documents};
use crate::error::Result;
use cue::{Cue, Item};
use sentence::Said;

/// The largest file: what is said in a day takes a tenth of it.
const LIMIT: Limit = Limit {
    bytes: 16 << 20,
    memory: parse::MEMORY,
    hint: "No film has as many subtitles: look at what the file is, or split it",
};

/// How much of a file of subtitles makes one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stretch {
    /// A sentence, which may begin and end within cues.
    #[default]
    Sentence,
    /// A cue: what is shown at once.
    Cue,
    /// The whole file: its sentences, with a line end where the speaker changes or a pause is long.
    File,
}

/// Loads `.srt`, `.vtt` and `.json3` files (and json3 under `.json`).
///
/// Fields: `start` and `end` in seconds, `speaker` (of `WebVTT`'s voices), `language` (of the `WebVTT` header, or of a name
/// such as `talk.en.vtt`). The place is the line of the cue in which the text begins, or the number of json3's event.
///
/// Cues are merged into sentences; one also ends where the speaker changes (a voice, a line that begins with a dash or
/// `>>`) and before a pause longer than [`Subtitles::pause`]. Where a sentence begins or ends within a cue, its time is
/// that of the word if the file has it, else in proportion to the text. Captions that roll repeat each line on the next
/// cue; the repetitions are left out, and counted as dropped. Tags are left out; so are notes such as `[Music]`,
/// `(laughs)` and lines of a song between `♪` unless [`Subtitles::notes`] keeps them, each counted as dropped.
///
/// Tolerated are any numbering, missing numbers and blank lines, commas or points in times, cues that overlap, and
/// cues that end before they begin (they get no duration). A line with an arrow whose times cannot be read is a broken
/// record, with the text below it; so is text before the first cue of an SRT file. A file may have 16 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subtitles {
    /// What makes one document.
    pub stretch: Stretch,
    /// A pause longer than this ends a sentence; 2 seconds by default.
    pub pause: Duration,
    /// Keep notes of sounds. No by default.
    pub notes: bool,
}

impl Default for Subtitles {
    fn default() -> Self {
        Self {
            stretch: Stretch::Sentence,
            pause: Duration::from_secs(2),
            notes: false,
        }
    }
}

impl Subtitles {
    /// What makes one document.
    pub fn stretch(mut self, stretch: Stretch) -> Self {
        self.stretch = stretch;
        self
    }

    /// The pause that ends a sentence.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Whether notes such as `[Music]` are kept.
    pub fn notes(mut self, notes: bool) -> Self {
        self.notes = notes;
        self
    }
}

impl Load for Subtitles {
    fn extensions(&self) -> &[&str] {
        &["srt", "vtt", "json3"]
    }

    fn recognises(&self, path: &Path, head: &[u8]) -> bool {
        extension(path) == "json" && Outline::of(head).has(&["wireMagic", "events[].tStartMs"])
    }

    fn whole(&self) -> bool {
        true
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let mut language = language(path);
        let (notes, items, unit) = match extension(path).as_str() {
            "json" | "json3" => {
                let (notes, value) = read_json(path, LIMIT)?;
                (notes, json3::items(&value, path)?, PlaceUnit::Entry)
            }
            extension => {
                let (notes, text) = noted(path, Format::Subtitles, LIMIT)?;
                let items = if extension == "vtt" {
                    language = marked::header(&text, path)?.or(language);
                    marked::vtt(&text, path)
                } else {
                    marked::srt(&text, path)
                };
                (notes, items, PlaceUnit::Line)
            }
        };
        let file = File {
            path,
            unit,
            language,
            settings: self,
        };
        let records: Vec<Record> = notes.into_iter().chain(file.records(items)).collect();
        Ok(Box::new(records.into_iter().map(Ok)))
    }
}

fn extension(path: &Path) -> String {
    let stem = Packing::stem(path);
    let extension = stem.extension().unwrap_or_default();
    extension.to_string_lossy().to_ascii_lowercase()
}

/// The language in `talk.en.vtt` or `talk.pt-BR.srt`.
fn language(path: &Path) -> Option<String> {
    let stem = Packing::stem(path).with_extension("");
    let code = stem.extension()?.to_str()?;
    let mut parts = code.split('-');
    let first = parts.next()?;
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let good = (2..=3).contains(&first.len())
        && letters(first)
        && first.to_ascii_lowercase() == first
        && parts.all(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
    good.then(|| code.to_owned())
}

struct File<'a> {
    path: &'a Path,
    unit: PlaceUnit,
    language: Option<String>,
    settings: &'a Subtitles,
}

impl File<'_> {
    fn records(&self, items: Vec<Item>) -> Vec<Record> {
        let mut records = Vec::new();
        let mut cues = Vec::new();
        for item in items {
            match item {
                Ok(cue) => cues.push(cue),
                Err(error) => records.push(Record::ready(Err(error))),
            }
        }
        let repeated = cue::unroll(&mut cues);
        let notes = if self.settings.notes {
            0
        } else {
            cues.iter_mut().map(Cue::take_notes).sum()
        };
        let dropped = [
            (repeated, "repeated line of rolling captions"),
            (notes, "note of a sound"),
        ];
        for (count, reason) in dropped {
            records.extend((0..count).map(|_| Record::dropped(reason)));
        }
        let pause = u64::try_from(self.settings.pause.as_millis()).unwrap_or(u64::MAX);
        match self.settings.stretch {
            Stretch::Sentence => {
                let said = sentence::sentences(&cues, pause);
                records.extend(said.into_iter().map(|said| self.record(said)));
            }
            Stretch::Cue => {
                let said = cues.iter().filter_map(sentence::cue);
                records.extend(said.map(|said| self.record(said)));
            }
            Stretch::File => {
                let said = sentence::file(sentence::sentences(&cues, pause));
                records.extend(said.map(|said| self.record(said)));
            }
        }
        records
    }

    fn record(&self, said: Said) -> Record {
        // Milliseconds below 2^53 divided by 1000 are the nearest float to the decimal.
        let seconds = |milliseconds: u64| json!(milliseconds as f64 / 1000.0);
        let known: [(&str, Option<Value>); 4] = [
            ("start", Some(seconds(said.start))),
            ("end", Some(seconds(said.end))),
            ("speaker", said.speaker.map(|name| json!(name))),
            ("language", self.language.as_ref().map(|code| json!(code))),
        ];
        let fields = known.into_iter();
        let fields = fields.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Record::ready(Ok(Document {
            text: said.text,
            fields: fields.collect(),
            origin: Origin::of(self.path, self.unit, said.place),
        }))
    }
}
