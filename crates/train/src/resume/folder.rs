//! The folder of a run: its lock, its checkpoints, and what is damaged in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::{self, Sum};
use super::lock::Lock;
use super::manifest::{Identity, Manifest};
use super::state::State;
use super::tensors::{self, Entry, Sink, Stored};
use crate::error::{Result, TrainError};

const WEIGHTS: &str = "weights.safetensors";
const MOMENTS: &str = "moments.safetensors";
const STATE: &str = "state.json";

/// A run's folder, held by this process.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    lock: Lock,
    identity: Identity,
}

/// A checkpoint that was read and found whole.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) state: State,
    pub(crate) weights: Stored,
    pub(crate) moments: Stored,
}

/// Writes tensors into a checkpoint.
pub(crate) type Fill<'a> = Box<dyn FnOnce(&mut Sink) -> Result<()> + 'a>;

/// Tensors that are going to be written, and how.
pub(crate) type Tensors<'a> = (Vec<Entry>, Fill<'a>);

/// What goes into a checkpoint.
pub(crate) struct Contents<'a> {
    pub(crate) state: State,
    pub(crate) weights: Tensors<'a>,
    pub(crate) moments: Tensors<'a>,
}

impl RunFolder {
    /// Takes the folder, makes it where it is missing, and sweeps what killed processes left half-written.
    pub(crate) fn open(path: &Path, identity: Identity) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(|source| TrainError::io(path, "create", source))?;
        let lock = Lock::take(&path.join("LOCK"))?;
        let folder = Self {
            path: path.to_owned(),
            lock,
            identity,
        };
        folder.sweep()?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Why the lock protects nothing, if so.
    pub(crate) fn lock_warning(&self) -> Option<&str> {
        self.lock.unsupported.as_deref()
    }

