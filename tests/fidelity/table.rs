//! The table of `docs/fidelity.md` with a row for every golden case.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Between these lines the document is written by a program.
pub(crate) const MARKS: [&str; 2] = ["<!-- parity: begin -->", "<!-- parity: end -->"];

/// What is known of a case.
pub(crate) struct Row {
    case: String,
    family: String,
    class: String,
    settings: String,
    padding: &'static str,
    greedy: bool,
    /// Logits, loss, gradients, 20 steps, logits with peft's adapter.
    figures: [Option<f32>; 5],
}

impl Row {
    /// # Arguments
    /// - `mask`: that of the inputs, row by row, and the length of a row
    /// - `greedy`: whether greedy tokens were compared
    pub(crate) fn new(
        case: &Path,
        (mask, length): (&[f32], usize),
        greedy: bool,
        figures: [Option<f32>; 5],
    ) -> Self {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let json = |path: &Path| -> Value {
            fs::read(path).map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap())
        };
        let config = json(&case.join("config.json"));
        let settings = json(&case.with_file_name("settings.json"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let padded = |place: usize| mask.chunks(length).any(|row| row[place] == 0.0);
        Self {
            family: text(&config["model_type"]),
            class: text(&config["architectures"][0]),
            settings: text(&settings[&name]),
            case: name,
            padding: match (padded(0), padded(length - 1)) {
                (true, _) => "left",
                (_, true) => "right",
                _ => "none",
            },
            greedy,
            figures,
        }
    }

    fn line(&self) -> String {
        let cell = |figure: &Option<f32>| figure.map_or_else(String::new, short);
        let [logits, loss, gradients, steps, adapter] = self.figures.each_ref().map(cell);
        let greedy = if self.greedy { "equal" } else { "" };
        let Self {
            case,
            family,
            class,
            settings,
            padding,
            ..
        } = self;
        format!(
            "| {case} | {family} | {class} | {settings} | {padding} | {logits} | {loss} | {gradients} | {steps} | \
             {greedy} | {adapter} |"
        )
    }
}

/// Writes the table and what stands above it into a document.
pub(crate) fn write(path: &Path, device: &str, rows: &[Row]) {
    let families: BTreeSet<&str> = rows.iter().map(|row| row.family.as_str()).collect();
    let classes: BTreeSet<&str> = rows.iter().map(|row| row.class.as_str()).collect();
    let worst = |figure: usize| {
        let figures = rows.iter().filter_map(|row| row.figures[figure]);
        short(figures.fold(0.0, f32::max))
    };
    let mut lines = vec![
        format!(
            "{} cases, {} families, {} classes of transformers. The worst on {device}: logits {}, loss {}, gradients \
             {}, 20 steps {}, logits with peft's adapter {}.",
            rows.len(),
            families.len(),
            classes.len(),
            worst(0),
            worst(1),
            worst(2),
            worst(3),
            worst(4),
        ),
        String::new(),
        "| case | family | class | settings that are not the family's defaults | padding | logits | loss | gradients \
         | 20 steps | greedy | peft's adapter |"
            .to_owned(),
        "|---".repeat(11) + "|",
    ];
    lines.extend(rows.iter().map(Row::line));
    let document = fs::read_to_string(path).unwrap();
    let (before, rest) = document.split_once(MARKS[0]).unwrap();
    let (_, after) = rest.split_once(MARKS[1]).unwrap();
    let table = lines.join("\n");
    let [begin, end] = MARKS;
    fs::write(path, format!("{before}{begin}\n{table}\n{end}{after}")).unwrap();
}

/// A figure as the document writes it: `1.2e-6`.
fn short(figure: f32) -> String {
    if figure == 0.0 {
        return "0".to_owned();
    }
    format!("{figure:.1e}")
}
