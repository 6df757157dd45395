//! `YouTube`'s json3: events of segments.

use std::path::Path;

use serde_json::Value;

use super::cue::{Cue, Item, Line, Piece};
use crate::document::PlaceUnit;
use crate::error::{DataError, Place, Result};

/// The latest time that is believed, in milliseconds: a thousand days.
const LATEST: u64 = 86_400_000_000;

/// The cues of a file.
pub(super) fn items(value: &Value, path: &Path) -> Result<Vec<Item>> {
    let Some(events) = value.get("events").and_then(Value::as_array) else {
        return Err(broken(Place::file(path), "it has no list of events"));
    };
    let mut items: Vec<Item> = Vec::new();
    let mut rolls = false;
    for (event, number) in events.iter().zip(1..) {
        let text = text(event);
        let appends = event.get("aAppend").is_some();
        rolls |= appends;
        // Windows and line feeds are events too.
        if text.trim().is_empty() {
            continue;
        }
        let place = Place::of(path, PlaceUnit::Entry, number);
        items.push(
            cue(event, number)
                .ok_or_else(|| broken(place, "its times are missing, negative or too large")),
        );
    }
    if rolls {
        // The duration of a caption that rolls is that of its line on the screen.
        let starts: Vec<Option<u64>> = items
            .iter()
            .map(|item| item.as_ref().ok().map(|cue| cue.start))
            .collect();
        for (item, next) in items.iter_mut().zip(starts.into_iter().skip(1)) {
            if let (Ok(cue), Some(next)) = (item, next) {
                cue.end = cue.end.min(next.max(cue.start));
            }
        }
    }
    Ok(items)
}

fn segments(event: &Value) -> &[Value] {
    let segments = event.get("segs").and_then(Value::as_array);
    segments.map_or(&[], Vec::as_slice)
}

fn segment(value: &Value) -> &str {
    value
        .get("utf8")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn text(event: &Value) -> String {
    segments(event).iter().map(segment).collect()
}

fn cue(event: &Value, number: u64) -> Option<Cue> {
    let start = milliseconds(event.get("tStartMs")?)?;
    let duration = event.get("dDurationMs").map_or(Some(0), milliseconds)?;
    let mut lines = vec![Line::default()];
    for value in segments(event) {
        let offset = value.get("tOffsetMs").map_or(Some(0), milliseconds)?;
        for (index, text) in segment(value).split('\n').enumerate() {
            if index > 0 {
                lines.push(Line::default());
            }
            lines.last_mut()?.pieces.push(Piece {
                start: Some(start + offset),
                text: text.replace('\u{200b}', ""),
            });
        }
    }
    let cue = Cue {
        place: number,
        start,
        end: start + duration,
        lines,
    };
    Some(cue.tidy())
}

fn milliseconds(value: &Value) -> Option<u64> {
    value.as_u64().filter(|time| *time <= LATEST)
}

fn broken(place: Place, message: &str) -> DataError {
    DataError::Broken {
        place,
        format: "json3 subtitles",
        message: message.into(),
        hint: "Get the file again",
    }
}
