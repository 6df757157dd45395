//! Lists of answers to the same prompt, each with a rating.

use std::str::FromStr;

use serde_json::Value;

use super::completion::PROMPT;
use super::fields::{Fields, View, inside, is_list_of_objects, is_list_of_texts};
use super::margin::{Margin, quantity};
use super::offer::Part;
use super::preference::preference;
use super::turns::{Asked, prompt_name};
use super::{Mapping, assignments};
use crate::document::Document;
use crate::error::{DataError, Result, quoted};
use crate::example::{Preference, Role, Turn};

/// Names of the list of answers.
const ANSWERS: [&str; 7] = [
    "completions",
    "responses",
    "answers",
    "generations",
    "outputs",
    "candidates",
    "all_generated_responses",
];
/// Names of an answer's text.
const ANSWER: [&str; 8] = [
    "response",
    "answer",
    "text",
    "completion",
    "output",
    "content",
    "generation",
    "response_text",
];
/// Names of an answer's rating. The aspects come first: some copies of `UltraFeedback` have an `overall_score` of 10 for
/// answers that were judged to be worth 1.
const SCORE: [&str; 8] = [
    "annotations",
    "fine-grained_score",
    "overall_score",
    "overall_rating",
    "score",
    "rating",
    "ratings",
    "reward",
];
/// Names of a list of ratings beside the list of answers.
const SCORES: [&str; 8] = [
    "ratings",
    "scores",
    "rewards",
    "rating",
    "score",
    "reward",
    "overall_scores",
    "all_rm_scores",
];
pub(super) const PARTS: [Part; 3] = [
    ("prompt", &PROMPT),
    ("answers", &ANSWERS),
    ("score", &SCORES),
];

/// Maps a record with several rated answers to one preference: the best against the worst.
///
/// The answers are a list of objects with their rating inside (`UltraFeedback`: `completions` with `response` and
/// `annotations` or `overall_score`; `Nectar`: `answers` with `rank`), or a list of texts with a list of ratings beside
/// it (`generations` and `ratings`). A rating is a number, or the mean of the aspects that it is made of.
///
/// The best and the worst are those whose order is the surest: a rater's error would have to be greater than between
/// any other two. Zephyr's recipe takes the best against one of the others at random, which is harder to tell apart and
/// depends on a seed; this rule is a function of the record alone. Of equal ratings the earlier answer counts. A record
/// with fewer than two rated answers is left out, and so is one whose best and worst are rated equal, or nearer than
/// the margin, or are the same text; answers without a rating are passed over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RatedMapping {
    /// The field of the prompt.
    pub prompt: Option<String>,
    /// The field of an input that belongs to the prompt; it may be missing or empty in a record.
    pub input: Option<String>,
    /// The field of the system prompt; it may be missing or empty in a record.
    pub system: Option<String>,
    /// The field of the list of answers.
    pub answers: Option<String>,
    /// The field of an answer that holds its text, where answers are objects.
    pub answer: Option<String>,
    /// What the answers are compared by.
    pub rating: Rating,
    /// How far apart the best and the worst must be.
    pub margin: Margin,
}

/// What answers are compared by. It is a field of each answer, or of the record where the answers are texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Rating {
    /// Found by the usual names.
    #[default]
    Detect,
    /// A field that is higher for a better answer.
    Score(String),
    /// A field that is lower for a better answer.
    Rank(String),
}

impl Mapping for RatedMapping {
    type Example = Preference;

    fn example(&self, document: Document) -> Result<Preference> {
        let mut fields = Fields::from(document);
        let found = Found::of(self, fields.view());
        let Some(found) = found else {
            let missing = if self.answers.is_some() || fields.first(&ANSWERS).is_some() {
                "score"
            } else {
                "answers"
            };
            return Err(fields.missing(missing, fields.suggest(&PARTS)));
        };
        let rated = found.rated(&fields)?;
        let (best, worst) = extremes(&rated, &fields)?;
        self.margin.check(best.1, worst.1, &fields)?;
        if best.0 == worst.0 {
            let why = "the best and the worst answer are the same text";
            return Err(fields.left_out("of equal answers", why));
        }
        let asked = Asked {
            prompt: self.prompt.clone(),
            input: self.input.clone(),
            system: self.system.clone(),
        };
        let system = asked.take_system(&mut fields)?;
        let prompt = asked.take(&mut fields)?;
        let turn = |answer: &Answer| vec![Turn::new(Role::Assistant, &answer.0)];
        preference(prompt, system, turn(best), turn(worst), fields)
    }
}

/// A text with its rating, where a higher one is better.
type Answer = (String, f64);

/// The first of the highest and the first of the lowest rated answers.
fn extremes<'a>(rated: &'a [Answer], fields: &Fields) -> Result<(&'a Answer, &'a Answer)> {
    if rated.len() < 2 {
        let why = format!("{} of its answers have a rating", rated.len());
        return Err(fields.left_out("without two rated answers", why));
    }
    let (mut best, mut worst) = (0, 0);
    for (index, (_, rating)) in rated.iter().enumerate() {
        if *rating > rated[best].1 {
            best = index;
        }
        if *rating < rated[worst].1 {
            worst = index;
        }
    }
    Ok((&rated[best], &rated[worst]))
}

