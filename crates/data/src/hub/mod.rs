//! Data sets and models by their hub name, `hf://owner/name`.
//!
//! A [`Hub`] gets the files of a commit into the cache that Python's `huggingface_hub` uses too, and gives the folder
//! of the snapshot, which the loaders and the checkpoints open as any other folder. Downloads are resumed where they
//! broke off, their sizes and checksums are compared with what the hub promises, and two processes that want one file
//! get it once.
//!
//! The client is our own, over `ureq`, and not the crate `hf-hub`. Of its releases, 0.5 knows neither `HF_TOKEN` nor
//! `HF_HUB_OFFLINE` nor checksums, takes a branch for what it is now without saying which commit that was, and 1.0
//! needs an async runtime and a C++ tool chain, does not resume plain downloads, and does not verify them either.

mod cache;
mod checksum;
mod client;
mod commit;
mod download;
mod listing;
mod name;
mod select;
mod settings;
mod transfer;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use name::{HubName, Kind};
pub use select::Select;

use crate::error::{DataError, Result, quoted};
pub(crate) use commit::Commit;
use settings::Token;

/// A path as it is, or the folder (or file) in the cache of a name of the hub, downloaded if need be.
///
/// The hub is the environment's: see [`Hub::from_env`]. Of a data set every file is taken, of a model what loads it.
///
/// # Errors
///
/// As [`Hub::from_env`] and [`Hub::get`]. A path is not looked at.
///
/// ```
/// use finetune_data::hub::{Kind, resolve};
///
/// # fn main() -> finetune_data::Result<()> {
/// assert_eq!(resolve("data/train.csv", Kind::Dataset)?.as_os_str(), "data/train.csv");
/// assert!(resolve("hf://owner/..", Kind::Dataset).is_err());
/// # Ok(())
/// # }
/// ```
pub fn resolve(path_or_name: &str, kind: Kind) -> Result<PathBuf> {
    if !HubName::is_name(path_or_name) {
        return Ok(PathBuf::from(path_or_name));
    }
    let name = HubName::parse(path_or_name, kind)?;
    let snapshot = Hub::from_env()?.get(&name, &Select::of(name.kind()))?;
    Ok(snapshot.path)
}

type Listener = Arc<dyn Fn(&Progress<'_>) + Send + Sync>;

/// A hub, how to reach it, and the cache.
#[derive(Clone)]
pub struct Hub {
    endpoint: Url,
    cache: PathBuf,
    token: Option<Token>,
    offline: bool,
    timeout: Duration,
    attempts: u32,
    pause: Duration,
    progress: Option<Listener>,
}

/// What [`Hub::get`] has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The folder of the commit, or what the path of the name leads to inside of it. It may hold more than was asked
    /// for, if an earlier call asked for more.
    pub path: PathBuf,
    /// The files that were asked for, sorted.
    pub files: Vec<PathBuf>,
    /// The commit, in 40 hexadecimal digits: as a revision, it gives the same files again.
    pub commit: String,
    /// Whether it is known which files the commit has. `false` only offline, for what Python's library before its
    /// version 2 has got: there may be more files than these.
    pub listed: bool,
    /// How many bytes of files came over the network; 0 if all were in the cache.
    pub downloaded: u64,
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file, as its path inside the repository.
    pub file: &'a str,
    /// How many bytes of it are there.
    pub done: u64,
    /// Its size in bytes.
    pub size: u64,
    /// How many files are complete.
    pub files_done: usize,
    /// How many files were asked for.
    pub files: usize,
}

