//! The flow of the main error classes as ribbons between two columns.

use super::{
    Page,
    canvas::{Anchor, Canvas, r, width_of},
};
use crate::{Flow, report::figures::grouped};

/// The gap between blocks, in pixels.
const GAP: f64 = 8.0;
/// The width of a block, in pixels.
const BLOCK: f64 = 10.0;

/// A class on one side.
struct Side {
    class: usize,
    count: usize,
    top: f64,
    height: f64,
}

/// The chart. `right` is the index of the class of right answers.
pub(in crate::report) fn river(id: &str, page: Page, flow: &Flow) -> Option<String> {
    let right = flow.classes.len().checked_sub(1)?;
    let before = |class: usize| (0..=right).map(|to| flow.count(class, to)).sum::<usize>();
    let after = |class: usize| {
        (0..=right)
            .map(|from| flow.count(from, class))
            .sum::<usize>()
    };
    let total: usize = (0..=right).map(before).sum();
    if total == 0 {
        return None;
    }
    // Right answers stand on top; then the classes from the weightiest on.
    let order: Vec<usize> = std::iter::once(right).chain(0..right).collect();
    let blocks = order
        .iter()
        .filter(|&&class| before(class) + after(class) > 0)
        .count();
    let head = 30.0;
    let body = page.pick(250.0, 240.0) + 16.0 * blocks as f64;
    let unit = (body - GAP * (blocks.max(1) - 1) as f64) / total as f64;
    let (old, new) = (
        sides(&order, before, unit, head),
        sides(&order, after, unit, head),
    );
    let margin = margin(page, flow, &old).max(margin(page, flow, &new));
    let (left, end) = (margin, page.width() - margin);
    let deepest = old
        .iter()
        .chain(&new)
        .map(|side| side.top + side.height)
        .fold(0.0, f64::max);
    let mut canvas = Canvas::new(page.width(), deepest.max(head + body) + 10.0);
    ribbons(
        &mut canvas,
        flow,
        (&old, &new),
        unit,
        (left + BLOCK, end - BLOCK),
    );
    column(
        &mut canvas,
        flow,
        &old,
        (left, left - 8.0, Anchor::End),
        margin,
        &flow.before,
    );
    column(
        &mut canvas,
        flow,
        &new,
        (end - BLOCK, end + 8.0, Anchor::Start),
        margin,
        &flow.after,
    );
    let name = format!(
        "Which error class became which, from {} to {}",
        flow.before, flow.after
    );
    Some(canvas.finish(id, page, &name, &described(flow)))
}

/// The room for the names of a column, within what the page has.
fn margin(page: Page, flow: &Flow, sides: &[Side]) -> f64 {
    let room = |side: &Side| {
        let name = flow.classes.get(side.class).map_or("", String::as_str);
        width_of(name) + width_of(&grouped(side.count as i64)) + 22.0
    };
    sides
        .iter()
        .map(room)
        .fold(80.0, f64::max)
        .min(page.pick(240.0, 128.0))
}

/// The blocks of a column, from the top.
fn sides(order: &[usize], count: impl Fn(usize) -> usize, unit: f64, head: f64) -> Vec<Side> {
    let mut top = head;
    let mut found = Vec::new();
    for &class in order {
        let count = count(class);
        if count > 0 {
            let height = count as f64 * unit;
            found.push(Side {
                class,
                count,
                top,
                height,
            });
            top += height + GAP;
        }
    }
    found
}

/// The blocks with their names and counts.
fn column(
    canvas: &mut Canvas,
    flow: &Flow,
    sides: &[Side],
    (x, label, anchor): (f64, f64, Anchor),
    margin: f64,
    model: &str,
) {
    canvas.label("name strong", (label, 16.0), anchor, margin + 60.0, model);
    let mut lowest = 24.0_f64;
    for side in sides {
        let right = side.class + 1 == flow.classes.len();
        let class = if right { "block right" } else { "block" };
        canvas.rectangle(class, (x, side.top), (BLOCK, side.height.max(1.0)), 1.5);
        // Names of thin blocks are pushed down so that none covers another.
        let line = (side.top + side.height / 2.0 + 4.5).max(lowest + 15.0);
        lowest = line;
        let count = grouped(side.count as i64);
        let space = margin - width_of(&count) - 14.0;
        let name = flow.classes.get(side.class).map_or("", String::as_str);
        let style = if right { "name strong" } else { "name" };
        let gap = width_of(&count) + 6.0;
        let away = if matches!(anchor, Anchor::End) {
            -gap
        } else {
            gap
        };
        canvas.text("value", (label, line), anchor, &count);
        canvas.label(style, (label + away, line), anchor, space, name);
    }
}

/// The ribbons, the quiet ones first.
fn ribbons(
    canvas: &mut Canvas,
    flow: &Flow,
    (old, new): (&[Side], &[Side]),
    unit: f64,
    (x1, x2): (f64, f64),
) {
    let right = flow.classes.len().saturating_sub(1);
    let mut used = vec![0.0; new.len()];
    let mut drawn = Vec::new();
    for from in old {
        let mut at = from.top;
        for (index, to) in new.iter().enumerate() {
            let count = flow.count(from.class, to.class);
            let height = count as f64 * unit;
            if count > 0 {
                let class = match (from.class == right, to.class == right) {
                    (false, true) => "ribbon fixed",
                    (true, false) => "ribbon broken",
                    (true, true) => "ribbon kept",
                    _ => "ribbon",
                };
                let end = to.top + used[index];
                let name = |class: usize| flow.classes.get(class).map_or("", String::as_str);
                let tooltip = format!(
                    "{} → {}: {}",
                    name(from.class),
                    name(to.class),
                    grouped(count as i64)
                );
                drawn.push((
                    class.len(),
                    class,
                    band((x1, at), (x2, end), height),
                    tooltip,
                ));
                used[index] += height;
                at += height;
            }
        }
    }
    drawn.sort_by_key(|ribbon| ribbon.0);
    for (_, class, path, tooltip) in drawn {
        canvas.path(class, &path, Some(&tooltip));
    }
}

/// A band of constant height that swings from one place to another.
fn band((x1, y1): (f64, f64), (x2, y2): (f64, f64), height: f64) -> String {
    let middle = r(f64::midpoint(x1, x2));
    let (x1, x2, y1, y2, low1, low2) = (r(x1), r(x2), r(y1), r(y2), r(y1 + height), r(y2 + height));
    format!(
        "M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}L{x2} {low2}C{middle} {low2} {middle} {low1} {x1} {low1}Z"
    )
}

/// The chart in words.
fn described(flow: &Flow) -> String {
    let mut parts = Vec::new();
    for (from, old) in flow.classes.iter().enumerate() {
        for (to, new) in flow.classes.iter().enumerate() {
            match flow.count(from, to) {
                0 => {}
                count => parts.push(format!("{old} to {new}: {count}")),
            }
        }
    }
    parts.join("; ")
}
