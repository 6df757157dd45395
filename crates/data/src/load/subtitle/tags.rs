//! Marks inside of cues: styles, voices, times of words, and characters by name.

use super::cue::{Line, Piece};
use super::marked::time;

/// A line of SRT without its tags: `<i>`, `<font color="…">`, `{\an8}`.
pub(super) fn srt(line: &str) -> String {
    let mut text = String::new();
    for part in parts(line) {
        if let Part::Text(part) = part {
            text.push_str(part);
        }
    }
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, opened)) = rest.split_once("{\\") {
        let Some((_, after)) = opened.split_once('}') else {
            break;
        };
        plain.push_str(before);
        rest = after;
    }
    plain + rest
}

/// The lines of a `WebVTT` cue. A line also ends where another voice begins.
pub(super) fn vtt(body: &str) -> Vec<Line> {
    let mut lines = vec![Line::default()];
    let mut speaker: Option<String> = None;
    let mut start = None;
    for (index, line) in body.split('\n').enumerate() {
        if index > 0 {
            lines.push(Line {
                speaker: speaker.clone(),
                ..Line::default()
            });
        }
        for part in parts(line) {
            match part {
                Part::Text(text) => {
                    let piece = Piece {
                        start: start.take(),
                        text: entities(text),
                    };
                    if let Some(line) = lines.last_mut() {
                        line.pieces.push(piece);
                    }
                }
                Part::Tag(tag) => match voice(tag) {
                    _ if tag == "/v" => speaker = None,
                    Some(name) => {
                        speaker = Some(entities(name)).filter(|name| !name.is_empty());
                        lines.push(Line {
                            speaker: speaker.clone(),
                            ..Line::default()
                        });
                    }
                    None => start = time(tag).or(start),
                },
            }
        }
    }
    lines
}

/// The name in `v Ann` or `v.loud Ann`.
fn voice(tag: &str) -> Option<&str> {
    let rest = tag.strip_prefix('v')?;
    let (classes, name) = rest.split_once([' ', '\t'])?;
    (classes.is_empty() || classes.starts_with('.')).then(|| name.trim())
}

enum Part<'a> {
    Text(&'a str),
    /// What stands between angle brackets.
    Tag(&'a str),
}

/// A line cut at its tags. A bracket that begins no tag is text.
fn parts(line: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = line;
    let mut from = 0;
    while let Some(open) = rest[from..].find('<').map(|at| from + at) {
        let inside = &rest[open + 1..];
        let tag = inside
            .find(['>', '<'])
            .filter(|close| inside[*close..].starts_with('>'))
            .map(|close| &inside[..close])
            .filter(|tag| {
                tag.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/')
            });
        let Some(tag) = tag else {
            from = open + 1;
            continue;
        };
        if open > 0 {
            parts.push(Part::Text(&rest[..open]));
        }
        parts.push(Part::Tag(tag));
        rest = &inside[tag.len() + 1..];
        from = 0;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

/// A text with the characters that `WebVTT` names; an unknown name stays as it is.
fn entities(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, named)) = rest.split_once('&') {
        shown.push_str(before);
        // No name is longer.
        let end = named.bytes().take(10).position(|byte| byte == b';');
        let character = end.and_then(|end| named.get(..end)).and_then(character);
        if let (Some(character), Some(end)) = (character, end) {
            shown.extend(character);
            rest = &named[end + 1..];
        } else {
            shown.push('&');
            rest = named;
        }
    }
    shown + rest
}

/// The character of a name; `Some(None)` for the marks of direction, which are not text.
#[allow(clippy::option_option, reason = "a known name may stand for nothing")]
fn character(name: &str) -> Option<Option<char>> {
    match name {
        "amp" => Some(Some('&')),
        "lt" => Some(Some('<')),
        "gt" => Some(Some('>')),
        "quot" => Some(Some('"')),
        "nbsp" => Some(Some(' ')),
        "lrm" | "rlm" => Some(None),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            let character = char::from_u32(code.ok()?)?;
            (!character.is_control()).then_some(Some(character))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_no_text() {
        let cases = [
            ("<i>Hi</i> {\\an8}there", "Hi there"),
            ("<font color=\"#fff\">a</font> < b > c", "a < b > c"),
            ("{not a tag} {\\open", "{not a tag} {\\open"),
            ("a <3 b <", "a <3 b <"),
        ];
        for (line, expected) in cases {
            assert_eq!(srt(line), expected, "{line}");
        }
    }

    #[test]
    fn characters_have_names() {
        let cases = [
            ("a &amp;&lt;&gt;&nbsp;b&lrm;", "a &<> b"),
            ("&#233;&#xe9;&#0;&unknown; & &;", "éé&#0;&unknown; & &;"),
            ("&é;&ééééééééé;", "&é;&ééééééééé;"),
        ];
        for (text, expected) in cases {
            assert_eq!(entities(text), expected, "{text}");
        }
    }
}
