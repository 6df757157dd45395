//! The choice of wordings: which are learned, which are held out, and how many of each.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::pattern::{Pattern, normalized};
use super::{Fact, Facts, Pair, fault};
use crate::error::{DataError, Result, quoted};

/// How widely facts are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Widening {
    /// Another seed holds other wordings out. Default 0.
    pub seed: u64,
    /// The share of a fact's wordings that is held out, in [0, 1). Default 0.2.
    pub held_out: f64,
    /// The most pairs of one fact to train on. Every wording is used before one is varied by slots and openers.
    /// Default 8.
    pub train: usize,
    /// The most held-out pairs of one fact. Default 2.
    pub test: usize,
}

impl Default for Widening {
    fn default() -> Self {
        Self {
            seed: 0,
            held_out: 0.2,
            train: 8,
            test: 2,
        }
    }
}

/// A wording of a fact's question: all questions that one pattern makes.
struct Wording {
    /// The order in which wordings are held out and used.
    rank: u64,
    questions: Vec<String>,
}

/// Questions already taken, in normal form, with the index of their fact.
type Taken = HashMap<String, usize>;

impl Facts {
    /// The pairs of all facts in their order, those to train on before those held out.
    ///
    /// The same facts, phrasings and plan give the same pairs, and other facts do not change those of a fact.
    ///
    /// # Errors
    ///
    /// If the plan makes no sense; if a pattern cannot be read or names a slot that its fact lacks; if a fact has no
    /// wording, or two facts share a question.
    pub fn widen(&self, plan: &Widening) -> Result<Vec<Pair>> {
        if !(0.0..1.0).contains(&plan.held_out) {
            let expected = "a share in [0, 1)".into();
            return Err(DataError::Setting {
                name: "held_out".into(),
                found: plan.held_out.to_string(),
                expected,
            });
        }
        let mut taken = Taken::new();
        let mut wordings = Vec::new();
        for index in 0..self.facts.len() {
            wordings.push(self.wordings(index, plan.seed, &mut taken)?);
        }
        let openers = self
            .phrasings
            .openers
            .iter()
            .map(|opener| Pattern::read(opener, &self.phrasings.origin));
        let openers: Vec<Pattern> = openers.collect::<Result<_>>()?;
        let mut pairs = Vec::new();
        for (index, (fact, mut wordings)) in self.facts.iter().zip(wordings).enumerate() {
            let learned = wordings.split_off(held_out(wordings.len(), plan.held_out));
            for (wordings, most, held_out) in
                [(learned, plan.train, false), (wordings, plan.test, true)]
            {
                let questions = varied(&wordings, &openers, plan.seed, most, &mut |question| {
                    taken.insert(normalized(question), index).is_none()
                });
                pairs.extend(
                    questions
                        .into_iter()
                        .map(|prompt| fact.pair(prompt, held_out)),
                );
            }
        }
        Ok(pairs)
    }

    /// The wordings of a fact in the order of their ranks.
    fn wordings(&self, index: usize, seed: u64, taken: &mut Taken) -> Result<Vec<Wording>> {
        let fact = &self.facts[index];
        let own = fact.questions.iter().map(|pattern| (pattern, true));
        let shared = fact
            .kind
            .0
            .iter()
            .flat_map(|kind| &self.phrasings.kinds[kind])
            .map(|pattern| (pattern, false));
        let values = fact.values();
        let mut wordings = Vec::new();
        for (pattern, is_own) in own.chain(shared) {
            let origin = if is_own {
                &fact.origin
            } else {
                &self.phrasings.origin
            };
            let filled = match Pattern::read(pattern, origin)?.fill(&values) {
                Ok(filled) => filled,
                Err(_) if !is_own => continue,
                Err(slot) => {
                    let message = format!(
                        "nothing fills {{{slot}}} in the question {}",
                        quoted(pattern)
                    );
                    return Err(fault(&fact.origin, message));
                }
            };
            let mut questions = Vec::new();
            for question in filled {
                match taken.insert(normalized(&question), index) {
                    None => questions.push(question),
                    Some(other) if other == index => {}
                    Some(other) => return Err(self.shared(index, other, &question)),
                }
            }
            if !questions.is_empty() {
                let rank = xxh3_64_with_seed(format!("{}\0{pattern}", fact.id).as_bytes(), seed);
                wordings.push(Wording { rank, questions });
            }
        }
        if wordings.is_empty() {
            let message = "nothing asks about this fact; expected questions, or a kind whose phrasings it can fill";
            return Err(fault(&fact.origin, message.into()));
        }
        wordings.sort_by_key(|wording| wording.rank);
        Ok(wordings)
    }

    fn shared(&self, index: usize, other: usize, question: &str) -> DataError {
        let (fact, other) = (&self.facts[index], &self.facts[other]);
        let question = quoted(question);
        let message = format!(
            "the question {question} is also asked about the fact of {}; expected one answer",
            other.origin
        );
        fault(&fact.origin, message)
    }
}

impl Fact {
    fn values(&self) -> BTreeMap<&str, &[String]> {
        let slots = self
            .slots
            .iter()
            .map(|(name, texts)| (name.as_str(), texts.0.as_slice()));
        std::iter::once(("subject", self.subject.0.as_slice()))
            .chain(slots)
            .collect()
    }

    fn pair(&self, prompt: String, held_out: bool) -> Pair {
        Pair {
            prompt,
            completion: self.answer.clone(),
            id: self.id.clone(),
            topic: self.topic.clone(),
            held_out,
            origin: self.origin.clone(),
        }
    }
}

/// How many of a fact's wordings are held out: the share, but at least one of two and never all.
fn held_out(wordings: usize, share: f64) -> usize {
    if share > 0.0 && wordings > 1 {
        ((wordings as f64 * share).round() as usize).clamp(1, wordings - 1)
    } else {
        0
    }
}

/// At most `most` questions: of every wording one as it is, then one more of each, and so on, behind an opener or with
/// another filling. `free` refuses a question that is asked already.
fn varied(
    wordings: &[Wording],
    openers: &[Pattern],
    seed: u64,
    most: usize,
    free: &mut impl FnMut(&str) -> bool,
) -> Vec<String> {
    let mut rounds: Vec<std::vec::IntoIter<(bool, String)>> = Vec::new();
    for wording in wordings {
        let opened = wording.questions.iter().flat_map(|question| {
            let values = [question.clone()];
            openers.iter().filter_map(move |opener| {
                opener
                    .fill(&BTreeMap::from([("question", &values[..])]))
                    .ok()?
                    .pop()
            })
        });
        let plain = wording
            .questions
            .iter()
            .skip(1)
            .cloned()
            .map(|question| (false, question));
        let mut more: Vec<(bool, String)> = plain
            .chain(opened.map(|question| (true, question)))
            .collect();
        more.sort_by_key(|(_, question)| {
            xxh3_64_with_seed(question.as_bytes(), seed ^ wording.rank)
        });
        more.insert(0, (false, wording.questions[0].clone()));
        rounds.push(more.into_iter());
    }
    let mut questions = Vec::new();
    loop {
        let before = questions.len();
        for round in &mut rounds {
            if questions.len() == most {
                return questions;
            }
            // A question behind an opener may equal one that is asked elsewhere: the next one takes its place.
            questions.extend(
                round
                    .find(|(opened, question)| !opened || free(question))
                    .map(|(_, question)| question),
            );
        }
        if questions.len() == before {
            return questions;
        }
    }
}
