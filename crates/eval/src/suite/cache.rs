//! Answers that are kept on the disk, so that an interrupted evaluation goes on where it was.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::{Continuation, EvalError, Generation, LanguageModel, Prompt, Result, Score};

/// A model whose answers are kept in a file: what it was asked before is not asked again.
///
/// An answer belongs to the model's identity and to the whole request, so that another model, task, version of a task,
/// number of shots or template never gets it. The file is JSON lines; a line that a kill left half written is cut off.
pub struct Cached<M> {
    model: M,
    identity: String,
    path: PathBuf,
    kept: Mutex<Kept>,
}

struct Kept {
    file: File,
    answers: HashMap<u128, Answer>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Score(Score),
    Generation(Generation),
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    #[serde(flatten)]
    answer: Answer,
}

impl<M> Cached<M> {
    /// Keeps the answers of `model` in `folder`, which is made if it is not there. `identity` tells the model from all
    /// others: [`identity`] of its folders, and whatever else its answers depend on.
    ///
    /// # Errors
    /// If the file cannot be made or read.
    pub fn open(model: M, identity: impl Into<String>, folder: impl AsRef<Path>) -> Result<Self> {
        let identity = identity.into();
        let folder = folder.as_ref();
        let name = format!("{:032x}.jsonl", hash(&[&identity]));
        let path = folder.join(name);
        let io = |source| EvalError::Io {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(io)?;
        let answers = read(&mut file).map_err(io)?;
        Ok(Self {
            model,
            identity,
            kept: Mutex::new(Kept { file, answers }),
            path,
        })
    }

    /// The number of answers that are kept.
    pub fn len(&self) -> usize {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .answers
            .len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The answers to `requests`: those that are kept, and those that `ask` gives to the rest, each asked once.
    fn answers<Q: Clone>(
        &self,
        requests: &[Q],
        key: impl Fn(&Q) -> u128,
        ask: impl FnOnce(&[Q]) -> Result<Vec<Answer>>,
    ) -> Result<Vec<Answer>> {
        let keys: Vec<u128> = requests.iter().map(key).collect();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new: HashMap<u128, Q> = HashMap::new();
        let mut order = Vec::new();
        for (key, request) in keys.iter().zip(requests) {
            if !kept.answers.contains_key(key) && new.insert(*key, request.clone()).is_none() {
                order.push(*key);
            }
        }
        if !order.is_empty() {
            let asked: Vec<Q> = order.iter().filter_map(|key| new.remove(key)).collect();
            let found = ask(&asked)?;
            if found.len() != asked.len() {
                return Err(EvalError::AnswerCount {
                    expected: asked.len(),
                    found: found.len(),
                });
            }
            kept.keep(order.into_iter().zip(found))
                .map_err(|source| EvalError::Io {
                    path: self.path.clone(),
                    source,
                })?;
        }
        Ok(keys
            .iter()
            .filter_map(|key| kept.answers.get(key).cloned())
            .collect())
    }

    fn key(&self, kind: &str, request: &impl std::fmt::Debug) -> u128 {
        hash(&[&self.identity, kind, &format!("{request:?}")])
    }
}

impl Kept {
    fn keep(&mut self, answers: impl Iterator<Item = (u128, Answer)>) -> std::io::Result<()> {
        let mut text = String::new();
        for (key, answer) in answers {
            let line = Line {
                key: format!("{key:032x}"),
                answer: answer.clone(),
            };
            text += &serde_json::to_string(&line)?;
            text.push('\n');
            self.answers.insert(key, answer);
        }
        self.file.write_all(text.as_bytes())
    }
}

/// The answers in a file, from which what follows the last whole line is cut.
fn read(file: &mut File) -> std::io::Result<HashMap<u128, Answer>> {
    file.seek(SeekFrom::Start(0))?;
    let mut answers = HashMap::new();
    let mut lines = BufReader::new(&*file);
    let mut end = 0;
    let mut line = String::new();
    loop {
        line.clear();
        let Ok(length @ 1..) = lines.read_line(&mut line) else {
            break;
        };
        let read = serde_json::from_str::<Line>(&line)
            .ok()
            .filter(|_| line.ends_with('\n'));
        let Some((key, answer)) =
            read.and_then(|line| Some((u128::from_str_radix(&line.key, 16).ok()?, line.answer)))
        else {
            break;
        };
        answers.insert(key, answer);
        end += length as u64;
    }
    drop(lines);
    file.set_len(end)?;
    Ok(answers)
}

impl<M: LanguageModel> LanguageModel for Cached<M> {
    fn score(&self, requests: &[Continuation]) -> Result<Vec<Score>> {
        let ask = |asked: &[Continuation]| self.model.score(asked).map(scores);
        let answers = self.answers(requests, |request| self.key("score", request), ask)?;
        answers.iter().map(score).collect()
    }

    fn generate(&self, prompts: &[Prompt]) -> Result<Vec<Generation>> {
        let ask = |asked: &[Prompt]| {
            let generations = self.model.generate(asked)?;
            Ok(generations.into_iter().map(Answer::Generation).collect())
        };
        let answers = self.answers(prompts, |prompt| self.key("generate", prompt), ask)?;
        let generation = |answer| match answer {
            Answer::Generation(generation) => Ok(generation),
            Answer::Score(_) => Err(mixed()),
        };
        answers.into_iter().map(generation).collect()
    }

    fn rolling(&self, documents: &[String]) -> Result<Vec<Score>> {
        let ask = |asked: &[String]| self.model.rolling(asked).map(scores);
        let answers = self.answers(documents, |document| self.key("rolling", document), ask)?;
        answers.iter().map(score).collect()
    }
}

fn scores(scores: Vec<Score>) -> Vec<Answer> {
    scores.into_iter().map(Answer::Score).collect()
}

fn score(answer: &Answer) -> Result<Score> {
    match answer {
        Answer::Score(score) => Ok(*score),
        Answer::Generation(_) => Err(mixed()),
    }
}

/// The keys of scores and generations are different; only a file that was changed by hand mixes them.
fn mixed() -> EvalError {
    EvalError::Setting {
        what: "the cache".to_owned(),
        reason: "an answer is of another kind than its request; remove the file".to_owned(),
    }
}

/// What tells models from each other: a hash of the names and bytes of all files that lie in their folders.
///
/// # Errors
/// If a folder or file cannot be read.
pub fn identity<P: AsRef<Path>>(folders: &[P]) -> Result<String> {
    let mut hasher = Xxh3::new();
    for folder in folders {
        let folder = folder.as_ref();
        for path in files(folder)? {
            let io = |source| EvalError::Io {
                path: path.clone(),
                source,
            };
            let mut file = File::open(&path).map_err(io)?;
            let name = path
                .strip_prefix(folder)
                .unwrap_or(&path)
                .display()
                .to_string();
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            let mut buffer = vec![0; 1 << 20];
            loop {
                let count = file.read(&mut buffer).map_err(io)?;
                if count == 0 {
                    break;
                }
                hasher.update(&buffer[..count]);
            }
        }
    }
    Ok(format!("{:032x}", hasher.digest128()))
}

/// The files of a folder, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| EvalError::Io {
        path: folder.to_owned(),
        source,
    };
    let entries = std::fs::read_dir(folder).map_err(io)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<_> = paths.collect::<std::io::Result<_>>().map_err(io)?;
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

/// A hash of texts, each with its length before it.
fn hash(parts: &[&str]) -> u128 {
    let mut hasher = Xxh3::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.digest128()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::Finish;

    /// Counts what it is asked.
    #[derive(Default)]
    struct Counting {
        asked: Cell<usize>,
    }

    impl LanguageModel for &Counting {
        fn score(&self, requests: &[Continuation]) -> Result<Vec<Score>> {
            self.asked.set(self.asked.get() + requests.len());
            let score = |request: &Continuation| Score {
                log_likelihood: -0.1 * request.text.len() as f64,
                greedy: false,
                tokens: 1,
            };
            Ok(requests.iter().map(score).collect())
        }

        fn generate(&self, prompts: &[Prompt]) -> Result<Vec<Generation>> {
            self.asked.set(self.asked.get() + prompts.len());
            let text = |prompt: &Prompt| Generation {
                text: format!("{}\n", prompt.max_tokens),
                finished: Finish::Stop,
                tokens: 1,
            };
            Ok(prompts.iter().map(text).collect())
        }
    }

    #[test]
    fn nothing_is_asked_twice_even_after_a_kill() {
        let folder = tempfile::tempdir().unwrap();
        let counting = Counting::default();
        let requests = ["a", "bb", "a"].map(|text| Continuation::new("c", text));
        let prompts = [Prompt::new("c", 3), Prompt::new("c", 4)];
        let open = |identity: &str| Cached::open(&counting, identity, folder.path()).unwrap();
        let first = {
            let cached = open("one");
            cached.generate(&prompts).unwrap();
            cached.score(&requests).unwrap()
        };
        assert_eq!(counting.asked.get(), 4);
        let file = std::fs::read_dir(folder.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let whole = std::fs::read(&file).unwrap();
        // Killed at any byte: what is whole is kept, the rest is asked again, and the file is whole afterwards.
        for end in 0..=whole.len() {
            std::fs::write(&file, &whole[..end]).unwrap();
            let lines = whole[..end].split(|byte| *byte == b'\n').count() - 1;
            counting.asked.set(0);
            let cached = open("one");
            assert_eq!(cached.len(), lines);
            assert_eq!(cached.score(&requests).unwrap(), first);
            assert_eq!(cached.generate(&prompts).unwrap()[1].text, "4\n");
            assert_eq!(counting.asked.get(), 4 - lines);
            drop(cached);
            assert_eq!(open("one").len(), 4);
        }
        counting.asked.set(0);
        open("two").score(&requests).unwrap();
        assert_eq!(counting.asked.get(), 2);
    }

    #[test]
    fn a_changed_file_is_another_model() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("a", "1");
        let one = identity(&[folder.path()]).unwrap();
        write("b", "");
        let two = identity(&[folder.path()]).unwrap();
        write("a", "2");
        let three = identity(&[folder.path()]).unwrap();
        assert!(one != two && two != three && one != three);
        assert!(identity(&[folder.path().join("nowhere")]).is_err());
    }
}
