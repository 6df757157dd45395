//! The parts of a prompt: columns, templates and functions, as the harness resolves them.

use fancy_regex::Regex;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value};

use finetune_data::template::python::method;

use super::definition::{Field, refused};
use super::python;
use super::row::Row;
use crate::{EvalError, Result};

/// The most steps of a template; a loop that goes on longer is an error.
const FUEL: u64 = 10_000_000;

/// Resolves the fields of a task's prompt.
pub(super) struct Resolver {
    task: String,
    environment: Environment<'static>,
    /// Whether the task has choices, so that an answer of digits is an index.
    choices: bool,
}

impl Resolver {
    pub(super) fn new(task: &str, choices: bool) -> Self {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.expect("no delimiter is changed, so none clash"));
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_unknown_method_callback(method);
        environment.set_fuel(Some(FUEL));
        environment.set_formatter(|out, _, value| {
            if value.is_undefined() {
                return Err(Error::from(ErrorKind::UndefinedError));
            }
            out.write_str(&python::write(value)).map_err(Error::from)
        });
        environment.add_filter("regex_replace", regex_replace);
        Self {
            task: task.to_owned(),
            environment,
            choices,
        }
    }

    /// The task's name.
    pub(super) fn task(&self) -> &str {
        &self.task
    }

    /// The text of a question, or an index where the choices stand in the question.
    pub(super) fn question(&self, field: &Field, row: &Row) -> Result<Value> {
        let value = self.value(field, row)?;
        Ok(match value {
            Resolved::Rendered(text) => self.index(&text).unwrap_or_else(|| text.into()),
            Resolved::Value(value) => value,
        })
    }

    /// An answer: a text, an index into the choices, or a list of such.
    pub(super) fn answer(&self, field: &Field, row: &Row) -> Result<Value> {
        let value = self.value(field, row)?;
        Ok(match value {
            Resolved::Rendered(text) => {
                let list = text.len() >= 2 && text.starts_with('[') && text.ends_with(']');
                let literal = list.then(|| python::literal(&text)).flatten();
                let index = || self.index(&text);
                literal.or_else(index).unwrap_or_else(|| text.into())
            }
            Resolved::Value(value) => value,
        })
    }

    /// The choices.
    pub(super) fn choices(&self, field: &Field, row: &Row) -> Result<Vec<String>> {
        let value = match self.value(field, row)? {
            Resolved::Rendered(text) => python::literal(&text),
            Resolved::Value(value) => Some(value),
        };
        let expected = "a list of texts, none of them empty";
        let wrong = || row.unfit(&self.task, "doc_to_choice", expected);
        let Some(Value::Array(values)) = value else {
            return Err(wrong());
        };
        let texts: Vec<String> = values
            .into_iter()
            .map(|value| match value {
                Value::String(text) if !text.is_empty() => Ok(text),
                _ => Err(wrong()),
            })
            .collect::<Result<_>>()?;
        if texts.is_empty() {
            Err(wrong())
        } else {
            Ok(texts)
        }
    }

    /// A column of that name, else what the template renders.
    pub(super) fn text(&self, source: &str, row: &Row) -> Result<String> {
        match row.fields.get(source) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(row.unfit(&self.task, source, "a text")),
            None => self.render(source, &row.fields, row),
        }
    }

    fn value(&self, field: &Field, row: &Row) -> Result<Resolved> {
        Ok(Resolved::Value(match field {
            Field::Function { function } => function.field(&self.task, row)?,
            Field::Index(index) => (*index).into(),
            Field::List(values) => Value::Array(values.clone()),
            Field::Map(values) => values.values().cloned().collect(),
            Field::Text(source) => match row.fields.get(source) {
                Some(value) => value.clone(),
                // A single word is the name of a column: a prompt of one word that no row has is a mistake.
                None if is_name(source) => {
                    return Err(row.unfit(&self.task, source, "it to be there"));
                }
                None => {
                    return self
                        .render(source, &row.fields, row)
                        .map(Resolved::Rendered);
                }
            },
        }))
    }

    fn render(&self, source: &str, fields: &Map<String, Value>, row: &Row) -> Result<String> {
        let rendered = self.environment.render_str(source, Serde(fields));
        rendered.map_err(|error| self.failed(source, row, &error))
    }

    fn failed(&self, source: &str, row: &Row, error: &Error) -> EvalError {
        let columns: Vec<_> = row.fields.keys().map(String::as_str).collect();
        refused(
            &format!("{}: {}", row.origin, self.task),
            &format!(
                "the template {:?} cannot be rendered: {error}; the row has the columns {}",
                crate::text::excerpt(source),
                columns.join(", ")
            ),
        )
    }

    fn index(&self, text: &str) -> Option<Value> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (self.choices && digits)
            .then(|| python::literal(text))
            .flatten()
    }
}

enum Resolved {
    Value(Value),
    /// By a template; what it stands for is still to be read.
    Rendered(String),
}

