//! What a checkpoint says of itself: which run it belongs to, and the digest of every file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::{self, Sum};
use crate::config::TrainConfig;
use crate::error::{Result, TrainError};

/// The version of the layout.
const SCHEMA: u32 = 1;

pub(super) const NAME: &str = "manifest.json";
pub(super) const SUM_NAME: &str = "manifest.sha256";

/// What makes two runs the same one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// The configuration, without what may change.
    pub(crate) config: Value,
    /// Fingerprint of the training data.
    pub(crate) training: String,
    /// Fingerprint of the validation data.
    pub(crate) validation: String,
    /// Fingerprint of the parameters that are not trained.
    pub(crate) frozen: String,
    /// Versions and hardware. Another one may give other last digits.
    pub(crate) machine: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) schema: u32,
    pub(super) step: u64,
    pub(super) identity: Identity,
    pub(super) files: BTreeMap<String, Sum>,
}

impl Identity {
    pub(crate) fn new(
        config: &TrainConfig,
        training: String,
        validation: String,
        frozen: String,
        device: &str,
    ) -> Self {
        let mut config = serde_json::to_value(config).unwrap_or_default();
        if let Some(fields) = config.as_object_mut() {
            fields.remove("checkpoint");
        }
        Self {
            config: through_text(&config),
            training,
            validation,
            frozen,
            machine: machine(device),
        }
    }

    /// Refuses to go on with another run.
    ///
    /// # Returns
    ///
    /// What may change the last digits, in words.
    pub(super) fn check(&self, saved: &Self) -> Result<Vec<String>> {
        let (mut before, mut now) = (BTreeMap::new(), BTreeMap::new());
        leaves("", &saved.config, &mut before);
        leaves("", &self.config, &mut now);
        let texts = [
            ("training data", &saved.training, &self.training),
            ("validation data", &saved.validation, &self.validation),
            ("frozen weights", &saved.frozen, &self.frozen),
        ];
        for (field, was, is) in texts {
            before.insert(field.to_owned(), was.clone());
            now.insert(field.to_owned(), is.clone());
        }
        if let Some((field, saved, now)) = difference(&before, &now) {
            return Err(TrainError::ResumeMismatch { field, saved, now });
        }
        let mut notes = Vec::new();
        let mut rest = self.machine.clone();
        for (field, was) in &saved.machine {
            let is = rest.remove(field).unwrap_or_default();
            if *was != is {
                notes.push(format!("{field} was {was} and is {is}"));
            }
        }
        Ok(notes)
    }
}

impl Manifest {
    pub(super) fn new(step: u64, identity: Identity, files: BTreeMap<String, Sum>) -> Self {
        Self {
            schema: SCHEMA,
            step,
            identity,
            files,
        }
    }

    /// Writes the manifest and its digest.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(NAME);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| TrainError::invalid(&path, error.to_string()))?;
        let put = |path: &Path, text: &str| {
            files::write_new(path, |writer| {
                writer
                    .write_all(text.as_bytes())
                    .map_err(|source| TrainError::io(path, "write", source))
            })
        };
        let sum = put(&path, &text)?;
        put(&folder.join(SUM_NAME), &format!("{}  {NAME}\n", sum.sha256))?;
        Ok(())
    }

    /// Reads the manifest of `step-N` and checks it against its digest.
    pub(super) fn read(folder: &Path, step: u64) -> Result<Self> {
        let path = folder.join(NAME);
        let bytes = files::read(&path)?;
        let sums = files::read(&folder.join(SUM_NAME))?;
        let expected = format!("{}  {NAME}\n", Sum::of(&bytes).sha256);
        if sums != expected.as_bytes() {
            return Err(TrainError::invalid(
                &path,
                "does not fit its SHA-256 in manifest.sha256",
            ));
        }
        let invalid = |why: String| TrainError::invalid(&path, why);
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if value["schema"] != SCHEMA {
            return Err(invalid(format!(
                "schema {}; expected {SCHEMA}",
                value["schema"]
            )));
        }
        let manifest: Self =
            serde_json::from_value(value).map_err(|error| invalid(error.to_string()))?;
        if manifest.step != step {
            return Err(invalid(format!("step {}; expected {step}", manifest.step)));
        }
        manifest.check_names(folder)?;
        Ok(manifest)
    }

    /// Exactly the files that it lists lie beside it; hidden ones of the operating system do not count.
    fn check_names(&self, folder: &Path) -> Result<()> {
        let listed = |name: &str| self.files.contains_key(name) || name == NAME || name == SUM_NAME;
        for entry in
            std::fs::read_dir(folder).map_err(|source| TrainError::io(folder, "read", source))?
        {
            let entry = entry.map_err(|source| TrainError::io(folder, "read", source))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !name.starts_with('.') && !listed(&name) {
                return Err(TrainError::invalid(
                    &entry.path(),
                    "is not listed in the manifest",
                ));
            }
        }
        Ok(())
    }
}

