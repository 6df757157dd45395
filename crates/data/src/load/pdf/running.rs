//! Lines that stand at the same place of many pages: running headers, footers and page numbers.

use std::collections::{HashMap, HashSet};

use super::layout::Line;

/// How many lines at the upper and at the lower end of a page are looked at.
const EDGE: usize = 2;
/// A line is running if it stands on this many pages,
const LEAST_PAGES: usize = 3;
/// and on one page in this many: left and right pages may have headers of their own, and chapters begin without.
const SHARE: usize = 3;

/// A line this many times larger than most of the document's is a heading, though chapters begin at the same place.
const HEADING: f32 = 1.25;

/// Takes the running lines out of pages, and says how many there were on each.
pub(super) fn take_out(pages: &mut [Vec<Line>]) -> Vec<usize> {
    let largest = HEADING * usual_size(pages);
    let mut counts: HashMap<Key, usize> = HashMap::new();
    for page in pages.iter() {
        let keys: HashSet<Key> = edges(page, largest)
            .into_iter()
            .map(|index| key(&page[index]))
            .collect();
        for key in keys {
            *counts.entry(key).or_default() += 1;
        }
    }
    let least = LEAST_PAGES.max(pages.len().div_ceil(SHARE));
    let taken = pages.iter_mut().map(|page| {
        let running: HashSet<usize> = edges(page, largest)
            .into_iter()
            .filter(|index| {
                counts
                    .get(&key(&page[*index]))
                    .is_some_and(|count| *count >= least)
            })
            .collect();
        let mut index = 0;
        page.retain(|_| {
            index += 1;
            !running.contains(&(index - 1))
        });
        running.len()
    });
    taken.collect()
}

/// What is the same on all pages: the text with numbers left open, and the height in steps of four points.
type Key = (String, i32);

fn key(line: &Line) -> Key {
    let mut text = String::new();
    for character in line.text.chars() {
        match character {
            _ if character.is_numeric() => {
                if !text.ends_with('#') {
                    text.push('#');
                }
            }
            _ => text.extend(character.to_lowercase()),
        }
    }
    (text, (line.base / 4.0).round() as i32)
}

/// The median size of lines.
fn usual_size(pages: &[Vec<Line>]) -> f32 {
    let mut sizes: Vec<f32> = pages.iter().flatten().map(|line| line.size).collect();
    sizes.sort_by(f32::total_cmp);
    sizes.get(sizes.len() / 2).copied().unwrap_or_default()
}

/// The indices of the highest and the lowest lines, without those that are too large.
fn edges(page: &[Line], largest: f32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..page.len()).collect();
    order.sort_by(|a, b| page[*b].base.total_cmp(&page[*a].base));
    let lowest = order.iter().rev().take(EDGE);
    let mut edges: Vec<usize> = order.iter().take(EDGE).chain(lowest).copied().collect();
    edges.sort_unstable();
    edges.dedup();
    edges.retain(|index| page[*index].size < largest);
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(texts: &[&str]) -> Vec<Line> {
        let lines = texts.iter().enumerate().map(|(index, text)| Line {
            text: (*text).into(),
            left: 0.0,
            right: 1.0,
            base: 800.0 - 100.0 * index as f32,
            size: 10.0,
            row: false,
            column: 0,
        });
        lines.collect()
    }

    #[test]
    fn lines_at_the_edges_of_many_pages_are_running() {
        let texts: Vec<[String; 6]> = (1..=4)
            .map(|number| {
                let body = |line: &str| format!("{line} of {}", ["a", "b", "c", "d"][number - 1]);
                let middle = "the same in the middle".to_string();
                [
                    "Head".into(),
                    body("one"),
                    middle,
                    body("two"),
                    body("three"),
                    format!("- {number} -"),
                ]
            })
            .collect();
        let whole = |texts: &[String; 6]| page(&texts.each_ref().map(String::as_str));
        let mut pages: Vec<Vec<Line>> = texts.iter().map(whole).collect();
        assert_eq!(take_out(&mut pages), [2, 2, 2, 2]);
        assert!(
            pages
                .iter()
                .all(|page| page.len() == 4 && page[1].text.starts_with("the same"))
        );
        let mut two: Vec<Vec<Line>> = texts[..2].iter().map(whole).collect();
        assert_eq!(take_out(&mut two), [0, 0]);
    }
}
