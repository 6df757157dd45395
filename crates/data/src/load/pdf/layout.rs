//! From runs of glyphs at places of a page to lines in reading order.
//!
//! The parser's own text loses lines between two columns on some pages and mixes the columns on others, so that only
//! its runs are taken from it.

use pdf_oxide::layout::TextSpan;

/// A piece of text at a place of the page, turned so that it runs from left to right. Lengths are in points.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) left: f32,
    pub(super) right: f32,
    /// Height of the baseline above the lower edge.
    pub(super) base: f32,
    pub(super) size: f32,
}

/// A line of text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) base: f32,
    pub(super) size: f32,
    /// Its parts stand apart as the cells of a table do.
    pub(super) row: bool,
    /// Lines of one column, or of the text between columns.
    pub(super) column: usize,
}

/// More runs than this are taken in the order of their heights, since finding columns compares them with one another.
const COLUMN_LIMIT: usize = 20_000;
/// A gap between columns is at least this wide, in sizes of the text.
const GUTTER: f32 = 0.9;
/// A column has at least this many lines, and lines of at least this many words on average; else it is a table's.
const COLUMN_LINES: usize = 3;
const COLUMN_WORDS: usize = 3;
/// Parts of a line further apart than this, in sizes of the text, are cells.
const CELL_GAP: f32 = 1.1;
/// Parts of a line further apart than this, in sizes of the text, are words of their own.
const WORD_GAP: f32 = 0.15;

/// The runs of a page by the direction in which they are written, upright ones first.
pub(super) fn runs(spans: Vec<TextSpan>) -> Vec<Vec<Run>> {
    let mut turned: Vec<Vec<Run>> = vec![Vec::new(); 4];
    for span in spans {
        let (x, y) = (span.bbox.x, span.bbox.y);
        // The place is where the text begins, and the width runs along it.
        let (way, left, base) = match span.rotation_degrees.round() as i32 {
            45..=134 => (1, y, -x),
            -134..=-45 => (2, -y, x),
            135..=225 | -225..=-135 => (3, -x, -y),
            _ => (0, x, y),
        };
        let numbers = [left, base, span.bbox.width, span.font_size];
        if span.text.trim().is_empty() || !numbers.iter().all(|number| number.is_finite()) {
            continue;
        }
        turned[way].push(Run {
            left,
            right: left + span.bbox.width.max(0.0),
            base,
            size: span.font_size.clamp(1.0, 1000.0),
            text: span.text,
        });
    }
    turned
}

/// The lines of runs in reading order: column after column where there are such.
pub(super) fn lines(mut runs: Vec<Run>) -> Vec<Line> {
    runs.sort_by(|a, b| b.base.total_cmp(&a.base).then(a.left.total_cmp(&b.left)));
    let mut lines = Vec::new();
    let mut flow = Vec::new();
    let mut column = 0;
    let mut at = 0;
    let few = runs.len() <= COLUMN_LIMIT;
    while at < runs.len() {
        if let Some(found) = columns(&runs[at..]).filter(|_| few) {
            into_lines(std::mem::take(&mut flow), &mut column, &mut lines);
            at += found.iter().map(Vec::len).sum::<usize>();
            for runs in found {
                into_lines(runs, &mut column, &mut lines);
            }
        } else {
            flow.push(runs[at].clone());
            at += 1;
        }
    }
    into_lines(flow, &mut column, &mut lines);
    lines
}

/// The columns that the first of these runs and those below it stand in, if they do.
fn columns(runs: &[Run]) -> Option<Vec<Vec<Run>>> {
    // Grow as long as a gutter remains that has runs on both sides.
    let mut covered: Vec<(f32, f32)> = Vec::new();
    let mut end = 0;
    for (index, run) in runs.iter().enumerate() {
        let grown = covered.len();
        cover(&mut covered, run);
        if covered.len() > 1 {
            end = index + 1;
        } else if grown > 1 {
            break;
        }
    }
    let mut covered = Vec::new();
    for run in &runs[..end] {
        cover(&mut covered, run);
    }
    let mut found: Vec<Vec<Run>> = vec![Vec::new(); covered.len()];
    for run in &runs[..end] {
        let place = covered
            .iter()
            .position(|(left, right)| *left <= run.left && run.right <= *right);
        found[place?].push(run.clone());
    }
    (found.len() > 1 && found.iter().all(|column| is_text(column))).then_some(found)
}

/// Adds the width of a run to intervals, in order and apart by a gutter at least.
fn cover(covered: &mut Vec<(f32, f32)>, run: &Run) {
    let gutter = GUTTER * run.size;
    let (mut left, mut right) = (run.left, run.right);
    covered.retain(|(from, to)| {
        let apart = *to + gutter < left || right + gutter < *from;
        if !apart {
            left = left.min(*from);
            right = right.max(*to);
        }
        apart
    });
    let place = covered.partition_point(|(from, _)| *from < left);
    covered.insert(place, (left, right));
}