impl Hub {
    /// The hub of the environment, with the variables of Python's `huggingface_hub`.
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `HF_ENDPOINT` | the server; `https://huggingface.co` |
    /// | `HF_HUB_CACHE` | the cache; `$HF_HOME/hub` |
    /// | `HF_HOME` | `$XDG_CACHE_HOME/huggingface`, else `~/.cache/huggingface` |
    /// | `HF_TOKEN` | the token; else the file `HF_TOKEN_PATH`, else `$HF_HOME/token` |
    /// | `HF_HUB_DISABLE_IMPLICIT_TOKEN` | `1`: no token is read |
    /// | `HF_HUB_OFFLINE` | `1`: only the cache |
    ///
    /// # Errors
    ///
    /// If the endpoint is no HTTP address, there is no home folder, or the token cannot be read or is none.
    pub fn from_env() -> Result<Self> {
        settings::read(&|name| std::env::var_os(name))
    }

    /// A hub at an address, with a folder as its cache, without a token.
    ///
    /// # Errors
    ///
    /// If the endpoint is no HTTP address.
    pub fn new(endpoint: &str, cache: impl Into<PathBuf>) -> Result<Self> {
        let url = Url::parse(endpoint).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let mut endpoint = url.ok_or_else(|| DataError::Setting {
            name: "HF_ENDPOINT".to_owned(),
            found: quoted(endpoint),
            expected: "an address such as https://huggingface.co".to_owned(),
        })?;
        endpoint.set_query(None);
        endpoint.set_fragment(None);
        Ok(Self {
            endpoint,
            cache: cache.into(),
            token: None,
            offline: false,
            timeout: Duration::from_secs(30),
            attempts: 5,
            pause: Duration::from_millis(500),
            progress: None,
        })
    }

    /// The token to show to the hub; an empty one is none. It is shown to the endpoint's server only.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Token::new(token);
        self
    }

    /// The folder of the cache.
    pub fn cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = folder.into();
        self
    }

    /// Whether to use the cache alone.
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// How long to wait for a connection, for an answer, and for the next bytes of it: 30 seconds unless set. There
    /// is no limit on the whole of a download.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often to try, at least once: 5 times unless set. Attempts follow each other after 0.5, 1, 2, … seconds, at
    /// most 30, or after what the server asks for, at most 300. A download that went on by a mebibyte counts anew.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The pause after the first failed attempt; it doubles after each.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Who hears of progress, from several threads.
    pub fn progress(mut self, progress: impl Fn(&Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Gets the selected files of a repository, as far as the cache lacks them.
    ///
    /// A branch or tag is asked for its commit each time. A full commit never changes: once the cache holds its files,
    /// no server is asked. Without the network the error says so; the cache is used in place of the hub only where
    /// [`Hub::offline`] asks for that, so that no run uses old data unnoticed.
    ///
    /// Offline, what lies in the cache without a list of what there should be counts as the whole repository, and
    /// [`Snapshot::listed`] is false.
    ///
    /// # Errors
    ///
    /// If there is no such repository, revision or file, it may not be read, nothing is selected, the server cannot be
    /// reached or sends something else than it promised, the cache cannot be written, or it lacks a file offline; and
    /// if the name has a configuration or split, by which [`Loaders`](crate::Loaders) choose.
    pub fn get(&self, name: &HubName, select: &Select) -> Result<Snapshot> {
        if name.configuration().is_some() || name.split().is_some() {
            return Err(DataError::Setting {
                name: "hub name".to_owned(),
                found: quoted(&name.to_string()),
                expected: "a name without configuration and split, which loaders alone choose by"
                    .to_owned(),
            });
        }
        let commit = self.commit(name)?;
        let (files, downloaded) = commit.bring_selected(select)?;
        Ok(Snapshot {
            path: name
                .path()
                .map_or_else(|| commit.folder(), |path| commit.place(path)),
            files,
            commit: commit.id().to_owned(),
            listed: commit.listed(),
            downloaded,
        })
    }

    /// A commit of a repository, to be asked for its files more than once.
    pub(crate) fn commit<'a>(&'a self, name: &'a HubName) -> Result<Commit<'a>> {
        Commit::find(self, name)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("endpoint", &crate::http::shown(&self.endpoint))
            .field("cache", &self.cache)
            .field("token", &self.token)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}
