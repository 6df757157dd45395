//! Widens hand-written facts into instruction–response pairs: every fact is asked about in many phrasings, and some of
//! them are held out, so that a test asks what was learned in words that were not learned.
//!
//! # Facts
//!
//! A file of JSON lines, one fact per line. Unknown fields are refused by name.
//!
//! ```json
//! {"id": "lora-rank", "topic": "adapters", "kind": "definition", "subject": "the rank of an adapter",
//!  "answer": "The rank is the width of the two small matrices.",
//!  "questions": ["What does the rank of {short} set?"], "slots": {"short": ["LoRA", "an adapter"]}}
//! ```
//!
//! | field | |
//! |---|---|
//! | `id` | required, unique in the file |
//! | `topic` | required; groups facts in a report |
//! | `answer` | required; the completion, taken as it stands (braces in it mean nothing) |
//! | `subject` | a noun phrase, or a list of several names for the same thing; fills `{subject}` |
//! | `kind` | the name of a list in the phrasings file, or a list of such names; without it only `questions` are used |
//! | `questions` | questions of this fact's own, in any number; patterns like the phrasings |
//! | `slots` | further names for placeholders, each a text or a list of texts |
//!
//! A fact needs at least one pattern, from `kind` or from `questions`.
//!
//! # Phrasings
//!
//! One JSON object: lists of patterns by kind, and optional openers.
//!
//! ```json
//! {"kinds": {"definition": ["What is {subject}?", "Explain {subject} in one sentence."],
//!            "why": ["Why does {subject} matter?", "What is {subject} good for?"]},
//!  "openers": ["Quick question: {question}", "I am new to this. {question}"]}
//! ```
//!
//! In a pattern, `{name}` stands for the subject or a slot; where that is a list, the pattern is filled with each of
//! its texts in turn. `{{` and `}}` stand for braces. The first letter of a filled pattern is made a capital. A
//! placeholder that a fact does not fill is an error for a question of its own; a phrasing of a kind that names a slot
//! which the fact lacks is passed over. An opener holds `{question}` once.
//!
//! # What is held out
//!
//! For every fact, a share of its *patterns* is held out (at least one if it has two, never all), chosen by a hash of
//! seed, fact and pattern. Whatever is made of a held-out pattern, with any slot or opener, is held out. Two patterns
//! of a fact that fill to the same question count as one. A question that two facts share is an error: it would have
//! two answers. Questions are compared by letters and digits alone, without case, punctuation and spaces.
//!
//! # Pairs
//!
//! The output is JSON lines again: `{"prompt", "completion", "id", "topic", "held_out"}`.
