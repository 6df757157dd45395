#![no_main]

use finetune_data::quality::Sensitive;

// What is found lies in the text, in order and apart, and a masked text has none of it.
libfuzzer_sys::fuzz_target!(|text: &str| {
    let sensitive = Sensitive::default();
    let (masked, found) = sensitive.mask(text);
    let mut end = 0;
    for finding in &found {
        assert!(finding.span.start >= end && finding.span.end > finding.span.start);
        assert!(text.get(finding.span.clone()).is_some());
        end = finding.span.end;
    }
    assert!(end <= text.len());
    assert_eq!(found.is_empty(), masked == text);
});
