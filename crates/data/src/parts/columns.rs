//! Records as the columns of a Parquet file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;
use std::sync::Arc;

use arrow_json::reader::{Decoder, ReaderBuilder};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value};

use crate::document::Fields;
use crate::draft::{Draft, Written};
use crate::error::{DataError, Place, Result};

/// How many records are turned into columns at a time, and about how many bytes of them.
const CHUNK: usize = 4096;
const CHUNK_BYTES: usize = 16 << 20;
/// About how many bytes of a row group wait in memory.
const GROUP_BYTES: usize = 64 << 20;
/// An object with more names than this is not a set of columns but a dictionary.
const NAMES: usize = 256;

/// The columns that hold all records seen so far.
#[derive(Debug, Default)]
pub(super) struct Columns(BTreeMap<String, Kind>);

/// What stands in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Null so far.
    Null,
    Bool,
    /// 64 bits with a sign; `exact` if a float holds each of them exactly.
    Int {
        exact: bool,
    },
    Float,
    Text,
    List(Box<Self>),
    Object(BTreeMap<String, Self>),
    /// Values of several types, as JSON text.
    Json,
}

impl Columns {
    /// Takes a record into account.
    pub(super) fn add(&mut self, record: &Fields) {
        for (name, value) in record {
            let kind = self.0.entry(name.clone()).or_insert(Kind::Null);
            *kind = std::mem::replace(kind, Kind::Null).with(Kind::of(value));
        }
    }

    /// The columns with their types in words.
    pub(super) fn names(&self) -> BTreeMap<String, String> {
        let schema = self.schema();
        let fields = schema.fields().iter();
        fields
            .map(|field| (field.name().clone(), field.data_type().to_string()))
            .collect()
    }

    fn schema(&self) -> Schema {
        Schema::new(fields(&self.0))
    }

    /// Writes the records, which lie in a file as JSON lines.
    pub(super) fn write(&self, mut spool: File, path: &Path) -> Result<(Written, u64)> {
        let failed = |source| DataError::Io {
            place: Place::file(path),
            operation: "write",
            source,
        };
        spool.rewind().map_err(failed)?;
        let schema = Arc::new(self.schema());
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("finetune".into())
            .build();
        let draft = Draft::create(path)?;
        let to_error = |error: ParquetError| failed(std::io::Error::other(error));
        let mut writer =
            ArrowWriter::try_new(draft, Arc::clone(&schema), Some(properties)).map_err(to_error)?;
        let mut decoder = ReaderBuilder::new(schema)
            .with_batch_size(CHUNK)
            .build_decoder()
            .map_err(|error| to_error(error.into()))?;
        let mut lines = BufReader::with_capacity(256 << 10, spool);
        let mut rows = 0;
        loop {
            let chunk = self.chunk(&mut lines).map_err(failed)?;
            if chunk.is_empty() {
                break;
            }
            rows += chunk.len() as u64;
            append(&chunk, &mut decoder, &mut writer).map_err(to_error)?;
        }
        let draft = writer.into_inner().map_err(to_error)?;
        Ok((draft.finish()?, rows))
    }

    /// The next records, in the shape of the columns.
    fn chunk(&self, lines: &mut impl BufRead) -> std::io::Result<Vec<Value>> {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        let mut line = Vec::new();
        while chunk.len() < CHUNK && bytes < CHUNK_BYTES {
            line.clear();
            let count = lines.read_until(b'\n', &mut line)?;
            if count == 0 {
                break;
            }
            bytes += count;
            let record: Map<String, Value> = serde_json::from_slice(&line)?;
            chunk.push(object(record, &self.0));
        }
        Ok(chunk)
    }
}

