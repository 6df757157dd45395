//! A commit of a repository: which files it has, and how they come into the cache.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Hub;
use super::cache::Repository;
use super::client::Client;
use super::listing::{Entry, Listing};
use super::name::{HubName, is_commit};
use super::select::Select;
use super::transfer::Transfer;
use crate::error::{DataError, Place, Result, quoted};

/// A commit that is known by the hub or, offline, by the cache.
pub(crate) struct Commit<'a> {
    hub: &'a Hub,
    name: &'a HubName,
    repository: Repository,
    id: String,
    listing: Listing,
    source: Source<'a>,
}

/// Where files come from.
enum Source<'a> {
    /// The server. `kept` says that the cache holds the listing already.
    Server { client: Client<'a>, kept: bool },
    /// The cache alone, which has these files. `listed` says that it knows which ones there should be.
    Cache { present: Vec<String>, listed: bool },
}

impl<'a> Commit<'a> {
    /// The commit that the name's revision leads to.
    pub(super) fn find(hub: &'a Hub, name: &'a HubName) -> Result<Self> {
        let repository = Repository::new(&hub.cache, name);
        if hub.offline {
            Self::cached(hub, name, repository)
        } else {
            Self::asked(hub, name, repository)
        }
    }

    fn asked(hub: &'a Hub, name: &'a HubName, repository: Repository) -> Result<Self> {
        let client = Client::new(hub);
        let id = if is_commit(name.revision()) {
            name.revision().to_owned()
        } else {
            Listing::commit(&client, name)?
        };
        let (listing, kept) = match repository.listing(&id)? {
            Some(listing) => (listing, true),
            None => (Listing::ask(&client, name, &id)?, false),
        };
        Ok(Self {
            hub,
            name,
            repository,
            id,
            listing,
            source: Source::Server { client, kept },
        })
    }

    fn cached(hub: &'a Hub, name: &'a HubName, repository: Repository) -> Result<Self> {
        let revision = quoted(name.revision());
        let id = repository.commit(name.revision())?.ok_or_else(|| {
            lacks(
                name,
                &repository,
                "nothing of this revision".to_owned(),
                revision.clone(),
            )
        })?;
        let present = repository.present(&id)?;
        if present.is_empty() {
            let found = "no file of this revision".to_owned();
            return Err(lacks(name, &repository, found, revision));
        }
        let kept = repository.listing(&id)?;
        let listed = kept.is_some();
        Ok(Self {
            hub,
            name,
            id,
            listing: kept.unwrap_or_else(|| Listing::present(present.clone())),
            repository,
            source: Source::Cache { present, listed },
        })
    }

    /// In 40 hexadecimal digits.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whether it is known which files the commit has.
    pub(super) fn listed(&self) -> bool {
        !matches!(self.source, Source::Cache { listed: false, .. })
    }

    /// The paths of its files inside the repository, sorted.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.listing
            .entries()
            .iter()
            .map(|entry| entry.path.as_str())
    }

    /// Where its files lie in the cache.
    pub(crate) fn folder(&self) -> PathBuf {
        self.repository.snapshot(&self.id)
    }

    /// Where a file or folder of it lies in the cache, once it has come.
    pub(crate) fn place(&self, path: &str) -> PathBuf {
        path.split('/')
            .fold(self.folder(), |folder, part| folder.join(part))
    }

    /// Gets the selected files: where they lie, sorted, and how many bytes came.
    pub(crate) fn bring_selected(&self, select: &Select) -> Result<(Vec<PathBuf>, u64)> {
        let chosen = select.choose(self.name, &self.listing)?;
        let downloaded = self.bring(&chosen)?;
        let files = chosen.iter().map(|entry| self.place(&entry.path));
        Ok((files.collect(), downloaded))
    }

    /// Gets the files of these paths; paths that it does not have are passed over.
    pub(crate) fn bring_paths(&self, paths: &BTreeSet<&str>) -> Result<()> {
        let entries = self.listing.entries().iter();
        let wanted: Vec<&Entry> = entries
            .filter(|entry| paths.contains(entry.path.as_str()))
            .collect();
        self.bring(&wanted).map(drop)
    }

    /// Gets files as far as the cache lacks them, and gives the number of bytes that came.
    fn bring(&self, files: &[&Entry]) -> Result<u64> {
        match &self.source {
            Source::Server { client, kept } => {
                if !kept {
                    self.repository.keep_listing(&self.id, &self.listing)?;
                }
                let transfer = Transfer {
                    client,
                    repository: &self.repository,
                    name: self.name,
                    commit: &self.id,
                    listener: self.hub.progress.as_ref(),
                };
                let downloaded = transfer.run(files)?;
                self.repository
                    .keep_commit(self.name.revision(), &self.id)?;
                Ok(downloaded)
            }
            Source::Cache { present, .. } => self.all_present(files, present).map(|()| 0),
        }
    }

    fn all_present(&self, files: &[&Entry], present: &[String]) -> Result<()> {
        let has = |entry: &&&Entry| present.binary_search(&entry.path).is_ok();
        let Some(missing) = files.iter().find(|entry| !has(entry)) else {
            return Ok(());
        };
        let found = format!(
            "{} of {} files",
            files.iter().filter(has).count(),
            files.len()
        );
        Err(lacks(
            self.name,
            &self.repository,
            found,
            quoted(&missing.path),
        ))
    }
}

fn lacks(name: &HubName, repository: &Repository, found: String, expected: String) -> DataError {
    DataError::NotCached {
        name: name.to_string(),
        folder: Place::file(repository.folder()),
        found,
        expected,
    }
}
