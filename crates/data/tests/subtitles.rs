//! Subtitles: what the reference readers read, sentences with their times, and files that break the rules.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use finetune_data::load::{Counts, Loaders, OnError, Stretch, Subtitles};
use finetune_data::{Document, Load};
use proptest::prelude::*;
use serde_json::{Value, json};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/subtitle")
}

/// Loads a file of this name and content, broken records skipped.
fn load(name: &str, content: &[u8], subtitles: Subtitles) -> (Vec<Document>, Counts) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    let loaders = Loaders::default().with(subtitles);
    loaders.load_all(&[path], &OnError::Skip).unwrap()
}

/// Start, end and text of every document.
fn said(documents: &[Document]) -> Vec<(f64, f64, String)> {
    let number = |document: &Document, name: &str| document.fields[name].as_f64().unwrap();
    let said = |document: &Document| {
        (
            number(document, "start"),
            number(document, "end"),
            document.text.clone(),
        )
    };
    documents.iter().map(said).collect()
}

fn sentences(name: &str, content: &str) -> Vec<(f64, f64, String)> {
    said(&load(name, content.as_bytes(), Subtitles::default()).0)
}

fn expected(list: &[(f64, f64, &str)]) -> Vec<(f64, f64, String)> {
    let owned = |(start, end, text): &(f64, f64, &str)| (*start, *end, (*text).to_owned());
    list.iter().map(owned).collect()
}

#[test]
fn cues_are_those_of_the_reference_readers() {
    let mut compared = 0;
    for entry in fs::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.to_str().unwrap().strip_suffix(".json") else {
            continue;
        };
        let theirs: Vec<Value> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let loader = Subtitles::default().stretch(Stretch::Cue).notes(true);
        let ours: Vec<Document> = loader
            .load(Path::new(name))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let field = |name: &str| ours.fields.get(name).cloned().unwrap_or(Value::Null);
            assert_eq!(
                json!([field("start"), field("end"), ours.text]),
                json!([theirs[0], theirs[1], theirs[2]]),
                "{name}"
            );
            assert_eq!(field("speaker"), theirs.get(3).cloned().unwrap_or_default());
            compared += 1;
        }
    }
    assert_eq!(compared, 12);
}

#[test]
fn cues_are_merged_into_sentences_with_times() {
    let read = |name: &str| {
        let path = golden().join(name);
        Subtitles::default()
            .load(&path)
            .unwrap()
            .map(Result::unwrap)
            .collect::<Vec<_>>()
    };
    let plain = read("plain.srt");
    let list = [
        // "Hello there." is 12 of 19 characters of 2.5 seconds.
        (1.0, 2.578, "Hello there."),
        (2.578, 4.533, "How are you today?"),
        (4.626, 6.0, "I am fine."),
    ];
    assert_eq!(said(&plain), expected(&list));
    let places: Vec<u64> = plain.iter().map(|document| document.origin.place).collect();
    assert_eq!(places, [2, 2, 7]);

    let voices = read("plain.vtt");
    let list = [
        (1.0, 3.5, "Hello & welcome"),
        (3.5, 5.0, "to the show!"),
        (5.0, 7.0, "Now we start."),
        (3600.0, 3601.0, "1 < 2 > 0"),
    ];
    assert_eq!(said(&voices), expected(&list));
    let field = |at: usize, name: &str| voices[at].fields.get(name).cloned();
    assert_eq!(field(0, "speaker"), Some(json!("Ann")));
    assert_eq!(field(2, "speaker"), None);
    assert_eq!(field(2, "language"), Some(json!("en")));
}

