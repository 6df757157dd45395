//! Which files a commit has, with their sizes and checksums.
//!
//! Everything is known from the listing before the first file is asked for: the files' own headers say the same once
//! more, and are compared. So one request per file is enough, and no file is named by what its own answer says.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use url::Url;

use super::checksum::Checksum;
use super::client::Client;
use super::name::{HubName, is_commit, is_path};
use crate::error::{DataError, Result, quoted};
use crate::http::{network, shown, text};

/// The most files of a repository, and the most pages of its listing.
const ENTRIES_LIMIT: usize = 1_000_000;
const PAGES_LIMIT: usize = 10_000;
/// The version of the kept form.
const KEPT_VERSION: u64 = 1;

/// The files of a commit, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing(Vec<Entry>);

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The path inside the repository, checked to stay there.
    pub(super) path: String,
    /// `None` for a file that is in the cache and of which no server was asked.
    pub(super) content: Option<Content>,
}

/// What a file must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    /// In bytes.
    pub(super) size: u64,
    pub(super) checksum: Checksum,
    /// Git's name of the file, or of the small file that stands for it where the content is large.
    git: String,
}

impl Listing {
    /// Asks for the commit of a revision.
    pub(super) fn commit(client: &Client<'_>, name: &HubName) -> Result<String> {
        #[derive(Deserialize)]
        struct Info {
            sha: String,
        }

        let url = client.url(
            &["api", name.kind().plural()],
            name,
            &["revision", name.revision()],
        );
        let (info, _) = client.json::<Info>(name, &url)?;
        if is_commit(&info.sha) {
            return Ok(info.sha);
        }
        let message = format!("found the commit {}; expected 40 digits", quoted(&info.sha));
        Err(network(&url, None, message))
    }

    /// Asks for the files of a commit, page by page.
    pub(super) fn ask(client: &Client<'_>, name: &HubName, commit: &str) -> Result<Self> {
        let first = client.url(&["api", name.kind().plural()], name, &["tree", commit]);
        let mut next = Some(first.clone());
        if let Some(url) = &mut next {
            url.set_query(Some("recursive=true"));
        }
        let mut seen = HashSet::new();
        let mut entries = Vec::new();
        while let Some(url) = next {
            let (nodes, headers) = client.json::<Vec<Node>>(name, &url)?;
            for node in nodes {
                entries.extend(node.entry(&url)?);
            }
            next = text(&headers, "link").and_then(|link| following(&url, link));
            check_page(client, &url, next.as_ref())?;
            seen.insert(url);
            let again = next.as_ref().is_some_and(|next| seen.contains(next));
            if again || seen.len() > PAGES_LIMIT || entries.len() > ENTRIES_LIMIT {
                let message = format!(
                    "the listing does not end: {} files on {} pages; expected at most {ENTRIES_LIMIT} files",
                    entries.len(),
                    seen.len()
                );
                return Err(network(&first, None, message));
            }
        }
        Self::sorted(entries).map_err(|twice| {
            let message = format!("the listing has {} twice; expected it once", quoted(&twice));
            network(&first, None, message)
        })
    }

