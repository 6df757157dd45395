//! The header of a safetensors file: read, checked against everything that a hostile file may claim, and written.
//!
//! The format (<https://huggingface.co/docs/safetensors>): eight bytes with the header's length, a JSON object that
//! maps names to type, shape and byte range, then the bytes of the tensors without gaps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::dtype::Dtype;

use crate::error::{ModelError, Result, escape, is_plain};

/// The longest header that is read, in bytes.
pub(super) const LONGEST_HEADER: u64 = 16 << 20;
/// The most tensors that a file may have.
const MOST_TENSORS: usize = 1 << 16;
/// The longest name of a tensor, in bytes.
const LONGEST_NAME: usize = 512;
/// The most dimensions that a tensor may have.
const MOST_DIMENSIONS: usize = 8;
/// The most text that `__metadata__` may hold, in bytes.
const MOST_METADATA: usize = 1 << 20;
/// The key that holds free text instead of a tensor.
const METADATA: &str = "__metadata__";

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// First byte, counted from the end of the header.
    pub(super) begin: u64,
    /// One past the last byte.
    pub(super) end: u64,
}

impl Stored {
    pub(super) fn bytes(&self) -> u64 {
        self.end - self.begin
    }
}

/// A checked header.
#[derive(Debug, Clone, Default)]
pub(super) struct Header {
    /// In the order of their bytes.
    pub(super) tensors: Vec<Stored>,
    pub(super) metadata: BTreeMap<String, String>,
}

impl Header {
    /// The length of the header that follows the first eight bytes of a file.
    pub(super) fn length(path: &Path, first: [u8; 8], file: u64) -> Result<u64> {
        let length = u64::from_le_bytes(first);
        if length > file - 8 {
            let why = format!("header length {length}, file has {file} bytes");
            return Err(broken(path, why));
        }
        if length > LONGEST_HEADER {
            let why = format!("header length {length}, the limit is {LONGEST_HEADER}");
            return Err(broken(path, why));
        }
        Ok(length)
    }

    /// Reads a header and checks it against the number of bytes that follow it.
    pub(super) fn parse(path: &Path, bytes: &[u8], data: u64) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let place = 8 + error.valid_up_to();
            broken(path, format!("not UTF-8 at byte {place}"))
        })?;
        if !text.starts_with('{') {
            let found = escape(&text.chars().take(1).collect::<String>());
            let why = format!("found \"{found}\" at byte 8; must start with '{{'");
            return Err(broken(path, why));
        }
        let raw: Raw = serde_json::from_str(text).map_err(|error| {
            let why = escape(&error.to_string());
            broken(path, format!("not a JSON object of tensors: {why}"))
        })?;
        if raw.tensors > MOST_TENSORS {
            let limit = MOST_TENSORS as u64;
            return Err(over(path, "tensors", raw.tensors as u64, limit));
        }
        let metadata = metadata(path, &raw.metadata)?;
        let mut seen = BTreeSet::new();
        let mut tensors = Vec::with_capacity(raw.entries.len());
        for (name, value) in raw.entries {
            check_name(path, &name)?;
            if !seen.insert(name.clone()) {
                let (path, name) = (path.to_owned(), escape(&name));
                return Err(ModelError::DuplicateTensor { path, name });
            }
            tensors.push(stored(path, name, &value)?);
        }
        tensors.sort_by_key(|tensor| (tensor.begin, tensor.end));
        check_ranges(path, &tensors, data)?;
        Ok(Self { tensors, metadata })
    }

    /// The bytes of a header, its length in front, padded so that the tensors begin at a multiple of eight.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut object = serde_json::Map::new();
        if !self.metadata.is_empty() {
            object.insert(METADATA.to_owned(), serde_json::json!(self.metadata));
        }
        for tensor in &self.tensors {
            let value = serde_json::json!({
                "dtype": tensor.dtype.name(),
                "shape": tensor.shape,
                "data_offsets": [tensor.begin, tensor.end],
            });
            object.insert(tensor.name.clone(), value);
        }
        let mut text = Value::Object(object).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend(text);
        bytes
    }
}

