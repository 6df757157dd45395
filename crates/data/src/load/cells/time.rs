//! Dates, times and durations as ISO 8601 writes them.

use arrow_array::Array;
use arrow_array::temporal_conversions::{as_date, as_datetime, as_time};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_schema::{DataType, TimeUnit};

use super::native;

/// The text of a cell, or `None` if it lies outside of the calendar. A time stamp with a zone is an instant: it is
/// written in UTC, with `Z`.
pub(super) fn text(array: &dyn Array, row: usize) -> Option<String> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};

    match array.data_type() {
        DataType::Date32 => date::<Date32Type>(array, row),
        DataType::Date64 => date::<Date64Type>(array, row),
        DataType::Time32(Second) => clock::<Time32SecondType>(array, row),
        DataType::Time32(Millisecond) => clock::<Time32MillisecondType>(array, row),
        DataType::Time64(Microsecond) => clock::<Time64MicrosecondType>(array, row),
        DataType::Time64(Nanosecond) => clock::<Time64NanosecondType>(array, row),
        DataType::Timestamp(Second, zone) => {
            instant::<TimestampSecondType>(array, row, zone.is_some())
        }
        DataType::Timestamp(Millisecond, zone) => {
            instant::<TimestampMillisecondType>(array, row, zone.is_some())
        }
        DataType::Timestamp(Microsecond, zone) => {
            instant::<TimestampMicrosecondType>(array, row, zone.is_some())
        }
        DataType::Timestamp(Nanosecond, zone) => {
            instant::<TimestampNanosecondType>(array, row, zone.is_some())
        }
        DataType::Duration(Second) => Some(span::<DurationSecondType>(array, row, 0)),
        DataType::Duration(Millisecond) => Some(span::<DurationMillisecondType>(array, row, 3)),
        DataType::Duration(Microsecond) => Some(span::<DurationMicrosecondType>(array, row, 6)),
        DataType::Duration(Nanosecond) => Some(span::<DurationNanosecondType>(array, row, 9)),
        _ => None,
    }
}

fn date<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &dyn Array, row: usize) -> Option<String> {
    let date = as_date::<T>(native::<T>(array, row).into())?;
    Some(date.format("%Y-%m-%d").to_string())
}

fn clock<T: ArrowPrimitiveType<Native: Into<i64>>>(
    array: &dyn Array,
    row: usize,
) -> Option<String> {
    let time = as_time::<T>(native::<T>(array, row).into())?;
    Some(time.format("%H:%M:%S%.f").to_string())
}

fn instant<T: ArrowPrimitiveType<Native: Into<i64>>>(
    array: &dyn Array,
    row: usize,
    zone: bool,
) -> Option<String> {
    let time = as_datetime::<T>(native::<T>(array, row).into())?;
    let zone = if zone { "Z" } else { "" };
    Some(format!("{}{zone}", time.format("%Y-%m-%dT%H:%M:%S%.f")))
}

/// A duration of so many units of `10^-digits` seconds.
fn span<T: ArrowPrimitiveType<Native: Into<i64>>>(
    array: &dyn Array,
    row: usize,
    digits: u32,
) -> String {
    let value: i64 = native::<T>(array, row).into();
    let sign = if value < 0 { "-" } else { "" };
    let unit = 10_u64.pow(digits);
    let (whole, part) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
    let width = digits as usize;
    let text = format!("{whole}.{part:0width$}");
    format!(
        "{sign}PT{}S",
        text.trim_end_matches('0').trim_end_matches('.')
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, Date32Array, Date64Array, DurationMillisecondArray, Time32SecondArray,
        Time64NanosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
        TimestampNanosecondArray, TimestampSecondArray,
    };

    use super::*;

    #[test]
    fn what_lies_outside_of_the_calendar_has_no_text() {
        let (low, high) = (i64::MIN, i64::MAX);
        let outside: [ArrayRef; 9] = [
            Arc::new(Date32Array::from(vec![i32::MIN, i32::MAX])),
            Arc::new(Date64Array::from(vec![low, high])),
            Arc::new(Time32SecondArray::from(vec![-1, 86_400])),
            Arc::new(Time64NanosecondArray::from(vec![low, high])),
            Arc::new(TimestampSecondArray::from(vec![low, high])),
            Arc::new(TimestampMillisecondArray::from(vec![low, high])),
            Arc::new(TimestampSecondArray::from(vec![low, high]).with_timezone("x")),
            Arc::new(Date64Array::from(vec![low + 1, high - 1])),
            Arc::new(TimestampMillisecondArray::from(vec![low + 1, high - 1])),
        ];
        for array in outside {
            for row in 0..2 {
                assert_eq!(text(&array, row), None, "{array:?}");
            }
        }
    }

    #[test]
    fn the_ends_of_what_can_be_said_are_said() {
        let cases: [(ArrayRef, &str); 5] = [
            (
                Arc::new(TimestampNanosecondArray::from(vec![i64::MAX])),
                "2262-04-11T23:47:16.854775807",
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![-1]).with_timezone("x")),
                "1969-12-31T23:59:59.999999Z",
            ),
            (
                Arc::new(DurationMillisecondArray::from(vec![i64::MIN])),
                "-PT9223372036854775.808S",
            ),
            (
                Arc::new(DurationMillisecondArray::from(vec![100_000])),
                "PT100S",
            ),
            (Arc::new(Date32Array::from(vec![0])), "1970-01-01"),
        ];
        for (array, expected) in cases {
            assert_eq!(text(&array, 0).as_deref(), Some(expected));
        }
    }
}
