//! Where sentences end.

/// Where the sentences of a text end, in bytes; the last one is the end of the text.
pub(super) fn ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if !is_end(character) {
            continue;
        }
        let mut last = character;
        while let Some((_, next)) = characters.peek().copied().filter(|(_, next)| is_end(*next)) {
            last = next;
            characters.next();
        }
        while characters.next_if(|(_, next)| is_closing(*next)).is_some() {}
        let end = characters.peek().map_or(text.len(), |(at, _)| *at);
        let wide = matches!(last, '。' | '！' | '？');
        let spaced = text[end..].starts_with(char::is_whitespace);
        let goes_on = || {
            let opening = |next: char| next.is_whitespace() || "\"'“„«¿¡([".contains(next);
            let next = text[end..].trim_start_matches(opening);
            next.starts_with(char::is_lowercase)
                || (character == '.' && last == '.' && is_abbreviated(&text[..at], next))
        };
        if end < text.len() && (wide || (spaced && !goes_on())) {
            ends.push(end);
        }
    }
    ends.push(text.len());
    ends
}

fn is_end(character: char) -> bool {
    matches!(character, '.' | '!' | '?' | '…' | '。' | '！' | '？')
}

fn is_closing(character: char) -> bool {
    matches!(
        character,
        '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '」' | '』'
    )
}

/// Words that end with a point without ending a sentence, in lower case.
const ABBREVIATIONS: [&str; 46] = [
    "approx", "apt", "bzw", "ca", "capt", "cf", "co", "col", "corp", "dept", "dr", "dra", "ed",
    "eg", "engl", "est", "etc", "evtl", "fig", "gen", "ggf", "gov", "hon", "hr", "ie", "inc", "jr",
    "lt", "ltd", "mme", "mr", "mrs", "ms", "mt", "prof", "rep", "rev", "sen", "sgt", "sr", "sra",
    "st", "usw", "vgl", "vol", "vs",
];

/// Whether the word before a point is an abbreviation, an initial, or a number's name before the number.
fn is_abbreviated(before: &str, next: &str) -> bool {
    let word = before
        .rsplit(|character: char| !character.is_alphanumeric() && character != '.')
        .next();
    let word = word.unwrap_or_default();
    let lower = word.to_lowercase();
    let mut letters = word.chars();
    let initial = letters.next().is_some_and(char::is_uppercase) && letters.next().is_none();
    // "I" is a word of its own.
    (initial && word != "I")
        || (word.contains('.') && word.chars().any(char::is_alphabetic))
        || ABBREVIATIONS.contains(&lower.as_str())
        || (matches!(lower.as_str(), "no" | "nos" | "nr" | "p" | "pp")
            && next.starts_with(|next: char| next.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Vec<&str> {
        let mut from = 0;
        let cut = |end| {
            let part = text[from..end].trim();
            from = end;
            part
        };
        ends(text)
            .into_iter()
            .map(cut)
            .filter(|part| !part.is_empty())
            .collect()
    }

    #[test]
    fn sentences_end_where_readers_end_them() {
        let cases: [(&str, &[&str]); 12] = [
            ("One. Two! Three? Four", &["One.", "Two!", "Three?", "Four"]),
            (
                "Dr. Smith met J. Doe. Fine.",
                &["Dr. Smith met J. Doe.", "Fine."],
            ),
            (
                "It costs 3.50 or 1,000.25. Yes.",
                &["It costs 3.50 or 1,000.25.", "Yes."],
            ),
            ("See No. 5. No. Really?", &["See No. 5.", "No.", "Really?"]),
            (
                "\"Stop!\" he said. \"Why?\" She left.",
                &["\"Stop!\" he said.", "\"Why?\"", "She left."],
            ),
            (
                "Well... maybe. Wait... What?!",
                &["Well... maybe.", "Wait...", "What?!"],
            ),
            (
                "e.g. this, i.e. that. U.S. Army.",
                &["e.g. this, i.e. that.", "U.S. Army."],
            ),
            ("你好。再见！好", &["你好。", "再见！", "好"]),
            ("So did I. Then we went.", &["So did I.", "Then we went."]),
            ("¿Qué? ¡No! Sí.", &["¿Qué?", "¡No!", "Sí."]),
            ("...", &["..."]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_character_is_in_one_sentence(text in "[a-zA-Z0-9 .!?…。\"')é]{0,60}") {
            let ends = ends(&text);
            prop_assert!(ends.is_sorted());
            prop_assert_eq!(ends.last(), Some(&text.len()));
            let kept: String = split(&text).concat().split_whitespace().collect();
            prop_assert_eq!(kept, text.split_whitespace().collect::<String>());
        }
    }
}
