//! The report as a page, a table and JSON.

mod sample;

use std::collections::BTreeSet;

use finetune_eval::Report;
use regex::Regex;
use serde_json::Value;

/// What a model may write to harm whoever reads the report.
const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'><svg/onload=alert(1)>",
    "</style></title><iframe src=//example.org>",
    "\u{1b}]0;title\u{7}\u{1b}[31mred",
    "\u{202e}lru\u{2066}\u{feff}\u{0}\r",
    "{{ 7777 * 77777 }}{% for x in y %}&lt;b&gt;",
    "javascript:alert(1)",
];

/// The elements that a page is made of.
const ELEMENTS: &str = "!doctype html head meta title style body main header h1 h2 h3 p ul li span strong dl dt dd div \
    section article figure svg desc g rect line circle path text details summary table thead tbody tr th td br code \
    pre mark footer";

/// The report with every text replaced.
fn filled(text: &str) -> Report {
    fn fill(value: &mut Value, key: &str, text: &str) {
        match value {
            // These are names of variants, not texts.
            Value::String(_) if ["better", "unit", "tone"].contains(&key) => {}
            Value::String(old) => text.clone_into(old),
            Value::Array(items) => items.iter_mut().for_each(|item| fill(item, key, text)),
            Value::Object(fields) => fields
                .iter_mut()
                .for_each(|(key, value)| fill(value, key, text)),
            _ => {}
        }
    }
    let mut value: Value =
        serde_json::from_str(&sample::report(40).expect("a report").to_json()).expect("JSON");
    fill(&mut value, "", text);
    Report::from_json(&value.to_string()).expect("a report")
}

