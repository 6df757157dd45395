//! Values of Arrow columns as JSON values: what Parquet and Arrow files share.
//!
//! arrow-json writes text, drops what JSON cannot say, and knows no bound on a row. Here a value is made of a cell
//! without a detour over text, and every value keeps what it says: integers and floats exactly, decimals digit by
//! digit.

mod size;
mod time;

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, ArrowPrimitiveType, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DecimalType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow_schema::{DataType, Fields, Schema};
use serde_json::{Map, Number, Value};

pub(super) use size::spend;

use super::values::{base64, float};
use crate::document;
use crate::error::{DataError, Place, Result, escaped, quoted};

/// How much one row may take in memory, in bytes. A row repeats what a dictionary or an overlapping view holds once,
/// so the size of the file says nothing about it.
const ROW_LIMIT: u64 = 64 << 20;
/// How deep types may nest.
const DEPTH_LIMIT: usize = 64;

/// Refuses columns that have no value in JSON: types that are not known here, a name twice, none at all.
pub(super) fn check(schema: &Schema, place: &Place) -> Result<()> {
    if schema.fields().is_empty() {
        return Err(DataError::Unsupported {
            place: place.clone(),
            what: "a table without columns".into(),
            hint: "Write the table with at least one column",
        });
    }
    fields(schema.fields(), place, 0)
}

fn fields(fields: &Fields, place: &Place, depth: usize) -> Result<()> {
    let mut names = HashSet::new();
    for field in fields {
        if !names.insert(field.name()) {
            return Err(DataError::DuplicateKey {
                place: place.clone(),
                key: quoted(field.name()),
            });
        }
        known(field.data_type(), field.name(), place, depth)?;
    }
    Ok(())
}

fn known(kind: &DataType, name: &str, place: &Place, depth: usize) -> Result<()> {
    if depth >= DEPTH_LIMIT {
        return Err(DataError::TooDeep {
            place: place.clone(),
            limit: DEPTH_LIMIT,
        });
    }
    match kind {
        DataType::Struct(inner) => fields(inner, place, depth + 1),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => known(item.data_type(), name, place, depth + 1),
        DataType::Dictionary(_, values) => known(values, name, place, depth + 1),
        DataType::Union(..) | DataType::RunEndEncoded(..) | DataType::Interval(_) => {
            Err(DataError::Unsupported {
                place: place.clone(),
                what: format!(
                    "the type {} of column {}",
                    escaped(&kind.to_string()),
                    quoted(name)
                ),
                hint: "Cast the column to text or a number before the file is written",
            })
        }
        _ => Ok(()),
    }
}

/// The fields of a row of a batch.
pub(super) fn row(batch: &RecordBatch, row: usize, place: &Place) -> Result<document::Fields> {
    let schema = batch.schema_ref();
    let mut cells = Cells {
        place,
        left: ROW_LIMIT,
    };
    let columns = schema.fields().iter().zip(batch.columns());
    columns
        .map(|(field, column)| Ok((field.name().clone(), cells.value(column, row)?)))
        .collect()
}

/// Makes the values of one row.
struct Cells<'a> {
    place: &'a Place,
    /// How many bytes the row may still take.
    left: u64,
}

