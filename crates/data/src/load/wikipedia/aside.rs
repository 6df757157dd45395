//! What the parser of wikitext must not see, set aside before it and put back behind it: formulas, whose backslashes and
//! braces it would take for its own, and the captions of tables, which it leaves out.

/// Marks around the number of what was set aside. They are no characters, and stand in no text.
const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';

/// Elements whose content is no wikitext.
const VERBATIM: [&str; 4] = ["nowiki", "pre", "syntaxhighlight", "source"];

/// A page's markup without formulas, its captions in front of their tables.
pub(super) struct Aside {
    pub(super) wikitext: String,
    /// The formulas as Markdown has them.
    formulas: Vec<String>,
}

impl Aside {
    pub(super) fn of(wikitext: &str) -> Self {
        let mut formulas = Vec::new();
        let mut verbatim = Vec::new();
        let mut text = String::with_capacity(wikitext.len());
        let mut rest = wikitext;
        let mut unclosed = Vec::new();
        while let Some(at) = rest.find('<') {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            let (span, after) = span(rest, &mut unclosed);
            match span {
                Span::Formula(formula) => text += &mark(&mut formulas, formula, 'f'),
                Span::Verbatim => {
                    let source = rest[..rest.len() - after.len()].to_owned();
                    text += &mark(&mut verbatim, source, 'v');
                }
                Span::Plain => text.push('<'),
            }
            rest = after;
        }
        text.push_str(rest);
        Self {
            wikitext: restored(&captioned(&text), &verbatim, 'v'),
            formulas,
        }
    }

    /// A text with the formulas where they stood.
    pub(super) fn restored(&self, text: &str) -> String {
        restored(text, &self.formulas, 'f')
    }
}

enum Span {
    Formula(String),
    Verbatim,
    Plain,
}

/// What begins with `<` at the front of a text, and what follows it. `unclosed` are the elements that are not closed any
/// more: looking for that at each of many would take too long.
fn span<'a>(text: &'a str, unclosed: &mut Vec<&'static str>) -> (Span, &'a str) {
    if text.starts_with("<!--") {
        let end = text.find("-->").map_or(text.len(), |at| at + 3);
        return (Span::Verbatim, &text[end..]);
    }
    let mut element = |name: &'static str| {
        let inside = text
            .get(1..=name.len())
            .filter(|found| found.eq_ignore_ascii_case(name));
        let attributes = &text[1 + inside?.len()..];
        let (attributes, behind) = attributes.split_at(attributes.find(['<', '>'])?);
        let behind = behind.strip_prefix('>')?;
        let is_name = attributes.is_empty() || attributes.starts_with([' ', '\n', '\t', '/']);
        // `<nowiki/>` has no content.
        let open = is_name && !attributes.ends_with('/') && !unclosed.contains(&name);
        let Some(end) = open.then(|| closing(behind, name))? else {
            unclosed.push(name);
            return None;
        };
        let after = behind[end..].split_once('>')?.1;
        Some((attributes, &behind[..end], after))
    };
    if let Some((attributes, formula, after)) = element("math") {
        return (Span::Formula(shown(formula, attributes)), after);
    }
    let verbatim = VERBATIM.iter().find_map(|name| element(name));
    match verbatim {
        Some((_, _, after)) => (Span::Verbatim, after),
        None => (Span::Plain, &text[1..]),
    }
}

/// Where the closing tag of an element stands.
fn closing(text: &str, name: &str) -> Option<usize> {
    let tags = text.match_indices("</");
    let mut tags = tags.filter(|(at, _)| {
        let found = text.get(at + 2..at + 2 + name.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(name))
    });
    tags.next().map(|(at, _)| at)
}

/// A formula as Markdown has it, on one line.
fn shown(formula: &str, attributes: &str) -> String {
    let words: Vec<&str> = formula.split_whitespace().collect();
    let formula = words
        .join(" ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let attributes: String = attributes
        .split_whitespace()
        .collect::<String>()
        .to_ascii_lowercase();
    let display = ["display=block", "display=\"block\"", "display='block'"];
    match display.iter().any(|display| attributes.contains(display)) {
        _ if formula.is_empty() => formula,
        true => format!("$${formula}$$"),
        false => format!("${formula}$"),
    }
}

/// Keeps a span, and gives what stands for it.
fn mark(spans: &mut Vec<String>, span: String, kind: char) -> String {
    spans.push(span);
    format!("{OPEN}{kind}{}{CLOSE}", spans.len() - 1)
}

/// A text with the spans of a kind where their marks stand.
fn restored(text: &str, spans: &[String], kind: char) -> String {
    let mut parts = text.split(OPEN);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let found = part.strip_prefix(kind).and_then(|part| {
            let (number, rest) = part.split_once(CLOSE)?;
            Some((spans.get(number.parse::<usize>().ok()?)?, rest))
        });
        if let Some((span, rest)) = found {
            whole.extend([span.as_str(), rest]);
        } else {
            whole.push(OPEN);
            whole.push_str(part);
        }
    }
    whole
}

