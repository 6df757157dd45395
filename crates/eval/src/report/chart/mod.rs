//! Charts as inline SVG, drawn by hand: every chart is drawn for a wide and for a narrow page, so that its letters keep
//! their size, and takes its colours from the page's style.

mod bars;
mod canvas;
mod classes;
mod curves;
mod learning;
mod river;
mod scale;
mod series;

pub(super) use bars::{Bar, bars};
pub(super) use classes::{ClassRow, classes};
pub(super) use curves::curves;
pub(super) use learning::learning;
pub(super) use river::river;

/// The page a chart is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// A screen or a sheet of paper.
    Wide,
    /// A phone.
    Narrow,
}

impl Page {
    /// The width of a chart in pixels at its natural size.
    fn width(self) -> f64 {
        match self {
            Self::Wide => 840.0,
            Self::Narrow => 342.0,
        }
    }

    /// One of two values.
    fn pick<T>(self, wide: T, narrow: T) -> T {
        match self {
            Self::Wide => wide,
            Self::Narrow => narrow,
        }
    }

    /// The end of a chart's identifiers.
    fn suffix(self) -> &'static str {
        self.pick("wide", "narrow")
    }
}

/// The style class of a model's colour: `c0` is the last model's, which the report is about.
pub(super) fn colour(column: usize, columns: usize) -> String {
    if column + 1 >= columns {
        "c0".to_owned()
    } else {
        format!("c{}", 1 + column % 4)
    }
}
