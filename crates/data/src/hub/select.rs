//! Which files of a repository are wanted.

use super::listing::{Entry, Listing};
use super::name::{HubName, Kind};
use crate::error::{DataError, Result, escaped, quoted};

/// Which files of a repository are wanted. A path in the [`HubName`] narrows it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Select {
    /// Every file.
    All,
    /// What loads a model: configuration, tokenizer and safetensors weights, and never pickles, which can run code.
    Model,
    /// The files of one part of a data set, such as `train`, by their names: `train.csv`, `data/test-0.parquet`,
    /// `validation/a.json`. `val`, `valid` and `dev` mean `validation`, `eval` and `testing` mean `test`, `training`
    /// means `train`.
    Split(String),
    /// The files whose path matches one of the patterns: `*` stands for any characters (`/` too), `?` for one.
    Patterns(Vec<String>),
}

impl Select {
    /// What is wanted if nothing is said: of a data set all, of a model what loads it.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Dataset => Self::All,
            Kind::Model => Self::Model,
        }
    }

    /// The wanted files, in the order of the listing.
    pub(super) fn choose<'a>(
        &self,
        name: &HubName,
        listing: &'a Listing,
    ) -> Result<Vec<&'a Entry>> {
        let inside: Vec<(&str, &Entry)> = listing
            .entries()
            .iter()
            .filter_map(|entry| Some((below(name.path(), &entry.path)?, entry)))
            .collect();
        if inside.is_empty() {
            return Err(none(name, "no file or folder of this path", listing));
        }
        let paths: Vec<&str> = inside.iter().map(|(path, _)| *path).collect();
        let weights = weights(&paths);
        let chosen = inside
            .into_iter()
            // The path names the file itself.
            .filter(|(path, _)| path.is_empty() || self.wants(path, weights))
            .map(|(_, entry)| entry);
        let chosen: Vec<&Entry> = chosen.collect();
        match self {
            _ if chosen.is_empty() => Err(none(name, &self.missing(), listing)),
            Self::Model => match pickled(name, &paths, &chosen) {
                Some(error) => Err(error),
                None => Ok(chosen),
            },
            _ => Ok(chosen),
        }
    }

    fn wants(&self, path: &str, weights: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Model => is_of_model(path, weights),
            Self::Split(split) => is_of_split(path, split),
            Self::Patterns(patterns) => patterns.iter().any(|pattern| matches(pattern, path)),
        }
    }

    fn missing(&self) -> String {
        match self {
            Self::All => "no file".to_owned(),
            Self::Model => "no file of a model".to_owned(),
            Self::Split(split) => format!("no file of the split {}", quoted(split)),
            Self::Patterns(patterns) => {
                format!("no file that matches {}", quoted(&patterns.join(", ")))
            }
        }
    }
}

/// The rest of a path below a folder; empty if the folder is the file itself.
fn below<'a>(folder: Option<&str>, path: &'a str) -> Option<&'a str> {
    let Some(folder) = folder else {
        return Some(path);
    };
    let rest = path.strip_prefix(folder)?;
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix('/')
    }
}

/// The beginning of the names of the weights. Some repositories hold them twice: `model-….safetensors` and one
/// `consolidated.safetensors` in the maker's own layout.
fn weights(paths: &[&str]) -> Option<&'static str> {
    let has = |start: &str| {
        paths.iter().any(|path| {
            path.starts_with(start) && path.ends_with(".safetensors") && !path.contains('/')
        })
    };
    ["model.safetensors", "model-"]
        .iter()
        .any(|start| has(start))
        .then_some("model")
}

/// Whether a file at the top of a repository is needed to load its model.
fn is_of_model(path: &str, weights: Option<&str>) -> bool {
    const NAMES: [&str; 13] = [
        "adapter_config.json",
        "adapter_model.safetensors",
        "added_tokens.json",
        "chat_template.json",
        "config.json",
        "generation_config.json",
        "merges.txt",
        "special_tokens_map.json",
        "tekken.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
        "vocab.txt",
    ];
    if path.contains('/') {
        return false;
    }
    let ends = |end: &str| path.ends_with(end);
    NAMES.contains(&path)
        || [".jinja", ".model", ".tiktoken", ".safetensors.index.json"]
            .iter()
            .any(|end| ends(end))
        || (ends(".safetensors") && weights.is_none_or(|start| path.starts_with(start)))
}

/// A model whose weights are only there as pickles.
fn pickled(name: &HubName, paths: &[&str], chosen: &[&Entry]) -> Option<DataError> {
    let safe = |entry: &&Entry| entry.path.ends_with(".safetensors");
    if chosen.iter().any(safe) {
        return None;
    }
    let pickle = paths.iter().find(|path| {
        let end = path.rsplit('.').next();
        !path.contains('/')
            && end.is_some_and(|end| ["bin", "pt", "pth", "ckpt", "pkl"].contains(&end))
    })?;
    Some(DataError::Setting {
        name: "model".to_owned(),
        found: format!(
            "{name} with weights as {} alone, a pickle, which can run code",
            quoted(pickle)
        ),
        expected: "weights as .safetensors. Name a revision that has them, such as one of refs/pr"
            .to_owned(),
    })
}

