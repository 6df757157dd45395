//! From cues to sentences.

use super::cue::{Cue, Line};
use super::ends::ends;

/// A text with its time in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) speaker: Option<String>,
    pub(super) place: u64,
    /// A pause or another speaker came before.
    apart: bool,
}

/// The text of a cue, its lines joined.
pub(super) fn cue(cue: &Cue) -> Option<Said> {
    let lines: Vec<String> = cue.lines.iter().map(Line::text).collect();
    let text = lines.join("\n").trim().to_owned();
    let speaker = cue.lines.first().and_then(|line| line.speaker.clone());
    let alone = cue.lines.iter().all(|line| line.speaker == speaker);
    (!text.is_empty()).then_some(Said {
        text,
        start: cue.start,
        end: cue.end,
        speaker: speaker.filter(|_| alone),
        place: cue.place,
        apart: true,
    })
}

/// All sentences as one text.
pub(super) fn file(sentences: Vec<Said>) -> Option<Said> {
    let mut sentences = sentences.into_iter();
    let mut all = sentences.next()?;
    for said in sentences {
        all.text.push(if said.apart { '\n' } else { ' ' });
        all.text.push_str(&said.text);
        all.start = all.start.min(said.start);
        all.end = all.end.max(said.end);
        if all.speaker != said.speaker {
            all.speaker = None;
        }
    }
    Some(all)
}

/// The sentences of cues in order.
pub(super) fn sentences(cues: &[Cue], pause: u64) -> Vec<Said> {
    let mut said = Vec::new();
    let mut run = Run::default();
    let mut end: Option<u64> = None;
    for cue in cues {
        let paused = end.is_some_and(|end| cue.start.saturating_sub(end) > pause);
        let mut spans = Spans::of(cue);
        for (index, line) in cue.lines.iter().enumerate() {
            let raw = line.raw();
            let (text, turn) = without_dash(raw.trim());
            let before = raw.trim_end().len() - text.len();
            let other = run.speaker != line.speaker || turn;
            if other || (paused && index == 0) {
                run.finish(&mut said);
                run.speaker.clone_from(&line.speaker);
            }
            run.add(text, before, spans.next(raw.len()), cue.place);
        }
        if !cue.lines.is_empty() {
            end = end.max(Some(cue.end));
        }
    }
    run.finish(&mut said);
    said
}

/// A line without the dash or the arrows that say that another speaker begins, and whether it had them.
fn without_dash(line: &str) -> (&str, bool) {
    let arrows = line.strip_prefix(">>");
    let arrows = arrows.map(|rest| rest.trim_start_matches('>'));
    let dash = line.strip_prefix(['-', '–', '—']);
    // A number below zero is no dialogue.
    let dash =
        dash.filter(|rest| !rest.starts_with(|next: char| next.is_ascii_digit() || next == '-'));
    match arrows.or(dash).map(str::trim_start) {
        Some(rest) if !rest.is_empty() => (rest, true),
        _ => (line, false),
    }
}

/// The times of a cue's lines, in proportion to the bytes between the times that are known.
struct Spans {
    /// Bytes before, and when they are said.
    anchors: Vec<(usize, u64)>,
    at: usize,
}

impl Spans {
    fn of(cue: &Cue) -> Self {
        let mut anchors = vec![(0, cue.start)];
        let mut at = 0;
        for piece in cue.lines.iter().flat_map(|line| &line.pieces) {
            let latest = anchors[anchors.len() - 1].1;
            if let Some(start) = piece.start
                && start >= latest
            {
                anchors.push((at, start.min(cue.end)));
            }
            at += piece.text.len();
        }
        anchors.push((at, cue.end));
        Self { anchors, at: 0 }
    }

    /// The anchors of the next line: bytes from its beginning, and times.
    fn next(&mut self, length: usize) -> Vec<(usize, u64)> {
        let (from, to) = (self.at, self.at + length);
        self.at = to;
        let mut anchors = vec![(0, self.time(from))];
        let begin = self.anchors.partition_point(|(at, _)| *at < from);
        let inside = self.anchors[begin..].iter().take_while(|(at, _)| *at < to);
        anchors.extend(inside.map(|(at, time)| (at - from, *time)));
        anchors.push((length, self.time(to)));
        anchors
    }

    fn time(&self, at: usize) -> u64 {
        between(&self.anchors, at)
    }
}

/// The time of a place between anchors.
fn between(anchors: &[(usize, u64)], at: usize) -> u64 {
    let after = anchors.partition_point(|(anchor, _)| *anchor <= at);
    let before = anchors[after.saturating_sub(1)];
    let Some(after) = anchors.get(after) else {
        return before.1;
    };
    let wait = u128::from(after.1.saturating_sub(before.1));
    let (part, whole) = (at - before.0, after.0 - before.0);
    // At most `wait`, which came from 64 bits.
    before.1 + (wait * part as u128 / whole.max(1) as u128) as u64
}

/// What one speaker says without a pause.
#[derive(Default)]
struct Run {
    text: String,
    speaker: Option<String>,
    lines: Vec<Timed>,
}

/// A line in a run.
struct Timed {
    /// Where it begins and ends, in bytes.
    from: usize,
    to: usize,
    /// Bytes of the line before its text.
    before: usize,
    anchors: Vec<(usize, u64)>,
    place: u64,
}

impl Run {
    fn add(&mut self, line: &str, before: usize, anchors: Vec<(usize, u64)>, place: u64) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        let from = self.text.len();
        let words: Vec<&str> = line.split_whitespace().collect();
        self.text.push_str(&words.join(" "));
        self.lines.push(Timed {
            from,
            to: self.text.len(),
            before,
            anchors,
            place,
        });
    }

    fn finish(&mut self, said: &mut Vec<Said>) {
        let mut apart = true;
        let mut from = 0;
        for end in ends(&self.text) {
            let text = self.text[from..end].trim();
            let begin = from + self.text[from..end].len() - self.text[from..end].trim_start().len();
            from = end;
            if text.is_empty() {
                continue;
            }
            let (start, place) = self.at(begin, true);
            said.push(Said {
                text: text.to_owned(),
                start,
                end: self.at(begin + text.len(), false).0.max(start),
                speaker: self.speaker.clone(),
                place,
                apart,
            });
            apart = false;
        }
        self.text.clear();
        self.lines.clear();
    }

    /// The time and the cue of a byte of the text; at the end of a line that line's time, not the next one's.
    fn at(&self, byte: usize, begins: bool) -> (u64, u64) {
        let after = self.lines.partition_point(|line| {
            if begins {
                line.from <= byte
            } else {
                line.from < byte
            }
        });
        let line = &self.lines[after.saturating_sub(1)];
        let inside = if byte >= line.to {
            usize::MAX
        } else {
            line.before + byte - line.from
        };
        (between(&line.anchors, inside), line.place)
    }
}
