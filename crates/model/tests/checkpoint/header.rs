//! Weight files whose header is damaged, wrong or made to harm.

use std::fs;

use finetune_model::ModelError;

use crate::files::{config, good, open, says, weights_of, write_raw};

#[test]
fn files_that_are_too_short_or_lie_about_their_length() {
    let folder = good(config());
    let refuse = |bytes: &[u8], part: &str| {
        fs::write(weights_of(&folder), bytes).unwrap();
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::SafetensorsHeader { .. }),
            "{error}"
        );
        says(&error, &["model.safetensors", part]);
    };
    refuse(&[], "file has 0 bytes");
    refuse(&[0; 7], "file has 7 bytes");
    refuse(&[0; 8], "must start with '{'");
    let with_length = |length: u64, rest: &[u8]| [&length.to_le_bytes()[..], rest].concat();
    refuse(
        &with_length(u64::MAX, &[0; 8]),
        "header length 18446744073709551615, file has 16 bytes",
    );
    refuse(
        &with_length(9, &[0; 8]),
        "header length 9, file has 16 bytes",
    );
    refuse(
        &with_length(20 << 20, &vec![b' '; 20 << 20]),
        "the limit is 16777216",
    );
}

#[test]
fn headers_that_are_no_object_of_tensors() {
    let folder = good(config());
    let deep = format!("{{\"a\":{}", "[".repeat(10_000));
    let metadata = format!(r#"{{"__metadata__":{{"a":"{}"}}}}"#, "x".repeat(2 << 20));
    for (header, part) in [
        ("[]", "must start with '{'"),
        (" {}", "must start with '{'"),
        ("\u{feff}{}", "must start with '{'"),
        ("{\"a\"", "not a JSON object"),
        (deep.as_str(), "recursion limit"),
        (r#"{"__metadata__":{"a":1}}"#, "must be an object of texts"),
        (r#"{"__metadata__":{},"__metadata__":{}}"#, "occurs twice"),
        (metadata.as_str(), "the limit is 1048576"),
    ] {
        write_raw(&weights_of(&folder), header, &[]);
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::SafetensorsHeader { .. }),
            "{header}: {error}"
        );
        says(&error, &[part]);
    }
    let bytes = [&3u64.to_le_bytes()[..], b"{\xff}"].concat();
    fs::write(weights_of(&folder), bytes).unwrap();
    says(&open(&folder).unwrap_err(), &["not UTF-8 at byte 9"]);
}

fn entry(dtype: &str, shape: &str, range: &str) -> String {
    format!(r#"{{"a.weight":{{"dtype":{dtype},"shape":{shape},"data_offsets":{range}}}}}"#)
}

#[test]
fn tensors_whose_type_shape_and_bytes_do_not_fit() {
    let folder = good(config());
    let huge = "[4294967296,4294967296,4294967296]";
    for (header, part) in [
        (entry(r#""F99""#, "[2]", "[0,8]"), "the type is not known"),
        (entry("3", "[2]", "[0,8]"), "the type is not known"),
        (entry(r#""F32""#, "[-1]", "[0,8]"), "whole numbers"),
        (entry(r#""F32""#, "[2.5]", "[0,8]"), "whole numbers"),
        (
            entry(r#""F32""#, "[3]", "[0,8]"),
            "takes 12 bytes, its range has 8",
        ),
        (entry(r#""F32""#, huge, "[0,8]"), "too many elements"),
        (
            entry(r#""F4""#, "[3]", "[0,1]"),
            "12 bits are no whole bytes",
        ),
        (
            entry(r#""F32""#, "[1,1,1,1,1,1,1,1,2]", "[0,8]"),
            "9 dimensions, the limit is 8",
        ),
        (entry(r#""F32""#, "[2]", "[0]"), "two whole numbers"),
        (
            r#"{"a.weight":{"dtype":"F32","shape":[2]}}"#.to_owned(),
            "expected the fields",
        ),
    ] {
        write_raw(&weights_of(&folder), &header, &[0; 8]);
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::SafetensorsTensor { .. }),
            "{header}: {error}"
        );
        says(&error, &["a.weight", part]);
    }
}

#[test]
fn ranges_with_gaps_overlaps_and_ends_elsewhere() {
    let folder = good(config());
    let two = |first: &str, second: &str| {
        let tensor =
            |range: &str| format!(r#"{{"dtype":"U8","shape":[4],"data_offsets":{range}}}"#);
        format!(r#"{{"a":{},"b":{}}}"#, tensor(first), tensor(second))
    };
    for (header, name, part) in [
        (two("[0,4]", "[5,9]"), "b", "a gap after byte 4"),
        (two("[1,5]", "[5,9]"), "a", "a gap after byte 0"),
        (two("[0,4]", "[3,7]"), "b", "overlaps"),
        (two("[4,0]", "[4,8]"), "a", "ends before it begins"),
        (two("[0,4]", "[4,8]"), "b", "the file has 9 bytes of data"),
        (
            two("[0,4]", "[400,404]"),
            "b",
            "the file has 9 bytes of data",
        ),
    ] {
        write_raw(&weights_of(&folder), &header, &[0; 9]);
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::SafetensorsOffsets { .. }),
            "{header}: {error}"
        );
        says(&error, &[&format!("tensor \"{name}\""), part]);
    }
}

#[test]
fn names_that_are_doubled_or_no_names() {
    let folder = good(config());
    let tensor = r#"{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#;
    write_raw(
        &weights_of(&folder),
        &format!(r#"{{"a":{tensor},"a":{tensor}}}"#),
        &[],
    );
    let error = open(&folder).unwrap_err();
    assert!(
        matches!(error, ModelError::DuplicateTensor { .. }),
        "{error}"
    );
    let long = "x".repeat(600);
    let names = [
        "",
        "a\\u0000b",
        "a\\nb",
        "\\u001b[2J",
        "\\u202eab",
        "../../etc/passwd",
        "a\\\\b",
        &long,
    ];
    for name in names {
        write_raw(
            &weights_of(&folder),
            &format!(r#"{{"{name}":{tensor}}}"#),
            &[],
        );
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::TensorName { .. }),
            "{name}: {error}"
        );
        assert!(
            error.to_string().chars().all(|c| !c.is_control()),
            "{error:?}"
        );
    }
    let many: Vec<String> = (0..70_000).map(|i| format!(r#""{i}":{tensor}"#)).collect();
    write_raw(
        &weights_of(&folder),
        &format!("{{{}}}", many.join(",")),
        &[],
    );
    says(
        &open(&folder).unwrap_err(),
        &["tensors: found 70000, the limit is 65536"],
    );
}
