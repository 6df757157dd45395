//! The questions of a task, with the solved examples before them.

use finetune_data::Origin;
use serde_json::Value;

use super::benchmark::Setup;
use super::definition::{Definition, Field, OutputType, refused};
use super::prompt::{Form, Message, Question, context, joined};
use super::row::{Row, Rows, processed};
use super::shots::Sampler;
use super::template::Resolver;
use crate::{Context, EvalError, Result};

/// Makes the prompts of a task, row after row: which examples a row gets depends on the rows before it.
pub(super) struct Questions<'d> {
    definition: &'d Definition,
    resolver: Resolver,
    sampler: Option<Sampler>,
    shots: usize,
    form: Form,
    system: String,
    parts: Parts<'d>,
    shot_parts: Parts<'d>,
}

/// The fields that make up a question and its answer.
#[derive(Clone, Copy)]
struct Parts<'d> {
    question: Option<&'d Field>,
    choices: Option<&'d Field>,
    answer: Option<&'d Field>,
    prefix: Option<&'d str>,
    target_delimiter: &'d str,
    end: &'d str,
}

/// A question that is ready to be asked.
pub(super) struct Asked {
    /// What the reader of a report sees of it.
    pub(super) question: String,
    /// One prompt; or one for each choice where the choices stand in the question.
    pub(super) contexts: Vec<Context>,
    pub(super) choices: Option<Vec<String>>,
    pub(super) answer: Value,
    /// What stands between a prompt and a choice.
    pub(super) delimiter: String,
    /// The index of the right choice where the choices stand in the question.
    index: Option<Value>,
}

impl Asked {
    /// The only prompt.
    pub(super) fn context(&self) -> Result<Context> {
        match self.contexts.as_slice() {
            [context] => Ok(context.clone()),
            contexts => Err(refused(
                &self.question,
                &format!(
                    "{} prompts for one answer; only multiple_choice has its choices in the question",
                    contexts.len()
                ),
            )),
        }
    }

    /// What names the right choice.
    pub(super) fn gold(&self) -> &Value {
        self.index.as_ref().unwrap_or(&self.answer)
    }

    /// What follows every choice where the choices stand in the question.
    pub(super) fn shared_answer(&self, task: &str, row: &Row) -> Result<Option<String>> {
        if self.index.is_none() {
            return Ok(None);
        }
        let text = self.answer.as_str().map(str::to_owned);
        text.map(Some)
            .ok_or_else(|| row.unfit(task, "doc_to_target", "a text"))
    }
}

impl<'d> Questions<'d> {
    pub(super) fn open(
        definition: &'d Definition,
        rows: &Rows,
        setup: &Setup,
        shots: usize,
    ) -> Result<Self> {
        let parts = Parts {
            question: definition.doc_to_text.as_ref(),
            choices: definition.doc_to_choice.as_ref(),
            answer: definition.doc_to_target.as_ref(),
            prefix: definition.gen_prefix.as_deref(),
            target_delimiter: &definition.target_delimiter,
            end: "",
        };
        let sampler = (shots > 0)
            .then(|| sampler(definition, rows, setup))
            .transpose()?;
        Ok(Self {
            definition,
            resolver: Resolver::new(&definition.task, definition.doc_to_choice.is_some()),
            sampler,
            shots,
            form: setup.form.clone(),
            system: setup.system.clone().unwrap_or_default(),
            parts,
            shot_parts: parts.of_shots(definition),
        })
    }

    /// The question of the next row.
    pub(super) fn ask(&mut self, row: &Row) -> Result<Asked> {
        let before = self.before(row)?;
        let parts = self.parts;
        let question = parts.question(&self.resolver, row)?;
        let choices = parts.choices(&self.resolver, row)?;
        let answer = parts.answer(&self.resolver, row)?;
        let prefix = self.prefix(parts.prefix, row)?;
        let delimiter = self.delimiter(prefix.as_deref());
        let one = |text: &str, target_delimiter: &str| {
            let question = Question {
                text: text.to_owned(),
                answer: None,
                prefix: prefix.clone(),
                target_delimiter,
                end: "",
            };
            context(
                &self.form,
                before.iter().cloned().chain(question.messages()).collect(),
            )
        };
        let (contexts, shown, index) = match question {
            Value::String(text) => (vec![one(&text, parts.target_delimiter)], text, None),
            index @ (Value::Number(_) | Value::Bool(_))
                if self.definition.output_type == OutputType::MultipleChoice =>
            {
                let texts = choices.as_deref().unwrap_or_default();
                (
                    texts.iter().map(|text| one(text, "")).collect(),
                    texts.join(" | "),
                    Some(index),
                )
            }
            _ => return Err(row.unfit(self.resolver.task(), "doc_to_text", "a text")),
        };
        Ok(Asked {
            question: shown,
            contexts,
            choices,
            answer,
            delimiter,
            index,
        })
    }

    /// The system's turn and the solved examples.
    fn before(&mut self, row: &Row) -> Result<Vec<Message>> {
        let description = match &self.definition.description {
            Some(source) if !source.is_empty() => self.resolver.text(source, row)?,
            _ => String::new(),
        };
        let system = joined(
            &self.system,
            &description,
            &self.definition.fewshot_delimiter,
        );
        let mut messages: Vec<Message> = Vec::new();
        if !system.is_empty() {
            messages.push(Message::system(system));
        }
        let Some(sampler) = &mut self.sampler else {
            return Ok(messages);
        };
        for shot in sampler.next(self.resolver.task(), self.shots, row)? {
            messages.extend(self.shot_parts.solved(&self.resolver, shot)?);
        }
        Ok(messages)
    }

