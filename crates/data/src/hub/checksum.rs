//! The checksums that the hub promises, which are also the names of the cache's files.

use std::fmt;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What the content of a file must hash to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Checksum {
    /// Of a large file: SHA-256 of the content, in hexadecimal digits.
    Sha256(String),
    /// Of a small file: SHA-1 of `blob <length>\0` and the content, as git names it, in hexadecimal digits.
    GitBlob(String),
}

impl Checksum {
    /// Reads 64 or 40 hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let text = text.to_ascii_lowercase();
        match text.len() {
            64 if hexadecimal => Some(Self::Sha256(text)),
            40 if hexadecimal => Some(Self::GitBlob(text)),
            _ => None,
        }
    }

    /// The digits: the name of the file among the cache's blobs.
    pub(super) fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::GitBlob(digits) => digits,
        }
    }

    /// A sum over no content yet, of the same kind, for a content of `size` bytes.
    pub(super) fn start(&self, size: u64) -> Sum {
        match self {
            Self::Sha256(_) => Sum::Sha256(Sha256::new()),
            Self::GitBlob(_) => Sum::GitBlob(Sha1::new_with_prefix(format!("blob {size}\0"))),
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digits) => write!(f, "SHA-256 {digits}"),
            Self::GitBlob(digits) => write!(f, "git's SHA-1 {digits}"),
        }
    }
}

/// A checksum in the making.
#[derive(Clone)]
pub(super) enum Sum {
    Sha256(Sha256),
    GitBlob(Sha1),
}

impl Sum {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(sum) => sum.update(bytes),
            Self::GitBlob(sum) => sum.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Checksum {
        match self {
            Self::Sha256(sum) => Checksum::Sha256(digits(&sum.finalize())),
            Self::GitBlob(sum) => Checksum::GitBlob(digits(&sum.finalize())),
        }
    }
}

fn digits(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digits by `git hash-object` and `sha256sum`.
    #[test]
    fn sums_are_those_of_git_and_sha256sum() {
        let cases = [
            ("", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
            ("hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
            (
                "hello\n",
                "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
            ),
        ];
        for (content, expected) in cases {
            let expected = Checksum::parse(expected).unwrap();
            let mut sum = expected.start(content.len() as u64);
            for byte in content.as_bytes() {
                sum.update(&[*byte]);
            }
            assert_eq!(sum.finish(), expected);
        }
        assert_eq!(Checksum::parse("zz"), None);
        assert_eq!(Checksum::parse(&"g".repeat(64)), None);
    }
}
