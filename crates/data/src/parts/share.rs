//! What one of several machines does.

use std::path::{Path, PathBuf};

use crate::document::Document;
use crate::error::{DataError, Result, quoted};
use crate::load::{Counts, Loaders, OnError};

/// What one of several machines does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub(super) rank: u32,
    pub(super) world: u32,
}

/// Files and folders, and how they are read.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// What reads them.
    pub loaders: &'a Loaders,
    /// The files and folders, in the same order on every machine.
    pub paths: &'a [PathBuf],
    /// What becomes of broken records. Where there are several machines, the quarantine of each is a file of its own:
    /// [`Share::quarantine`].
    pub on_error: &'a OnError,
}

/// What became of the records of a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Of each of its records; the counts of all shares add up to those of a machine that is alone.
    pub counts: Counts,
    /// How many documents and broken records the inputs have, where every machine reads all of them; `None` where it
    /// reads whole files.
    pub records: Option<u64>,
}

impl Share {
    /// The share of machine `rank`, from 0, of `world`.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if the rank is not below the number of machines.
    pub fn new(rank: u32, world: u32) -> Result<Self> {
        if rank < world {
            return Ok(Self { rank, world });
        }
        Err(DataError::Setting {
            name: "rank".into(),
            found: format!("{rank} of {world}"),
            expected: "a rank from 0, below the world's size".into(),
        })
    }

    /// Whether input number `input`, from 0, belongs to it: every `world`th does.
    pub fn takes(&self, input: u64) -> bool {
        input % u64::from(self.world) == u64::from(self.rank)
    }

    /// Hands what `read` makes of its documents to `sink`, in parallel and in order as [`Loaders::each`] does. If there
    /// are at least as many inputs as machines, it takes whole inputs, and reads no others; else it reads all, and takes
    /// every `world`th record. Records are numbered as they lie there, before any is found broken or left out. A file
    /// that cannot be read to its end has a number too, so one machine tells of it.
    ///
    /// # Errors
    ///
    /// As [`Loaders::each`]; [`DataError::EmptyDataset`] if it is the only machine and keeps nothing;
    /// [`DataError::Setting`] if its quarantine would be, or lie in, one of the inputs, where other machines might read
    /// it.
    pub fn each<T, F, S>(&self, inputs: &Inputs<'_>, read: F, sink: S) -> Result<Account>
    where
        T: Send,
        F: Fn(Document) -> Result<T> + Sync,
        S: FnMut(T) -> Result<()>,
    {
        let paths = inputs.paths;
        let on_error = self.on_error(inputs)?;
        if self.world == 1 || (paths.len() as u64) < u64::from(self.world) {
            let takes = |number| self.takes(number);
            let read = inputs
                .loaders
                .each_of(paths, &on_error, &takes, read, sink)?;
            let (counts, records) = read;
            if self.world == 1 && counts.kept == 0 {
                return Err(counts.nothing_kept(paths));
            }
            let records = Some(records);
            return Ok(Account { counts, records });
        }
        let whole = (0..).zip(paths).filter(|(number, _)| self.takes(*number));
        let whole: Vec<&PathBuf> = whole.map(|(_, path)| path).collect();
        let counts = inputs.loaders.each(&whole, &on_error, read, sink)?;
        Ok(Account {
            counts,
            records: None,
        })
    }

    /// Where it writes broken records that are to go to `path`: there, if it is alone; else to a file of its own beside
    /// it, `bad-00001-of-00003.jsonl` for `bad.jsonl`.
    pub fn quarantine(&self, path: &Path) -> PathBuf {
        if self.world == 1 {
            return path.to_owned();
        }
        let mut name = path.file_stem().unwrap_or_default().to_os_string();
        name.push(format!("-{}", self.number()));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        path.with_file_name(name)
    }

    /// The name of its part, without the extension.
    pub fn name(&self) -> String {
        format!("part-{}", self.number())
    }

    fn number(self) -> String {
        format!("{:05}-of-{:05}", self.rank, self.world)
    }

    /// The policy with its own quarantine.
    fn on_error(self, inputs: &Inputs<'_>) -> Result<OnError> {
        let OnError::Quarantine(path) = inputs.on_error else {
            return Ok(inputs.on_error.clone());
        };
        let path = self.quarantine(path);
        if self.world > 1 {
            // The file need not be there yet, its folder must.
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
            let real = real.join(path.file_name().unwrap_or_default());
            let holds = |input: &PathBuf| {
                input
                    .canonicalize()
                    .is_ok_and(|input| real.starts_with(input))
            };
            if inputs.paths.iter().any(holds) {
                return Err(DataError::Setting {
                    name: "quarantine".into(),
                    found: quoted(&path.to_string_lossy()),
                    expected: "a file outside of the inputs, which other machines read".into(),
                });
            }
        }
        Ok(OnError::Quarantine(path))
    }
}
