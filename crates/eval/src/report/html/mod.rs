//! The report as one self-contained HTML page.

mod view;

use minijinja::{AutoEscape, Environment, Error, Output, State, Value, value::Serde};

use super::Report;
use crate::{EvalError, Result, text::visible};

/// The page of a report.
pub(super) fn render(report: &Report) -> Result<String> {
    let fault = |error: &Error| EvalError::Render {
        reason: error.to_string(),
    };
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(write_visible);
    let page = include_str!("../page/page.html");
    environment
        .add_template("page.html", page)
        .map_err(|error| fault(&error))?;
    let template = environment
        .get_template("page.html")
        .map_err(|error| fault(&error))?;
    template
        .render(Value::from(Serde(view::of(report))))
        .map_err(|error| fault(&error))
}

/// Writes a value with its controls and direction marks written out, and escaped unless our own code made the markup.
fn write_visible(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if !value.is_safe() => {
            minijinja::escape_formatter(out, state, &Value::from(visible(text)))
        }
        _ => minijinja::escape_formatter(out, state, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_report_is_a_page() {
        let page = render(&Report::default()).unwrap();
        assert!(page.contains("default-src 'none'"));
        assert!(!page.contains("<section"), "{page}");
    }
}
