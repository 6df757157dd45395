//! Long documents to chunks of bounded length.
//!
//! A text is first taken apart by its structure: headings, paragraphs, list items, code blocks, rows of tables. Blocks
//! longer than a chunk, and only those, are taken apart further: prose at sentences, then words; code at lines. The
//! pieces are then joined to chunks as long as allowed. A chunk ends at the strongest border of its second half: before
//! a heading rather than before a paragraph, before a paragraph rather than before a row.
//!
//! The crate that splits by meaning, `text-splitter`, does the second part. It does not do the first: it knows code
//! blocks and rows as elements like any other, may begin an overlap inside of them, and leaves a heading as the last
//! line of a chunk.

mod measure;
mod outline;
mod overlap;
mod pieces;

use std::path::Path;

use serde_json::{Value, json};

use self::measure::Measure;
use self::outline::{Border, Outline};
use self::pieces::Piece;
use crate::document::Document;
use crate::error::{DataError, Place, Result, quoted};
use crate::load::parse::type_name;
use crate::tokenizer::Tokenizer;

/// Extensions of files whose places are lines.
const LINES: [&str; 6] = ["txt", "text", "md", "markdown", "rst", "log"];

/// How the structure of a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Markdown if the file is called so (`.md`, `.markdown`), else plain.
    #[default]
    ByName,
    /// Markdown: headings, paragraphs, lists, code blocks, tables.
    Markdown,
    /// Paragraphs between empty lines; the more empty lines, the stronger the border.
    Plain,
}

/// Splits long documents.
///
/// ```
/// use finetune_data::chunk::{Chunker, Form};
/// use finetune_data::{Document, Origin};
///
/// # fn main() -> finetune_data::Result<()> {
/// let document = Document {
///     text: "# One\n\nA first text.\n\n# Two\n\nA second text.\n".into(),
///     fields: Default::default(),
///     origin: Origin::new("a.md", 1),
/// };
/// let chunks = Chunker::characters(24).form(Form::Markdown).chunks(&document)?;
/// assert_eq!(chunks[1].text, "# Two\n\nA second text.");
/// assert_eq!(chunks[1].origin.place, 5);
/// assert_eq!(chunks[1].fields["chunk"]["headings"][0], "Two");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Chunker {
    measure: Measure,
    overlap: usize,
    form: Form,
    field: Option<String>,
}

impl Chunker {
    /// Chunks of at most so many tokens, without what a template or the tokenizer puts around a text.
    pub fn tokens(tokenizer: &Tokenizer, limit: usize) -> Self {
        Self::of(Measure::tokens(tokenizer, limit))
    }

    /// Chunks of at most so many characters.
    pub fn characters(limit: usize) -> Self {
        Self::of(Measure::characters(limit))
    }

    fn of(measure: Measure) -> Self {
        Self {
            measure,
            overlap: 0,
            form: Form::default(),
            field: None,
        }
    }

    /// With how many tokens (or characters) of its predecessor a chunk begins, at most; 0 is the default.
    ///
    /// An overlap begins at a word, and never inside a code block or a row of a table, so it may be shorter. It is
    /// part of the chunk and of its limit.
    pub fn overlap(mut self, overlap: usize) -> Self {
        self.overlap = overlap;
        self
    }

    /// How the structure is read; by the file's name is the default.
    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// Splits the text in a field of each record, instead of the document's own text.
    pub fn field(mut self, name: impl Into<String>) -> Self {
        self.field = Some(name.into());
        self
    }