/// The first field in which two descriptions differ.
fn difference(
    before: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> Option<(String, String, String)> {
    let fields = before.keys().chain(now.keys());
    let value = |of: &BTreeMap<String, String>, field| {
        of.get(field).cloned().unwrap_or_else(|| "none".to_owned())
    };
    fields
        .map(|field| (field.clone(), value(before, field), value(now, field)))
        .find(|(_, was, is)| was != is)
}

/// Every number, text and list in a JSON value, by its path.
fn leaves(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    if let Value::Object(fields) = value {
        for (name, value) in fields {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            leaves(&path, value, found);
        }
    } else {
        found.insert(path.to_owned(), value.to_string());
    }
}

/// A value as it comes back from a file. A float may lose its last digit on that way, and must on both sides.
fn through_text(value: &Value) -> Value {
    serde_json::from_str(&value.to_string()).unwrap_or_default()
}

/// burn's version, pinned in the workspace. Its numbers may change with it.
const BURN: &str = "0.22.1";

fn machine(device: &str) -> BTreeMap<String, String> {
    [
        ("finetune", env!("CARGO_PKG_VERSION").to_owned()),
        ("burn", BURN.to_owned()),
        ("device", device.to_owned()),
        (
            "cpu",
            format!("{} {}", std::env::consts::ARCH, cpu_features()),
        ),
    ]
    .into_iter()
    .map(|(field, value)| (field.to_owned(), value))
    .collect()
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> String {
    let found = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    let names: Vec<&str> = found
        .iter()
        .filter(|(_, has)| *has)
        .map(|(name, _)| *name)
        .collect();
    names.join(" ")
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_features() -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burns_version_is_the_pinned_one() {
        let root = include_str!("../../../../Cargo.toml");
        assert!(root.contains(&format!("version = \"={BURN}\"")));
    }

    fn identity(config: &TrainConfig) -> Identity {
        let text = str::to_owned;
        Identity::new(config, text("a"), text("b"), text("c"), "flex")
    }

    fn mismatch(now: &Identity) -> String {
        match now.check(&identity(&TrainConfig::default())) {
            Err(TrainError::ResumeMismatch { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    type Change = fn(&mut TrainConfig);

    #[test]
    fn every_change_of_the_configuration_is_named() {
        let changes: [(&str, Change); 12] = [
            ("seed", |config| config.seed += 1),
            ("epochs", |config| config.epochs += 1.0),
            ("steps", |config| config.steps = Some(7)),
            ("accumulate", |config| config.accumulate += 1),
            ("batch.rows", |config| config.batch.rows += 1),
            ("batch.pack", |config| config.batch.pack = true),
            ("schedule.peak", |config| {
                config.schedule.peak *= 1.000_000_1;
            }),
            ("schedule.decay", |config| {
                config.schedule.decay = crate::Decay::Cosine;
            }),
            ("optimizer.beta2", |config| config.optimizer.beta2 = 0.95),
            ("optimizer.clip", |config| config.optimizer.clip = 0.0),
            ("validation.every", |config| {
                config.validation.every = Some(3);
            }),
            ("validation.keep_best", |config| {
                config.validation.keep_best = false;
            }),
        ];
        for (field, change) in changes {
            let mut config = TrainConfig::default();
            change(&mut config);
            assert_eq!(mismatch(&identity(&config)), field);
        }
    }

    #[test]
    fn other_data_is_named_and_safe_fields_may_change() {
        let saved = identity(&TrainConfig::default());
        for (field, change) in [
            (
                "training data",
                (|identity| identity.training.push('x')) as fn(&mut Identity),
            ),
            ("validation data", |identity| identity.validation.clear()),
            ("frozen weights", |identity| identity.frozen.push('x')),
        ] {
            let mut now = saved.clone();
            change(&mut now);
            assert_eq!(mismatch(&now), field);
        }
        let mut config = TrainConfig::default();
        config.checkpoint.every = Some(3);
        config.checkpoint.keep = 9;
        assert_eq!(
            identity(&config).check(&saved).unwrap(),
            Vec::<String>::new()
        );
        let mut other = saved.clone();
        other.machine.insert("burn".to_owned(), "0.1".to_owned());
        assert_eq!(saved.check(&other).unwrap(), ["burn was 0.1 and is 0.22.1"]);
    }
}
