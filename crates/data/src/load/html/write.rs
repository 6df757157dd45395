//! The elements of a page as Markdown.

use dom_query::NodeRef;

use super::{Content, Links};
use crate::load::table::{Table, line};

/// What is shown of an element and all below it.
///
/// With [`Content::Main`] the landmarks around the main text are left out.
pub(super) fn markdown(root: NodeRef<'_>, links: Links, content: Content) -> String {
    let mut writer = Writer {
        links,
        content,
        ..Writer::default()
    };
    writer.children(root);
    writer.end_block();
    writer.text
}

/// Elements that show nothing, or nothing to read.
const SILENT: [&str; 27] = [
    "annotation",
    "area",
    "audio",
    "button",
    "canvas",
    "datalist",
    "dialog",
    "embed",
    "head",
    "iframe",
    "img",
    "input",
    "link",
    "map",
    "meta",
    "noscript",
    "object",
    "rp",
    "script",
    "select",
    "style",
    "svg",
    "template",
    "textarea",
    "title",
    "track",
    "video",
];

/// Elements around the main text.
const LANDMARKS: [&str; 4] = ["nav", "aside", "header", "footer"];

/// Elements that begin and end a paragraph.
const BLOCKS: [&str; 34] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "hgroup",
    "legend",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "section",
    "summary",
    "tbody",
    "td",
    "th",
    "tr",
    "ul",
];

#[derive(Default)]
struct Writer {
    links: Links,
    content: Content,
    /// The blocks that are finished.
    text: String,
    /// The block that is being written.
    block: String,
    /// What every line of a block begins with: the marks of the quotations and lists around it.
    indent: String,
    /// The mark of a list's item that has not begun yet.
    mark: Option<String>,
    /// The numbers of the lists around, `None` for those without.
    lists: Vec<Option<u64>>,
    /// The last block belongs to a list.
    listed: bool,
}

impl Writer {
    fn children(&mut self, node: NodeRef<'_>) {
        for child in node.children_it(false) {
            if child.is_text() {
                self.words(&child.text());
            } else if child.is_element() {
                self.element(child);
            }
        }
    }

    fn element(&mut self, node: NodeRef<'_>) {
        let name = node.node_name().unwrap_or_default().to_string();
        let name = name.as_str();
        if SILENT.contains(&name) || hidden(node) {
            return;
        }
        if self.content == Content::Main && LANDMARKS.contains(&name) && !in_article(node) {
            return;
        }
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.heading(node, &name[1..]),
            "br" => self.block.push('\n'),
            "hr" => self.end_block(),
            "pre" | "listing" | "xmp" => self.code(node),
            "code" | "tt" | "kbd" | "samp" => self.inline_code(node),
            "a" => self.link(node),
            "ul" | "ol" | "menu" | "dir" => self.list(node, name == "ol"),
            "li" => self.item(node),
            "blockquote" => self.quotation(node),
            "table" => self.table(node),
            _ if BLOCKS.contains(&name) => {
                self.end_block();
                self.children(node);
                self.end_block();
            }
            _ => self.children(node),
        }
    }

    /// Text between tags: any white space is one space.
    fn words(&mut self, text: &str) {
        for (index, word) in text
            .split(|c: char| c.is_whitespace() && c != '\u{a0}')
            .enumerate()
        {
            let spaced = self.block.is_empty() || self.block.ends_with([' ', '\n']);
            if index > 0 && !spaced {
                self.block.push(' ');
            }
            self.block.push_str(&word.replace('\u{a0}', " "));
        }
    }

    /// Writes the block, if there is anything in it.
    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        let lines = block.split('\n').map(str::trim);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        self.write(&lines);
    }

    fn write(&mut self, lines: &[&str]) {
        if lines.is_empty() {
            return;
        }
        let item = self.mark.is_some();
        if !self.text.is_empty() {
            // The items of a list follow one another closely.
            let close = item && self.listed;
            self.text.push_str(if close { "\n" } else { "\n\n" });
        }
        self.listed = !self.lists.is_empty();
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                self.text.push('\n');
            }
            match self.mark.take() {
                Some(mark) => self.text.push_str(&mark),
                None => self.text.push_str(&self.indent),
            }
            self.text.push_str(line);
        }
    }

    fn heading(&mut self, node: NodeRef<'_>, level: &str) {
        self.end_block();
        self.children(node);
        let heading = line(&std::mem::take(&mut self.block));
        if !heading.is_empty() {
            let level = level.parse().unwrap_or(1);
            self.write(&[&format!("{} {heading}", "#".repeat(level))]);
        }
    }

    fn code(&mut self, node: NodeRef<'_>) {
        self.end_block();
        let text = node.text();
        let text = text.trim_matches('\n').trim_end();
        if text.is_empty() {
            return;
        }
        let fence = "`".repeat(longest_run(text).max(2) + 1);
        let open = format!("{fence}{}", language(node).unwrap_or_default());
        let mut lines = vec![open.as_str()];
        lines.extend(text.split('\n').map(|line| line.trim_end_matches('\r')));
        lines.push(&fence);
        self.write(&lines);
    }

    fn inline_code(&mut self, node: NodeRef<'_>) {
        let text = line(&node.text());
        if !text.is_empty() {
            let fence = "`".repeat(longest_run(&text) + 1);
            self.block
                .extend([&fence, &text, &fence].map(String::as_str));
        }
    }

    fn link(&mut self, node: NodeRef<'_>) {
        let address = node
            .attr("href")
            .filter(|address| !address.starts_with('#'));
        let Some(address) = address.filter(|_| self.links == Links::Markdown) else {
            return self.children(node);
        };
        let before = std::mem::take(&mut self.block);
        let written = self.text.len();
        self.children(node);
        let words = line(&self.block);
        // A link around whole blocks has no form in Markdown.
        if words.is_empty() || self.text.len() > written {
            self.block.insert_str(0, &before);
            return;
        }
        let spaced = self.block.ends_with(' ');
        self.block = format!(
            "{before}[{words}]({}){}",
            address.trim(),
            if spaced { " " } else { "" }
        );
    }

    fn list(&mut self, node: NodeRef<'_>, numbered: bool) {
        self.end_block();
        let start = node
            .attr("start")
            .and_then(|start| start.trim().parse().ok());
        self.lists.push(numbered.then_some(start.unwrap_or(1)));
        self.children(node);
        self.end_block();
        self.lists.pop();
        if self.lists.is_empty() {
            self.listed = false;
        }
    }

    fn item(&mut self, node: NodeRef<'_>) {
        self.end_block();
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number = number.saturating_add(1);
                format!("{}. ", *number - 1)
            }
            _ => "- ".to_string(),
        };
        let indent = self.indent.len();
        // An item in an item that has no words of its own stands on a line by itself.
        self.mark = Some(format!("{}{mark}", self.indent));
        self.indent.push_str(&" ".repeat(mark.len()));
        self.children(node);
        self.end_block();
        self.indent.truncate(indent);
        self.mark = None;
    }

    fn quotation(&mut self, node: NodeRef<'_>) {
        self.end_block();
        let indent = self.indent.len();
        let mark = self.mark.take();
        self.indent.push_str("> ");
        self.mark = mark.map(|mark| format!("{mark}> "));
        self.children(node);
        self.end_block();
        self.indent.truncate(indent);
    }

    /// A table of data becomes a line per row; one that only places blocks on the page becomes these blocks.
    fn table(&mut self, node: NodeRef<'_>) {
        self.end_block();
        let mut rows = Vec::new();
        if !rows_of(node, &mut rows) {
            self.children(node);
            return self.end_block();
        }
        for caption in node
            .children_it(false)
            .filter(|child| child.has_name("caption"))
        {
            self.children(caption);
            self.end_block();
        }
        let mut table = Table::default();
        for row in rows {
            table.row();
            for cell in row.children_it(false).filter(|cell| is_cell(*cell)) {
                let mut writer = Writer {
                    links: self.links,
                    content: self.content,
                    ..Writer::default()
                };
                writer.children(cell);
                writer.end_block();
                table.cell(&writer.text, 1);
            }
        }
        let table = table.markdown();
        let lines: Vec<&str> = table.lines().collect();
        self.write(&lines);
    }
}

