//! Rows against each other and against test data: leaks, overlap with benchmarks, contradiction, frames, diversity.

use finetune_data::quality::{
    Boilerplate, Contamination, Diversity, Duplicates, Sample, conflicts,
};
use finetune_data::{Conversation, Label, Labeled, Origin, PlainText};

use super::rows;

fn samples(rows: &[PlainText]) -> Vec<Sample<'_>> {
    rows.iter().map(Sample::from).collect()
}

/// Forty numbered words from a number on.
fn numbered(from: usize) -> String {
    let words: Vec<String> = (from..from + 40).map(|word| format!("n{word}")).collect();
    words.join(" ")
}

#[test]
fn leaks_are_exact_or_near_and_name_the_best_test_row() {
    let (same, other) = (numbered(0), numbered(1));
    let train = rows("train", &[&same, &other, "something else entirely", ""]);
    let test = rows("test", &["unrelated", &same]);
    let (train, test) = (samples(&train), samples(&test));
    let leaks = Duplicates::default().leaks(&train, &test).unwrap();
    let first = leaks[0].unwrap();
    assert!(first.exact && first.test == 1);
    let second = leaks[1].unwrap();
    // 36 runs of five words each, 35 of them in both.
    assert!(!second.exact && (second.similarity - 35.0 / 37.0).abs() < 1e-12);
    assert_eq!((leaks[2], leaks[3]), (None, None));
    assert!(Duplicates::default().leaks(&train, &[]).unwrap()[0].is_none());
}

#[test]
fn overlap_shows_the_longest_run_as_both_sides_write_it() {
    let item =
        "Which planet of the solar system has the most moons that are known to astronomers today?";
    let row =
        "Quiz night: which PLANET of the solar system has the most moons, that are known to us?";
    let data = rows("train", &["nothing", row]);
    let items = rows(
        "bench",
        &[
            item,
            "Is it true?",
            "one two three four five six seven eight",
        ],
    );
    let found = Contamination::default()
        .find(&samples(&data), &samples(&items))
        .unwrap();
    assert_eq!((found.items, found.too_short), (2, 1));
    let [overlap] = &found.found[..] else {
        panic!("expected one overlap: {found:?}");
    };
    assert_eq!((overlap.row, overlap.words), (1, 14));
    assert_eq!(overlap.row_origin, Origin::new("train", 2));
    assert_eq!(overlap.item_origin, Origin::new("bench", 1));
    assert_eq!(
        overlap.row_text,
        "which PLANET of the solar system has the most moons, that are known to"
    );
    assert_eq!(
        overlap.item_text,
        "Which planet of the solar system has the most moons that are known to"
    );
    assert!((overlap.share - 14.0 / 16.0).abs() < 1e-12);
}

#[test]
fn short_items_need_a_shorter_run_and_wording_of_many_items_does_not_count() {
    let find = |row: &str, items: &[&str], settings: &Contamination| {
        let (data, items) = (rows("train", &[row]), rows("bench", items));
        settings.find(&samples(&data), &samples(&items)).unwrap()
    };
    let settings = Contamination::default();
    let eight = "one two three four five six seven eight";
    assert_eq!(
        find(&format!("zero {eight} nine"), &[eight], &settings)
            .found
            .len(),
        1
    );
    let seven = "one two three four five six seven";
    assert_eq!(find(seven, &[eight], &settings).found.len(), 0);
    // Twelve shared words are not enough for an item of fourteen.
    let (item, row) = ("a b c d e f g h i j k l m n", "a b c d e f g h i j k l x");
    assert_eq!(find(row, &[item], &settings).found.len(), 0);

    let few = Contamination {
        common: 2,
        ..settings.clone()
    };
    let head = "choose the one right answer of all that are given here below please now";
    let items: Vec<String> = ["x", "y", "z"].map(|end| format!("{head} {end}")).to_vec();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let found = find(head, &items, &few);
    assert_eq!((found.found.len(), found.common), (0, 2));
    assert_eq!(find(head, &items, &settings).found.len(), 3);

    let wrong = Contamination {
        short_words: 14,
        ..settings
    };
    let error = wrong.find(&[], &[]).unwrap_err().to_string();
    assert!(error.contains("contamination.short_words"), "{error}");
}

