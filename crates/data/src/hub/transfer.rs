//! The files of a commit, several at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::cache::Repository;
use super::client::Client;
use super::download::Download;
use super::listing::Entry;
use super::name::HubName;
use super::{Listener, Progress};
use crate::error::Result;

/// How many files come at once.
const WORKERS: usize = 4;

/// Where files come from, where they go, and who hears of it.
pub(super) struct Transfer<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) repository: &'a Repository,
    pub(super) name: &'a HubName,
    pub(super) commit: &'a str,
    pub(super) listener: Option<&'a Listener>,
}

impl Transfer<'_> {
    /// Gets the files, and gives the number of bytes that came. The first error stops the others; of several, the
    /// first file's is given.
    pub(super) fn run(&self, files: &[&Entry]) -> Result<u64> {
        let next = AtomicUsize::new(0);
        let complete = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let work = || {
            let mut done = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(entry) = files.get(at) else {
                    break;
                };
                let outcome = self.one(entry, &complete, files.len());
                stop.fetch_or(outcome.is_err(), Ordering::Relaxed);
                done.push((at, outcome));
            }
            done
        };
        let mut outcomes: Vec<(usize, Result<u64>)> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS.min(files.len()))
                .map(|_| scope.spawn(work))
                .collect();
            let joined = workers.into_iter().map(|worker| match worker.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            joined.flatten().collect()
        });
        outcomes.sort_by_key(|(at, _)| *at);
        outcomes.into_iter().map(|(_, outcome)| outcome).sum()
    }

    /// Gets one file, and counts it as complete.
    fn one(&self, entry: &Entry, complete: &AtomicUsize, files: usize) -> Result<u64> {
        // A listing from a server says of every file what it holds.
        let Some(content) = &entry.content else {
            return Ok(0);
        };
        let report = |done| {
            if let Some(listener) = self.listener {
                listener(&Progress {
                    file: &entry.path,
                    done,
                    size: content.size,
                    files_done: complete.load(Ordering::Relaxed),
                    files,
                });
            }
        };
        let download = Download {
            client: self.client,
            repository: self.repository,
            name: self.name,
            commit: self.commit,
            path: &entry.path,
            content,
        };
        let fetched = download.run(&report)?;
        complete.fetch_add(1, Ordering::Relaxed);
        report(content.size);
        Ok(fetched)
    }
}
