//! Names of data sets and models on the hub.

use std::fmt;
use std::path::{Component, Path};

use crate::error::{DataError, Result, quoted};

/// The longest path inside a repository, in bytes.
const PATH_LIMIT: usize = 1024;
/// The longest segment of a path, and the longest revision, in bytes: what file systems hold.
const SEGMENT_LIMIT: usize = 255;
/// The longest `owner/name`, in bytes.
const ID_LIMIT: usize = 96;
const SHAPE: &str =
    "hf://owner/name[@revision][:configuration[:split]][/path], such as hf://openai/gsm8k";

/// What a repository of the hub holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Data: any files.
    Dataset,
    /// A model: configuration, tokenizer and weights.
    Model,
}

impl Kind {
    /// The word for it in addresses and in the cache: `datasets`, `models`.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Dataset => "datasets",
            Self::Model => "models",
        }
    }
}

/// A data set or model on the hub: `hf://owner/name[@revision]`, of a data set `[:configuration[:split]]`, or a file or
/// folder of it `[/path/inside]`.
///
/// ```
/// use finetune_data::hub::{HubName, Kind};
///
/// # fn main() -> finetune_data::Result<()> {
/// let name = HubName::parse("hf://openai/gsm8k@main/main", Kind::Dataset)?;
/// assert_eq!((name.id(), name.revision(), name.path()), ("openai/gsm8k", "main", Some("main")));
/// assert_eq!(name.to_string(), "hf://datasets/openai/gsm8k@main/main");
///
/// let name = HubName::parse("hf://openai/gsm8k:socratic:train", Kind::Dataset)?;
/// assert_eq!((name.configuration(), name.split()), (Some("socratic"), Some("train")));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HubName {
    kind: Kind,
    id: String,
    revision: Option<String>,
    configuration: Option<String>,
    split: Option<String>,
    path: Option<String>,
}

impl HubName {
    /// The prefix of every name.
    pub const PREFIX: &str = "hf://";

    /// Reads a name. `hf://datasets/owner/name` and `hf://models/owner/name` say what they are; `hf://owner/name` is
    /// what is `expected`.
    ///
    /// A revision is a branch, a tag or a commit, up to the next `/`; a `/` within it is written `%2F`, but
    /// `refs/pr/1` and `refs/convert/parquet` may stand as they are. Without one it is `main`.
    ///
    /// Behind it a data set may have `:configuration`, `:configuration:split`, or `::split` of the default
    /// configuration. These choose files by what the data set says of itself, so no path stands behind them.
    ///
    /// # Errors
    ///
    /// If it is no such name, or one that could lead out of the cache: `..`, backslashes, control characters, too
    /// long.
    pub fn parse(text: &str, expected: Kind) -> Result<Self> {
        let refuse = |what: &str| DataError::Setting {
            name: "hub name".to_owned(),
            found: quoted(text),
            expected: what.to_owned(),
        };
        let rest = text
            .strip_prefix(Self::PREFIX)
            .ok_or_else(|| refuse(SHAPE))?;
        let (kind, rest) = match rest.split_once('/') {
            Some(("datasets", rest)) => (Kind::Dataset, rest),
            Some(("models", rest)) => (Kind::Model, rest),
            Some(("spaces", _)) => return Err(refuse("a data set or a model")),
            _ => (expected, rest),
        };
        let (owner, rest) = rest.split_once('/').ok_or_else(|| refuse(SHAPE))?;
        let end = rest.find(['@', ':', '/']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let id = format!("{owner}/{name}");
        if !(is_word(owner) && is_word(name)) || id.len() > ID_LIMIT {
            return Err(refuse(
                "owner/name of letters, digits, `-`, `_` and `.`, at most 96",
            ));
        }
        let (revision, behind) = match rest.strip_prefix('@') {
            Some(rest) => split_revision(rest),
            None => (None, rest),
        };
        if rest.starts_with('@') && !revision.as_deref().is_some_and(is_revision) {
            return Err(refuse("a branch, tag or commit after `@`"));
        }
        let (chosen, path) = behind.split_at(behind.find('/').unwrap_or(behind.len()));
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        if !path.is_empty() && !is_path(path) {
            return Err(refuse(
                "a path of plain names, without `..`, `\\` and control characters",
            ));
        }
        let (configuration, split) = split_choice(chosen)
            .ok_or_else(|| refuse("`:configuration`, `:configuration:split` or `::split`"))?;
        if !chosen.is_empty() && (kind == Kind::Model || !path.is_empty()) {
            return Err(refuse(
                "a configuration or split of a whole data set: models have none, and a path names the files itself",
            ));
        }
        Ok(Self {
            kind,
            id,
            revision,
            configuration,
            split,
            path: (!path.is_empty()).then(|| path.to_owned()),
        })
    }

    /// Whether a text is meant as a name of the hub and not as a path.
    pub fn is_name(text: &str) -> bool {
        text.starts_with(Self::PREFIX)
    }

    /// What the repository holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// `owner/name`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The branch, tag or commit; `main` if none was named.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }

    /// The configuration of the data set, if one was named.
    pub fn configuration(&self) -> Option<&str> {
        self.configuration.as_deref()
    }

    /// The split of the data set, if one was named.
    pub fn split(&self) -> Option<&str> {
        self.split.as_deref()
    }

    /// The file or folder inside the repository, if one was named.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", Self::PREFIX, self.kind.plural(), self.id)?;
        if let Some(revision) = &self.revision {
            write!(f, "@{}", revision.replace('/', "%2F"))?;
        }
        match (&self.configuration, &self.split) {
            (None, None) => {}
            (Some(configuration), None) => write!(f, ":{configuration}")?,
            (configuration, Some(split)) => {
                write!(
                    f,
                    ":{}:{split}",
                    configuration.as_deref().unwrap_or_default()
                )?;
            }
        }
        self.path.iter().try_for_each(|path| write!(f, "/{path}"))
    }
}