/// The text with the caption of each table that lies in no other one as a paragraph in front of it.
fn captioned(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    // The open outermost table with its caption, and how many tables are open.
    let (mut table, mut caption, mut depth) = (String::new(), String::new(), 0_usize);
    let mut in_caption = false;
    for line in text.split_inclusive('\n') {
        let start = line.trim_start();
        let begins = start.trim_start_matches(':').trim_start().starts_with("{|");
        if begins {
            depth += 1;
        }
        if depth == 0 {
            whole.push_str(line);
            continue;
        }
        in_caption &= !begins && !start.starts_with(['|', '!']);
        if depth == 1 && caption.is_empty() && start.starts_with("|+") {
            in_caption = true;
            caption.push_str(without_attributes(start[2..].trim()));
        } else if in_caption {
            caption.push(' ');
            caption.push_str(line.trim());
        } else {
            table.push_str(line);
        }
        if start.starts_with("|}") && !start.starts_with("|}}") {
            depth -= 1;
        }
        if depth == 0 {
            flush(&mut whole, &mut table, &mut caption);
        }
    }
    flush(&mut whole, &mut table, &mut caption);
    whole
}

fn flush(whole: &mut String, table: &mut String, caption: &mut String) {
    if !caption.trim().is_empty() {
        whole.extend(["\n", caption.trim(), "\n\n"]);
    }
    whole.push_str(table);
    table.clear();
    caption.clear();
}

/// A caption behind what says how it looks: `style="…" | caption`.
fn without_attributes(caption: &str) -> &str {
    match caption.split_once('|') {
        Some((attributes, rest))
            if attributes.contains('=') && !attributes.contains(['[', '{']) =>
        {
            rest.trim()
        }
        _ => caption,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_are_set_aside_and_put_back() {
        let cases = [
            (r"a <math>\frac{a}{b}</math> b", r"a $\frac{a}{b}$ b"),
            ("<MATH display=\"block\">\nx\n+ y</Math>.", "$$x + y$$."),
            ("<math display = 'block' id=a>x</math >", "$$x$$"),
            ("<math>a &lt; b &amp; c</math>", "$a < b & c$"),
            ("<math></math>|<math/>|<math>open", "|<math/>|<math>open"),
            (
                "<nowiki><math>x</math></nowiki>",
                "<nowiki><math>x</math></nowiki>",
            ),
            (
                "<!-- <math>x</math> --> <math>y</math>",
                "<!-- <math>x</math> --> $y$",
            ),
            (
                "<mathematics>x</mathematics>",
                "<mathematics>x</mathematics>",
            ),
            ("a < b <math>x</math>", "a < b $x$"),
            ("\u{fdd0}f0\u{fdd1}\u{fdd0}", "\u{fdd0}f0\u{fdd1}\u{fdd0}"),
        ];
        for (text, expected) in cases {
            let aside = Aside::of(text);
            assert_eq!(aside.restored(&aside.wikitext), expected, "{text}");
        }
    }

    #[test]
    fn captions_stand_above_their_tables() {
        let cases = [
            (
                "x\n{| a\n|+ One\n|-\n| b\n|}\ny",
                "x\n\nOne\n\n{| a\n|-\n| b\n|}\ny",
            ),
            (
                "{|\n|+ style=\"a\" | [[b|c]]\nd\n! e\n|}\n",
                "\n[[b|c]] d\n\n{|\n! e\n|}\n",
            ),
            ("{|\n|+ [[a=b|c]]\n| e\n|}", "\n[[a=b|c]]\n\n{|\n| e\n|}"),
            // One in a table in a table stays where it is, and so does what is no markup.
            ("{|\n|\n{|\n|+ in\n|}\n|}", "{|\n|\n{|\n|+ in\n|}\n|}"),
            ("<pre>\n{|\n|+ x\n</pre>", "<pre>\n{|\n|+ x\n</pre>"),
            ("|+ x\n|}\n", "|+ x\n|}\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(Aside::of(text).wikitext, expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn markup_without_formulas_and_captions_stays_as_it_is(text in "([a<>/!|{}\\[\\]\n-]|<pre>|</pre>|<!--|-->|nowiki|\\{\\||\\|\\}){0,30}") {
            let aside = Aside::of(&text);
            prop_assert_eq!(aside.restored(&aside.wikitext), text);
        }
    }
}
