//! What must not be in the training data.

use super::any::{AnyExample, AnyMapping};
use super::sample::Sample;
use crate::document::Document;
use crate::error::Result;
use crate::example::PlainText;
use crate::mapping::Mapping;

/// Test data, which no row may repeat, exactly or nearly, and benchmarks, with whose items no row may share a run of
/// words.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Against {
    tests: Vec<AnyExample>,
    items: Vec<AnyExample>,
    /// For each item the number of its benchmark.
    belongs: Vec<usize>,
    names: Vec<String>,
}

impl Against {
    /// Adds test data, read by the mapping of the training data, so that equal examples have equal texts.
    ///
    /// # Errors
    ///
    /// That of the first document that the mapping does not read.
    pub fn test(mut self, documents: &[Document], mapping: &AnyMapping) -> Result<Self> {
        self.tests.extend(mapping.examples(documents)?);
        Ok(self)
    }

    /// Adds examples of test data.
    pub fn test_examples(mut self, examples: impl IntoIterator<Item = AnyExample>) -> Self {
        self.tests.extend(examples);
        self
    }

    /// Adds the items of a benchmark. Where they have a known format, an item is a question with its answer; else it is
    /// all texts of its fields, a line each.
    pub fn benchmark(mut self, name: impl Into<String>, documents: &[Document]) -> Self {
        let mapping = AnyMapping::of(documents).ok();
        let number = self.names.len();
        self.names.push(name.into());
        for document in documents {
            let mapped = mapping
                .as_ref()
                .and_then(|mapping| mapping.example(document.clone()).ok());
            let item = mapped.unwrap_or_else(|| {
                let text = Sample::from(document).text.into_owned();
                let origin = document.origin.clone();
                PlainText { text, origin }.into()
            });
            self.items.push(item);
            self.belongs.push(number);
        }
        self
    }

    pub(super) fn tests(&self) -> Vec<Sample<'_>> {
        self.tests.iter().map(Sample::from).collect()
    }

    pub(super) fn items(&self) -> Vec<Sample<'_>> {
        self.items.iter().map(Sample::from).collect()
    }

    /// The names of the benchmarks.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The benchmark that an item belongs to.
    pub(super) fn name(&self, item: usize) -> &str {
        &self.names[self.belongs[item]]
    }
}