/// Whether a path names the split, as a whole word of a folder's or the file's name.
fn is_of_split(path: &str, split: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphabetic())
            .filter(|word| !word.is_empty())
            .map(canonical)
            .collect()
    };
    let wanted = words(split);
    if wanted.is_empty() {
        return false;
    }
    path.split('/').any(|segment| {
        words(segment)
            .windows(wanted.len())
            .any(|part| part == wanted)
    })
}

fn canonical(word: &str) -> String {
    let word = word.to_lowercase();
    let known = match word.as_str() {
        "training" => "train",
        "val" | "valid" | "dev" => "validation",
        "testing" | "eval" | "evaluation" => "test",
        other => other,
    };
    known.to_owned()
}

/// Whether a text matches a pattern of `*` and `?`, in time proportional to the product of their lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut position) = (0, 0);
    // Where the last `*` stands, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while position < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, position));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[position] => {
                at += 1;
                position += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else {
                    return false;
                };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                position = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

fn none(name: &HubName, what: &str, listing: &Listing) -> DataError {
    let shown: Vec<String> = listing
        .entries()
        .iter()
        .take(8)
        .map(|entry| escaped(&entry.path))
        .collect();
    let more = listing.entries().len().saturating_sub(shown.len());
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    DataError::Setting {
        name: name.to_string(),
        found: what.to_owned(),
        expected: format!("one of {}{more}", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(select: &Select, name: &str, paths: &[&str]) -> Result<Vec<String>, String> {
        let listing = Listing::present(paths.iter().map(|path| (*path).to_owned()).collect());
        let name = HubName::parse(name, Kind::Model).unwrap();
        let chosen = select
            .choose(&name, &listing)
            .map_err(|error| error.to_string())?;
        Ok(chosen.into_iter().map(|entry| entry.path.clone()).collect())
    }

    #[test]
    fn patterns_match_as_those_of_a_shell_but_for_slashes() {
        let cases = [
            ("*", "a/b", true),
            ("*.csv", "d/a.csv", true),
            ("d/*.csv", "d/e/a.csv", true),
            ("d/*.csv", "e/a.csv", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xaxxb", true),
            ("*a*b*", "xbxxa", false),
            ("", "", true),
            ("é?", "éü", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(500), &"a".repeat(499)));
    }

    proptest! {
        #[test]
        fn patterns_match_as_regular_expressions_do(pattern in "[ab/*?]{0,8}", text in "[ab/]{0,10}") {
            let expression = format!("^{}$", pattern.replace('*', ".*").replace('?', "."));
            let expected = regex::Regex::new(&expression).unwrap().is_match(&text);
            prop_assert_eq!(matches(&pattern, &text), expected);
        }
    }

    #[test]
    fn splits_are_found_as_words() {
        let cases = [
            ("train.csv", "train", true),
            ("data/train-00000-of-00001.parquet", "train", true),
            ("my_training_01/x.json", "train", true),
            ("constraint.csv", "train", false),
            ("dev.jsonl", "validation", true),
            ("validation/a.json", "val", true),
            ("test_socratic.json", "test", true),
            ("train_sft-0.parquet", "train_sft", true),
            ("train-0.parquet", "train_sft", false),
            ("train.csv", "12", false),
        ];
        for (path, split, expected) in cases {
            assert_eq!(is_of_split(path, split), expected, "{path} {split}");
        }
    }

    #[test]
    fn of_a_model_only_what_loads_it_is_taken() {
        let paths = [
            ".gitattributes",
            "README.md",
            "config.json",
            "consolidated.safetensors",
            "model-00001-of-00001.safetensors",
            "model.safetensors.index.json",
            "modeling_x.py",
            "onnx/model.onnx",
            "original/model.safetensors",
            "pytorch_model.bin",
            "tokenizer.json",
            "tokenizer.model",
        ];
        let expected = [
            "config.json",
            "model-00001-of-00001.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json",
            "tokenizer.model",
        ];
        assert_eq!(
            chosen(&Select::Model, "hf://a/b", &paths).unwrap(),
            expected
        );
        let error = chosen(
            &Select::Model,
            "hf://a/b",
            &["config.json", "pytorch_model.bin"],
        )
        .unwrap_err();
        assert!(error.contains("pickle"), "{error}");
        let inside = chosen(&Select::Model, "hf://a/b/original", &paths).unwrap();
        assert_eq!(inside, ["original/model.safetensors"]);
    }

    #[test]
    fn a_path_narrows_to_a_folder_or_a_file() {
        let paths = ["d/a.csv", "d/b.txt", "da.csv"];
        assert_eq!(
            chosen(&Select::All, "hf://a/b/d", &paths).unwrap(),
            ["d/a.csv", "d/b.txt"]
        );
        assert_eq!(
            chosen(&Select::All, "hf://a/b/d/a.csv", &paths).unwrap(),
            ["d/a.csv"]
        );
        let error = chosen(&Select::All, "hf://a/b/e", &paths).unwrap_err();
        assert!(error.contains("d/a.csv"), "{error}");
        let patterns = Select::Patterns(vec!["*.txt".to_owned()]);
        assert_eq!(chosen(&patterns, "hf://a/b", &paths).unwrap(), ["d/b.txt"]);
    }
}
