//! Web pages: compared with trafilatura and readability on the golden pages of `reference/make_html.py`, and pages that
//! mean harm.

#![allow(clippy::unwrap_used, missing_docs)]

mod words;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use finetune_data::load::html::{Content, Html, Links, Page, page};
use finetune_data::{DataError, Document, Load, Loaders};
use proptest::prelude::*;
use serde::Deserialize;
use words::word_f1;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/html")
        .join(name)
}

fn load(name: &str) -> Document {
    let mut documents = Loaders::default().load(golden(name)).unwrap();
    let document = documents.next().unwrap().unwrap();
    assert!(documents.next().is_none());
    document
}

#[derive(Deserialize)]
struct About {
    gone: Vec<String>,
    reference: BTreeMap<String, String>,
}

fn about() -> About {
    serde_json::from_str(&std::fs::read_to_string(golden("about.json")).unwrap()).unwrap()
}

#[test]
fn the_words_are_those_that_the_reference_finds_and_boilerplate_is_gone() {
    let about = about();
    assert_eq!(about.reference.len(), 10);
    let mut bad = String::new();
    for name in about.reference.keys() {
        let document = load(&format!("{name}.html"));
        let expected = std::fs::read_to_string(golden(&format!("{name}.txt"))).unwrap();
        let f1 = word_f1(&document.text, &expected);
        println!("{name}: {f1:.4} ({})", document.fields["content"]);
        for word in &about.gone {
            assert!(
                !document.text.contains(word),
                "{name}: {word}\n{}",
                document.text
            );
        }
        if f1 < 0.98 {
            writeln!(bad, "{name}: {f1}\n{}\n-----\n{expected}\n", document.text).unwrap();
        }
    }
    assert!(bad.is_empty(), "{bad}");
}

#[test]
fn a_page_says_what_it_is() {
    let document = load("article.html");
    let fields = serde_json::to_value(&document.fields).unwrap();
    let expected = serde_json::json!({
        "title": "The mills of the valley",
        "author": "Ada Brook",
        "date": "2024-03-05T08:00:00Z",
        "language": "en",
        "url": "https://valley.example/mills",
        "description": "How a river fed a valley.",
        "licence": "https://creativecommons.org/licenses/by/4.0/",
        "site": "Valley Post",
        "keywords": ["river", "mills"],
        "content": "main",
    });
    assert_eq!(fields, expected);
    assert_eq!(load("legacy.html").fields["title"], "Мельницы долины");
}

fn whole(html: &str) -> String {
    Html::default()
        .content(Content::Whole)
        .page(html, None)
        .unwrap()
        .text
}

#[test]
fn elements_become_markdown() {
    let cases = [
        ("<h2> A <b>b</b>\n c</h2><p>d</p>e", "## A b c\n\nd\n\ne"),
        ("a <span>b</span>c<br>d", "a bc\nd"),
        ("<p>1 &lt; 2 * 3 _x_ &amp;c</p>", "1 < 2 * 3 _x_ &c"),
        (
            "<ul><li>a<li>b<ul><li>c</ul><li>d</ul><p>e",
            "- a\n- b\n  - c\n- d\n\ne",
        ),
        ("<ol start=3><li>a<li><p>b<p>c</ol>", "3. a\n4. b\n\n   c"),
        ("<ul><li><ul><li>a</ul></ul>", "  - a"),
        (
            "<blockquote>a<p>b<ul><li>c</ul></blockquote>d",
            "> a\n\n> b\n\n> - c\n\nd",
        ),
        (
            "<pre><code class='x language-rust'>fn a() {\n  1\n}\n</code></pre>",
            "```rust\nfn a() {\n  1\n}\n```",
        ),
        ("<pre>a\n```\n\n b</pre>", "````\na\n```\n\n b\n````"),
        ("run <code>a  `b`</code> now", "run ``a `b``` now"),
        (
            "<table><caption>t</caption><tr><th>a<th>b<tr><td>1|2<td><p>x</p><p>y</p><tr><td>z</table>",
            "t\n\n| a | b |\n| --- | --- |\n| 1\\|2 | x y |\n| z |",
        ),
        (
            "<table><tr><td>one</td></tr><tr><td>two</td></tr></table>",
            "one\n\ntwo",
        ),
        (
            "<table><tr><td><table><tr><td>a<td>b</table><td>c</table>",
            "| a | b |\n| --- | --- |\n\nc",
        ),
        (
            "a<script>b</script><style>c</style><noscript>d</noscript><template>e</template>f",
            "af",
        ),
        (
            "a<p hidden>b<p style='Display : none'>c<p aria-hidden=true>d<p>e",
            "a\n\ne",
        ),
        ("<dl><dt>a<dd>b</dl><hr>c", "a\n\nb\n\nc"),
        ("<a href='https://x.example/'>a  b</a>.", "a b."),
        ("<img alt=x src=y><button>z</button>a\u{a0}b\0", "a b"),
        ("", ""),
    ];
    for (html, expected) in cases {
        assert_eq!(whole(html), expected, "{html}");
    }
}