/// Whether a character acts on the screen instead of being seen.
fn acts(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[test]
fn the_sample_renders_and_reads_back() {
    let report = sample::report(120).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // The page is kept, to be looked at.
    let page = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("sample.html");
    report.write(&page).unwrap();
    report
        .write(folder.path().join("deep/report.json"))
        .unwrap();
    report.write(folder.path().join("report.txt")).unwrap();
    let json = std::fs::read_to_string(folder.path().join("deep/report.json")).unwrap();
    let again = Report::from_json(&json).unwrap();
    assert_eq!(
        again.to_html().unwrap(),
        std::fs::read_to_string(&page).unwrap()
    );
    assert_eq!(
        again.to_string(),
        std::fs::read_to_string(folder.path().join("report.txt")).unwrap()
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        2,
        "no temporary file is left"
    );
}

#[test]
fn the_page_says_what_matters() {
    let report = sample::report(120).unwrap();
    let (page, table) = (report.to_html().unwrap(), report.to_string());
    for part in [
        "Fine-tuned is better than base, few-shot",
        "token F1",
        "120 items",
        "wrong content",
        "data/questions.jsonl:",
        "cargo run --release --example quickstart",
    ] {
        assert!(
            page.contains(part) || page.replace("&#x2f;", "/").contains(part),
            "the page lacks {part}"
        );
        assert!(
            table.contains(part) || part == "120 items",
            "the table lacks {part}"
        );
    }
}

#[test]
fn which_label_became_which_is_shown_with_intervals() {
    let report = Report::from_json(
        r#"{"title": "Labels", "confusion": {"labels": ["mail", "network"], "counts": [[8, 2], [0, 10]]}}"#,
    )
    .unwrap();
    let (page, table) = (report.to_html().unwrap(), report.to_string());
    for part in [
        "is ↓ given →",
        "mail",
        "network",
        "80.0%",
        "83.3%",
        "88.9%",
        "49.0–94.3%",
    ] {
        assert!(page.contains(part), "the page lacks {part}");
        assert!(table.contains(part), "the table lacks {part}: {table}");
    }
    // A report is plain data: counts that are missing are none.
    let ragged = r#"{"confusion": {"labels": ["a", "b"], "counts": [[1]]}}"#;
    let ragged = Report::from_json(ragged).unwrap();
    assert!(ragged.to_string().contains("100.0%"));
    ragged.to_html().unwrap();
}

#[test]
fn the_page_loads_nothing_and_runs_nothing() {
    let page = sample::report(40).unwrap().to_html().unwrap();
    for part in [
        "http:", "https:", "src=", "url(", "@import", "<script", "<link", "href", " on",
    ] {
        let inside = Regex::new(&format!("<[^>]*{}[^>]*>", regex::escape(part))).unwrap();
        assert!(
            !inside.is_match(&page),
            "{part} stands in {:?}",
            inside.find(&page)
        );
    }
    assert!(
        page.contains("content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"")
    );
}

#[test]
fn charts_have_names() {
    let page = sample::report(40).unwrap().to_html().unwrap();
    let ids: Vec<&str> = Regex::new(" id=\"([^\"]+)\"")
        .unwrap()
        .captures_iter(&page)
        .map(|c| c.get(1).unwrap().as_str())
        .collect();
    assert_eq!(
        ids.iter().collect::<BTreeSet<_>>().len(),
        ids.len(),
        "every id stands once"
    );
    let charts = Regex::new(
        "<svg class=\"chart (?:wide|narrow)\" role=\"img\" aria-labelledby=\"([^ \"]+) ([^\"]+)\"",
    )
    .unwrap();
    let named: Vec<_> = charts.captures_iter(&page).collect();
    assert_eq!(named.len(), page.matches("<svg").count());
    assert!(named.len() >= 12, "{}", named.len());
    for chart in named {
        assert!(
            ids.contains(&&chart[1]) && ids.contains(&&chart[2]),
            "{}",
            &chart[0]
        );
    }
    assert!(!page.contains("NaN") && !page.contains(">inf"));
}

#[test]
fn hostile_texts_are_only_shown() {
    let known: BTreeSet<&str> = ELEMENTS.split_whitespace().collect();
    let tag = Regex::new("</?([^ />]*)").unwrap();
    for text in HOSTILE {
        let report = filled(text);
        let page = report.to_html().unwrap();
        let body = &page[page.find("<body>").unwrap()..];
        for found in tag.captures_iter(&page) {
            assert!(
                known.contains(&found[1]),
                "{text:?} made the element {:?}",
                &found[0]
            );
        }
        assert!(!page.chars().any(acts), "{text:?} acts on the page");
        let markup = text.contains(['<', '"', '\'', '&']);
        assert!(
            !markup || !body.contains(text),
            "{text:?} stands on the page as it is"
        );
        assert!(
            !body.contains("604871729"),
            "{text:?} was taken for a template"
        );
        let table = report.to_string();
        assert!(!table.chars().any(acts), "{text:?} acts on the terminal");
    }
}

#[test]
fn a_report_can_be_written_by_hand_and_be_ragged() {
    let report = Report::from_json(
        r#"{
            "title": "By hand",
            "models": [{"name": "a"}, {"name": "b"}],
            "metrics": [{"name": "perplexity", "better": "lower", "unit": "number",
                         "values": [{"value": 31.5, "count": 7, "interval": {"low": 29, "high": 34.25}}]}],
            "errors": [{"name": "right", "shares": []}],
            "flow": {"before": "a", "after": "b", "classes": ["x", "right"], "counts": [[1]], "fixed": 0, "broken": 0},
            "examples": [{"title": "e", "items": [{"outputs": [
                {"model": 9, "text": "añb", "marks": [{"span": {"start": 2, "end": 40}}, {"span": {"start": 0, "end": 1}}]}
            ]}]}],
            "training": {"steps": [{"step": 1}]}
        }"#,
    )
    .unwrap()
    .summarise();
    let page = report.to_html().unwrap();
    assert!(
        page.contains("31.50") && page.contains("not measured") && page.contains("lower is better"),
        "{page}"
    );
    assert!(report.to_string().contains("29.00–34.25"), "{report}");
    assert!(Report::default().to_html().unwrap().contains("<main>"));
    assert!(!Report::default().to_string().is_empty());
}

#[test]
fn bad_reports_name_the_place() {
    let check = |text: &str, parts: &[&str]| {
        let error = Report::from_json(text).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    check("{\n\"titel\": 1}", &["report:2:7", "titel", "title"]);
    check("{\"metrics\": [{\"name\": \"a\"}]}", &["missing field"]);
    check("", &["report:1"]);
}

#[test]
fn markdown_says_what_the_table_says_and_takes_nothing_for_markup() {
    let report = sample::report(40).unwrap();
    let markdown = report.to_markdown();
    assert!(markdown.starts_with("# "), "{markdown}");
    // Every figure of the terminal stands there too.
    let figures = Regex::new(r"\d+\.\d+%").unwrap();
    let plain = report.to_string();
    for figure in figures.find_iter(&plain) {
        assert!(markdown.contains(figure.as_str()), "{}", figure.as_str());
    }
    // Outside of fences and code, no mark of a model's text is left unescaped.
    let marks = Regex::new(r"(^|[^\\])[<`*\[]").unwrap();
    for text in HOSTILE
        .into_iter()
        .chain(["```\n# heading\n|cell|", "**bold** [link](x)"])
    {
        let mut fence: Option<String> = None;
        for line in filled(text).to_markdown().lines() {
            let ticks: String = line.chars().take_while(|c| *c == '`').collect();
            match &fence {
                Some(open) if line == open => fence = None,
                None if ticks.len() >= 3 => fence = Some(ticks),
                None if !line.starts_with("    ") => {
                    assert!(!marks.is_match(line), "{text:?}: {line}");
                }
                _ => {}
            }
            assert!(!line.contains(acts), "{text:?}: {line:?}");
        }
        assert_eq!(fence, None, "{text:?}");
    }
}