#[test]
fn sentences_end_at_pauses_and_speakers_and_not_within_numbers() {
    let srt = "1\n00:00:00,000 --> 00:00:01,000\nIt is 3.5 of\n\n2\n00:00:01,000 --> 00:00:02,000\n12. Or not\n\n\
               3\n00:00:09,000 --> 00:00:10,000\nlater on\n\n4\n00:00:10,000 --> 00:00:12,000\n- Yes?\n- No\n";
    let texts: Vec<String> = sentences("a.srt", srt)
        .into_iter()
        .map(|said| said.2)
        .collect();
    assert_eq!(
        texts,
        ["It is 3.5 of 12.", "Or not", "later on", "Yes?", "No"]
    );
    let patient = Subtitles::default().pause(Duration::from_mins(1));
    let (documents, _) = load("a.srt", srt.as_bytes(), patient);
    assert_eq!(documents[1].text, "Or not later on");
    let whole = Subtitles::default().stretch(Stretch::File);
    let (documents, _) = load("a.en.srt", srt.as_bytes(), whole);
    assert_eq!(
        documents[0].text,
        "It is 3.5 of 12. Or not\nlater on\nYes?\nNo"
    );
    assert_eq!(documents[0].fields["language"], "en");
    assert_eq!(documents[0].fields["end"], 12.0);
}

#[test]
fn rolling_captions_say_each_line_once() {
    let vtt = "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n \nwe<00:00:00.500><c> begin</c>\n\n\
               00:00:02.000 --> 00:00:02.010\nwe begin\n \n\n\
               00:00:02.010 --> 00:00:04.000\nwe begin\nhere<00:00:03.000><c> today</c>\n\n\
               00:00:04.000 --> 00:00:04.010\nhere today\n \n\n\
               00:00:04.010 --> 00:00:05.000\nhere today\nthe end\n";
    let (documents, counts) = load("a.vtt", vtt.as_bytes(), Subtitles::default());
    assert_eq!(
        said(&documents),
        expected(&[(0.0, 5.0, "we begin here today the end")])
    );
    assert_eq!(counts.dropped["repeated line of rolling captions"], 4);
    assert!(counts.balanced());

    // Who repeats themselves is not rolling.
    let echo = "1\n00:00:00,000 --> 00:00:01,000\nNo.\n\n2\n00:00:01,000 --> 00:00:02,000\nNo.\n\n\
                3\n00:00:02,000 --> 00:00:03,000\nYes.\n\n4\n00:00:03,000 --> 00:00:04,000\nWell.\n";
    assert_eq!(sentences("a.srt", echo).len(), 4);
}

const JSON3: &str = r#"{"wireMagic": "pb3", "pens": [{}], "wsWinStyles": [{}], "events": [
 {"tStartMs": 0, "dDurationMs": 9000, "id": 1, "wpWinPosId": 1},
 {"tStartMs": 1000, "dDurationMs": 4000, "wWinId": 1, "segs": [{"utf8": "so"}, {"utf8": " we", "tOffsetMs": 400}, {"utf8": " start.", "tOffsetMs": 800}]},
 {"tStartMs": 3000, "dDurationMs": 2000, "wWinId": 1, "aAppend": 1, "segs": [{"utf8": "\n"}]},
 {"tStartMs": 3010, "dDurationMs": 4000, "wWinId": 1, "segs": [{"utf8": "Now"}, {"utf8": " it", "tOffsetMs": 500}, {"utf8": " is", "tOffsetMs": 900}]},
 {"tStartMs": 5000, "dDurationMs": 2000, "wWinId": 1, "aAppend": 1, "segs": [{"utf8": "\n"}]},
 {"tStartMs": 5010, "dDurationMs": 3000, "wWinId": 1, "segs": [{"utf8": "[Music]"}]}
]}"#;