#[test]
fn links_keep_their_addresses_where_that_is_asked_for() {
    let html = "<p>See <a href='https://x.example/'>the <b>page</b></a> and <a href='#top'>top</a>, \
                <a href='/y'><div>a block</div></a></p>";
    let linked = Html::default()
        .content(Content::Whole)
        .links(Links::Markdown);
    let text = linked.page(html, None).unwrap().text;
    assert_eq!(
        text,
        "See [the page](https://x.example/) and top,\n\n[a block](/y)"
    );
}

#[test]
fn where_no_main_text_is_found_the_page_is_taken_without_its_landmarks() {
    let html = "<nav>menu</nav><div>Short.</div><footer>imprint</footer>";
    let Page { text, fields } = page(html, Some("https://x.example/a")).unwrap();
    assert_eq!(text, "Short.");
    assert_eq!(fields["content"], "whole");
    assert_eq!(fields["url"], "https://x.example/a");
    assert_eq!(whole(html), "menu\n\nShort.\n\nimprint");
    // An address that is none is no error.
    assert_eq!(page(html, Some("::")).unwrap().text, "Short.");
}

#[test]
fn pages_that_mean_harm_end_in_an_error_or_a_text() {
    let deep = |tag: &str, count: usize| format!("<{tag}>").repeat(count);
    for html in [
        deep("div", 100_000),
        deep("b", 4_000),
        deep("table", 3_000),
        deep("svg", 2_000),
    ] {
        let error = page(&html, None).map(|page| page.text.len());
        assert!(
            matches!(error, Err(DataError::TooDeep { .. }) | Ok(0)),
            "{error:?}"
        );
    }
    let error = page(&deep("div", 2_000), None).unwrap_err();
    assert!(
        matches!(error, DataError::TooDeep { limit: 600, .. }),
        "{error}"
    );
    let error = page(&"<br>".repeat(1_100_000), None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the number of tags is 1100000, limit 1048576"),
        "{error}"
    );
    let attribute = format!(
        "<p class=\"{}\" {}>a",
        "x".repeat(1 << 20),
        "y=1 ".repeat(50_000)
    );
    assert_eq!(whole(&attribute), "a");
    assert_eq!(whole(&"<p>".repeat(100_000)), "");
    assert_eq!(whole("<p>a\0b<p><![CDATA[x]]><?php ?><!--"), "ab");
    assert_eq!(whole(&"&".repeat(100_000)).len(), 100_000);
}

#[test]
fn files_that_are_no_pages_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.html");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Html::default()
            .load(&path)
            .and_then(|mut found| found.next().transpose())
    };
    let found = read(b"%PDF-1.4 ...");
    assert!(
        matches!(found, Err(DataError::WrongFormat { .. })),
        "{found:?}"
    );
    let found = read(b"<meta charset=utf-8>\xC3\xA4\xC3\xB6 \xFF");
    assert!(
        matches!(found, Err(DataError::Undecodable { .. })),
        "{found:?}"
    );
    assert!(read(b" \n").unwrap().is_none());
    let wide: Vec<u8> = "\u{feff}<p>Grüße"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    assert_eq!(read(&wide).unwrap().unwrap().text, "Grüße");
}

proptest! {
    /// Whatever the bytes of a page are, there is a text or an error, and no word of a plain text is lost.
    #[test]
    fn any_page_can_be_read(html in "(<(/?(p|div|table|tr|td|ul|li|pre|a|h1|b|blockquote)>|!--|p x=\"|)|[ -~\n]{0,9}|\\PC){0,40}") {
        let _ = page(&html, None);
        whole(&html);
    }

    #[test]
    fn no_word_of_a_plain_text_is_lost(text in "[a-zA-Zäöü0-9 .\n]{0,200}") {
        let words: Vec<&str> = text.split_whitespace().collect();
        let found = whole(&text);
        prop_assert_eq!(found.split_whitespace().collect::<Vec<_>>(), words);
    }
}
