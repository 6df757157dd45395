//! One file from the hub into the cache: locked, resumed, checked, and only then given its name.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ureq::http::StatusCode;
use url::Url;

use super::cache::{Repository, failed, parent};
use super::checksum::{Checksum, Sum};
use super::client::{Answer, Client, Failure, broken};
use super::listing::Content;
use super::name::HubName;
use crate::error::{DataError, Place, Result, quoted};
use crate::http::{network, text};

const BUFFER: usize = 256 << 10;

/// Where a file comes from and where it goes.
pub(super) struct Download<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) repository: &'a Repository,
    pub(super) name: &'a HubName,
    pub(super) commit: &'a str,
    pub(super) path: &'a str,
    pub(super) content: &'a Content,
}

impl Download<'_> {
    /// Gets the file unless the cache holds its content, links it into the snapshot, and gives the number of bytes
    /// that came over the network. `progress` hears how many bytes of the file there are.
    pub(super) fn run(&self, progress: &dyn Fn(u64)) -> Result<u64> {
        let Content { size, checksum, .. } = self.content;
        let blob = self.repository.blob(checksum);
        let mut fetched = 0;
        if !has_size(&blob, *size) {
            let _lock = self.repository.lock(checksum)?;
            // Another process may have got it while this one waited for the lock.
            if !has_size(&blob, *size) {
                fetched = self.fetch(&blob, progress)?;
            }
        }
        self.repository.link(self.commit, self.path, checksum)?;
        Ok(fetched)
    }

    fn fetch(&self, blob: &Path, progress: &dyn Fn(u64)) -> Result<u64> {
        let url = self.client.file(self.name, self.commit, self.path);
        parent(blob)?;
        let mut name = blob.as_os_str().to_owned();
        name.push(".incomplete");
        let mut part = Part::open(PathBuf::from(name), self.content)?;
        let mut fetched = 0;
        self.client.persist(|| {
            let before = part.have;
            let outcome = self.attempt(&url, &mut part, &mut fetched, progress);
            let moved = part.have.saturating_sub(before);
            outcome.map_err(|failure| match failure {
                Failure::Passing { error, wait, .. } => Failure::Passing { error, wait, moved },
                failure @ Failure::Final(_) => failure,
            })
        })?;
        part.publish(blob)?;
        Ok(fetched)
    }

    /// Asks for what is missing, and checks the whole.
    fn attempt(
        &self,
        url: &Url,
        part: &mut Part<'_>,
        fetched: &mut u64,
        progress: &dyn Fn(u64),
    ) -> Result<(), Failure> {
        let continued = part.have > 0;
        if part.have < part.content.size {
            let answer = match self.client.open(self.name, url, part.have, None) {
                // The server has less than this: what is here is something else.
                Err(Failure::Passing { error, wait, moved }) if status(&error) == Some(416) => {
                    part.restart()?;
                    return Err(Failure::Passing { error, wait, moved });
                }
                answer => answer?,
            };
            self.compare(url, &answer)?;
            if part.have > 0 && answer.status != StatusCode::PARTIAL_CONTENT {
                // The server sends everything again.
                part.restart()?;
            } else if part.have > 0 && start(&answer) != Some(part.have) {
                part.restart()?;
                let message = "found another part of the file; expected the rest".to_owned();
                return Err(Failure::passing(network(url, Some(answer.status), message)));
            }
            let mut body = answer.body.into_reader();
            let mut buffer = vec![0; BUFFER];
            loop {
                let count = match body.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(Failure::passing(broken(url, &error))),
                };
                *fetched += count as u64;
                part.append(&buffer[..count])?;
                progress(part.have);
            }
        }
        match part.verify() {
            Ok(()) => Ok(()),
            Err(error) if part.have < part.content.size => Err(Failure::passing(error)),
            Err(error) => {
                part.restart()?;
                // What an earlier attempt left may be what is wrong: once more, from the first byte.
                Err(if continued {
                    Failure::passing(error)
                } else {
                    error.into()
                })
            }
        }
    }

    /// The server must speak of the same commit and content as the listing.
    fn compare(&self, url: &Url, answer: &Answer) -> Result<()> {
        let differs = |what: &str, found: &str, expected: &str| {
            let message = format!("found the {what} {}; expected {expected}", quoted(found));
            Err(network(url, Some(answer.status), message))
        };
        if let Some(commit) = text(&answer.home, "x-repo-commit")
            && commit != self.commit
        {
            return differs("commit", commit, self.commit);
        }
        let Content { size, checksum, .. } = self.content;
        if let Some(found) = text(&answer.home, "x-linked-size")
            && found.parse() != Ok(*size)
        {
            return differs("size", found, &size.to_string());
        }
        let tag = text(&answer.home, "x-linked-etag").or_else(|| text(&answer.home, "etag"));
        let tag = tag.map(|tag| tag.trim_start_matches("W/").trim_matches('"'));
        // A tag that is no checksum of a kind that is known says nothing of the content.
        if let Some(tag) = tag
            && let Some(found) = Checksum::parse(tag)
            && std::mem::discriminant(&found) == std::mem::discriminant(checksum)
            && found != *checksum
        {
            return differs("checksum", tag, checksum.digits());
        }
        Ok(())
    }
}