fn is_cell(node: NodeRef<'_>) -> bool {
    node.has_name("td") || node.has_name("th")
}

/// Collects the rows of a table; false if it only places blocks on the page: it holds another table or a heading, or
/// has one column.
fn rows_of<'a>(node: NodeRef<'a>, rows: &mut Vec<NodeRef<'a>>) -> bool {
    let blocks = ["table", "h1", "h2", "h3", "article", "section", "pre"];
    let holds = |node: &NodeRef<'_>| {
        node.descendants_it()
            .any(|below| blocks.iter().any(|name| below.has_name(name)))
    };
    if holds(&node)
        || node
            .attr("role")
            .is_some_and(|role| &*role == "presentation")
    {
        return false;
    }
    rows.extend(
        node.descendants_it()
            .filter(|below| below.has_name("tr") && !hidden(*below)),
    );
    rows.iter()
        .any(|row| row.children_it(false).filter(|cell| is_cell(*cell)).count() > 1)
}

/// Whether the page says that an element is not shown.
fn hidden(node: NodeRef<'_>) -> bool {
    let style = node.attr("style").unwrap_or_default().to_ascii_lowercase();
    let style: String = style.split_whitespace().collect();
    node.has_attr("hidden")
        || node
            .attr("aria-hidden")
            .is_some_and(|value| &*value == "true")
        || style.contains("display:none")
        || style.contains("visibility:hidden")
}

/// A header or footer inside an article is the article's.
fn in_article(node: NodeRef<'_>) -> bool {
    (node.has_name("header") || node.has_name("footer"))
        && node
            .ancestors_it(None)
            .any(|above| above.has_name("article") || above.has_name("main"))
}

/// The language that a code block's class names.
fn language(node: NodeRef<'_>) -> Option<String> {
    let inner = node.first_element_child();
    let classes = [node.class(), inner.and_then(|inner| inner.class())];
    let classes = classes.into_iter().flatten();
    let named = classes.filter_map(|classes| {
        let mut names = classes.split_whitespace();
        names.find_map(|name| {
            name.strip_prefix("language-")
                .or(name.strip_prefix("lang-"))
                .map(str::to_owned)
        })
    });
    named.into_iter().next()
}

/// The length of the longest run of back quotes.
fn longest_run(text: &str) -> usize {
    let runs = text.split(|character| character != '`');
    runs.map(str::len).max().unwrap_or(0)
}
