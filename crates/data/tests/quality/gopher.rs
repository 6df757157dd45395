//! Gopher's measures against `reference/gopher.py`.

use finetune_data::quality::{Prose, ProseLimits, Repetition, RepetitionLimits};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    lines: [f64; 2],
    paragraphs: [f64; 2],
    top: [f64; 3],
    duplicate: [f64; 6],
    words: usize,
    word_length: f64,
    symbols: f64,
    bullets: f64,
    ellipses: f64,
    alphabetic: f64,
    stop_words: usize,
}

#[test]
fn measures_are_those_of_the_second_implementation() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../reference/gopher.json")).unwrap();
    assert!(cases.len() > 20);
    for case in cases {
        let repetition = Repetition::of(&case.text);
        let prose = Prose::of(&case.text);
        let mut pairs = vec![
            (repetition.lines, case.lines[0]),
            (repetition.line_characters, case.lines[1]),
            (repetition.paragraphs, case.paragraphs[0]),
            (prose.word_length, case.word_length),
            (prose.symbols, case.symbols),
            (prose.bullets, case.bullets),
            (prose.ellipses, case.ellipses),
            (prose.alphabetic, case.alphabetic),
        ];
        pairs.extend(repetition.top.into_iter().zip(case.top));
        pairs.extend(repetition.duplicate.into_iter().zip(case.duplicate));
        pairs.push((repetition.paragraph_characters, case.paragraphs[1]));
        for (place, (found, expected)) in pairs.into_iter().enumerate() {
            assert!(
                (found - expected).abs() < 1e-12,
                "{place}: {found} and {expected} for {:?}",
                case.text
            );
        }
        assert_eq!(prose.words, case.words, "{:?}", case.text);
        assert_eq!(prose.stop_words, case.stop_words, "{:?}", case.text);
    }
}

#[test]
fn limits_name_the_rule_that_is_broken() {
    let limits = RepetitionLimits::default();
    let fault = |text: &str| limits.fault(&Repetition::of(text), text.split_whitespace().count());
    let lines = "one line\nanother line\none line\none line\n";
    assert!(fault(lines).unwrap().contains("duplicate lines"));
    let phrase = "so it goes on and on ".repeat(20);
    assert!(fault(&phrase).unwrap().contains("most frequent 2 words"));
    assert_eq!(fault("so it goes, so it goes"), None);

    let prose = ProseLimits::default();
    let fault = |text: &str| prose.fault(&Prose::of(text)).unwrap();
    assert!(fault("too short").contains("words: 2.00, expected at least 50"));
    let hashes = "# word ".repeat(30);
    assert!(fault(&hashes).contains("mean length"));
    let numbers = "12345 the ".repeat(40);
    assert!(fault(&numbers).contains("share of words with a letter"));
    let foreign = "der Hund sieht eine Katze ".repeat(12);
    assert!(fault(&foreign).contains("stop words"));
    let fine = "the man and the dog have to walk with the cat that ".repeat(6);
    assert_eq!(prose.fault(&Prose::of(&fine)), None);
}
