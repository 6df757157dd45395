//! How much memory the values of a batch take: dictionaries and views hold once what every row repeats.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    BinaryType, ByteArrayType, ByteViewType, LargeBinaryType, LargeUtf8Type, Utf8Type,
};
use arrow_array::{Array, ArrayRef, OffsetSizeTrait, RecordBatch};
use arrow_schema::DataType;
use serde_json::Value;

use crate::document::Document;

/// Takes the bytes of the documents that a batch becomes from what is `left`; `None` if they are more. The time that it
/// takes is bounded by what is left too.
pub(in crate::load) fn spend(batch: &RecordBatch, left: &mut u64) -> Option<()> {
    take(left, batch.num_rows() * size_of::<Document>())?;
    let mut columns = batch.columns().iter();
    columns.try_for_each(|column| values(column, left))
}

fn take(left: &mut u64, bytes: usize) -> Option<()> {
    *left = left.checked_sub(bytes as u64)?;
    Some(())
}

/// The values of a column. What they are not told exactly of (times, digits) is as short as a value itself.
fn values(array: &dyn Array, left: &mut u64) -> Option<()> {
    take(left, array.len().saturating_mul(size_of::<Value>()))?;
    match array.data_type() {
        DataType::Utf8 => texts::<Utf8Type>(array, left),
        DataType::LargeUtf8 => texts::<LargeUtf8Type>(array, left),
        DataType::Binary => texts::<BinaryType>(array, left),
        DataType::LargeBinary => texts::<LargeBinaryType>(array, left),
        DataType::Utf8View => views(array.as_string_view(), left),
        DataType::BinaryView => views(array.as_binary_view(), left),
        DataType::FixedSizeBinary(size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            take(left, array.len().saturating_mul(size))
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            items(list.values(), list.value_offsets(), left)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            items(list.values(), list.value_offsets(), left)
        }
        DataType::Map(..) => {
            let map = array.as_map();
            map.entries()
                .columns()
                .iter()
                .try_for_each(|column| items(column, map.value_offsets(), left))
        }
        DataType::FixedSizeList(..) => values(array.as_fixed_size_list().values(), left),
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            (0..list.len()).try_for_each(|row| values(&list.value(row), left))
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            (0..list.len()).try_for_each(|row| values(&list.value(row), left))
        }
        DataType::Struct(_) => {
            let array = array.as_struct();
            for (name, column) in array.column_names().into_iter().zip(array.columns()) {
                take(left, array.len().saturating_mul(name.len()))?;
                values(column, left)?;
            }
            Some(())
        }
        DataType::Dictionary(..) => entries(array, left),
        _ => Some(()),
    }
}

fn texts<T: ByteArrayType>(array: &dyn Array, left: &mut u64) -> Option<()> {
    let offsets = array.as_bytes::<T>().value_offsets();
    take(left, range(offsets).1)
}

fn views<T: ByteViewType + ?Sized>(
    array: &arrow_array::GenericByteViewArray<T>,
    left: &mut u64,
) -> Option<()> {
    // The lowest bits of a view are the length of its text.
    let mut views = array.views().iter();
    views.try_for_each(|view| take(left, *view as u32 as usize))
}

/// The items of lists that lie one behind the other.
fn items<O: OffsetSizeTrait>(array: &ArrayRef, offsets: &[O], left: &mut u64) -> Option<()> {
    let (start, length) = range(offsets);
    values(&array.slice(start, length), left)
}

/// Where the first one starts, and how long all are.
fn range<O: OffsetSizeTrait>(offsets: &[O]) -> (usize, usize) {
    match offsets {
        [first, .., last] => (first.as_usize(), last.as_usize() - first.as_usize()),
        _ => (0, 0),
    }
}

/// The values that rows name by their numbers, each as often as it is named.
fn entries(array: &dyn Array, left: &mut u64) -> Option<()> {
    let dictionary = array.as_any_dictionary();
    let named = dictionary.values();
    if named.is_empty() {
        return Some(());
    }
    let keys = dictionary.normalized_keys().into_iter().enumerate();
    keys.filter(|(row, _)| array.is_valid(*row))
        .try_for_each(|(_, key)| values(&named.slice(key, 1), left))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::types::Int8Type;
    use arrow_array::{DictionaryArray, Int64Array, StringArray, StringViewArray};

    use super::*;

    fn bytes(column: ArrayRef) -> u64 {
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let mut left = u64::MAX;
        spend(&batch, &mut left).unwrap();
        let rows = batch.num_rows() * (size_of::<Document>() + size_of::<Value>());
        u64::MAX - left - rows as u64
    }

    #[test]
    fn what_rows_repeat_is_counted_for_each() {
        let long = "x".repeat(100);
        let plain = StringArray::from(vec![Some(long.as_str()), None, Some("y")]);
        assert_eq!(bytes(Arc::new(plain.clone())), 101);
        assert_eq!(bytes(Arc::new(plain.slice(1, 2))), 1);
        assert_eq!(bytes(Arc::new(Int64Array::from(vec![1, 2]))), 0);
        let view = StringViewArray::from(vec![long.as_str(), &long, "y"]);
        assert_eq!(bytes(Arc::new(view)), 201);
        let named: DictionaryArray<Int8Type> = [Some(long.as_str()), None, Some(&long), Some("y")]
            .into_iter()
            .collect();
        let value = size_of::<Value>() as u64;
        assert_eq!(bytes(Arc::new(named)), 201 + 3 * value);
        let mut list = ListBuilder::new(StringBuilder::new());
        list.append_value([Some(long.as_str()), Some("y")]);
        list.append_value([Some("z")]);
        let list = list.finish();
        assert_eq!(bytes(Arc::new(list.slice(1, 1))), 1 + value);
        assert_eq!(bytes(Arc::new(list)), 102 + 3 * value);
    }

    #[test]
    fn nothing_is_left_where_it_is_too_much() {
        let batch: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(100)]));
        let batch = RecordBatch::try_from_iter([("a", batch)]).unwrap();
        let needed = (size_of::<Document>() + size_of::<Value>()) as u64 + 100;
        assert_eq!(spend(&batch, &mut { needed }), Some(()));
        assert_eq!(spend(&batch, &mut { needed - 1 }), None);
    }
}
