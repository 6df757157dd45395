//! The report as a page.

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};

use super::chart::Chart;
use super::{DataReport, Reason, unwritable};
use crate::error::Result;

/// The page.
const PAGE: &str = include_str!("page.html");

impl DataReport {
    /// The report as one page of HTML with its plots inside: no script, no style, font or picture from elsewhere.
    /// Everything that comes from the data is escaped.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::DataError::Unsupported) as [`DataReport::write`].
    pub fn html(&self) -> Result<String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        let charts: Vec<Chart> = self.charts();
        let findings: Vec<Value> = Reason::ALL
            .iter()
            .map(|reason| {
                context! {
                    name => reason.name(),
                    looked_for => self.looked_for.contains(reason),
                    found => self.findings.get(reason).map(|found| Value::from(Serde(found))),
                }
            })
            .collect();
        let sensitive: BTreeMap<&str, u64> = self
            .sensitive
            .iter()
            .map(|(kind, count)| (kind.placeholder(), *count))
            .collect();
        let context = context! {
            report => Value::from(Serde(self)),
            charts => Value::from(Serde(charts)),
            findings => findings,
            sensitive => sensitive,
            type_token => self.diversity.type_token_ratio(),
            encoding => self.encoding.as_ref().map(ToString::to_string),
        };
        environment
            .render_str(PAGE, context)
            .map_err(|error| unwritable(&error))
    }

    fn charts(&self) -> Vec<Chart> {
        let mut funnel = vec![("read".to_owned(), self.funnel.read)];
        let dropped = self.funnel.dropped.iter();
        funnel.extend(dropped.map(|(reason, count)| (format!("dropped: {reason}"), *count)));
        funnel.push(("quarantined".into(), self.funnel.quarantined));
        funnel.push(("kept".into(), self.funnel.kept));
        let mut languages: Vec<(String, u64)> = self.languages.clone().into_iter().collect();
        languages.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        let labels = self.diversity.frequent.iter();
        let mut labels: Vec<(String, u64)> = labels
            .map(|label| (label.label.clone(), label.rows))
            .collect();
        let listed: u64 = labels.iter().map(|(_, rows)| rows).sum();
        if self.diversity.labeled > listed {
            labels.push(("all others".into(), self.diversity.labeled - listed));
        }
        let lengths = match &self.tokens {
            Some(tokens) => Chart::standing(
                "Rows by length in tokens, each bar up to twice its label",
                tokens,
            ),
            None => Chart::standing(
                "Rows by length in words, each bar up to twice its label",
                &self.words,
            ),
        };
        vec![
            Chart::lying("From records to rows", funnel),
            lengths,
            Chart::lying("Rows by language", languages),
            Chart::lying("Rows by label", labels),
        ]
    }
}