    /// Files of which only the paths are known.
    pub(super) fn present(paths: Vec<String>) -> Self {
        let entry = |path| Entry {
            path,
            content: None,
        };
        Self(paths.into_iter().map(entry).collect())
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Reads what [`Listing::to_json`] or Python's library wrote; `None` if it is something else.
    pub(super) fn from_json(text: &str) -> Option<Self> {
        let kept: Kept = serde_json::from_str(text).ok()?;
        let entry = |(path, file): (String, KeptFile)| {
            let (digits, size) = match (&file.lfs_sha256, file.lfs_size) {
                (Some(digits), Some(size)) => (digits, size),
                _ => (&file.blob_id, file.size),
            };
            let content = Content {
                size,
                checksum: Checksum::parse(digits)?,
                git: file.blob_id,
            };
            is_path(&path).then_some(Entry {
                path,
                content: Some(content),
            })
        };
        if kept.format_version != KEPT_VERSION {
            return None;
        }
        Self::sorted(kept.files.into_iter().map(entry).collect::<Option<_>>()?).ok()
    }

    pub(super) fn to_json(&self) -> String {
        let file = |entry: &Entry| {
            let content = entry.content.as_ref()?;
            let large = matches!(content.checksum, Checksum::Sha256(_));
            let kept = KeptFile {
                size: content.size,
                blob_id: content.git.clone(),
                lfs_sha256: large.then(|| content.checksum.digits().to_owned()),
                lfs_size: large.then_some(content.size),
            };
            Some((entry.path.clone(), kept))
        };
        let kept = Kept {
            format_version: KEPT_VERSION,
            files: self.0.iter().filter_map(file).collect(),
        };
        serde_json::to_string(&kept).expect("strings and numbers can be written")
    }

    /// `Err` with a path that stands there twice.
    fn sorted(mut entries: Vec<Entry>) -> Result<Self, String> {
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let mut pairs = entries.windows(2);
        match pairs.find(|pair| pair[0].path == pair[1].path) {
            Some(pair) => Err(pair[0].path.clone()),
            None => Ok(Self(entries)),
        }
    }
}

/// A listing as Python's `huggingface_hub` keeps it, since its version 2.
#[derive(Serialize, Deserialize)]
struct Kept {
    format_version: u64,
    files: BTreeMap<String, KeptFile>,
}

#[derive(Serialize, Deserialize)]
struct KeptFile {
    size: u64,
    blob_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lfs_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lfs_size: Option<u64>,
}

/// An item of the hub's listing.
#[derive(Deserialize)]
struct Node {
    r#type: String,
    path: String,
    #[serde(default)]
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Large>,
}

/// Where a large file's content lies.
#[derive(Deserialize)]
struct Large {
    oid: String,
    size: u64,
}

impl Node {
    fn entry(self, url: &Url) -> Result<Option<Entry>> {
        if self.r#type != "file" {
            return Ok(None);
        }
        if !is_path(&self.path) {
            return Err(DataError::Refused {
                url: shown(url),
                reason: format!(
                    "the listing has the path {}; expected one inside the repository",
                    quoted(&self.path)
                ),
            });
        }
        let (digits, size) = match &self.lfs {
            Some(large) => (&large.oid, large.size),
            None => (&self.oid, self.size),
        };
        let (Some(checksum), Some(git)) = (Checksum::parse(digits), Checksum::parse(&self.oid))
        else {
            let message = format!(
                "{} has the checksum {}; expected 40 or 64 hexadecimal digits",
                quoted(&self.path),
                quoted(digits)
            );
            return Err(network(url, None, message));
        };
        let git = git.digits().to_owned();
        Ok(Some(Entry {
            path: self.path,
            content: Some(Content {
                size,
                checksum,
                git,
            }),
        }))
    }
}

/// The address of the next page: `<address>; rel="next"`.
fn following(url: &Url, link: &str) -> Option<Url> {
    link.split(',').find_map(|part| {
        let (address, parameters) = part.trim().strip_prefix('<')?.split_once('>')?;
        let next = parameters.split(';').any(|parameter| {
            let parameter = parameter.trim().to_ascii_lowercase();
            parameter == "rel=\"next\"" || parameter == "rel=next"
        });
        next.then(|| url.join(address).ok()).flatten()
    })
}

/// The token goes along to the next page, so it must lie at the same server.
fn check_page(client: &Client<'_>, url: &Url, next: Option<&Url>) -> Result<()> {
    match next {
        Some(next) if !client.is_home(next) => Err(DataError::Refused {
            url: shown(next),
            reason: format!("the listing {} goes on at another server", shown(url)),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_the_header() {
        let url = Url::parse("https://a.test/api/x?recursive=true").unwrap();
        let cases = [
            (
                "<https://a.test/y?cursor=1>; rel=\"next\"",
                Some("https://a.test/y?cursor=1"),
            ),
            (
                "</p>; rel=\"prev\", </n>; title=\"t\"; rel=next",
                Some("https://a.test/n"),
            ),
            ("</p>; rel=\"prev\"", None),
            ("nonsense", None),
            ("", None),
        ];
        for (link, expected) in cases {
            let found = following(&url, link);
            assert_eq!(found.as_ref().map(Url::as_str), expected, "{link}");
        }
    }

    #[test]
    fn a_kept_listing_is_read_back_and_a_forged_one_is_not() {
        let (git, sum) = ("a".repeat(40), "b".repeat(64));
        let kept = |path: &str| {
            let large =
                format!("{{\"size\":3,\"blob_id\":{git:?},\"lfs_sha256\":{sum:?},\"lfs_size\":3}}");
            let small = format!("{{\"size\":1,\"blob_id\":{git:?}}}");
            format!("{{\"format_version\":1,\"files\":{{{path:?}:{large},\"z\":{small}}}}}")
        };
        let listing = Listing::from_json(&kept("a/b.csv")).unwrap();
        assert_eq!(listing.to_json(), kept("a/b.csv"));
        let forged = [
            kept("../b"),
            kept("a").replace(":1,", ":2,"),
            kept("a").replace("bbb", "xyz"),
            "{".to_owned(),
        ];
        for text in forged {
            assert_eq!(Listing::from_json(&text), None, "{text}");
        }
    }
}
