//! Values that JSON has no type for.

use serde_json::{Number, Value};

/// A float as a number. JSON has no word for what is none, so these become texts that say it.
pub(super) fn float(value: f64) -> Value {
    let text = match Number::from_f64(value) {
        Some(number) => return Value::Number(number),
        None if value.is_nan() => "NaN",
        None if value > 0.0 => "Infinity",
        None => "-Infinity",
    };
    Value::String(text.into())
}

/// Base 64 with padding, as RFC 4648 has it.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..4 {
            if letter > group.len() {
                text.push('=');
            } else {
                text.push(char::from(
                    LETTERS[(bits >> (18 - 6 * letter) & 63) as usize],
                ));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("\0~ÿ", "AH7Dvw=="),
        ];
        for (bytes, text) in cases {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xFB, 0xFF, 0xBF]), "+/+/");
    }

    #[test]
    fn floats_that_json_lacks_are_texts() {
        assert_eq!(float(-0.0).to_string(), "-0.0");
        assert_eq!(float(f64::NAN), "NaN");
        assert_eq!(float(f64::NEG_INFINITY), "-Infinity");
    }
}
