//! The names that the beginning of a JSON file shows, by which exports are told from other JSON.

use std::collections::BTreeSet;

/// The paths of the names in the beginning of a JSON value, which may be cut anywhere: `messages[].sender_name`.
/// What nests deeper than a few levels is not listed. A path without names is that of the value's first bracket.
pub(super) struct Outline {
    paths: BTreeSet<String>,
}

const DEPTH: usize = 6;

impl Outline {
    pub(super) fn of(head: &[u8]) -> Self {
        let mut scan = Scan {
            bytes: head,
            at: 0,
            paths: BTreeSet::new(),
        };
        scan.value(&mut Vec::new());
        Self { paths: scan.paths }
    }

    /// Whether all of these paths are there.
    pub(super) fn has(&self, paths: &[&str]) -> bool {
        paths.iter().all(|path| self.paths.contains(*path))
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    paths: BTreeSet<String>,
}

/// A bracket that is open: the length of the path before it, and whether it is an object's.
struct Open {
    path: usize,
    object: bool,
}

impl Scan<'_> {
    /// Walks over the value without recursion. Names are what a colon follows.
    fn value(&mut self, open: &mut Vec<Open>) {
        let mut path = String::new();
        while let Some(byte) = self.bytes.get(self.at).copied() {
            self.at += 1;
            match byte {
                b'{' | b'[' => {
                    let before = path.len();
                    if byte == b'[' {
                        path.push_str("[]");
                    }
                    open.push(Open {
                        path: before,
                        object: byte == b'{',
                    });
                }
                b'}' | b']' => match open.pop() {
                    Some(Open { path: before, .. }) => path.truncate(before),
                    None => return,
                },
                b',' => {
                    if let Some(Open {
                        path: before,
                        object,
                    }) = open.last()
                    {
                        path.truncate(*before + if *object { 0 } else { 2 });
                    }
                }
                b'"' => {
                    let Some(text) = self.string() else { return };
                    if open.last().is_some_and(|open| open.object) && self.colon() {
                        if !path.is_empty() {
                            path.push('.');
                        }
                        path.push_str(&text);
                        if open.len() <= DEPTH {
                            self.paths.insert(path.clone());
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// The rest of a string, escapes left as they are; `None` if it is cut.
    fn string(&mut self) -> Option<String> {
        let start = self.at;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        let text = self.bytes.get(start..self.at - 1)?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn colon(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        rest.trim_ascii_start().first() == Some(&b':')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_names_of_a_cut_value_are_listed() {
        let text = r#" {"participants": [{"name": "A: \"{"}, {"name": "B"}], "messages": [{"sender_name": "A", "n": {"x": [1, 2]}, "co"#;
        let outline = Outline::of(text.as_bytes());
        let expected = [
            "messages",
            "messages[].n",
            "messages[].n.x",
            "messages[].sender_name",
            "participants",
            "participants[].name",
        ];
        assert_eq!(outline.paths.into_iter().collect::<Vec<_>>(), expected);
        assert!(Outline::of(b"[{\"ts\": 1}]").has(&["[].ts"]));
        assert!(!Outline::of(b"\"ts\": 1").has(&["ts"]));
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_outline(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            Outline::of(&bytes);
        }

        #[test]
        fn any_brackets_have_an_outline(text in "[\\[\\]{}\":,\\\\a]{0,80}") {
            Outline::of(text.as_bytes());
        }
    }
}
