//! Trees of messages, a row each.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use crate::document::{Document, Fields};
use crate::error::{DataError, Place, Result, quoted};
use crate::example::Role;
use crate::load::parse::type_name;

/// How many messages a branch may have: a longer one would be repeated for each of its ends.
const LENGTH_LIMIT: usize = 256;

/// What is made of a tree of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Branches {
    /// One conversation: at each message the reply of the best rank follows.
    #[default]
    Best,
    /// A conversation for each end of a branch.
    All,
    /// Every message with several ranked answers of the assistant, as one record of rated answers: the branch up to it as
    /// `prompt`, and `answers`, a list of objects with `text` and `rank`. A
    /// [`RatedMapping`](crate::mapping::RatedMapping) sets the best against the worst.
    Ranked,
}

/// Trees of messages, a row each, as documents; and what was not used of them.
///
/// The rows are those of the Open Assistant data sets (OASST): `message_id`, `parent_id` (null or missing for the first
/// message of a tree), `role` and `text`, and where they are known `rank` (0 for the best of the replies to a message),
/// `deleted` and `lang`. Of replies with the same rank, and of those without any, which come behind the others, the one
/// whose row comes first is better.
///
/// A conversation is a document with `messages` (`role` and `content`), which ends with the assistant: a question
/// behind it that nobody answered is left out. The field `language` is that of its last message, and its place the row of
/// that message; that of ranked answers is the row of what they answer to.
///
/// ```
/// use finetune_data::group::{Branches, Trees};
/// use finetune_data::mapping::{ChatMapping, Mapping};
/// use finetune_data::{Document, Origin, Value};
/// use serde_json::json;
///
/// let row = |row: Value| Document {
///     text: String::new(),
///     fields: row.as_object().unwrap().clone().into_iter().collect(),
///     origin: Origin::new("oasst.jsonl", 1),
/// };
/// let trees = Trees::of(
///     vec![
///         row(json!({"message_id": "a", "role": "prompter", "text": "Why?"})),
///         row(json!({"message_id": "b", "parent_id": "a", "role": "assistant", "text": "No.", "rank": 1})),
///         row(json!({"message_id": "c", "parent_id": "a", "role": "assistant", "text": "So.", "rank": 0})),
///     ],
///     Branches::Best,
/// )?;
/// let chat = ChatMapping::default().example(trees.documents[0].clone())?;
/// assert_eq!(chat.answer(), Some("So."));
/// assert_eq!(trees.dropped["in no branch that is taken"], 1);
/// # Ok::<(), finetune_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trees {
    /// The conversations or questions, in the order of the rows in which their trees begin.
    pub documents: Vec<Document>,
    /// How many rows stand in no document, by reason. With the rows that stand in one they are all.
    pub dropped: BTreeMap<&'static str, u64>,
}

impl Trees {
    /// Makes documents of rows, which may come in any order.
    ///
    /// # Errors
    ///
    /// The first row without `message_id`, `role` or `text`, with one of another type, or with an identifier that another
    /// row has; a branch of more than 256 messages.
    pub fn of(rows: Vec<Document>, branches: Branches) -> Result<Self> {
        let messages: Vec<Message> = rows.into_iter().map(Message::of).collect::<Result<_>>()?;
        let forest = Forest::of(&messages)?;
        let mut documents = Vec::new();
        let mut used = vec![false; messages.len()];
        for root in &forest.roots {
            let branches = match branches {
                Branches::Best => vec![forest.best(*root)?],
                Branches::All => forest.all(*root)?,
                Branches::Ranked => {
                    documents.extend(forest.ranked(*root, &mut used)?);
                    continue;
                }
            };
            for branch in branches {
                let Some(end) = branch.iter().rposition(|at| messages[*at].answers()) else {
                    continue;
                };
                // Branches that differ in questions that nobody answered are one.
                if used[branch[end]] {
                    continue;
                }
                branch[..=end].iter().for_each(|at| used[*at] = true);
                documents.push(forest.conversation(&branch[..=end]));
            }
        }
        let dropped = forest.reasons(&used);
        Ok(Self { documents, dropped })
    }
}

/// A row.
struct Message {
    id: String,
    parent: Option<String>,
    role: Role,
    text: String,
    rank: Option<f64>,
    deleted: bool,
    language: Option<Value>,
    row: Document,
}

impl Message {
    fn of(mut row: Document) -> Result<Self> {
        let text = |row: &mut Document, name: &str| match row.fields.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(DataError::WrongType {
                place: Place::from(&row.origin),
                field: quoted(name),
                found: type_name(&other),
                expected: "string",
            }),
        };
        let hint = "Rows of a tree have message_id, parent_id, role and text";
        let needed = |row: &mut Document, name: &str| {
            text(row, name)?.ok_or_else(|| row.missing(name, hint))
        };
        let role = needed(&mut row, "role")?;
        Ok(Self {
            id: needed(&mut row, "message_id")?,
            parent: text(&mut row, "parent_id")?,
            role: Role::read(&role, Place::from(&row.origin))?,
            text: needed(&mut row, "text")?,
            rank: row.fields.get("rank").and_then(Value::as_f64),
            deleted: row.fields.get("deleted") == Some(&Value::Bool(true)),
            language: row.fields.remove("lang").filter(Value::is_string),
            row,
        })
    }

    fn answers(&self) -> bool {
        self.role == Role::Assistant
    }

    fn said(&self) -> Value {
        json!({"role": self.role.name(), "content": self.text})
    }
}

struct Forest<'a> {
    messages: &'a [Message],
    roots: Vec<usize>,
    /// The replies to each message, the best one first.
    replies: Vec<Vec<usize>>,
}