#[test]
fn a_word_without_end_takes_no_time_by_the_square() {
    let long = "la ".repeat(50_000);
    let (data, items) = (rows("train", &[&long]), rows("bench", &[&long]));
    let found = Contamination::default()
        .find(&samples(&data), &samples(&items))
        .unwrap();
    assert_eq!(found.found[0].words, 50_000);
}

#[test]
fn rows_that_contradict_each_other_are_found() {
    let labeled = |text: &str, label: &str, place| Labeled {
        text: text.into(),
        pair: None,
        label: Label::Class(label.into()),
        origin: Origin::new("labels", place),
    };
    let long = numbered(0);
    let data = [
        labeled(&long, "good", 1),
        labeled(&long.to_uppercase(), "bad", 2),
        labeled("fine", "good", 3),
        labeled("fine", "good", 4),
    ];
    let found: Vec<Sample<'_>> = data.iter().map(Sample::from).collect();
    let found = conflicts(&found, &Duplicates::default()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].rows, [0, 1]);
    assert_eq!((found[0].different, found[0].outcomes["bad"]), (2, 1));

    let chats = [
        Conversation::pair("Who  wrote it?", "Anna"),
        Conversation::pair("Who wrote it?", "Bert"),
        Conversation::pair("When?", "Now"),
        Conversation::pair("When?", " Now "),
        Conversation::prompt("Who wrote it?"),
    ];
    let found: Vec<Sample<'_>> = chats.iter().map(Sample::from).collect();
    let found = conflicts(&found, &Duplicates::default()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].rows, [0, 1]);
}

#[test]
fn lines_that_stand_in_many_rows_are_boilerplate() {
    let pages: Vec<String> = (0..5)
        .map(|page| {
            format!("Home | News | Contact\nPage {page} tells about a thing.\nWe use cookies.\n")
        })
        .collect();
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    let data = rows("web", &pages);
    let settings = Boilerplate {
        rows: 5,
        ..Boilerplate::default()
    };
    let frames = settings.frames(&samples(&data));
    assert!(frames.has("Home | News | Contact") && frames.has("we use cookies here"));
    assert!(!frames.has("Page 1 tells about a thing."));
    assert!(frames.fault(pages[0]).unwrap().contains("57 %"));
    assert_eq!(frames.strip(pages[2]), "Page 2 tells about a thing.\n");
    // A single line that recurs is a duplicate, not a frame.
    let single = rows("web", &["same", "same", "same", "same", "same"]);
    assert_eq!(settings.frames(&samples(&single)).fault("same"), None);
}

#[test]
fn diversity_is_counted_and_does_not_depend_on_the_order() {
    let data = rows("a", &["a a b", "c d a", "c d a"]);
    let report = Diversity::default().measure(&samples(&data)).unwrap();
    assert_eq!((report.rows, report.words, report.types), (3, 9, 4));
    // a 4, b 1, c 2, d 2 of 9.
    let expected: f64 = [4.0, 1.0, 2.0, 2.0_f64]
        .iter()
        .map(|count| -count / 9.0 * (count / 9.0).log2())
        .sum();
    assert!((report.entropy[0] - expected).abs() < 1e-12);
    assert!((report.distinct[0] - 4.0 / 9.0).abs() < 1e-12);
    assert_eq!((report.groups, report.grouped), (1, 2));
    let mut turned = samples(&data);
    turned.reverse();
    assert_eq!(Diversity::default().measure(&turned).unwrap(), report);

    let labels = [("x", 3), ("y", 1)].map(|(label, count)| vec![label; count]);
    let labeled: Vec<Labeled> = labels
        .concat()
        .into_iter()
        .map(|label| Labeled {
            text: String::new(),
            pair: None,
            label: Label::Class(label.into()),
            origin: Origin::default(),
        })
        .collect();
    let labeled: Vec<Sample<'_>> = labeled.iter().map(Sample::from).collect();
    let report = Diversity::default().measure(&labeled).unwrap();
    assert_eq!((report.labels, report.frequent[0].rows), (2, 3));
    assert!((report.imbalance - 3.0).abs() < 1e-12);
    assert!((report.balance - 0.811_278_124_459).abs() < 1e-9);
}
