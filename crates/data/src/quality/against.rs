//! What must not be in the training data.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::any::{AnyExample, AnyMapping};
use super::sample::Sample;
use crate::document::Document;
use crate::error::{DataError, Result, quoted};
use crate::example::PlainText;
use crate::load::{Loaders, OnError};
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

/// A benchmark in a file, or a folder of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Benchmark {
    /// What the report calls it.
    pub name: String,
    /// Where its items are.
    pub path: PathBuf,
}

impl FromStr for Benchmark {
    type Err = DataError;

    /// Reads `NAME=FILE`.
    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('=');
        match parts.filter(|(name, path)| !name.is_empty() && !path.is_empty()) {
            Some((name, path)) => Ok(Self {
                name: name.to_owned(),
                path: path.into(),
            }),
            None => Err(DataError::Setting {
                name: "benchmark".into(),
                found: quoted(text),
                expected: "NAME=FILE".into(),
            }),
        }
    }
}

impl Against {
    /// Reads test data, by the mapping of the training data, and benchmarks, each by what it looks like. A broken
    /// record is an error: what is not read cannot be found.
    ///
    /// # Errors
    ///
    /// As [`Loaders::load_all`] that stops, and as [`Against::test`].
    pub fn read<P: AsRef<Path>>(
        loaders: &Loaders,
        tests: &[P],
        benchmarks: &[Benchmark],
        mapping: &AnyMapping,
    ) -> Result<Self> {
        let mut against = Self::default();
        for path in tests {
            let (documents, _) = loaders.load_all(&[path], &OnError::Stop)?;
            against = against.test(&documents, mapping)?;
        }
        for Benchmark { name, path } in benchmarks {
            let (documents, _) = loaders.load_all(&[path], &OnError::Stop)?;
            against = against.benchmark(name, &documents);
        }
        Ok(against)
    }

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