#[test]
fn json3_is_read_under_both_of_its_names() {
    let list = [(1.0, 3.01, "so we start."), (3.01, 5.01, "Now it is")];
    for name in ["a.en.json3", "captions.json"] {
        let (documents, counts) = load(name, JSON3.as_bytes(), Subtitles::default());
        assert_eq!(said(&documents), expected(&list), "{name}");
        assert_eq!(
            documents[1].origin.to_string().rsplit(", ").next(),
            Some("entry 4")
        );
        assert_eq!(counts.dropped["note of a sound"], 1);
    }
    let noted = load(
        "a.json3",
        JSON3.as_bytes(),
        Subtitles::default().notes(true),
    )
    .0;
    assert_eq!(noted[1].text, "Now it is [Music]");
}

#[test]
fn notes_of_sounds_are_left_out_and_counted() {
    let srt = "1\n00:00:00,000 --> 00:00:01,000\n[Applause] Thank you.\n\n2\n00:00:01,000 --> 00:00:02,000\n(laughs)\n\n\
               3\n00:00:02,000 --> 00:00:03,000\n♪ la la ♪\nWell (she said) [ __ ] yes.\n";
    let (documents, counts) = load("a.srt", srt.as_bytes(), Subtitles::default());
    let texts: Vec<&str> = documents.iter().map(|said| said.text.as_str()).collect();
    assert_eq!(texts, ["Thank you.", "Well (she said) [ __ ] yes."]);
    assert_eq!(counts.dropped["note of a sound"], 3);
}

/// What is tolerated, and what is a broken record: the texts that are read, and how many records are skipped.
#[test]
fn files_that_break_the_rules_are_read_or_refused() {
    let cases: [(&str, &str, &[&str], u64); 9] = [
        // No blank lines between cues, and a number that is said.
        (
            "a.srt",
            "1\n00:00:01,000 --> 00:00:02,000\none\n2\n00:00:02,000 --> 00:00:03,000\n42\n3\n00:00:03,000 --> 00:00:04,000\nthree\n",
            &["one", "42", "three"],
            0,
        ),
        // No numbers at all, and a blank line within a cue.
        (
            "a.srt",
            "00:00:01,000 --> 00:00:02,000\none\n\nand more\n\n00:00:02,000 --> 00:00:03,000\n7\n",
            &["one\nand more", "7"],
            0,
        ),
        (
            "a.srt",
            "1\n99:99:99,000 --> 99:99:99,999\nbad\n\n2\n00:00:01,000 --> 00:00:02,000\ngood\n",
            &["good"],
            1,
        ),
        (
            "a.srt",
            "junk\n\n1\n00:00:01,000 --> 00:00:02,000\ngood\n",
            &["good"],
            1,
        ),
        (
            "a.srt",
            "1\n00:00:05,000 --> 00:00:02,000\nback\n",
            &["back"],
            0,
        ),
        (
            "a.srt",
            "1\n-00:00:01,000 --> 00:00:02,000\nbad\n\n2\n00:00:03,000 --> 00:00:04,000\ngood\n",
            &["good"],
            1,
        ),
        (
            "a.vtt",
            "WEBVTT\n\nNOTE a --> b\n\n00:01.000 --> 00:02.000\ngood\n",
            &["good"],
            1,
        ),
        (
            "a.json3",
            r#"{"events": [{"tStartMs": -5, "segs": [{"utf8": "a"}]}, {"tStartMs": 18446744073709551615, "segs": [{"utf8": "b"}]},
                {"tStartMs": 5, "dDurationMs": 18446744073709551615, "segs": [{"utf8": "c"}]}, {"tStartMs": 5, "segs": [{"utf8": "good"}]}]}"#,
            &["good"],
            3,
        ),
        (
            "a.srt",
            "1\n00:00:01,000 --> 00:00:02,000\na\0b\n",
            &["a\0b"],
            0,
        ),
    ];
    for (name, content, texts, skipped) in cases {
        let (documents, counts) = load(
            name,
            content.as_bytes(),
            Subtitles::default().stretch(Stretch::Cue),
        );
        let found: Vec<&str> = documents.iter().map(|said| said.text.as_str()).collect();
        assert_eq!(
            (found, counts.skipped),
            (texts.to_vec(), skipped),
            "{content}"
        );
        assert!(counts.balanced());
    }
}