/// Whether a path from a user or a server names something inside its repository.
pub(super) fn is_path(path: &str) -> bool {
    let plain = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.len() <= SEGMENT_LIMIT
            && !segment.contains(|c: char| c == '\\' || c.is_control())
    };
    path.len() <= PATH_LIMIT
        && path.split('/').all(plain)
        // Drive letters, where there are such.
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Whether a revision is a full commit, which never changes.
pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == 40
        && revision
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The revision and the rest with its leading `:` or `/`.
fn split_revision(text: &str) -> (Option<String>, &str) {
    let segments = if text.starts_with("refs/pr/") || text.starts_with("refs/convert/") {
        3
    } else {
        1
    };
    let slash = text.match_indices('/').nth(segments - 1);
    let slash = slash.map_or(text.len(), |(at, _)| at);
    let (revision, rest) = text.split_at(text.find(':').unwrap_or(slash).min(slash));
    let revision = revision.replace("%2F", "/").replace("%2f", "/");
    (Some(revision), rest)
}

/// Configuration and split of `:configuration:split`; `None` if it is none, or one that no data set has.
fn split_choice(text: &str) -> Option<(Option<String>, Option<String>)> {
    if text.is_empty() {
        return Some((None, None));
    }
    let (configuration, split) = match text.strip_prefix(':')?.split_once(':') {
        Some((configuration, split)) => (configuration, Some(split)),
        None => (text.strip_prefix(':')?, None),
    };
    // What `datasets` allows in the names of configurations and of splits.
    let is_configuration = |name: &str| {
        name.len() <= SEGMENT_LIMIT
            && !name.contains(|c: char| c.is_control() || "<>:/\\|?*".contains(c))
    };
    let is_split = |name: &str| {
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        !name.is_empty() && name.len() <= SEGMENT_LIMIT && name.chars().all(word)
    };
    let named = !configuration.is_empty() || split.is_some();
    (named && is_configuration(configuration) && split.is_none_or(is_split)).then(|| {
        let configuration = (!configuration.is_empty()).then(|| configuration.to_owned());
        (configuration, split.map(str::to_owned))
    })
}

fn is_word(text: &str) -> bool {
    let edge =
        |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    edge(text.bytes().next())
        && edge(text.bytes().last())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        // `--` stands for `/` in the cache.
        && !text.contains("--")
        && !text.contains("..")
}

/// The rules of `git check-ref-format`, as far as a name of a file and of an address needs them.
fn is_revision(text: &str) -> bool {
    is_path(text)
        && text.len() <= SEGMENT_LIMIT
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.contains(['~', '^', ':', '?', '*', '[', '%', '@'])
        && !text.contains("..")
        && text
            .split('/')
            .all(|segment| !segment.starts_with('.') && !is_lock(segment))
}