fn is_text(column: &[Run]) -> bool {
    let words: usize = column
        .iter()
        .map(|run| run.text.split_whitespace().count())
        .sum();
    let characters: usize = column.iter().map(|run| run.text.chars().count()).sum();
    let mut bases: Vec<f32> = column.iter().map(|run| run.base).collect();
    bases.dedup_by(|a, b| (*a - *b).abs() < 1.0);
    // Scripts without spaces have no words to count; a word is four characters in most others.
    bases.len() >= COLUMN_LINES && words.max(characters / 6) >= COLUMN_WORDS * bases.len()
}

fn into_lines(runs: Vec<Run>, column: &mut usize, lines: &mut Vec<Line>) {
    let mut row: Vec<Run> = Vec::new();
    for run in runs {
        let same = row
            .first()
            .is_none_or(|first| (first.base - run.base).abs() < 0.5 * first.size.max(run.size));
        if !same {
            lines.extend(line(std::mem::take(&mut row), *column));
        }
        row.push(run);
    }
    lines.extend(line(row, *column));
    *column += 1;
}

fn line(mut runs: Vec<Run>, column: usize) -> Option<Line> {
    runs.sort_by(|a, b| a.left.total_cmp(&b.left));
    let widest = runs.iter().max_by_key(|run| run.text.len())?;
    let (size, base) = (widest.size, widest.base);
    let (left, mut right) = (runs.first()?.left, f32::MIN);
    let (mut text, mut row) = (String::new(), false);
    for run in &runs {
        let gap = (run.left - right) / size;
        if gap > CELL_GAP && !text.is_empty() {
            text.push('\t');
            row = true;
        } else if gap > WORD_GAP && !text.ends_with(' ') && !text.is_empty() {
            text.push(' ');
        }
        text.push_str(run.text.trim_matches(['\n', '\r']));
        right = right.max(run.right);
    }
    Some(Line {
        text: text.trim().to_string(),
        left,
        right,
        base,
        size,
        row,
        column,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(text: &str, left: f32, base: f32) -> Run {
        Run {
            text: text.into(),
            left,
            right: left + 5.0 * text.len() as f32,
            base,
            size: 10.0,
        }
    }

    fn read(runs: Vec<Run>) -> Vec<String> {
        lines(runs).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn columns_are_read_one_after_the_other() {
        let mut runs = vec![run("A title over both of the columns here", 50.0, 800.0)];
        for row in 0_u16..4 {
            let base = 700.0 - 12.0 * f32::from(row);
            runs.push(run(&format!("left side line {row}"), 50.0, base));
            runs.push(run(&format!("right side line {row}"), 200.0, base - 3.0));
        }
        runs.push(run(
            "A line below that is as wide as all of them",
            50.0,
            500.0,
        ));
        let found = read(runs);
        assert_eq!(
            found[1..5],
            [0, 1, 2, 3].map(|row| format!("left side line {row}"))
        );
        assert_eq!(
            found[5..9],
            [0, 1, 2, 3].map(|row| format!("right side line {row}"))
        );
        assert!(found[0].starts_with("A title") && found[9].starts_with("A line below"));
    }

    #[test]
    fn the_cells_of_a_table_stay_in_their_rows() {
        let rows = ["Ada", "Otto", "Greta"].into_iter().zip([30.0, 20.0, 10.0]);
        let runs = rows.flat_map(|(name, base)| [run(name, 10.0, base), run("36", 90.0, base)]);
        assert_eq!(read(runs.collect()), ["Ada\t36", "Otto\t36", "Greta\t36"]);
    }

    #[test]
    fn the_parts_of_a_line_are_words_if_there_is_a_gap() {
        let runs = vec![
            run("re", 10.0, 0.0),
            run("ad", 20.0, 1.0),
            run("it", 33.0, 0.0),
        ];
        assert_eq!(read(runs), ["read it"]);
    }

    proptest! {
        /// Wherever runs stand, each of them is read once.
        #[test]
        fn no_run_is_lost(places in prop::collection::vec((0.0_f32..600.0, 0.0_f32..800.0, 1_usize..12), 0..60)) {
            let runs = places.iter().enumerate().map(|(index, (left, base, words))| {
                run(&vec![format!("w{index}"); *words].join(" "), *left, *base)
            });
            let runs: Vec<Run> = runs.collect();
            let total: usize = places.iter().map(|(_, _, words)| words).sum();
            let count = |text: &str| text.matches('w').count();
            prop_assert_eq!(read(runs).iter().map(|line| count(line)).sum::<usize>(), total);
        }
    }
}