/// The beginning of a file that is still coming.
struct Part<'a> {
    path: PathBuf,
    file: File,
    content: &'a Content,
    /// How many bytes are there, and their sum.
    have: u64,
    sum: Sum,
}

impl<'a> Part<'a> {
    /// Opens what an earlier run has left, or nothing.
    fn open(path: PathBuf, content: &'a Content) -> Result<Self> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed(&path, "open"))?;
        let mut part = Self {
            path,
            file,
            content,
            have: 0,
            sum: content.checksum.start(content.size),
        };
        part.add_up()?;
        Ok(part)
    }

    fn add_up(&mut self) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = self
                .file
                .read(&mut buffer)
                .map_err(failed(&self.path, "read"))?;
            if count == 0 {
                return Ok(());
            }
            self.sum.update(&buffer[..count]);
            self.have += count as u64;
            if self.have > self.content.size {
                return self.restart();
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let now = self.have + bytes.len() as u64;
        if now > self.content.size {
            let error = self.wrong(
                format!("more than {now} bytes"),
                format!("{} bytes", self.content.size),
            );
            self.restart()?;
            return Err(error);
        }
        self.file
            .write_all(bytes)
            .map_err(failed(&self.path, "write"))?;
        self.sum.update(bytes);
        self.have = now;
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(failed(&self.path, "empty"))?;
        self.have = 0;
        self.sum = self.content.checksum.start(self.content.size);
        Ok(())
    }

    fn verify(&self) -> Result<()> {
        if self.have != self.content.size {
            let (found, expected) = (self.have, self.content.size);
            return Err(self.wrong(format!("{found} bytes"), format!("{expected} bytes")));
        }
        let found = self.sum.clone().finish();
        if found != self.content.checksum {
            return Err(self.wrong(found.to_string(), self.content.checksum.to_string()));
        }
        Ok(())
    }

    /// Gives the checked content its name.
    fn publish(self, blob: &Path) -> Result<()> {
        self.file.sync_all().map_err(failed(&self.path, "write"))?;
        drop(self.file);
        fs::rename(&self.path, blob).map_err(failed(blob, "name"))
    }

    fn wrong(&self, found: String, expected: String) -> DataError {
        DataError::Download {
            place: Place::file(&self.path),
            found,
            expected,
        }
    }
}

/// The first byte that an answer holds, from its `Content-Range`.
fn start(answer: &Answer) -> Option<u64> {
    let range = text(&answer.headers, "content-range")?;
    let (start, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    start.trim().parse().ok()
}

fn status(error: &DataError) -> Option<u16> {
    match error {
        DataError::Network { status, .. } => *status,
        _ => None,
    }
}

fn has_size(path: &Path, size: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
}