fn append(
    chunk: &[Value],
    decoder: &mut Decoder,
    writer: &mut ArrowWriter<Draft>,
) -> std::result::Result<(), ParquetError> {
    decoder.serialize(chunk)?;
    if let Some(batch) = decoder.flush()? {
        writer.write(&batch)?;
    }
    if writer.in_progress_size() > GROUP_BYTES {
        writer.flush()?;
    }
    Ok(())
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Number(number) => match number.as_i64() {
                Some(number) => Self::Int {
                    exact: number.unsigned_abs() <= 1 << 53,
                },
                None if number.is_u64() => Self::Json,
                None => Self::Float,
            },
            Value::String(_) => Self::Text,
            Value::Array(values) => {
                let kinds = values.iter().map(Self::of);
                Self::List(Box::new(kinds.fold(Self::Null, Self::with)))
            }
            Value::Object(members) => {
                let members = members.iter();
                Self::dictionary(
                    members
                        .map(|(name, value)| (name.clone(), Self::of(value)))
                        .collect(),
                )
            }
        }
    }

    fn dictionary(members: BTreeMap<String, Self>) -> Self {
        if members.len() > NAMES {
            Self::Json
        } else {
            Self::Object(members)
        }
    }

    /// What holds both.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, kind) | (kind, Self::Null) => kind,
            (Self::Int { exact: a }, Self::Int { exact: b }) => Self::Int { exact: a && b },
            (Self::Int { exact: true }, Self::Float) | (Self::Float, Self::Int { exact: true }) => {
                Self::Float
            }
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.with(*b))),
            (Self::Object(mut a), Self::Object(b)) => {
                for (name, kind) in b {
                    let before = a.remove(&name).unwrap_or(Self::Null);
                    a.insert(name, before.with(kind));
                }
                Self::dictionary(a)
            }
            (a, b) if a == b => a,
            _ => Self::Json,
        }
    }

    /// The type of the column; `None` if nothing but null stands in it.
    fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Self::Null => return None,
            Self::Bool => DataType::Boolean,
            Self::Int { .. } => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text | Self::Json => DataType::Utf8,
            // Of a list that is always empty nothing is known; any type will do.
            Self::List(kind) => {
                let inner = kind.data_type().unwrap_or(DataType::Utf8);
                DataType::List(Arc::new(Field::new("element", inner, true)))
            }
            Self::Object(members) => match fields(members) {
                // Parquet has no objects without members.
                fields if fields.is_empty() => DataType::Utf8,
                fields => DataType::Struct(fields.into()),
            },
        })
    }

    /// A value in the shape of the column.
    fn shape(&self, value: Value) -> Value {
        match (self, value) {
            (_, Value::Null) => Value::Null,
            (Self::Json, value) => Value::String(value.to_string()),
            (Self::List(kind), Value::Array(values)) => {
                values.into_iter().map(|value| kind.shape(value)).collect()
            }
            (Self::Object(members), value) if fields(members).is_empty() => {
                Value::String(value.to_string())
            }
            (Self::Object(members), Value::Object(value)) => object(value, members),
            (_, value) => value,
        }
    }
}

/// The members that have a type.
fn fields(members: &BTreeMap<String, Kind>) -> Vec<Field> {
    let members = members.iter();
    members
        .filter_map(|(name, kind)| Some(Field::new(name, kind.data_type()?, true)))
        .collect()
}

fn object(record: Map<String, Value>, kinds: &BTreeMap<String, Kind>) -> Value {
    let members = record.into_iter().filter_map(|(name, value)| {
        let value = kinds.get(&name)?.shape(value);
        Some((name, value))
    });
    Value::Object(members.filter(|(_, value)| !value.is_null()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_column_has_the_type_that_holds_all_of_its_values() {
        let cases = [
            (json!([null, true, false]), "Boolean"),
            (json!([1, -2, null]), "Int64"),
            (json!([1, 0.5]), "Float64"),
            (json!([0.5, 9_007_199_254_740_993_i64]), "Utf8"),
            (json!([1, u64::MAX]), "Utf8"),
            (json!(["a", 1]), "Utf8"),
            (json!([["a"], []]), "List(Utf8, field: 'element')"),
            (json!([{}, {}]), "Utf8"),
            (
                json!([{"a": 1}, {"b": "x", "c": null}]),
                "Struct(\"a\": Int64, \"b\": Utf8)",
            ),
        ];
        for (values, expected) in cases {
            let mut columns = Columns::default();
            for value in values.as_array().unwrap() {
                columns.add(&Fields::from([("x".into(), value.clone())]));
            }
            assert_eq!(columns.names()["x"], expected, "{values}");
        }
        let mut columns = Columns::default();
        columns.add(&Fields::from([("x".into(), Value::Null)]));
        assert!(columns.names().is_empty());
    }
}