/// The header's JSON with every entry that it has, doubled ones included.
#[derive(Default)]
struct Raw {
    entries: Vec<(String, Value)>,
    /// How many there are; only the allowed number is kept.
    tensors: usize,
    metadata: Vec<Value>,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut raw = Raw::default();
                while let Some(name) = map.next_key::<String>()? {
                    let value = map.next_value::<Value>()?;
                    if name == METADATA {
                        raw.metadata.push(value);
                        continue;
                    }
                    raw.tensors += 1;
                    if raw.tensors <= MOST_TENSORS {
                        raw.entries.push((name, value));
                    }
                }
                Ok(raw)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

fn metadata(path: &Path, values: &[Value]) -> Result<BTreeMap<String, String>> {
    let wrong = |why: &str| Err(broken(path, format!("{METADATA} {why}")));
    let object = match values {
        [] => return Ok(BTreeMap::new()),
        [Value::Object(object)] => object,
        [_] => return wrong("must be an object of texts"),
        _ => return wrong("occurs twice"),
    };
    let mut size = 0;
    let mut metadata = BTreeMap::new();
    for (name, value) in object {
        let Value::String(text) = value else {
            return wrong("must be an object of texts");
        };
        size += name.len() + text.len();
        metadata.insert(name.clone(), text.clone());
    }
    if size > MOST_METADATA {
        return wrong(&format!("has {size} bytes, the limit is {MOST_METADATA}"));
    }
    Ok(metadata)
}

fn check_name(path: &Path, name: &str) -> Result<()> {
    let why = if name.is_empty() {
        "is empty".to_owned()
    } else if name.len() > LONGEST_NAME {
        format!("has {} bytes, the limit is {LONGEST_NAME}", name.len())
    } else if !name.chars().all(is_plain) {
        "holds a control character".to_owned()
    } else if name.contains("..") || name.contains(['/', '\\']) {
        "looks like a path".to_owned()
    } else {
        return Ok(());
    };
    let (path, name) = (path.to_owned(), escape(name));
    Err(ModelError::TensorName { path, name, why })
}

fn stored(path: &Path, name: String, value: &Value) -> Result<Stored> {
    let field = |key: &str| value.get(key).unwrap_or(&Value::Null);
    let wrong = |why: String| ModelError::SafetensorsTensor {
        path: path.to_owned(),
        name: escape(&name),
        dtype: escape(&field("dtype").to_string()),
        shape: escape(&field("shape").to_string()),
        why,
    };
    let known = ["dtype", "shape", "data_offsets"];
    let fields = value.as_object().filter(|fields| {
        fields.len() == known.len() && known.iter().all(|key| fields.contains_key(*key))
    });
    if fields.is_none() {
        return Err(wrong(format!("expected the fields {}", known.join(", "))));
    }
    let Some(dtype) = field("dtype").as_str().and_then(Dtype::named) else {
        return Err(wrong("the type is not known".to_owned()));
    };
    let Some(shape) = whole_numbers(field("shape")) else {
        return Err(wrong("the shape must be whole numbers".to_owned()));
    };
    if shape.len() > MOST_DIMENSIONS {
        return Err(wrong(format!(
            "{} dimensions, the limit is {MOST_DIMENSIONS}",
            shape.len()
        )));
    }
    let Some([begin, end]) =
        whole_numbers(field("data_offsets")).and_then(|range| <[u64; 2]>::try_from(range).ok())
    else {
        return Err(wrong("data_offsets must be two whole numbers".to_owned()));
    };
    if begin > end {
        return Err(offsets(
            path,
            &name,
            begin,
            end,
            "the range ends before it begins",
        ));
    }
    let count = shape
        .iter()
        .try_fold(1u64, |count, size| count.checked_mul(*size));
    let bits = count.and_then(|count| count.checked_mul(dtype.bits()));
    match bits {
        None => Err(wrong("too many elements".to_owned())),
        Some(bits) if bits % 8 != 0 => Err(wrong(format!("{bits} bits are no whole bytes"))),
        Some(bits) if bits / 8 != end - begin => {
            let why = format!("takes {} bytes, its range has {}", bits / 8, end - begin);
            Err(wrong(why))
        }
        Some(_) => Ok(Stored {
            shape: shape.iter().map(|size| *size as usize).collect(),
            name,
            dtype,
            begin,
            end,
        }),
    }
}

fn whole_numbers(value: &Value) -> Option<Vec<u64>> {
    value.as_array()?.iter().map(Value::as_u64).collect()
}

/// The ranges must follow each other without gap or overlap and fill the file.
fn check_ranges(path: &Path, tensors: &[Stored], data: u64) -> Result<()> {
    let mut filled = 0;
    for tensor in tensors {
        let Stored {
            name, begin, end, ..
        } = tensor;
        let why = if *end > data {
            format!("the file has {data} bytes of data")
        } else if *begin > filled {
            format!("a gap after byte {filled}")
        } else if *begin < filled {
            format!("overlaps a tensor that ends at byte {filled}")
        } else {
            filled = *end;
            continue;
        };
        return Err(offsets(path, name, *begin, *end, &why));
    }
    if filled == data {
        return Ok(());
    }
    let name = tensors
        .last()
        .map_or("(none)", |tensor| tensor.name.as_str());
    let why = format!("the last tensor, but the file has {data} bytes of data");
    Err(offsets(path, name, filled, filled, &why))
}

fn broken(path: &Path, why: impl Into<String>) -> ModelError {
    ModelError::SafetensorsHeader {
        path: path.to_owned(),
        why: why.into(),
    }
}

fn over(path: &Path, what: &'static str, found: u64, limit: u64) -> ModelError {
    ModelError::Limit {
        path: path.to_owned(),
        what,
        found,
        limit,
    }
}

fn offsets(path: &Path, name: &str, begin: u64, end: u64, why: &str) -> ModelError {
    ModelError::SafetensorsOffsets {
        path: path.to_owned(),
        name: escape(name),
        begin,
        end,
        why: why.to_owned(),
    }
}
