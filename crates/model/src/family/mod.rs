//! Families: from `config.json` to a blueprint and a table of names. No file here touches a tensor.

mod bert;
mod bloom;
mod decoder;
mod distilbert;
mod electra;
mod gemma;
mod gpt2;
mod gpt_neox;
mod llama;
mod mistral;
mod modernbert;
mod olmo2;
mod phi3;
mod qwen;
mod roberta;
mod rotary;
pub mod settings;
mod smollm3;
mod starcoder2;
mod t5;
mod xlnet;

use serde_json::Value;

use crate::blueprint::{Blueprint, Heads, Spread};
use crate::checkpoint::names::Names;
use crate::error::{ModelError, Result, escape};
use crate::head::Head;

use settings::{Settings, invalid};

/// Reads a `config.json` of one family.
pub type Family = fn(Settings<'_>) -> Result<Architecture>;

/// Everything that a `config.json` says about a model.
#[derive(Debug, Clone)]
pub struct Architecture {
    /// The trunk.
    pub blueprint: Blueprint,
    /// The heads that the family has.
    pub heads: Heads,
    /// What the tensors are called.
    pub names: Names,
    /// The reference's class of each head, as `architectures` in `config.json` spells it.
    pub classes: &'static [(Head, &'static str)],
    /// The spread of new weights.
    pub spread: Spread,
    /// The last part of the names of the layers that PEFT adapts when it is not told which; where it has no choice of its
    /// own, those of LLaMA in families that share its names, and none in others.
    pub adapted: &'static [&'static str],
    /// The longest text that the model was made for, in tokens.
    pub longest: Option<usize>,
}

/// The list of families.
const FAMILIES: &[(&str, Family)] = &[
    ("bert", bert::architecture),
    ("bloom", bloom::architecture),
    ("distilbert", distilbert::architecture),
    ("electra", electra::architecture),
    ("gemma", gemma::first),
    ("gemma2", gemma::second),
    ("gemma3_text", gemma::third),
    ("gpt2", gpt2::architecture),
    ("gpt_neox", gpt_neox::architecture),
    ("llama", llama::architecture),
    ("mistral", mistral::architecture),
    ("modernbert", modernbert::architecture),
    ("olmo2", olmo2::architecture),
    ("phi3", phi3::architecture),
    ("qwen2", qwen::second),
    ("qwen3", qwen::third),
    ("roberta", roberta::architecture),
    ("smollm3", smollm3::architecture),
    ("starcoder2", starcoder2::architecture),
    ("t5", t5::architecture),
    ("xlnet", xlnet::architecture),
];

/// The families that are known: those of the project, and those that a program adds.
#[derive(Debug, Clone)]
pub struct Families {
    list: Vec<(String, Family)>,
}

impl Default for Families {
    fn default() -> Self {
        let own = |(name, family): &(&str, Family)| ((*name).to_owned(), *family);
        Self {
            list: FAMILIES.iter().map(own).collect(),
        }
    }
}

impl Families {
    /// The same with one more; a later family of the same name hides an earlier one.
    pub fn with(mut self, model_type: &str, family: Family) -> Self {
        self.list.insert(0, (model_type.to_owned(), family));
        self
    }

    /// Every known `model_type`.
    pub fn known(&self) -> Vec<String> {
        self.list.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Reads a `config.json`.
    ///
    /// # Errors
    /// When the `model_type` is not known, or a setting cannot be or is not implemented.
    pub fn architecture(&self, config: &Value) -> Result<Architecture> {
        let settings = Settings::new(config)?;
        let Some(name) = settings.text(&["model_type"])? else {
            let why = format!("expected one of {}", self.known().join(", "));
            return Err(invalid("model_type", None, why));
        };
        let known = self.list.iter().find(|(known, _)| known == name);
        let Some((_, family)) = known else {
            return Err(ModelError::UnknownFamily {
                found: escape(name),
                known: self.known(),
            });
        };
        let architecture = family(settings)?;
        check_size(&architecture.blueprint)?;
        Ok(architecture)
    }
}

/// Refuses what no machine could hold, before anything is allocated.
fn check_size(blueprint: &Blueprint) -> Result<()> {
    const MOST: u128 = 1 << 42;
    let parameters = blueprint.parameters();
    if parameters <= MOST {
        return Ok(());
    }
    let why = format!("the sizes lead to {parameters} parameters; at most {MOST} are allowed");
    Err(invalid("(sizes)", None, why))
}

impl Architecture {
    /// The head that a class of the reference stands for.
    pub fn head_of(&self, class: &str) -> Option<Head> {
        let found = self.classes.iter().find(|(_, name)| *name == class);
        found.map(|(head, _)| *head)
    }

    /// The reference's class for a head.
    pub fn class_of(&self, head: Head) -> Option<&'static str> {
        let found = self.classes.iter().find(|(known, _)| *known == head);
        found.map(|(_, class)| *class)
    }
}