    /// The newest checkpoint that is whole. Damaged ones that are newer are set aside.
    ///
    /// # Returns
    ///
    /// Nothing for a folder without checkpoints.
    ///
    /// # Errors
    ///
    /// [`TrainError::NoUsableCheckpoint`] when there are some and all are damaged.
    pub(crate) fn newest(&self, warn: &mut dyn FnMut(String)) -> Result<Option<Loaded>> {
        let mut reasons = Vec::new();
        for step in self.steps()?.into_iter().rev() {
            match self.load(step, warn) {
                Ok(loaded) => return Ok(Some(loaded)),
                Err(error @ TrainError::CheckpointInvalid { .. }) => {
                    let aside = self.set_aside(step)?;
                    warn(format!("{error}; set aside as {}", aside.display()));
                    reasons.push(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        for name in self.names("corrupt-step-")? {
            reasons.push(format!("{name}: set aside"));
        }
        if reasons.is_empty() {
            return Ok(None);
        }
        Err(TrainError::NoUsableCheckpoint {
            path: self.path.clone(),
            reasons,
        })
    }

    /// The newest step that has a checkpoint, whole or not.
    pub(crate) fn newest_step(&self) -> Result<Option<u64>> {
        Ok(self.steps()?.pop())
    }

    /// A checkpoint of this run.
    pub(crate) fn load(&self, step: u64, warn: &mut dyn FnMut(String)) -> Result<Loaded> {
        let folder = self.step_path(step);
        let manifest = Manifest::read(&folder, step)?;
        let notes = self.identity.check(&manifest.identity)?;
        if !notes.is_empty() {
            warn(format!(
                "the run goes on elsewhere than it began ({}): its numbers may differ in the last digits",
                notes.join("; ")
            ));
        }
        let sum = |name: &str| {
            let sum = manifest.files.get(name);
            sum.ok_or_else(|| {
                TrainError::invalid(&folder, format!("the manifest does not list {name}"))
            })
        };
        let path = folder.join(STATE);
        let state = files::read_checked(&path, sum(STATE)?)?;
        let state: State = serde_json::from_slice(&state)
            .map_err(|error| TrainError::invalid(&path, error.to_string()))?;
        if state.step != step {
            return Err(TrainError::invalid(
                &path,
                format!("step {}; expected {step}", state.step),
            ));
        }
        Ok(Loaded {
            state,
            weights: tensors::read(&folder.join(WEIGHTS), sum(WEIGHTS)?)?,
            moments: tensors::read(&folder.join(MOMENTS), sum(MOMENTS)?)?,
        })
    }

    /// Writes a checkpoint; when this returns it is on the disk, or the older ones are as they were.
    pub(crate) fn save(&self, contents: Contents) -> Result<PathBuf> {
        let step = contents.state.step;
        let need = bytes(&contents.weights.0) + bytes(&contents.moments.0);
        let half = self.path.join(format!("tmp-{step}-{}", std::process::id()));
        let whole = self.step_path(step);
        let saved = self
            .fill(&half, contents)
            .and_then(|()| self.publish(&half, &whole));
        match saved {
            Ok(()) => Ok(whole),
            Err(error) => {
                // What is left of it is swept at the next start if this fails too.
                let _ = std::fs::remove_dir_all(&half);
                Err(match error {
                    TrainError::DiskFull { path, .. } => TrainError::DiskFull { path, need },
                    other => other,
                })
            }
        }
    }

    fn fill(&self, half: &Path, contents: Contents) -> Result<()> {
        let step = contents.state.step;
        std::fs::create_dir(half).map_err(|source| TrainError::io(half, "create", source))?;
        let mut sums = BTreeMap::new();
        let (entries, fill) = contents.weights;
        sums.insert(
            WEIGHTS.to_owned(),
            tensors::write(&half.join(WEIGHTS), &entries, fill)?,
        );
        let (entries, fill) = contents.moments;
        sums.insert(
            MOMENTS.to_owned(),
            tensors::write(&half.join(MOMENTS), &entries, fill)?,
        );
        sums.insert(
            STATE.to_owned(),
            write_state(&half.join(STATE), &contents.state)?,
        );
        Manifest::new(step, self.identity.clone(), sums).write(half)?;
        files::sync_folder(half)
    }

    /// Gives a finished checkpoint its name. Another one of the same step is replaced; it has a name that
    /// [`RunFolder::sweep`] knows until the new one is there.
    fn publish(&self, half: &Path, whole: &Path) -> Result<()> {
        if !whole.exists() {
            return files::rename(half, whole);
        }
        let old = self.path.join(format!("old-{}", file_name(whole)));
        files::rename(whole, &old)?;
        files::rename(half, whole)?;
        remove(&old)
    }

    /// Deletes checkpoints but the newest `keep`, the best one and the one just written.
    pub(crate) fn prune(&self, keep: usize, best: Option<u64>) -> Result<()> {
        let steps = self.steps()?;
        let old = steps.len().saturating_sub(keep.max(1));
        for step in steps
            .into_iter()
            .take(old)
            .filter(|step| Some(*step) != best)
        {
            // Under a name that a start sweeps, so that a kill leaves nothing that looks like a checkpoint.
            let dying = self
                .path
                .join(format!("tmp-{step}-{}-old", std::process::id()));
            files::rename(&self.step_path(step), &dying)?;
            remove(&dying)?;
        }
        Ok(())
    }

    /// Renames a damaged checkpoint.
    pub(crate) fn set_aside(&self, step: u64) -> Result<PathBuf> {
        let mut aside = self.path.join(format!("corrupt-step-{step}"));
        let mut number = 1;
        while aside.exists() {
            aside = self.path.join(format!("corrupt-step-{step}-{number}"));
            number += 1;
        }
        files::rename(&self.step_path(step), &aside)?;
        Ok(aside)
    }

    fn sweep(&self) -> Result<()> {
        for name in self.names("tmp-")? {
            let ours = name[4..].starts_with(|first: char| first.is_ascii_digit());
            if ours {
                remove(&self.path.join(name))?;
            }
        }
        for name in self.names("old-step-")? {
            let (old, whole) = (self.path.join(&name), self.path.join(&name[4..]));
            if whole.exists() {
                remove(&old)?;
            } else {
                files::rename(&old, &whole)?;
            }
        }
        Ok(())
    }

    fn step_path(&self, step: u64) -> PathBuf {
        self.path.join(format!("step-{step}"))
    }

    /// The steps that have a checkpoint, ascending.
    fn steps(&self) -> Result<Vec<u64>> {
        let names = self.names("step-")?;
        let mut steps: Vec<u64> = names
            .iter()
            .filter_map(|name| name[5..].parse().ok())
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// The folders in this one whose names begin so, in order.
    fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let failed = |source| TrainError::io(&self.path, "read", source);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if let Some(name) = name.to_str()
                && name.starts_with(prefix)
                && entry.file_type().map_err(failed)?.is_dir()
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

fn write_state(path: &Path, state: &State) -> Result<Sum> {
    let text = serde_json::to_string_pretty(state)
        .map_err(|error| TrainError::invalid(path, error.to_string()))?;
    files::write_new(path, |writer| {
        writer
            .write_all(text.as_bytes())
            .map_err(|source| TrainError::io(path, "write", source))
    })
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_dir_all(path).map_err(|source| TrainError::io(path, "delete", source))
}

fn bytes(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.bytes() as u64).sum()
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, TensorData};

    use super::*;
    use crate::config::TrainConfig;

    fn identity() -> Identity {
        Identity::new(
            &TrainConfig::default(),
            String::new(),
            String::new(),
            String::new(),
            "test",
        )
    }

    fn open(path: &Path) -> RunFolder {
        RunFolder::open(path, identity()).unwrap()
    }

    fn save(folder: &RunFolder, step: u64, value: f32) -> Result<PathBuf> {
        let entry = |name: &str| Entry {
            name: name.to_owned(),
            shape: vec![3],
            dtype: DType::F32,
        };
        let data = TensorData::new(vec![value; 3], [3]);
        let moments = data.clone();
        folder.save(Contents {
            state: State {
                step,
                ..State::default()
            },
            weights: (
                vec![entry("w")],
                Box::new(move |sink: &mut Sink| sink.put(&data)),
            ),
            moments: (
                vec![entry("w.first")],
                Box::new(move |sink: &mut Sink| sink.put(&moments)),
            ),
        })
    }

    fn newest(folder: &RunFolder) -> (Result<Option<Loaded>>, Vec<String>) {
        let mut warnings = Vec::new();
        let found = folder.newest(&mut |warning| warnings.push(warning));
        (found, warnings)
    }

    fn newest_step(folder: &RunFolder) -> Option<u64> {
        newest(folder).0.unwrap().map(|loaded| loaded.state.step)
    }

    #[test]
    fn the_newest_checkpoint_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let folder = open(dir.path());
        assert_eq!(newest_step(&folder), None);
        for step in [2, 10, 9] {
            save(&folder, step, step as f32).unwrap();
        }
        let loaded = newest(&folder).0.unwrap().unwrap();
        assert_eq!(loaded.state.step, 10);
        assert_eq!(loaded.weights["w"], TensorData::new(vec![10.0f32; 3], [3]));
    }

    /// What a disk or a hand may do to a file, at some byte.
    type Damage = fn(&Path, usize);

    #[test]
    fn any_damage_to_any_file_falls_back_to_the_checkpoint_before() {
        let names = [WEIGHTS, MOMENTS, STATE, "manifest.json", "manifest.sha256"];
        let damages: [(&str, Damage); 4] = [
            ("flip", |path, at| {
                let mut bytes = std::fs::read(path).unwrap();
                let at = at % bytes.len();
                bytes[at] ^= 4;
                std::fs::write(path, bytes).unwrap();
            }),
            ("cut", |path, at| {
                let bytes = std::fs::read(path).unwrap();
                std::fs::write(path, &bytes[..at % bytes.len()]).unwrap();
            }),
            ("zero", |path, _| {
                let length = std::fs::metadata(path).unwrap().len() as usize;
                std::fs::write(path, vec![0; length]).unwrap();
            }),
            ("delete", |path, _| std::fs::remove_file(path).unwrap()),
        ];
        for name in names {
            for (what, damage) in damages {
                for at in (0..20).map(|number| number * 37 + 1) {
                    let dir = tempfile::tempdir().unwrap();
                    let folder = open(dir.path());
                    save(&folder, 1, 1.0).unwrap();
                    save(&folder, 2, 2.0).unwrap();
                    damage(&dir.path().join("step-2").join(name), at);
                    let (found, warnings) = newest(&folder);
                    let step = found.unwrap().map(|loaded| loaded.state.step);
                    assert_eq!(step, Some(1), "{what} {name} at {at}");
                    assert_eq!(warnings.len(), 1, "{warnings:?}");
                    assert!(dir.path().join("corrupt-step-2").is_dir());
                    if !matches!(what, "flip" | "cut") {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn an_unlisted_file_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let folder = open(dir.path());
        save(&folder, 1, 1.0).unwrap();
        save(&folder, 2, 1.0).unwrap();
        std::fs::write(dir.path().join("step-2/weights2.safetensors"), "").unwrap();
        assert_eq!(newest_step(&folder), Some(1));
    }

    #[test]
    fn when_all_are_damaged_the_run_never_starts_anew() {
        let dir = tempfile::tempdir().unwrap();
        let folder = open(dir.path());
        for step in [1, 2] {
            save(&folder, step, 1.0).unwrap();
            std::fs::write(dir.path().join(format!("step-{step}/state.json")), "{}").unwrap();
        }
        // Again and again, also when they were set aside before.
        for _ in 0..2 {
            let error = newest(&folder).0.unwrap_err();
            let TrainError::NoUsableCheckpoint { reasons, .. } = &error else {
                panic!("{error}")
            };
            assert!(reasons.len() >= 2, "{error}");
        }
    }

    #[test]
    fn other_runs_are_refused_and_not_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        save(&open(dir.path()), 1, 1.0).unwrap();
        let mut other = identity();
        other.training = "x".to_owned();
        let folder = RunFolder::open(dir.path(), other).unwrap();
        let error = newest(&folder).0.unwrap_err();
        assert!(
            matches!(error, TrainError::ResumeMismatch { .. }),
            "{error}"
        );
        drop(folder);
        assert_eq!(newest_step(&open(dir.path())), Some(1));
    }

    #[test]
    fn leftovers_of_killed_processes_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        save(&open(dir.path()), 3, 1.0).unwrap();
        for name in ["tmp-4-77", "tmp-2-9-old", "tmp-mine"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        // Killed between the two renames of a replacement.
        std::fs::rename(dir.path().join("step-3"), dir.path().join("old-step-3")).unwrap();
        let folder = open(dir.path());
        assert_eq!(newest_step(&folder), Some(3));
        assert!(!dir.path().join("tmp-4-77").exists() && !dir.path().join("tmp-2-9-old").exists());
        assert!(
            dir.path().join("tmp-mine").exists(),
            "a folder that is not ours stays"
        );
    }

    #[test]
    fn a_step_can_be_saved_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = open(dir.path());
        save(&folder, 3, 1.0).unwrap();
        save(&folder, 3, 2.0).unwrap();
        let loaded = newest(&folder).0.unwrap().unwrap();
        assert_eq!(loaded.weights["w"], TensorData::new(vec![2.0f32; 3], [3]));
        assert!(!dir.path().join("old-step-3").exists());
    }

    #[test]
    fn the_last_ones_and_the_best_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let folder = open(dir.path());
        for step in 1..=6 {
            save(&folder, step, 1.0).unwrap();
        }
        folder.prune(2, Some(3)).unwrap();
        assert_eq!(folder.steps().unwrap(), [3, 5, 6]);
        folder.prune(2, Some(6)).unwrap();
        assert_eq!(folder.steps().unwrap(), [5, 6]);
    }

    #[test]
    fn a_save_that_fails_leaves_the_older_ones() {
        let dir = tempfile::tempdir().unwrap();
        let folder = open(dir.path());
        save(&folder, 1, 1.0).unwrap();
        let entry = Entry {
            name: "w".to_owned(),
            shape: vec![3],
            dtype: DType::F32,
        };
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let failing = Contents {
            state: State {
                step: 2,
                ..State::default()
            },
            weights: (
                vec![entry],
                Box::new(|_: &mut Sink| Err(TrainError::io(Path::new("w"), "write", full))),
            ),
            moments: (Vec::new(), Box::new(|_: &mut Sink| Ok(()))),
        };
        let error = folder.save(failing).unwrap_err();
        assert!(
            matches!(error, TrainError::DiskFull { need: 12, .. }),
            "{error}"
        );
        assert_eq!(folder.names("").unwrap(), ["step-1"]);
        assert_eq!(newest_step(&folder), Some(1));
    }
}
