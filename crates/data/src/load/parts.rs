//! The parts of a document that is a ZIP archive: Office, `OpenDocument` and EPUB files.

use std::path::{Path, PathBuf};

use super::file::regular;
use super::source::Source;
use super::whole::DOCUMENT_LIMIT;
use super::xml::Part;
use super::zip::Zip;
use crate::error::{DataError, Place, Result};

/// A small file may grow to this many bytes.
const SMALL: u64 = 64 << 20;
/// A larger one to this many times its size. Text in XML is packed to a tenth or so.
const RATIO: u64 = 200;

/// An opened archive whose parts are XML.
pub(super) struct Parts {
    zip: Zip,
    path: PathBuf,
    format: &'static str,
    /// How many bytes may come out of the file, in all.
    limit: u64,
    spent: u64,
}

impl Parts {
    /// Opens a file that is to be of a format: "DOCX document".
    pub(super) fn open(path: &Path, format: &'static str) -> Result<Self> {
        check(path, format)?;
        Ok(Self {
            zip: Zip::open(path)?,
            path: path.into(),
            format,
            limit: regular(path)?.len().saturating_mul(RATIO).max(SMALL),
            spent: 0,
        })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A name for messages.
    pub(super) fn part<'a>(&'a self, name: &'a str) -> Part<'a> {
        Part {
            path: &self.path,
            format: self.format,
            name,
        }
    }

    /// A part's text, if there is such a part.
    pub(super) fn optional(&mut self, name: &str) -> Result<Option<String>> {
        match self.zip.read(name, DOCUMENT_LIMIT)? {
            Some(bytes) => {
                self.spend(bytes.len())?;
                self.part(name).decode(bytes).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Counts bytes that come out of the file: of its parts, and of texts that it says once and uses many times.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<()> {
        self.spent = self.spent.saturating_add(bytes as u64);
        if self.spent <= self.limit {
            return Ok(());
        }
        Err(DataError::LimitExceeded {
            place: Place::file(&self.path),
            what: "the content in bytes",
            found: self.spent,
            limit: self.limit,
            hint: "If the file is what it should be, split it",
        })
    }

    /// The text of a part that must be there.
    pub(super) fn required(&mut self, name: &str) -> Result<String> {
        match self.optional(name)? {
            Some(text) => Ok(text),
            None => Err(self.part(name).broken("this part is missing")),
        }
    }
}

/// Refuses what is no ZIP archive, with a hint for the old and the encrypted files that have the same names.
fn check(path: &Path, format: &'static str) -> Result<()> {
    // The directory of an old file, where its streams are named, lies within its first sectors.
    let head = Source::bytes(path, |_| Ok(()))?.peek(64 << 10)?;
    let wrong = |found, hint: &str| {
        Err(DataError::WrongFormat {
            place: Place::file(path),
            found,
            expected: format,
            hint: hint.into(),
        })
    };
    if head.starts_with(b"PK") {
        return Ok(());
    }
    if !head.starts_with(b"\xD0\xCF\x11\xE0") {
        return wrong("other data", "Is the name's ending right?");
    }
    let encrypted: Vec<u8> = "EncryptedPackage"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    if head
        .windows(encrypted.len())
        .any(|window| window == encrypted)
    {
        return Err(DataError::Unsupported {
            place: Place::file(path),
            what: "a document with a password".into(),
            hint: "Open it, remove the password, and save it again",
        });
    }
    wrong(
        "an old Office document",
        "Save it in the newer format first",
    )
}

/// The name of a part that another part names: relative to that part's folder, or from the root if it begins with `/`.
/// A name that leads outside stays at the root; it is a name in the archive in any case and never a path on disk.
pub(super) fn resolve(from: &str, target: &str) -> String {
    let target = target.split(['#', '?']).next().unwrap_or_default();
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut names: Vec<&str> = Vec::new();
    if !target.starts_with('/') {
        names.extend(folder.split('/'));
    }
    for name in target.split('/') {
        if name == ".." {
            names.pop();
        } else {
            names.push(name);
        }
    }
    names.retain(|name| !matches!(*name, "" | "."));
    names.join("/")
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn a_target_is_found_from_the_part_that_names_it() {
        let cases = [
            ("word/document.xml", "footnotes.xml", "word/footnotes.xml"),
            (
                "ppt/slides/slide1.xml",
                "../notesSlides/notesSlide1.xml",
                "ppt/notesSlides/notesSlide1.xml",
            ),
            (
                "ppt/presentation.xml",
                "/ppt/slides/slide2.xml",
                "ppt/slides/slide2.xml",
            ),
            ("OEBPS/content.opf", "text/a.xhtml#b", "OEBPS/text/a.xhtml"),
            ("a.xml", "../../../etc/passwd", "etc/passwd"),
            ("", "./a//b", "a/b"),
        ];
        for (from, target, expected) in cases {
            assert_eq!(resolve(from, target), expected, "{from} {target}");
        }
    }
}
