//! Outputs that decline to answer.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};
use serde::{Deserialize, Serialize};

use super::{
    Finding, Rule,
    prose::{code, quoted, sentences, touches},
    similarity,
};
use crate::{EvalError, Outcome, Result, text::excerpt};

/// How many sentences from the beginning are searched.
const SENTENCES: usize = 3;
/// An output that is at least so near to the reference is an answer, whatever it begins with.
const ANSWER: f64 = 0.7;

/// What a refusal is made of, any case: English, German, French and Spanish.
const PATTERNS: [&str; 14] = [
    // The verb says that something asked for is not given; `help but`, `give up` and `share your view` are no refusals.
    r"\b(?:i|we)(?:'m| am| are|'re)? (?:really |simply |just |unfortunately |currently |also )?(?:can't|cannot|can not|won't|will not|unable to|not able to|not allowed to|not permitted to|not comfortable|refuse to|decline to) (?:be able to )?(?:help(?:[.,;!]|$| (?:you|with|in|on|here))|assist|comply|fulfil|provide (?:you|that|this|any|the|an?|information|advice|instructions|assistance|legal|medical|financial|personal)|answer (?:that|this|your|the|any|it)|do (?:that|this)(?:[.,;!]|$)|share (?:that|this|the|any|personal)|discuss (?:that|this)|offer (?:you |any |medical|legal|financial|advice|assistance)|give (?:you )?(?:(?:any|specific|legal|medical|financial) )?(?:advice|information|instructions)|generate|create (?:that|this|content|any)|write (?:that|this|content|any)|produce|engage|participate|browse|fulfill|process (?:that|this|your)|support (?:that|this|your)|continue with (?:that|this))",
    r"\bas an? (?:ai|artificial intelligence|large language model|language model)(?: language)?(?: model| assistant| system)?,? i (?:can't|cannot|can not|don't|do not|am not|am unable|won't|have no|lack|must)\b",
    r"\bi(?:'m| am) (?:just |only )?an? (?:ai|language model|ai language model|ai assistant)(?:[, ]+(?:and|so|which|that))* (?:i )?(?:can't|cannot|don't|do not|am not|am unable)",
    r"\bi (?:must|have to|will have to|need to) (?:respectfully |politely )?(?:decline|refuse)(?:[.,;!]|$| (?:to (?:help|assist|answer|provide|write|do)|this|that|your))",
    r"\bi (?:don't|do not) have (?:access to|the ability to|the capability to|the means to|enough (?:information|context) to (?:answer|help|assist))",
    r"^(?:i'm |i am )?(?:very |so )?sorry,? (?:but )?(?:that's not something i can|that is not something i can|i'm not able|i am not able|i'm unable|i am unable)",
    r"\b(?:this|that|your|the) (?:request|question|prompt) (?:violates|goes against|is against) ",
    r"\bich (?:kann|darf|werde|möchte) (?:\S+ ){0,6}?(?:nicht|keine|keinen|kein) (?:\S+ ){0,4}?(?:helfen|beantworten|bereitstellen|unterstützen|erfüllen|weiterhelfen|geben)(?:[.,;!]|$)",
    r"\bals (?:ki|künstliche intelligenz|sprachmodell|ki-\S+),? (?:kann|darf|habe) ich\b",
    r"\bje (?:ne (?:peux|suis) (?:malheureusement )?pas (?:en mesure (?:de|d'))?|refuse de )\s?(?:vous |t')?(?:répondre|aider|fournir|accéder|traiter)",
    r"\ben tant (?:qu'ia|que modèle de langage|qu'intelligence artificielle),? je (?:ne|n')",
    r"\bno puedo (?:ayudar|ayudarte|ayudarle|responder|proporcionar|cumplir|asistir|generar)",
    r"\bcomo (?:ia|modelo de lenguaje|inteligencia artificial),? no (?:puedo|tengo)",
    r"\bi (?:can't|cannot|won't) (?:in good conscience|legally|ethically) ",
];

static STANDARD: LazyLock<RegexSet> = LazyLock::new(|| {
    let patterns = PATTERNS.map(|pattern| format!("(?i){pattern}"));
    RegexSet::new(patterns).expect("the patterns are constants that a test compiles")
});

/// The model declines to answer in one of its first three sentences.
///
/// Known are the usual words of English, German, French and Spanish, and further patterns. It is none inside a quotation
/// or code, if a reference declines as well, or if the output answers all the same (similarity of 0.7 or more).
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    further: Vec<Regex>,
}

/// The settings of a [`Refusal`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefusalWords {
    /// Further regular expressions, any case, each of which makes a sentence a refusal; none by default.
    pub further: Vec<String>,
}

impl Refusal {
    /// A refusal by the usual words and further ones.
    ///
    /// # Errors
    /// [`EvalError::Setting`] for a pattern that does not parse.
    pub fn new(words: &RefusalWords) -> Result<Self> {
        let compile = |pattern: &String| {
            Regex::new(&format!("(?i){pattern}")).map_err(|error| EvalError::Setting {
                what: format!("pattern {:?}", excerpt(pattern)),
                reason: error.to_string(),
            })
        };
        Ok(Self {
            further: words.further.iter().map(compile).collect::<Result<_>>()?,
        })
    }

    /// The first sentence that declines.
    fn declining(&self, text: &str) -> Option<std::ops::Range<usize>> {
        let mut silent = None;
        sentences(text).into_iter().take(SENTENCES).find(|span| {
            let sentence = text[span.clone()].replace('’', "'");
            let declines = STANDARD.is_match(&sentence)
                || self
                    .further
                    .iter()
                    .any(|pattern| pattern.is_match(&sentence));
            declines && {
                let silent = silent.get_or_insert_with(|| [code(text), quoted(text)].concat());
                !touches(silent, span)
            }
        })
    }
}

impl Rule for Refusal {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        let Some(span) = self.declining(&outcome.output) else {
            return Vec::new();
        };
        let expected = outcome
            .references
            .iter()
            .any(|reference| self.declining(reference).is_some());
        if expected || similarity(outcome) >= ANSWER {
            return Vec::new();
        }
        vec![Finding::at("declines", span, "it declines to answer")]
    }
}
