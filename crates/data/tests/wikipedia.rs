//! Dumps of Wikipedia against mwparserfromhell, and broken ones.

#![cfg(feature = "wikipedia")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod words;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use finetune_data::document::PlaceUnit;
use finetune_data::load::{Counts, Loaders, OnError, Wikipedia};
use finetune_data::{Document, Load as _, Origin, Result};
use proptest::prelude::*;
use words::word_f1;

const DUMP: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/golden/wikipedia/pages.xml.bz2"
);
const EXPECTED: &str = include_str!("golden/wikipedia/expected.json");

fn load(path: &Path) -> Result<(Vec<Document>, Counts)> {
    Loaders::default().load_all(&[path], &OnError::Stop)
}

#[test]
fn articles_have_the_words_of_the_reference() {
    let expected: BTreeMap<String, String> = serde_json::from_str(EXPECTED).unwrap();
    let (documents, counts) = load(Path::new(DUMP)).unwrap();
    assert_eq!(documents.len(), expected.len());
    let mut sum = 0.0;
    for document in &documents {
        let title = document.fields["title"].as_str().unwrap();
        let f1 = word_f1(&document.text, &expected[title]);
        println!("{title}: {f1:.4}");
        assert!(
            f1 >= 0.95,
            "{title}: {f1}\n{}\n---\n{}",
            document.text,
            expected[title]
        );
        sum += f1;
    }
    let mean = sum / documents.len() as f64;
    println!("mean word F1 {mean:.4}");
    assert!(mean >= 0.98, "{mean}");
    assert_eq!((counts.read, counts.kept, counts.left_out()), (14, 11, 3));
    assert_eq!(counts.dropped["redirections"], 1);
    assert_eq!(counts.dropped["pages of other namespaces"], 2);
}

#[test]
fn what_a_page_has_is_kept() {
    let (documents, _) = load(Path::new(DUMP)).unwrap();
    let first = &documents[0];
    assert_eq!(first.origin, Origin::of(DUMP, PlaceUnit::Page, 1));
    let fields = [
        ("title", "Lighthouse of Varn"),
        ("id", "1"),
        ("url", "https://en.wikipedia.org/wiki/Lighthouse_of_Varn"),
        ("date", "2025-03-01T10:00:00Z"),
        ("author", "Writer 1"),
        ("language", "en"),
        ("licence", "CC BY-SA 4.0"),
    ];
    for (name, value) in fields {
        assert_eq!(first.fields[name], value);
    }
    for part in [
        "The Lighthouse of Varn is a lighthouse on the western cape of Varn.",
        "## History\n\nThe first light was an open fire kept by two families.",
        "### The storm of 1911",
        "- Jon Reed, 1890–1911\n  - his son Tom, from 1905\n- Mara and Ole Lind",
        "1. lit at dusk\n2. wound every four hours",
        "after three wrecks — and is 41 metres high",
    ] {
        assert!(first.text.contains(part), "{part}\n---\n{}", first.text);
    }
    let rivers = &documents[1].text;
    assert!(rivers.contains("| Alba | 120 km | North Sea |"), "{rivers}");
    assert!(
        documents[3].text.contains("[[right]] + [[up]]"),
        "{}",
        documents[3].text
    );
}

#[test]
fn formulas_are_tex_and_captions_stand_above_tables() {
    let (documents, _) = load(Path::new(DUMP)).unwrap();
    let mean = documents
        .iter()
        .find(|page| page.fields["title"] == "Mean of a sample")
        .unwrap();
    let expected = r"The mean of $n$ numbers $x_1, \dots, x_n$ is their sum divided by how many they are:

$$\bar{x} = \frac{1}{n} \sum_{i=1}^{n} x_i$$

If $a < b$, the mean of both lies between them.

Means of small samples

| Sample | Mean |
| --- | --- |
| 1, 2, 3 | $2$ |
| 2, 5 | $\tfrac{7}{2}$ |

In markup a formula stands between <math> and </math>.";
    assert_eq!(mean.text, expected);
    assert!(!mean.fields.contains_key("unread"));
}

#[test]
fn markup_that_is_never_closed_is_read_in_bounded_time() {
    let started = std::time::Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xml");
    for markup in [
        "<math>",
        "<math ",
        "<pre>",
        "<!--",
        "</math",
        "{|\n|+ a\n",
        "\u{fdd0}f",
    ] {
        let text = markup.repeat(200_000).replace('<', "&lt;");
        let page = format!(
            "<page><title>A</title><ns>0</ns><revision><text>{text}</text></revision></page>"
        );
        fs::write(&path, dump(&page)).unwrap();
        let _ = load(&path);
        assert!(
            started.elapsed() < std::time::Duration::from_secs(30),
            "{markup}"
        );
    }
}

fn dump(pages: &str) -> String {
    format!("<mediawiki xml:lang=\"en\">\n{pages}\n</mediawiki>\n")
}

#[test]
fn broken_dumps_are_errors() {
    let deep = "<a>".repeat(100);
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]>";
    let cases = [
        ("<mediawiki><page><title>A</title>".into(), "ends too early"),
        (dump("<page><title>A</wrong></page>"), "MediaWiki dump"),
        (
            dump("<page><text>&b;</text></page>"),
            "the entity \"b\" is not known",
        ),
        (
            format!(
                "{bomb}{}",
                dump("<page><revision><text>&b;</text></revision></page>")
            ),
            "is not known",
        ),
        (dump(&format!("<page>{deep}")), "nested too deeply"),
        (
            dump(&format!(
                "<page><text>{}</text></page>",
                "x".repeat(17 << 20)
            )),
            "longer than 16 MiB",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xml");
    for (content, part) in cases {
        fs::write(&path, content).unwrap();
        let error = load(&path).map(drop).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn other_xml_is_no_dump() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xml");
    fs::write(&path, "<feed></feed>").unwrap();
    assert!(load(&path).is_err());
    let all = Wikipedia {
        namespaces: vec![0, 1],
    };
    let pages = all.load(Path::new(DUMP)).unwrap().count();
    assert_eq!(pages, 12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the markup, a page gives a text or an error.
    #[test]
    fn any_markup_is_survived(
        markup in proptest::collection::vec(
            proptest::sample::select(&[
                "[[", "]]", "{{", "}}", "{|", "|}", "|-", "|", "\n", "=", "==", "'''", "''", "*", "#", ":", ";", " ",
                "<ref>", "</ref>", "<nowiki>", "<!--", "-->", "<math>", "word", "é", "[http://x ", "]", "&nbsp;", "&lt;",
            ][..]),
            0..80,
        ),
        cut in 0..600_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.xml");
        let text = markup.concat().replace('&', "&amp;").replace('<', "&lt;");
        let whole = dump(&format!("<page><title>A</title><ns>0</ns><revision><text>{text}</text></revision></page>"));
        fs::write(&path, &whole).unwrap();
        prop_assert_eq!(load(&path).unwrap().1.kept, 1);
        let cut = whole.floor_char_boundary(cut.min(whole.len()));
        fs::write(&path, &whole[..cut]).unwrap();
        let _ = Loaders::default().load_all(&[&path], &OnError::Skip);
    }
}