impl Cells<'_> {
    fn value(&mut self, array: &dyn Array, row: usize) -> Result<Value> {
        self.spend(size_of::<Value>())?;
        if array.is_null(row) {
            return Ok(Value::Null);
        }
        match array.data_type() {
            DataType::Null => Ok(Value::Null),
            DataType::Boolean => Ok(Value::Bool(array.as_boolean().value(row))),
            kind if kind.is_integer() => Ok(Value::Number(integer(array, row))),
            kind if kind.is_floating() => Ok(float(real(array, row))),
            kind if kind.is_decimal() => Ok(Value::String(decimal(array, row))),
            kind if kind.is_temporal() => self.time(array, row),
            DataType::Utf8 => self.text(array.as_string::<i32>().value(row)),
            DataType::LargeUtf8 => self.text(array.as_string::<i64>().value(row)),
            DataType::Utf8View => self.text(array.as_string_view().value(row)),
            DataType::Binary => self.binary(array.as_binary::<i32>().value(row)),
            DataType::LargeBinary => self.binary(array.as_binary::<i64>().value(row)),
            DataType::BinaryView => self.binary(array.as_binary_view().value(row)),
            DataType::FixedSizeBinary(_) => self.binary(array.as_fixed_size_binary().value(row)),
            DataType::List(_) => self.list(&array.as_list::<i32>().value(row)),
            DataType::LargeList(_) => self.list(&array.as_list::<i64>().value(row)),
            DataType::ListView(_) => self.list(&array.as_list_view::<i32>().value(row)),
            DataType::LargeListView(_) => self.list(&array.as_list_view::<i64>().value(row)),
            DataType::FixedSizeList(..) => self.list(&array.as_fixed_size_list().value(row)),
            DataType::Struct(_) => self.object(array.as_struct(), row),
            DataType::Map(..) => self.map(&array.as_map().value(row)),
            DataType::Dictionary(keys, _) => self.entry(array, keys, row),
            kind => Err(self.unreadable(kind)),
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<()> {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.ok_or_else(|| DataError::LimitExceeded {
            place: self.place.clone(),
            what: "the size of the row in bytes",
            found: ROW_LIMIT - self.left + bytes as u64,
            limit: ROW_LIMIT,
            hint: "Split the row, or leave out its large columns when the file is written",
        })?;
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<Value> {
        self.spend(text.len())?;
        Ok(Value::String(text.to_string()))
    }

    fn binary(&mut self, bytes: &[u8]) -> Result<Value> {
        self.spend(bytes.len().div_ceil(3) * 4)?;
        Ok(Value::String(base64(bytes)))
    }

    fn list(&mut self, items: &ArrayRef) -> Result<Value> {
        let items: Result<_> = (0..items.len())
            .map(|item| self.value(items, item))
            .collect();
        Ok(Value::Array(items?))
    }

    fn object(&mut self, array: &StructArray, row: usize) -> Result<Value> {
        let mut object = Map::new();
        for (name, column) in array.column_names().into_iter().zip(array.columns()) {
            self.spend(name.len())?;
            object.insert(name.to_string(), self.value(column, row)?);
        }
        Ok(Value::Object(object))
    }

    fn map(&mut self, entries: &StructArray) -> Result<Value> {
        let (keys, values) = (entries.column(0), entries.column(1));
        let mut object = Map::new();
        for entry in 0..entries.len() {
            let key = match self.value(keys, entry)? {
                Value::String(key) => key,
                key => key.to_string(),
            };
            let value = self.value(values, entry)?;
            if object.contains_key(&key) {
                return Err(DataError::DuplicateKey {
                    place: self.place.clone(),
                    key: quoted(&key),
                });
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }

    /// A value that the file holds once and names by a number.
    fn entry(&mut self, array: &dyn Array, keys: &DataType, row: usize) -> Result<Value> {
        match keys {
            DataType::Int8 => self.keyed::<Int8Type>(array, row),
            DataType::Int16 => self.keyed::<Int16Type>(array, row),
            DataType::Int32 => self.keyed::<Int32Type>(array, row),
            DataType::Int64 => self.keyed::<Int64Type>(array, row),
            DataType::UInt8 => self.keyed::<UInt8Type>(array, row),
            DataType::UInt16 => self.keyed::<UInt16Type>(array, row),
            DataType::UInt32 => self.keyed::<UInt32Type>(array, row),
            DataType::UInt64 => self.keyed::<UInt64Type>(array, row),
            kind => Err(self.unreadable(kind)),
        }
    }

    fn keyed<K: ArrowDictionaryKeyType>(&mut self, array: &dyn Array, row: usize) -> Result<Value> {
        let array = array.as_dictionary::<K>();
        match array.key(row) {
            Some(key) => self.value(array.values(), key),
            None => Ok(Value::Null),
        }
    }

    fn time(&self, array: &dyn Array, row: usize) -> Result<Value> {
        let text = time::text(array, row).map(Value::String);
        text.ok_or_else(|| DataError::NumberRange {
            place: self.place.clone(),
            number: format!(
                "behind a value of type {}",
                escaped(&array.data_type().to_string())
            ),
        })
    }

    fn unreadable(&self, kind: &DataType) -> DataError {
        DataError::Unsupported {
            place: self.place.clone(),
            what: format!("the type {}", escaped(&kind.to_string())),
            hint: "Cast the column to text or a number before the file is written",
        }
    }
}

fn native<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> T::Native {
    array.as_primitive::<T>().value(row)
}

fn integer(array: &dyn Array, row: usize) -> Number {
    match array.data_type() {
        DataType::Int8 => native::<Int8Type>(array, row).into(),
        DataType::Int16 => native::<Int16Type>(array, row).into(),
        DataType::Int32 => native::<Int32Type>(array, row).into(),
        DataType::UInt8 => native::<UInt8Type>(array, row).into(),
        DataType::UInt16 => native::<UInt16Type>(array, row).into(),
        DataType::UInt32 => native::<UInt32Type>(array, row).into(),
        DataType::UInt64 => native::<UInt64Type>(array, row).into(),
        _ => native::<Int64Type>(array, row).into(),
    }
}

fn real(array: &dyn Array, row: usize) -> f64 {
    match array.data_type() {
        DataType::Float16 => native::<Float16Type>(array, row).to_f64(),
        DataType::Float32 => native::<Float32Type>(array, row).into(),
        _ => native::<Float64Type>(array, row),
    }
}

fn decimal(array: &dyn Array, row: usize) -> String {
    fn exact<T: DecimalType>(array: &dyn Array, row: usize) -> String {
        array.as_primitive::<T>().value_as_string(row)
    }
    match array.data_type() {
        DataType::Decimal32(..) => exact::<Decimal32Type>(array, row),
        DataType::Decimal64(..) => exact::<Decimal64Type>(array, row),
        DataType::Decimal256(..) => exact::<Decimal256Type>(array, row),
        _ => exact::<Decimal128Type>(array, row),
    }
}
