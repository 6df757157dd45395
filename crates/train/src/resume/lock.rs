//! One process per run, by a lock of the operating system: it goes with its process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};

/// A held lock. The file stays; the operating system frees the lock when this is dropped or the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
    /// Why the lock protects nothing, where the file system has no locks.
    pub(crate) unsupported: Option<String>,
}

/// Who holds a lock, for the message that the next one gets.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    process: u32,
    host: String,
    /// Seconds since 1970.
    since: u64,
}

impl Lock {
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| TrainError::io(path, "open", source))?;
        let unsupported = match file.try_lock() {
            Ok(()) => None,
            Err(TryLockError::WouldBlock) => {
                return Err(TrainError::RunLocked {
                    path: path.to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) if source.kind() == ErrorKind::Unsupported => {
                Some(format!(
                    "{}: this file system has no locks ({source}); make sure that no other process trains in this folder",
                    path.display()
                ))
            }
            Err(TryLockError::Error(source)) => return Err(TrainError::io(path, "lock", source)),
        };
        write_holder(&mut file).map_err(|source| TrainError::io(path, "write", source))?;
        Ok(Self {
            _file: file,
            unsupported,
        })
    }
}

fn write_holder(file: &mut File) -> std::io::Result<()> {
    let holder = Holder {
        process: std::process::id(),
        host: host(),
        since: now(),
    };
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(&holder)?.as_bytes())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(4096).read_to_string(&mut text);
    match read.map(|_| serde_json::from_str::<Holder>(&text)) {
        Ok(Ok(Holder {
            process,
            host,
            since,
        })) => format!(
            "process {process} on {} since {} seconds",
            host.escape_debug(),
            now().saturating_sub(since)
        ),
        _ => "another process".to_owned(),
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

fn host() -> String {
    let file = std::fs::read_to_string("/proc/sys/kernel/hostname");
    file.ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map_or_else(
            || "an unknown host".to_owned(),
            |name| name.trim().to_owned(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_is_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("LOCK");
        let first = Lock::take(&path).unwrap();
        let refusal = Lock::take(&path).unwrap_err().to_string();
        assert!(
            refusal.contains(&format!("process {}", std::process::id())),
            "{refusal}"
        );
        drop(first);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn of_many_at_once_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("LOCK");
        let barrier = std::sync::Barrier::new(8);
        let locks: Vec<_> = std::thread::scope(|scope| {
            let take = || {
                barrier.wait();
                Lock::take(&path)
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(locks.iter().filter(|lock| lock.is_ok()).count(), 1);
    }
}