/// Git keeps these names for itself.
fn is_lock(segment: &str) -> bool {
    Path::new(segment).extension() == Some("lock".as_ref())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_and_printed() {
        let cases = [
            ("hf://a/b", "hf://datasets/a/b", "main", None),
            ("hf://datasets/a/b", "hf://datasets/a/b", "main", None),
            ("hf://models/a/b.c-1/", "hf://models/a/b.c-1", "main", None),
            ("hf://a/b@v1.0", "hf://datasets/a/b@v1.0", "v1.0", None),
            (
                "hf://a/b@x%2Fy/d",
                "hf://datasets/a/b@x%2Fy/d",
                "x/y",
                Some("d"),
            ),
            (
                "hf://a/b@refs/pr/3/d/e",
                "hf://datasets/a/b@refs%2Fpr%2F3/d/e",
                "refs/pr/3",
                Some("d/e"),
            ),
            (
                "hf://a/b@refs/convert/parquet",
                "hf://datasets/a/b@refs%2Fconvert%2Fparquet",
                "refs/convert/parquet",
                None,
            ),
            (
                "hf://a/b/d e/é@1.csv",
                "hf://datasets/a/b/d e/é@1.csv",
                "main",
                Some("d e/é@1.csv"),
            ),
        ];
        for (text, printed, revision, path) in cases {
            let name = HubName::parse(text, Kind::Dataset).unwrap();
            assert_eq!(name.to_string(), printed);
            assert_eq!((name.revision(), name.path()), (revision, path), "{text}");
            assert_eq!(HubName::parse(printed, Kind::Model).unwrap(), name);
        }
    }

    #[test]
    fn configurations_and_splits_are_read_and_printed() {
        let cases = [
            ("hf://a/b:c", "hf://datasets/a/b:c", Some("c"), None),
            (
                "hf://a/b:c d.e-1:t",
                "hf://datasets/a/b:c d.e-1:t",
                Some("c d.e-1"),
                Some("t"),
            ),
            (
                "hf://a/b::train",
                "hf://datasets/a/b::train",
                None,
                Some("train"),
            ),
            (
                "hf://a/b@v1:c:t.x",
                "hf://datasets/a/b@v1:c:t.x",
                Some("c"),
                Some("t.x"),
            ),
            (
                "hf://a/b@refs/pr/3:c/",
                "hf://datasets/a/b@refs%2Fpr%2F3:c",
                Some("c"),
                None,
            ),
            // Behind a `/` it is a path, which may have colons.
            ("hf://a/b@v1/c:d", "hf://datasets/a/b@v1/c:d", None, None),
        ];
        for (text, printed, configuration, split) in cases {
            let name = HubName::parse(text, Kind::Dataset).unwrap();
            assert_eq!(name.to_string(), printed);
            assert_eq!(
                (name.configuration(), name.split()),
                (configuration, split),
                "{text}"
            );
            assert_eq!(HubName::parse(printed, Kind::Model).unwrap(), name);
        }
    }

    proptest! {
        #[test]
        fn what_is_read_stays_inside_and_is_printed_as_read(
            text in "hf://(datasets/|models/)?[a.\\-_]{1,3}/[b.\\-]{1,3}(@[cv./%2F~]{0,6})?(:[x.]{0,2}){0,3}(/[d./\\\\\u{e9} ]{0,6})?|hf://.{0,30}"
        ) {
            if let Ok(name) = HubName::parse(&text, Kind::Dataset) {
                prop_assert_eq!(&HubName::parse(&name.to_string(), Kind::Model).unwrap(), &name);
                for part in [name.id(), name.revision(), name.path().unwrap_or("d")] {
                    prop_assert!(Path::new(part).components().all(|part| matches!(part, Component::Normal(_))));
                }
            }
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        let long = format!("hf://a/{}", "b".repeat(200));
        let deep = format!("hf://a/b/{}", "c/".repeat(600));
        let cases = [
            "a/b",
            "hf://",
            "hf://a",
            "hf://a/",
            "hf:///b",
            "hf://datasets/a",
            "hf://spaces/a/b",
            "hf://../b",
            "hf://a/..",
            "hf://a/b--c",
            "hf://a/.b",
            "hf://a/b-",
            "hf://a/b c",
            "hf://a/b\\c",
            "hf://é/b",
            "hf://a/b@",
            "hf://a/b@/x",
            "hf://a/b@..",
            "hf://a/b@x%2F..%2Fy",
            "hf://a/b@a b",
            "hf://a/b@a\nb",
            "hf://a/b@x.lock",
            "hf://a/b@%00",
            "hf://a/b:",
            "hf://a/b::",
            "hf://a/b:c:",
            "hf://a/b:c:t:u",
            "hf://a/b:c?",
            "hf://a/b:c\n",
            "hf://a/b::t-1",
            "hf://a/b:c/d",
            "hf://a/b@:c",
            "hf://models/a/b:c",
            "hf://a/b/../c",
            "hf://a/b//c",
            "hf://a/b/c//d",
            "hf://a/b/c/./d",
            "hf://a/b/c\\d",
            "hf://a/b/c\0d",
            "hf://a/b/c\nd",
            &long,
            &deep,
        ];
        for text in cases {
            let error = HubName::parse(text, Kind::Dataset).unwrap_err();
            assert_eq!(error.kind(), "setting", "{text:?}");
            assert!(!error.to_string().contains(char::is_control));
        }
    }
}