impl<'a> Forest<'a> {
    fn of(messages: &'a [Message]) -> Result<Self> {
        let mut known = HashMap::new();
        for (at, message) in messages.iter().enumerate() {
            if known.insert(message.id.as_str(), at).is_some() {
                return Err(DataError::DuplicateKey {
                    place: Place::from(&message.row.origin),
                    key: quoted(&message.id),
                });
            }
        }
        let (mut roots, mut replies) = (Vec::new(), vec![Vec::new(); messages.len()]);
        for (at, message) in messages.iter().enumerate().filter(|(_, one)| !one.deleted) {
            match &message.parent {
                None => roots.push(at),
                Some(parent) => {
                    if let Some(parent) = known.get(parent.as_str()) {
                        replies[*parent].push(at);
                    }
                }
            }
        }
        for replies in &mut replies {
            replies.sort_by(|one, other| {
                let rank = |at: &usize| messages[*at].rank.unwrap_or(f64::INFINITY);
                rank(one).total_cmp(&rank(other))
            });
        }
        Ok(Self {
            messages,
            roots,
            replies,
        })
    }

    /// The branch along the best replies.
    fn best(&self, root: usize) -> Result<Vec<usize>> {
        let mut branch = vec![root];
        while let Some(next) = branch.last().and_then(|at| self.replies[*at].first()) {
            branch.push(*next);
            self.check_length(&branch)?;
        }
        Ok(branch)
    }

    /// Every branch, the better ones first.
    fn all(&self, root: usize) -> Result<Vec<Vec<usize>>> {
        let mut branches = Vec::new();
        self.walk(root, |branch| {
            if branch.last().is_some_and(|at| self.replies[*at].is_empty()) {
                branches.push(branch.to_vec());
            }
        })?;
        Ok(branches)
    }

    /// The messages with several ranked answers, as documents.
    fn ranked(&self, root: usize, used: &mut [bool]) -> Result<Vec<Document>> {
        let mut documents = Vec::new();
        self.walk(root, |branch| {
            let replies = branch.last().map_or(&[][..], |at| &self.replies[*at]);
            let ranked =
                |at: &&usize| self.messages[**at].answers() && self.messages[**at].rank.is_some();
            let answers: Vec<usize> = replies.iter().filter(ranked).copied().collect();
            if answers.len() < 2 {
                return;
            }
            branch
                .iter()
                .chain(&answers)
                .for_each(|at| used[*at] = true);
            let answer = |at: &usize| {
                let message = &self.messages[*at];
                json!({"text": message.text, "rank": message.rank})
            };
            let answers: Vec<Value> = answers.iter().map(answer).collect();
            documents.push(self.document(branch, "prompt", [("answers", answers.into())]));
        })?;
        Ok(documents)
    }

    /// Shows every beginning of every branch, the better branches first.
    fn walk(&self, root: usize, mut see: impl FnMut(&[usize])) -> Result<()> {
        // Where each message of the branch is among the replies to the one before it.
        let (mut branch, mut turns) = (vec![root], vec![0]);
        see(&branch);
        while let (Some(at), Some(turn)) = (branch.last(), turns.last_mut()) {
            let Some(next) = self.replies[*at].get(*turn) else {
                branch.pop();
                turns.pop();
                continue;
            };
            *turn += 1;
            branch.push(*next);
            turns.push(0);
            self.check_length(&branch)?;
            see(&branch);
        }
        Ok(())
    }

    fn check_length(&self, branch: &[usize]) -> Result<()> {
        if branch.len() <= LENGTH_LIMIT {
            return Ok(());
        }
        let last = branch.last().map(|at| &self.messages[*at].row.origin);
        Err(DataError::LimitExceeded {
            place: last.map_or_else(Place::default, Place::from),
            what: "the number of messages of a branch",
            found: branch.len() as u64,
            limit: LENGTH_LIMIT as u64,
            hint: "Leave out the tree, or cut it",
        })
    }

    fn conversation(&self, branch: &[usize]) -> Document {
        self.document(branch, "messages", [])
    }

    /// A document that belongs to the last message of a branch.
    fn document<const N: usize>(
        &self,
        branch: &[usize],
        name: &str,
        more: [(&str, Value); N],
    ) -> Document {
        let messages = branch.iter().map(|at| &self.messages[*at]);
        let said: Vec<Value> = messages.map(Message::said).collect();
        let mut fields = Fields::from([(name.to_owned(), said.into())]);
        let more = more.into_iter();
        fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
        let last = branch.last().map(|at| &self.messages[*at]);
        if let Some(language) = last.and_then(|last| last.language.clone()) {
            fields.insert("language".into(), language);
        }
        Document {
            text: String::new(),
            fields,
            origin: last.map(|last| last.row.origin.clone()).unwrap_or_default(),
        }
    }

    /// Why messages stand in no document.
    fn reasons(&self, used: &[bool]) -> BTreeMap<&'static str, u64> {
        let mut reached = vec![false; self.messages.len()];
        let mut open = self.roots.clone();
        while let Some(at) = open.pop() {
            reached[at] = true;
            open.extend(&self.replies[at]);
        }
        let mut reasons = BTreeMap::new();
        for (at, message) in self
            .messages
            .iter()
            .enumerate()
            .filter(|(at, _)| !used[*at])
        {
            let reason = match (message.deleted, reached[at]) {
                (true, _) => "deleted",
                (false, false) => "without the message that it answers",
                (false, true) => "in no branch that is taken",
            };
            *reasons.entry(reason).or_default() += 1;
        }
        reasons
    }
}