/// The names of a record's answers and ratings.
struct Found {
    answers: String,
    /// The field of an answer; none if the answers are texts.
    answer: Option<String>,
    rating: String,
    /// Whether a lower rating is better.
    rank: bool,
}

impl Found {
    fn of(mapping: &RatedMapping, record: View<'_>) -> Option<Self> {
        let answers = mapping.answers.clone();
        let answers = answers.or_else(|| record.first(&ANSWERS).map(String::from))?;
        let list = record.get(&answers)?;
        let set = match &mapping.rating {
            Rating::Detect => None,
            Rating::Score(field) => Some((field.clone(), false)),
            Rating::Rank(field) => Some((field.clone(), true)),
        };
        if is_list_of_texts(list) {
            let scores = |name: &str| record.get(name).is_some_and(Value::is_array);
            let usual = || SCORES.into_iter().find(|name| scores(name));
            let (rating, rank) = set.or_else(|| Some((usual()?.into(), false)))?;
            return Some(Self {
                answers,
                answer: None,
                rating,
                rank,
            });
        }
        let items = list.as_array().filter(|_| is_list_of_objects(list))?;
        let has = |name: &str| {
            items
                .iter()
                .any(|item| inside(item, name).is_some_and(|value| !value.is_null()))
        };
        // What is empty in every answer rates none of them.
        let rates = |name: &str| {
            let mut ratings = items.iter().filter_map(|item| inside(item, name));
            ratings.any(|rating| quantity(rating).is_some())
        };
        let answer = mapping.answer.clone();
        let answer = answer.or_else(|| Some(ANSWER.into_iter().find(|name| has(name))?.into()));
        let usual = || {
            let score = SCORE.into_iter().find(|name| rates(name));
            score
                .map(|name| (name.into(), false))
                .or_else(|| rates("rank").then(|| ("rank".into(), true)))
        };
        let (rating, rank) = set.or_else(usual)?;
        Some(Self {
            answers,
            answer: Some(answer?),
            rating,
            rank,
        })
    }

    /// The answers that have a rating.
    fn rated(&self, fields: &Fields) -> Result<Vec<Answer>> {
        let record = fields.view();
        let items = record.get(&self.answers).and_then(Value::as_array);
        let items = items.map_or(&[][..], Vec::as_slice);
        let beside = match (&self.answer, record.get(&self.rating)) {
            (Some(_), _) => None,
            (None, Some(Value::Array(ratings))) if ratings.len() == items.len() => Some(ratings),
            (None, Some(Value::Array(ratings))) => {
                let found = format!("{} ratings", ratings.len());
                let expected = format!("one for each of {} answers", items.len());
                return Err(fields.unexpected(&self.rating, &found, expected));
            }
            (None, Some(other)) => return Err(fields.wrong_type(&self.rating, other, "array")),
            (None, None) => return Err(fields.missing(&self.rating, fields.suggest(&PARTS))),
        };
        let mut rated = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let rating = match beside {
                Some(ratings) => ratings.get(index),
                None => inside(item, &self.rating),
            };
            let Some(rating) = rating.and_then(quantity) else {
                continue;
            };
            let text = match &self.answer {
                Some(name) => inside(item, name),
                None => Some(item),
            };
            match text {
                Some(Value::String(text)) => {
                    fields.check_content(&format!("{}.{index}", self.answers), text)?;
                    rated.push((text.clone(), if self.rank { -rating } else { rating }));
                }
                other => {
                    let name = format!("{}.{index}", self.answers);
                    return Err(fields.wrong_type(&name, other.unwrap_or(&Value::Null), "string"));
                }
            }
        }
        Ok(rated)
    }
}

/// The parts of a mapping for a record of rated answers.
pub(super) fn found(record: View<'_>) -> Option<Vec<(&'static str, String)>> {
    let prompt = prompt_name(record)?;
    let found = Found::of(&RatedMapping::default(), record)?;
    let mut parts = vec![("prompt", prompt.into()), ("answers", found.answers)];
    parts.extend(found.answer.map(|answer| ("answer", answer)));
    parts.push((if found.rank { "rank" } else { "score" }, found.rating));
    Some(parts)
}

impl FromStr for RatedMapping {
    type Err = DataError;

    /// Reads `answers=FIELD` with `answer=FIELD` (of an answer that is an object), `score=FIELD` or `rank=FIELD`, and
    /// `margin=NUMBER`; `prompt`, `input` and `system` as for [`PreferenceMapping`](super::PreferenceMapping).
    fn from_str(text: &str) -> Result<Self> {
        let mut mapping = Self::default();
        let known = [
            "prompt", "input", "system", "answers", "answer", "score", "rank", "margin",
        ];
        for (name, field) in assignments(text, &known)? {
            match name.as_str() {
                "prompt" => mapping.prompt = Some(field),
                "input" => mapping.input = Some(field),
                "system" => mapping.system = Some(field),
                "answers" => mapping.answers = Some(field),
                "answer" => mapping.answer = Some(field),
                "margin" => mapping.margin = field.parse()?,
                _ if mapping.rating != Rating::Detect => {
                    return Err(DataError::Setting {
                        name: "mapping".into(),
                        found: quoted(text),
                        expected: "either score=FIELD or rank=FIELD".into(),
                    });
                }
                "score" => mapping.rating = Rating::Score(field),
                _ => mapping.rating = Rating::Rank(field),
            }
        }
        Ok(mapping)
    }
}