    fn prefix(&self, source: Option<&str>, row: &Row) -> Result<Option<String>> {
        source
            .map(|source| self.resolver.text(source, row))
            .transpose()
    }

    /// A chat template ends where an answer begins, so that nothing stands before it but what a begun answer needs.
    fn delimiter(&self, prefix: Option<&str>) -> String {
        let begun = prefix
            .is_some_and(|prefix| !prefix.ends_with(char::is_whitespace) && !prefix.is_empty());
        if self.form == Form::Text || begun {
            self.definition.target_delimiter.clone()
        } else {
            String::new()
        }
    }
}

impl<'d> Parts<'d> {
    /// The parts of solved examples: the task's, where `fewshot_config` says nothing else.
    fn of_shots(self, definition: &'d Definition) -> Self {
        let own = definition.fewshot_config.as_ref();
        let delimiter = own.and_then(|own| own.target_delimiter.as_deref());
        let end = own.and_then(|own| own.fewshot_delimiter.as_deref());
        Self {
            question: own
                .and_then(|own| own.doc_to_text.as_ref())
                .or(self.question),
            choices: own
                .and_then(|own| own.doc_to_choice.as_ref())
                .or(self.choices),
            answer: own
                .and_then(|own| own.doc_to_target.as_ref())
                .or(self.answer),
            prefix: own
                .and_then(|own| own.gen_prefix.as_deref())
                .or(self.prefix),
            target_delimiter: delimiter.unwrap_or(self.target_delimiter),
            end: end.unwrap_or(&definition.fewshot_delimiter),
        }
    }

    fn question(&self, resolver: &Resolver, row: &Row) -> Result<Value> {
        self.question
            .map_or_else(|| Ok("".into()), |field| resolver.question(field, row))
    }

    fn choices(&self, resolver: &Resolver, row: &Row) -> Result<Option<Vec<String>>> {
        self.choices
            .map(|field| resolver.choices(field, row))
            .transpose()
    }

    fn answer(&self, resolver: &Resolver, row: &Row) -> Result<Value> {
        self.answer
            .map_or(Ok(Value::Null), |field| resolver.answer(field, row))
    }

    /// The messages of a solved example.
    fn solved(&self, resolver: &Resolver, row: &Row) -> Result<impl Iterator<Item = Message>> {
        let choices = self.choices(resolver, row)?;
        let choice = |value: &Value| {
            let index = value.as_u64().or_else(|| value.as_bool().map(u64::from));
            let choices = choices.as_deref()?;
            choices.get(index? as usize).cloned()
        };
        let question = self.question(resolver, row)?;
        let text = question
            .as_str()
            .map(str::to_owned)
            .or_else(|| choice(&question));
        let answer = match self.answer(resolver, row)? {
            Value::Array(answers) => answers.into_iter().next().unwrap_or(Value::Null),
            answer => answer,
        };
        let answer = answer
            .as_str()
            .map(str::to_owned)
            .or_else(|| choice(&answer));
        let wrong =
            |field: &str| row.unfit(resolver.task(), field, "a text, or the index of a choice");
        let question = Question {
            text: text.ok_or_else(|| wrong("doc_to_text"))?,
            answer: Some(answer.ok_or_else(|| wrong("doc_to_target"))?),
            prefix: self
                .prefix
                .map(|source| resolver.text(source, row))
                .transpose()?,
            target_delimiter: self.target_delimiter,
            end: self.end,
        };
        Ok(question.messages())
    }
}

/// What draws the solved examples of a task, from where the task says: a split of its own, examples in the file, else
/// the training split, the validation split, or the test split.
fn sampler(definition: &Definition, rows: &Rows, setup: &Setup) -> Result<Sampler> {
    let task = &definition.task;
    let own = definition.fewshot_config.clone().unwrap_or_default();
    let split = own.split.as_ref().or(definition.fewshot_split.as_ref());
    let process = own.process_docs.or(definition.process_docs);
    let pool = match (split, own.samples) {
        (Some(split), _) => processed(task, process, rows.read(definition, split)?)?,
        (None, Some(samples)) => samples
            .into_iter()
            .zip(1..)
            .map(|(fields, number)| Row {
                fields,
                origin: Origin::new(format!("{task}: fewshot_config.samples"), number),
            })
            .collect(),
        (None, None) => {
            let splits = [
                &definition.training_split,
                &definition.validation_split,
                &definition.test_split,
            ];
            let split = splits.into_iter().flatten().next();
            let split = split
                .ok_or_else(|| refused(task, "no split says where solved examples come from"))?;
            processed(task, definition.process_docs, rows.read(definition, split)?)?
        }
    };
    let pool = match own.fewshot_indices {
        None => pool,
        Some(places) => places
            .iter()
            .map(|&place| {
                pool.get(place)
                    .cloned()
                    .ok_or_else(|| outside(task, place, pool.len()))
            })
            .collect::<Result<_>>()?,
    };
    let guard = split == definition.test_split.as_ref();
    Ok(Sampler::new(pool, own.sampler, setup.seed, guard))
}

fn outside(task: &str, place: usize, rows: usize) -> EvalError {
    refused(
        task,
        &format!("fewshot_indices: {place} is no row of the {rows} of the split"),
    )
}