#[test]
fn errors_say_where_and_what() {
    let cases = [
        (
            "a.srt",
            "1\n00:61:00,000 --> 00:62:00,000\na\n",
            "a.srt:2: cannot read the subtitles: found \"00:61:00,000 --> 00:62:00,000\" as times. A cue begins",
        ),
        (
            "a.vtt",
            "1\n00:00:00,000 --> 00:00:01,000\na\n",
            "a.vtt:1: cannot read the WebVTT: it begins with \"1\"; expected WEBVTT",
        ),
        (
            "a.json3",
            "{\"events\": 1}",
            "a.json3: cannot read the json3 subtitles: it has no list of events",
        ),
        ("a.json3", "{\"events\": [", "a.json3:1:13: unexpected end"),
    ];
    for (name, content, message) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let error = Loaders::default()
            .load_all(&[path], &OnError::Stop)
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{error}");
    }
}

/// A gigantic line, and very many brackets.
#[test]
fn large_files_are_read_in_bounded_time() {
    let line = "Word. ".repeat(1 << 18);
    let srt = format!("1\n00:00:00,000 --> 01:00:00,000\n{line}\n");
    assert_eq!(sentences("a.srt", &srt).len(), 1 << 18);
    for filling in ["[", "<", "<v ", "{\\", "&", "a.", "(", "-->\n", "[a]"] {
        let body = filling.repeat(200_000);
        for head in [
            "1\n00:00:00,000 --> 01:00:00,000\n",
            "WEBVTT\n\n00:00.000 --> 01:00:00.000\n",
        ] {
            let name = if head.starts_with('W') {
                "a.vtt"
            } else {
                "a.srt"
            };
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            fs::write(&path, format!("{head}{body}\n")).unwrap();
            let started = std::time::Instant::now();
            let _ = Loaders::default().load_all(&[path], &OnError::Skip);
            assert!(started.elapsed() < Duration::from_secs(10), "{filling}");
        }
    }
}

/// A good file with a few bytes changed.
fn mutated(good: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        proptest::sample::select(&b"\n->:.,0919<>[]{}\"& "[..]),
        any::<u8>()
    ];
    proptest::collection::vec((0..good.len(), byte, 0..3u8), 0..8).prop_map(move |edits| {
        let mut bytes = good.as_bytes().to_vec();
        for (at, byte, edit) in edits {
            let at = at.min(bytes.len() - 1);
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

/// Loads bytes under a name in every way; whatever comes out has times in order.
fn survives(name: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    for stretch in [Stretch::Sentence, Stretch::Cue, Stretch::File] {
        let loaders = Loaders::default().with(Subtitles::default().stretch(stretch));
        let Ok((documents, counts)) = loaders.load_all(&[&path], &OnError::Skip) else {
            continue;
        };
        assert!(counts.balanced());
        for (start, end, text) in said(&documents) {
            assert!(
                start <= end && !text.trim().is_empty(),
                "{start} {end} {text}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn mutated_files_never_panic(
        srt in mutated("1\n00:00:01,000 --> 00:00:02,500\n<i>Hi</i> there.\n\n2\n00:00:02,500 --> 00:00:04,000\n- Dr. No [x]?\n"),
        vtt in mutated("WEBVTT\n\nNOTE x\n\na\n00:01.000 --> 00:02.000 line:0\n<v Ann>Hi &amp; <00:01.500>bye</v>\n\n00:02.000 --> 00:03.000\n>> é\n"),
        json3 in mutated(JSON3),
    ) {
        survives("a.srt", &srt);
        survives("a.vtt", &vtt);
        survives("a.json3", &json3);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        survives("a.srt", &bytes);
        survives("a.vtt", &[b"WEBVTT\n\n", &bytes[..]].concat());
        survives("a.json3", &bytes);
    }
}
