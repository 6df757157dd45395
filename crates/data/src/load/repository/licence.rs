//! The licence of a source file, as SPDX names it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The names that a licence's file has, in the order in which they are looked for.
const FILES: [&str; 6] = [
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "LICENCE",
    "COPYING",
    "LICENSE-MIT",
];
/// How much of it is read, in bytes; each licence says in its first lines which one it is.
const HEAD: u64 = 4096;
/// What a licence is known by; all parts of a row must be there, the more special rows first.
const KNOWN: [(&str, &[&str]); 12] = [
    (
        "AGPL-3.0-only",
        &["GNU AFFERO GENERAL PUBLIC LICENSE", "Version 3"],
    ),
    (
        "LGPL-3.0-only",
        &["GNU LESSER GENERAL PUBLIC LICENSE", "Version 3"],
    ),
    (
        "LGPL-2.1-only",
        &["GNU LESSER GENERAL PUBLIC LICENSE", "Version 2.1"],
    ),
    ("GPL-3.0-only", &["GNU GENERAL PUBLIC LICENSE", "Version 3"]),
    ("GPL-2.0-only", &["GNU GENERAL PUBLIC LICENSE", "Version 2"]),
    ("Apache-2.0", &["Apache License", "Version 2.0"]),
    ("MPL-2.0", &["Mozilla Public License", "2.0"]),
    (
        "BSD-3-Clause",
        &[
            "Redistribution and use in source and binary forms",
            "Neither the name",
        ],
    ),
    (
        "BSD-2-Clause",
        &["Redistribution and use in source and binary forms"],
    ),
    (
        "ISC",
        &["Permission to use, copy, modify, and/or distribute this software"],
    ),
    ("Unlicense", &["This is free and unencumbered software"]),
    ("MIT", &["Permission is hereby granted, free of charge"]),
];

/// The licence that a text names itself, else that of the tree.
pub(super) fn of(text: &str, root: Option<&Path>) -> Option<String> {
    own(text).or_else(|| tree(root?).map(str::to_owned))
}

fn own(text: &str) -> Option<String> {
    let line = text
        .lines()
        .take(20)
        .find_map(|line| line.split_once("SPDX-License-Identifier:"))?;
    let name = line
        .1
        .trim()
        .trim_end_matches("*/")
        .trim_end_matches("-->")
        .trim();
    (!name.is_empty() && name.len() < 100).then(|| name.to_owned())
}

fn tree(root: &Path) -> Option<&'static str> {
    let text = FILES.iter().find_map(|name| {
        let mut head = Vec::new();
        let file = File::open(root.join(name)).ok()?;
        file.take(HEAD).read_to_end(&mut head).ok()?;
        Some(String::from_utf8_lossy(&head).into_owned())
    })?;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    KNOWN
        .iter()
        .find(|(_, parts)| parts.iter().all(|part| text.contains(part)))
        .map(|(name, _)| *name)
}