    /// The chunks of a document, in order.
    ///
    /// Each has all fields of the document and one more, `chunk`: its `number` from 1, the bytes of the text from
    /// `start` to `end`, and `headings`, the titles under which it stands, outermost first. If there is a `chunk`
    /// already, because the document is a chunk itself, it is kept inside as `of`. The origin is that of the document;
    /// where its place is a line, it is the line of the chunk's first byte.
    ///
    /// White space around a chunk is no part of it, and a text of white space has no chunks. A chunk is longer than
    /// the limit only if it is a single character.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if the limit is 0 or not greater than the overlap; [`DataError::MissingField`] or
    /// [`DataError::WrongType`] for a field that is not a text; what the tokenizer says of a text.
    pub fn chunks(&self, document: &Document) -> Result<Vec<Document>> {
        self.check()?;
        let text = self.text(document)?;
        let outline = match self.form_of(document) {
            Form::Markdown => Outline::markdown(text),
            _ => Outline::plain(text),
        };
        let spans = self
            .spans(text, &outline)
            .map_err(|error| error.at(Place::from(&document.origin)))?;
        let lines = self.field.is_none() && counts_lines(&document.origin.path);
        let (mut chunks, mut line, mut read) = (Vec::with_capacity(spans.len()), 0, 0);
        for (index, span) in spans.iter().enumerate() {
            // An overlap lies before the end of the chunk before, so lines are counted in both directions.
            line = if span.start >= read {
                line + count_lines(&text[read..span.start])
            } else {
                line - count_lines(&text[span.start..read])
            };
            read = span.start;
            let mut chunk = self.chunk(document, text, index, span, &outline);
            if lines {
                chunk.origin.place += line;
            }
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    fn check(&self) -> Result<()> {
        let fault = |name: &str, found: usize, expected: &str| {
            Err(DataError::Setting {
                name: format!("chunk: {name}"),
                found: found.to_string(),
                expected: expected.into(),
            })
        };
        if self.measure.limit == 0 {
            return fault("limit", 0, "at least 1");
        }
        if self.overlap >= self.measure.limit {
            return fault("overlap", self.overlap, "less than the limit");
        }
        Ok(())
    }

    fn text<'d>(&self, document: &'d Document) -> Result<&'d str> {
        let Some(name) = &self.field else {
            return Ok(&document.text);
        };
        match document.fields.get(name) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(DataError::WrongType {
                place: Place::from(&document.origin),
                field: quoted(name),
                found: type_name(other),
                expected: "string",
            }),
            None => Err(document.missing(name, "Name the field that holds the long text")),
        }
    }

    fn form_of(&self, document: &Document) -> Form {
        match self.form {
            Form::ByName if has_extension(&document.origin.path, &["md", "markdown"]) => {
                Form::Markdown
            }
            form => form,
        }
    }

    /// Where the chunks lie.
    fn spans(&self, text: &str, outline: &Outline) -> Result<Vec<Span>> {
        let pieces = pieces::of(text, outline, &self.measure, self.overlap)?;
        let mut spans = Vec::new();
        let (mut first, mut start) = (0, 0);
        while first < pieces.len() {
            let next = self.next(text, &pieces, first, start)?;
            let end = pieces[next - 1].end;
            let fresh = trim(text, pieces[first].start, end);
            // An overlap with nothing but white space behind it says nothing new.
            if !fresh.is_empty() {
                let whole = trim(text, start, end);
                spans.push(Span {
                    start: whole.start,
                    end: whole.end,
                    fresh: fresh.start,
                });
            }
            if next < pieces.len() {
                let upto = pieces[next].end;
                let within = start..end;
                start = overlap::start(
                    text,
                    &pieces[..next],
                    within,
                    upto,
                    self.overlap,
                    &self.measure,
                )?;
            }
            first = next;
        }
        Ok(spans)
    }

    /// The piece with which the next chunk begins, if this one begins at byte `start` and `first` is its first piece
    /// that the chunk before does not have.
    fn next(&self, text: &str, pieces: &[Piece], first: usize, start: usize) -> Result<usize> {
        let fits = |next: usize| {
            self.measure
                .fits(trimmed(text, start, pieces[next - 1].end))
        };
        // At least one piece, even if it cannot be made shorter.
        let (mut low, mut step) = (first + 1, 1);
        while low + step <= pieces.len() && fits(low + step)? {
            low += step;
            step *= 2;
        }
        let mut high = (low + step).min(pieces.len() + 1);
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if fits(middle)? {
                low = middle;
            } else {
                high = middle;
            }
        }
        if low == pieces.len() {
            return Ok(low);
        }
        let fresh = pieces[first].start;
        let half = fresh + (pieces[low - 1].end - fresh).div_ceil(2);
        let best_from = |byte: usize| {
            let ends = (first + 1..=low).filter(|next| pieces[*next].start >= byte);
            ends.max_by_key(|next| (pieces[*next].border, *next))
                .unwrap_or(low)
        };
        let mut best = best_from(half);
        // Rather a short chunk than a heading without its text.
        if pieces[best].border <= Border::Led {
            let earlier = best_from(fresh);
            if pieces[earlier].border > Border::Led {
                best = earlier;
            }
        }
        // Less text may be more tokens, though hardly ever.
        while best > first + 1 && !fits(best)? {
            best -= 1;
        }
        Ok(best)
    }

    fn chunk(
        &self,
        document: &Document,
        text: &str,
        index: usize,
        span: &Span,
        outline: &Outline,
    ) -> Document {
        let part = &text[span.start..span.end];
        let mut lies = json!({
            "number": index + 1,
            "start": span.start,
            "end": span.end,
            "headings": outline.path(span.fresh),
        });
        let mut fields = document.fields.clone();
        if let Some(before) = fields.remove("chunk") {
            lies["of"] = before;
        }
        fields.insert("chunk".into(), lies);
        let mut own = String::new();
        match &self.field {
            Some(name) => {
                fields.insert(name.clone(), Value::String(part.into()));
                own.clone_from(&document.text);
            }
            None => own.push_str(part),
        }
        Document {
            text: own,
            fields,
            origin: document.origin.clone(),
        }
    }
}

/// Where a chunk lies, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    /// The first byte that the chunk before does not have.
    fresh: usize,
}

/// Without white space at the end, and without empty lines at the start: the indentation of a first line stays.
fn trim(text: &str, start: usize, end: usize) -> std::ops::Range<usize> {
    let part = &text[start..end];
    let end = start + part.trim_end().len();
    let Some(first) = part.find(|character: char| !character.is_whitespace()) else {
        return start..start;
    };
    let line = part[..first].rfind('\n').map_or(0, |place| place + 1);
    start + line..end
}

fn trimmed(text: &str, start: usize, end: usize) -> &str {
    &text[trim(text, start, end)]
}

fn count_lines(text: &str) -> u64 {
    text.matches('\n').count() as u64
}

fn counts_lines(path: &Path) -> bool {
    has_extension(path, &LINES)
}

/// Whether a file has one of the extensions, compressed or not.
fn has_extension(path: &Path, known: &[&str]) -> bool {
    let extension = |path: &Path| {
        let extension = path.extension().unwrap_or_default();
        extension.to_string_lossy().to_ascii_lowercase()
    };
    let outer = extension(path);
    if ["gz", "zst", "bz2", "xz"].contains(&outer.as_str()) {
        return known.contains(&extension(&path.with_extension("")).as_str());
    }
    known.contains(&outer.as_str())
}
