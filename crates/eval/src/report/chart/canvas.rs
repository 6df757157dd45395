//! SVG elements as text.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::Page;
use crate::text::{shorten, visible};

/// The size of letters in charts, in pixels; the page's style says the same.
pub(super) const LETTER: f64 = 13.0;

/// Where a text stands at its place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing in progress.
pub(super) struct Canvas {
    width: f64,
    height: f64,
    body: String,
}

impl Canvas {
    /// An empty drawing.
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    /// A rectangle with round corners.
    pub(super) fn rectangle(
        &mut self,
        class: &str,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        round: f64,
    ) {
        let (x, y, width, height) = (r(x), r(y), r(width.max(0.0)), r(height.max(0.0)));
        self.push(format_args!(
            r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}" rx="{round}"/>"#
        ));
    }

    /// A straight line.
    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let (x1, y1, x2, y2) = (r(x1), r(y1), r(x2), r(y2));
        self.push(format_args!(
            r#"<line class="{class}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>"#
        ));
    }

    /// A disc.
    pub(super) fn disc(&mut self, class: &str, (x, y): (f64, f64), radius: f64) {
        let (x, y) = (r(x), r(y));
        self.push(format_args!(
            r#"<circle class="{class}" cx="{x}" cy="{y}" r="{radius}"/>"#
        ));
    }

    /// A line through points.
    pub(super) fn curve(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut path = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(
                path,
                "{}{} {}",
                if index == 0 { 'M' } else { 'L' },
                r(*x),
                r(*y)
            );
        }
        self.path(class, &path, None);
    }

    /// A path, with a tooltip.
    pub(super) fn path(&mut self, class: &str, path: &str, tooltip: Option<&str>) {
        match tooltip {
            None => self.push(format_args!(r#"<path class="{class}" d="{path}"/>"#)),
            Some(text) => {
                let text = escaped(text);
                self.push(format_args!(
                    r#"<path class="{class}" d="{path}"><title>{text}</title></path>"#
                ));
            }
        }
    }

    /// A text on one line, its base line at `y`.
    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (r(x), r(y), escaped(text));
        self.push(format_args!(
            r#"<text class="{class}" x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    /// A text cut to `width` pixels; the whole is in its tooltip.
    pub(super) fn label(
        &mut self,
        class: &str,
        place: (f64, f64),
        anchor: Anchor,
        width: f64,
        text: &str,
    ) {
        if width_of(text) <= width {
            return self.text(class, place, anchor, text);
        }
        let whole = escaped(text);
        let mut length = text.chars().count();
        let mut cut = shorten(text, length);
        while length > 1 && width_of(&cut) > width {
            length -= 1;
            cut = shorten(text, length);
        }
        self.push(format_args!("<g><title>{whole}</title>"));
        self.text(class, place, anchor, &cut);
        self.push(format_args!("</g>"));
    }

    /// The drawing as an element with a name and a description for those who do not see it.
    pub(super) fn finish(self, id: &str, page: Page, name: &str, description: &str) -> String {
        let Self {
            width,
            height,
            body,
        } = self;
        let (id, name, description) = (
            format!("{id}-{}", page.suffix()),
            escaped(name),
            escaped(description),
        );
        let (width, height, suffix) = (r(width), r(height), page.suffix());
        format!(
            r#"<svg class="chart {suffix}" role="img" aria-labelledby="{id}-t {id}-d" viewBox="0 0 {width} {height}" width="{width}" height="{height}"><title id="{id}-t">{name}</title><desc id="{id}-d">{description}</desc>{body}</svg>"#
        )
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(element);
    }
}

/// A coordinate with one decimal, which is finer than a screen.
pub(super) fn r(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Text as it stands in markup.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// About how wide a text is, in pixels; a little more rather than less.
pub(super) fn width_of(text: &str) -> f64 {
    text.width() as f64 * LETTER * 0.56
}
