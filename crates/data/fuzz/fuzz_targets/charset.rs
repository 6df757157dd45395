#![no_main]

// What a page says of its encoding: the bytes stand in its head.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let page = [
        b"<html><head><meta ".as_slice(),
        bytes,
        b"<body><p>Gr\xFC\xDFe",
    ]
    .concat();
    finetune_data_fuzz::load("a.html", &page);
});
