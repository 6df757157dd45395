//! Wikitext as text. `wikrs` reads the markup; what becomes of each construct is decided here.

use std::time::Duration;

use wikrs::ast::Node;

use super::aside::Aside;
use crate::error::{Place, Result};
use crate::load::guard::guarded;
use crate::load::table::Table;

/// The longest that a page may take.
const TIME_LIMIT: Duration = Duration::from_secs(9);

/// The text of a page's markup, and how many constructs were not read but reduced to their words.
pub(super) fn text(wikitext: &str, place: &Place) -> Result<(String, u64)> {
    let aside = Aside::of(wikitext);
    // Lists inside of lists are read by recursion, and unclosed links take the square of their number.
    guarded(place, "wikitext", TIME_LIMIT, move || {
        let parsed = wikrs::parser::parse(&aside.wikitext);
        let mut text = Text::default();
        text.blocks(&parsed.nodes);
        // The renderer resolves what is left of entities, such as `&nbsp;`.
        let whole = Node::Text(text.done.into());
        let whole = wikrs::render::plain(&[whole]);
        Ok((aside.restored(&whole), text.unread))
    })
}

#[derive(Default)]
struct Text {
    done: String,
    unread: u64,
}

impl Text {
    fn blocks(&mut self, nodes: &[Node<'_>]) {
        for node in nodes {
            match node {
                Node::Heading { level, content } => {
                    let heading = self.inline(content);
                    self.block(&format!("{} {heading}", "#".repeat(usize::from(*level))));
                }
                Node::Paragraph(content) => {
                    let paragraph = self.inline(content);
                    self.block(&paragraph);
                }
                Node::List { ordered, items } => {
                    let mut list = String::new();
                    self.list(*ordered, items, 0, &mut list);
                    self.block(&list);
                }
                Node::Preformatted(lines) => {
                    let lines: Vec<String> = lines.iter().map(|line| self.inline(line)).collect();
                    self.block(&format!("```\n{}\n```", lines.join("\n")));
                }
                Node::Table { rows } => {
                    let mut table = Table::default();
                    for row in rows {
                        table.row();
                        for cell in row {
                            table.cell(&self.inline(cell), 1);
                        }
                    }
                    self.block(&table.markdown());
                }
                Node::Unsupported(source) => {
                    let words = self.words(source);
                    self.block(&words);
                }
                other => {
                    let line = self.inline(std::slice::from_ref(other));
                    self.block(&line);
                }
            }
        }
    }

    /// Adds a block behind an empty line.
    fn block(&mut self, block: &str) {
        let block = block.trim_matches('\n');
        if block.trim().is_empty() {
            return;
        }
        if !self.done.is_empty() {
            self.done.push_str("\n\n");
        }
        self.done.push_str(block);
    }

    fn list(&mut self, ordered: bool, items: &[Vec<Node<'_>>], depth: usize, to: &mut String) {
        for (index, item) in items.iter().enumerate() {
            let (below, inline): (Vec<&Node<'_>>, Vec<&Node<'_>>) = item
                .iter()
                .partition(|node| matches!(node, Node::List { .. }));
            let line: String = inline
                .into_iter()
                .map(|node| self.inline(std::slice::from_ref(node)))
                .collect();
            if !line.trim().is_empty() {
                let indent = "  ".repeat(depth);
                let line = line.trim();
                let mark = if ordered {
                    format!("{}.", index + 1)
                } else {
                    "-".to_owned()
                };
                to.extend([indent.as_str(), &mark, " ", line, "\n"]);
            }
            for node in below {
                if let Node::List { ordered, items } = node {
                    self.list(*ordered, items, depth + 1, to);
                }
            }
        }
    }

    fn inline(&mut self, nodes: &[Node<'_>]) -> String {
        let mut line = String::new();
        for node in nodes {
            match node {
                // Bold inside of italic is left as marks.
                Node::Text(text) if text.contains("''") => {
                    line.extend(text.split("''").map(|part| part.trim_start_matches('\'')));
                }
                Node::Text(text) => line.push_str(text),
                Node::Link { target, .. } if is_interlanguage(target) => {}
                Node::Bold(content) | Node::Italic(content) | Node::Paragraph(content) => {
                    line.push_str(&self.inline(content));
                }
                Node::Link { target, label } if label.is_empty() => line.push_str(target),
                Node::Link { label, .. } => line.push_str(&self.inline(label)),
                Node::Unsupported(source) => line.push_str(&self.words(source)),
                Node::Heading { content, .. } => line.push_str(&self.inline(content)),
                block => {
                    let mut inner = Self::default();
                    inner.blocks(std::slice::from_ref(block));
                    self.unread += inner.unread;
                    line.push_str(&inner.done);
                }
            }
        }
        line
    }

    /// The words of what the parser does not read.
    fn words(&mut self, source: &str) -> String {
        self.unread += 1;
        // A gallery is a list of files.
        if source.trim_start().starts_with("<gallery") {
            return String::new();
        }
        wikrs::extract::strip(source)
    }
}

/// Whether a link leads to the same article in another language, as `de:Weberei` does: it stands in the margin.
fn is_interlanguage(target: &str) -> bool {
    let code = target.split_once(':').map_or("", |(code, _)| code);
    (2..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_lowercase())
}