fn is_name(source: &str) -> bool {
    let mut characters = source.chars();
    characters
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|character| character.is_alphanumeric() || character == '_')
}

/// The harness's filter `regex_replace`: Python's `re.sub`.
fn regex_replace(
    text: &str,
    source: &str,
    replacement: &str,
    count: Option<usize>,
) -> Result<String, Error> {
    let invalid =
        |error: fancy_regex::Error| Error::new(ErrorKind::InvalidOperation, error.to_string());
    let pattern = Regex::new(source).map_err(invalid)?;
    let replacement = expansion(replacement);
    let replaced = pattern.try_replacen(text, count.unwrap_or(0), replacement.as_str());
    replaced.map(std::borrow::Cow::into_owned).map_err(invalid)
}

/// Python's way to name groups in a replacement, `\1` and `\g<name>`, as this engine has it.
fn expansion(replacement: &str) -> String {
    let mut out = String::new();
    let mut rest = replacement;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '$' => out.push_str("$$"),
            '\\' => {
                let digits =
                    rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                let named = rest
                    .strip_prefix("g<")
                    .and_then(|rest| rest.split_once('>'));
                if let Some((name, after)) = named {
                    out.extend(["${", name, "}"]);
                    rest = after;
                } else if digits > 0 {
                    out.extend(["${", &rest[..digits], "}"]);
                    rest = &rest[digits..];
                } else if let Some(plain) = rest.chars().next() {
                    out.push(match plain {
                        'n' => '\n',
                        't' => '\t',
                        other => other,
                    });
                    rest = &rest[plain.len_utf8()..];
                }
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use finetune_data::Origin;
    use serde_json::json;

    use super::*;

    fn row(fields: Value) -> Row {
        let Value::Object(fields) = fields else {
            panic!("the fields are an object");
        };
        Row {
            fields,
            origin: Origin::new("rows.jsonl", 3),
        }
    }

    fn template(source: &str) -> Field {
        Field::Text(source.into())
    }

    #[test]
    fn fields_are_resolved_as_the_harness_resolves_them() {
        let row = row(json!({
            "question": " Why? ", "choices": {"text": ["it's", "\"b\""], "label": ["1", "2"]}, "key": "2",
            "flag": true, "one": "1", "list": ["x", "y"], "plain": "label"
        }));
        let resolver = Resolver::new("t", true);
        let question = |source: &str| resolver.question(&template(source), &row).unwrap();
        assert_eq!(question("Q: {{question}}\n"), json!("Q:  Why? \n"));
        assert_eq!(
            question("{{question.strip()}}{{ ' b'.lstrip() }}"),
            json!("Why?b")
        );
        assert_eq!(question("question"), json!(" Why? "));
        assert_eq!(question("{{one}}"), json!(1));
        assert_eq!(
            question("{{flag}} {{list}} {{missing|default('x')}}"),
            json!("True ['x', 'y'] x")
        );
        assert_eq!(
            question("{{'a b'.split(' ')[:-1]|join(' ')}}|"),
            json!("a|")
        );
        assert_eq!(
            question(r"{{'a1b22'|regex_replace('([0-9])', '<\\1>', 2)}}"),
            json!("a<1>b<2>2")
        );
        let answer = |source: &str| resolver.answer(&template(source), &row).unwrap();
        assert_eq!(answer("{{choices.label.index(key)}}"), json!(1));
        assert_eq!(answer("{{list}}"), json!(["x", "y"]));
        assert_eq!(answer("[{{question}}]"), json!("[ Why? ]"));
        assert_eq!(answer("flag"), json!(true));
        let choices = |source: &str| resolver.choices(&template(source), &row).unwrap();
        assert_eq!(choices("{{choices.text}}"), ["it's", "\"b\""]);
        assert_eq!(choices("{{[key, one]}}"), ["2", "1"]);
        assert_eq!(choices("list"), ["x", "y"]);
    }

    #[test]
    fn what_a_row_lacks_is_named_with_its_line() {
        let row = row(json!({"question": "Why?", "list": [1]}));
        let resolver = Resolver::new("t", true);
        for (error, part) in [
            (
                resolver.question(&template("{{text}}"), &row).unwrap_err(),
                "rows.jsonl:3: t: the template",
            ),
            (
                resolver.question(&template("answer"), &row).unwrap_err(),
                "\"answer\"",
            ),
            (
                resolver.choices(&template("list"), &row).unwrap_err(),
                "doc_to_choice",
            ),
            (
                resolver
                    .answer(&template("{{list.index(7)}}"), &row)
                    .unwrap_err(),
                "not in the list",
            ),
            (
                resolver
                    .question(
                        &template("{% for a in range(100000000) %}{% endfor %}"),
                        &row,
                    )
                    .unwrap_err(),
                "rows.jsonl:3",
            ),
        ] {
            let error = error.to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
