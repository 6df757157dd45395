//! What of a message looks like another one that it quotes, or like a signature.

/// Lines below which the whole rest is the message that is answered or forwarded.
const ORIGINALS: [&str; 6] = [
    "original message",
    "forwarded message",
    "begin forwarded message",
    "ursprüngliche nachricht",
    "message d'origine",
    "mensaje original",
];

/// The text without quotations and the signature, and how many lines of it these are.
pub(super) fn leave_out(text: &str) -> (String, usize) {
    let lines: Vec<&str> = text.lines().collect();
    let end = lines
        .iter()
        .position(|line| ends(line))
        .unwrap_or(lines.len());
    let mut kept: Vec<&str> = Vec::new();
    let mut quoted = false;
    for line in &lines[..end] {
        let quotes = line.trim_start().starts_with('>');
        if quotes && !quoted {
            drop_blanks(&mut kept);
            // "On Tuesday Ada wrote:", in whatever language, sometimes on two lines.
            if kept
                .last()
                .is_some_and(|last| last.trim_end().ends_with(':'))
            {
                kept.pop();
                drop_blanks(&mut kept);
            }
            kept.push("");
        }
        // Empty lines inside of a quotation and below it are its own.
        quoted = quotes || quoted && line.trim().is_empty();
        if !quoted {
            kept.push(line);
        }
    }
    let text = kept.join("\n");
    let text = text.trim_matches('\n').trim_end().to_string();
    let words = |line: &&&str| !line.trim().is_empty();
    let left_out = lines.iter().filter(words).count() - kept.iter().filter(words).count();
    (text, left_out)
}

fn drop_blanks(lines: &mut Vec<&str>) {
    while lines.last().is_some_and(|last| last.trim().is_empty()) {
        lines.pop();
    }
}

/// Whether a signature or an original message begins with this line.
fn ends(line: &str) -> bool {
    let line = line.trim_start();
    if line == "-- " || line.trim_end() == "--" {
        return true;
    }
    let bare = line.trim_matches(['-', '_', ' ', ':']).to_lowercase();
    (line.starts_with("--") || line.ends_with(':')) && ORIGINALS.contains(&bare.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotations_and_signatures_are_left_out() {
        let cases = [
            (
                "Yes.\n\nOn Tuesday Ada wrote:\n> Do you come?\n>\n> Ada\n\nSee you.\n-- \nOtto\nMill 3",
                "Yes.\n\nSee you.",
                7,
            ),
            (
                "Fine.\n\n-----Original Message-----\nFrom: Ada\n\nNo?",
                "Fine.",
                3,
            ),
            ("a > b\n- item\n---\nrest", "a > b\n- item\n---\nrest", 0),
            ("> only", "", 1),
            ("", "", 0),
        ];
        for (text, expected, count) in cases {
            assert_eq!(leave_out(text), (expected.to_string(), count), "{text}");
        }
    }

    proptest! {
        /// What is kept are lines of the text in their order and empty ones, and the counts add up.
        #[test]
        fn lines_are_kept_or_counted(text in "(> ?|-- |[a-z]{1,4}:?|\n){0,30}") {
            let (kept, left_out) = leave_out(&text);
            let count = |text: &str| text.lines().filter(|line| !line.trim().is_empty()).count();
            prop_assert_eq!(count(&kept) + left_out, count(&text));
            let mut lines = text.lines();
            for line in kept.lines().filter(|line| !line.trim().is_empty()) {
                prop_assert!(lines.any(|other| other.trim_end() == line.trim_end()));
            }
        }
    }
}
