//! The report as a page, a table and JSON.

mod sample;

use finetune_eval::Report;

/// The folder for what these tests write.
fn folder() -> std::path::PathBuf {
    env!("CARGO_TARGET_TMPDIR").into()
}

#[test]
fn the_sample_renders() {
    let report = sample::report(120).unwrap();
    let path = folder().join("sample.html");
    report.write(&path).unwrap();
    println!("{report}");
    let again = Report::from_json(&report.to_json()).unwrap();
    assert_eq!(
        again.to_html().unwrap(),
        std::fs::read_to_string(&path).unwrap()
    );
}
