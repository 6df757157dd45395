//! What every program on the command line needs.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::model::checkpoint::Loading;
use crate::model::{Checkpoint, Result as ModelResult};

use crate::data::load::{Loaders, Reading};
use crate::data::mapping::Detecting;
use crate::data::synthesize::{Asking, Synthesis};
use crate::data::{DataError, Value};

/// Any error, as people read it: `main` shows an error by its `Debug` form, and this one's is the message.
///
/// ```
/// use finetune::prelude::*;
///
/// fn run() -> Result<(), Failure> {
///     Checkpoint::open("no/such/folder")?;
///     Ok(())
/// }
/// let shown = format!("{:?}", run().unwrap_err());
/// assert!(shown.contains("no/such/folder") && !shown.contains("FileMissing"), "{shown}");
/// ```
pub struct Failure(Box<dyn Error + Send + Sync>);

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Failure {
    /// The message, and beneath it the causes that it does not name itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.to_string();
        f.write_str(&shown)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !shown.contains(&text) {
                write!(f, "\n  because {text}")?;
                shown = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

/// Lets the program end without a word when whoever reads its output goes away, as `… | head` does. Without it the next
/// `println!` panics.
///
/// # Errors
///
/// When the signal cannot be caught.
pub fn end_with_reader() -> io::Result<()> {
    #[cfg(unix)]
    {
        use signal_hook::consts::SIGPIPE;
        use signal_hook::flag::register_conditional_default;
        use std::sync::Arc;
        use std::sync::atomic::AtomicBool;

        register_conditional_default(SIGPIPE, Arc::new(AtomicBool::new(true)))?;
    }
    Ok(())
}

/// Reads `NAME=VALUE`, where the value is JSON: a field of a configuration, and what it becomes.
///
/// # Errors
///
/// When there is no `=`, or the value is not JSON.
pub fn field(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=VALUE, such as num_beams=4")?;
    let value = value
        .parse()
        .map_err(|error| format!("{value:?} is not JSON ({error}); a text stands in quotes"))?;
    Ok((name.to_owned(), value))
}

/// Reads the address of an endpoint.
///
/// # Errors
///
/// When it names no host of `http://` or `https://`.
pub fn address(text: &str) -> Result<String, String> {
    let known = ["http://", "https://"];
    let host = known.iter().find_map(|scheme| text.strip_prefix(scheme));
    match host {
        Some(host) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err("expected an address such as http://localhost:8080/v1".to_owned()),
    }
}

/// The folder of a model: the path itself or, with the feature `hub`, the folder in the cache of what a name such as
/// `hf://owner/name` leads to, downloaded if need be. Made to parse a flag.
///
/// # Errors
///
/// When the hub does not give the model; without the feature, for every name of the hub.
pub fn model(path_or_name: &str) -> Result<PathBuf, DataError> {
    #[cfg(feature = "hub")]
    return crate::data::hub::resolve(path_or_name, crate::data::hub::Kind::Model);
    #[cfg(not(feature = "hub"))]
    if path_or_name.starts_with("hf://") {
        return Err(DataError::FeatureOff {
            place: crate::data::Place::file(path_or_name),
            found: "a name of the hub".to_owned(),
            feature: "hub",
        });
    }
    #[cfg(not(feature = "hub"))]
    Ok(path_or_name.into())
}

/// Opens a checkpoint whose weights show a bar on standard error while they are read, from a second on.
///
/// # Errors
///
/// As [`Checkpoint::open`].
pub fn open(folder: impl AsRef<Path>) -> ModelResult<Checkpoint> {
    Ok(shown(Checkpoint::open(folder)?))
}

/// The same checkpoint, showing a bar on standard error while weights are read, from a second on. Silent when that is
/// no terminal.
pub fn shown(checkpoint: Checkpoint) -> Checkpoint {
    let bar = LateBar::new("reading weights {bar:24} {bytes}/{total_bytes}  {eta} left");
    checkpoint.watch(move |loading: Loading| bar.show(loading.done, loading.total))
}

/// The usual loaders, showing a bar on standard error while they read, from a second on. Silent when that is no
/// terminal.
pub fn loaders() -> Loaders {
    let bar = LateBar::new("reading data {bar:24} {bytes}/{total_bytes}  {eta} left");
    Loaders::default().watch(move |reading: Reading| bar.show(reading.done, reading.total))
}

/// The mapping that `written` names or, without it or with `auto`, one that finds the fields by itself; then it prints
/// what was found in each file: `data.jsonl: Alpaca (instruction, input, output)`.
///
/// # Errors
///
/// As [`Loaders::mapping`].
pub fn mapping<M: Detecting, P: AsRef<Path>>(
    data: &[P],
    written: Option<&str>,
) -> Result<M, DataError> {
    let (mapping, found) = Loaders::default().mapping(data, written.unwrap_or_default())?;
    for found in found {
        println!("{found}");
    }
    Ok(mapping)
}

/// The same making of data, showing a bar on standard error while a model is asked, from a second on. Silent when that is
/// no terminal.
pub fn asked(synthesis: Synthesis) -> Synthesis {
    let bar = LateBar::new("asking {bar:24} {pos}/{len}  {eta} left");
    synthesis.watch(move |asking: Asking| bar.show(asking.done, asking.total))
}

/// What shows a bar on standard error while a model is evaluated on a task, from a second on. Silent when that is no
/// terminal. For [`Evaluation::progress`](finetune_eval::Evaluation::progress).
pub fn evaluated(task: &str) -> impl FnMut(usize, usize) + use<> {
    let bar = LateBar::new("{msg} {bar:24} {pos}/{len}  {eta} left").named(task);
    move |done, total| bar.show(done as u64, total as u64)
}

/// A bar that appears when something takes longer than a second.
struct LateBar {
    template: &'static str,
    name: String,
    begun: OnceLock<Instant>,
    bar: OnceLock<ProgressBar>,
}

impl LateBar {
    fn new(template: &'static str) -> Self {
        Self {
            template,
            name: String::new(),
            begun: OnceLock::new(),
            bar: OnceLock::new(),
        }
    }

    /// The text at `{msg}`.
    fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    fn show(&self, done: u64, total: u64) {
        const PATIENCE: Duration = Duration::from_secs(1);
        if self.begun.get_or_init(Instant::now).elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_init(|| {
            let style = ProgressStyle::with_template(self.template);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(total).with_style(style);
            bar.with_message(self.name.clone())
        });
        bar.set_position(done);
        if done == total {
            bar.finish_and_clear();
        }
    }
}

/// Refuses a folder for results that holds something, before hours are spent on them.
///
/// # Errors
///
/// When the folder is not empty, is no folder, or cannot be read.
pub fn vacant(folder: &Path) -> Result<(), Failure> {
    let why = match folder
        .read_dir()
        .map(|mut entries| entries.next().is_none())
    {
        Ok(true) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(false) => "holds something already".to_owned(),
        Err(error) => error.to_string(),
    };
    let folder = folder.display();
    Err(format!("{folder}: {why}; choose another output folder").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(io::Error, &'static str);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.1)
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let shown = |message| {
            format!(
                "{:?}",
                Failure::from(Outer(io::Error::other("no disk"), message))
            )
        };
        assert_eq!(shown("cannot write"), "cannot write\n  because no disk");
        assert_eq!(shown("cannot write: no disk"), "cannot write: no disk");
        assert_eq!(format!("{:?}", Failure::from("no model")), "no model");
    }

    #[test]
    fn a_path_is_a_model_where_it_is() {
        assert_eq!(
            model("models/a").expect("a path"),
            PathBuf::from("models/a")
        );
        assert!(model("hf://owner/../a").is_err());
    }

    #[test]
    fn only_an_empty_folder_is_vacant() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("file");
        assert!(vacant(folder.path()).is_ok() && vacant(&file).is_ok());
        std::fs::write(&file, "").expect("a file");
        for taken in [folder.path(), file.as_path()] {
            let error = vacant(taken).expect_err("it holds something").to_string();
            assert!(error.contains("choose another output folder"), "{error}");
        }
    }
}
