//! Blocks to pieces, none of them longer than a chunk if it can be helped.

use text_splitter::{ChunkConfig, MarkdownSplitter, TextSplitter};

use super::outline::{Block, Border, Kind, Outline};
use super::{Measure, trimmed};
use crate::error::Result;

/// The least that the splitter gets at once, in bytes.
const WINDOW: usize = 64 << 10;

/// The smallest part that is put into a chunk. The pieces of a text follow each other without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    /// How willingly the text is split at `start`.
    pub(super) border: Border,
    pub(super) kind: Kind,
}

/// The pieces of a text. Prose that has to be taken apart leaves room for an overlap before each part.
///
/// # Errors
///
/// What the tokenizer says.
pub(super) fn of(
    text: &str,
    outline: &Outline,
    measure: &Measure,
    overlap: usize,
) -> Result<Vec<Piece>> {
    let short = measure.limited(measure.limit - overlap);
    let mut pieces = Vec::with_capacity(outline.blocks.len());
    for block in &outline.blocks {
        let own = &text[block.start..block.end];
        if measure.fits(trimmed(text, block.start, block.end))? {
            pieces.push(piece(block, block.start, block.end, block.border));
            continue;
        }
        let prose = block.kind == Kind::Prose;
        let measure = if prose { &short } else { measure };
        let room = beside(text, &pieces, block, measure)?;
        let ends = parts(own, prose && outline.markdown, room, measure)?;
        let mut start = block.start;
        for end in ends {
            let first = start == block.start;
            let border = if first { block.border } else { Border::Inside };
            pieces.push(piece(block, start, block.start + end, border));
            start = block.start + end;
        }
    }
    Ok(pieces)
}

fn piece(block: &Block, start: usize, end: usize, border: Border) -> Piece {
    let kind = block.kind;
    Piece {
        start,
        end,
        border,
        kind,
    }
}

/// The room that is left in a chunk beside the heading above a block, so that no heading stands alone.
fn beside(text: &str, pieces: &[Piece], block: &Block, measure: &Measure) -> Result<usize> {
    if block.border != Border::Led {
        return Ok(measure.limit);
    }
    let leads = pieces
        .iter()
        .rev()
        .take_while(|piece| piece.border == Border::Led)
        .count()
        + 1;
    let first = pieces.len().saturating_sub(leads);
    let above = pieces.get(first).map_or(0, |piece| piece.start);
    let taken = measure.length(&text[above..block.start])?;
    let room = measure.limit.saturating_sub(taken);
    Ok(if room < measure.limit / 2 {
        measure.limit
    } else {
        room
    })
}

/// Where the parts of a block end. The first has only so much `room`.
fn parts(text: &str, markdown: bool, room: usize, measure: &Measure) -> Result<Vec<usize>> {
    let mut ends = Vec::new();
    if room < measure.limit {
        let window = window(text, 0, measure);
        ends.extend(split(window, markdown, &measure.limited(room), 1)?);
    }
    let mut at = ends.last().copied().unwrap_or(0);
    while at < text.len() {
        let window = window(text, at, measure);
        let mut found = split(window, markdown, measure, usize::MAX)?;
        // Where a window is cut says nothing of the text.
        if at + window.len() < text.len() && found.len() > 1 {
            found.pop();
        }
        ends.extend(found.iter().map(|end| at + end));
        at = ends.last().copied().unwrap_or(text.len());
    }
    Ok(ends)
}

/// The text from a byte on, as much as the splitter gets at once: it looks through all that follows for each part.
fn window<'t>(text: &'t str, start: usize, measure: &Measure) -> &'t str {
    let length = measure.limit.saturating_mul(64).max(WINDOW);
    let end = text.floor_char_boundary(start.saturating_add(length));
    &text[start..end]
}

/// Where the first `count` parts of a text end. Markdown is split at inline elements, sentences, words, characters;
/// any other text at line ends, sentences, words, characters.
fn split(text: &str, markdown: bool, measure: &Measure, count: usize) -> Result<Vec<usize>> {
    // White space is kept, so that the parts are the whole.
    let config = ChunkConfig::new(measure.limit)
        .with_sizer(measure.clone())
        .with_trim(false);
    let end = |part: Result<(usize, &str)>| part.map(|(start, part)| start + part.len());
    if markdown {
        let splitter = MarkdownSplitter::new(config);
        splitter
            .try_chunk_indices(text)
            .take(count)
            .map(end)
            .collect()
    } else {
        let splitter = TextSplitter::new(config);
        splitter
            .try_chunk_indices(text)
            .take(count)
            .map(end)
            .collect()
    }
}
