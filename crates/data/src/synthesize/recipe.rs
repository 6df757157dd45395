//! What is asked for: a prompt template, and the form of the answer.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value as Variable};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ask::{Answer, Ended};
use super::shape::Shape;
use crate::document::Document;
use crate::error::{DataError, Place, Result, escaped, quoted};
use crate::example::nearest;

/// The recipes that can be asked for by name.
const RECIPES: &str = include_str!("recipes.json");

/// The field of a made document that says how it was made.
pub(super) const PROVENANCE: &str = "synthesis";

/// Fields that say where a record comes from, and nothing that a model should read.
const PLACES: [&str; 5] = [
    "chunk",
    PROVENANCE,
    "source_path",
    "source_place",
    "source_unit",
];

/// The longest file of a recipe, in bytes.
const FILE: u64 = 1 << 20;

/// What a template may use up.
const FUEL: u64 = 1_000_000;

/// A kind of data to be made. Write your own as a value, or read it from JSON.
///
/// The template is Jinja. It is filled with `text` (the document's text, or its fields as JSON if it has none),
/// `fields` (by name), `count` (how many are wanted), `seed` (one of the run's seeds; undefined without) and `shape`
/// (the form of the answer as JSON Schema). A name that does not exist is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Its name, which stands in the provenance of what is made with it.
    pub name: String,
    /// Instructions above the prompt; none by default.
    #[serde(default)]
    pub system: Option<String>,
    /// The template of the prompt.
    pub template: String,
    /// The form that an answer must have: an object.
    pub shape: Shape,
    /// The field of the answer that holds a list of objects, each of which becomes a document; by default the answer
    /// itself becomes one.
    #[serde(default)]
    pub items: Option<String>,
    /// The fields of the source that go into each document made of it, where the answer has none of that name; none by
    /// default.
    #[serde(default)]
    pub keep: Vec<String>,
}

impl Recipe {
    /// The recipes that come with this crate: `question-answers`, `paraphrases` (of a text), `questions` (other wordings
    /// of the field `prompt`, with the same `completion`), `harder` (harder variants of a task) and `preferences`. What
    /// they make is found by the mappings without names being given.
    ///
    /// # Panics
    ///
    /// Never: the list is part of the crate, and a test reads it.
    pub fn list() -> Vec<Self> {
        serde_json::from_str(RECIPES).expect("the list is valid")
    }

    /// The recipe of this name.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] with the names that there are.
    pub fn named(name: &str) -> Result<Self> {
        let list = Self::list();
        if let Some(recipe) = list.iter().find(|recipe| recipe.name == name) {
            return Ok(recipe.clone());
        }
        let names: Vec<&str> = list.iter().map(|recipe| recipe.name.as_str()).collect();
        let hint = nearest(name, names.iter().copied())
            .map_or(String::new(), |near| format!("; did you mean {near}?"));
        Err(DataError::Setting {
            name: "recipe".into(),
            found: quoted(name),
            expected: format!("one of {}{hint}", names.join(", ")),
        })
    }

    /// The recipe in a JSON file.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if the file cannot be read; [`DataError::JsonSyntax`] if it holds no recipe.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        serde_json::from_str(&text_at(path)?).map_err(|error| DataError::JsonSyntax {
            place: Place::at(path, error.line() as u64, error.column() as u64),
            message: format!(
                "found no recipe: {}; expected name, template, shape, and perhaps system, items and keep",
                escaped(&error.to_string())
            ),
        })
    }

    /// The same recipe with the template that a file holds, and the file's name without its extension as its own.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if the file cannot be read as UTF-8.
    pub fn template_from(self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.file_stem().unwrap_or_default();
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            template: text_at(path)?,
            ..self
        })
    }

    /// The recipe, ready to make prompts.
    ///
    /// # Errors
    ///
    /// [`DataError::TemplateSyntax`], or [`DataError::Setting`] if the shape and the items do not go together.
    pub(super) fn compile(&self) -> Result<Prompts<'_>> {
        self.check()?;
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.expect("the delimiters are the default ones"));
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        let added = environment.add_template_owned("recipe", self.template.clone());
        added.map_err(|error| DataError::TemplateSyntax {
            name: quoted(&self.name),
            line: error.line().unwrap_or(0),
            column: 0,
            message: escaped(&error.to_string()),
        })?;
        Ok(Prompts {
            recipe: self,
            environment,
        })
    }

    fn check(&self) -> Result<()> {
        let fault = |found: String, expected: &str| {
            Err(DataError::Setting {
                name: format!("recipe {}", quoted(&self.name)),
                found,
                expected: expected.into(),
            })
        };
        let Shape::Object { properties, .. } = &self.shape else {
            return fault("a shape of another type".into(), "an object");
        };
        let Some(items) = &self.items else {
            return Ok(());
        };
        match properties.get(items) {
            Some(Shape::Array { items, .. }) if matches!(**items, Shape::Object { .. }) => Ok(()),
            _ => fault(
                format!("items {}", quoted(items)),
                "a property that is an array of objects",
            ),
        }
    }

    /// The records in an answer.
    ///
    /// # Errors
    ///
    /// Why the answer is none that was asked for.
    pub(super) fn read(&self, answer: &Answer) -> Result<Vec<Map<String, Value>>, Invalid> {
        match answer.ended {
            Ended::Length => {
                return Err(Invalid::new(
                    "cut off",
                    "the answer is cut off; allow it more tokens",
                ));
            }
            Ended::Filter => {
                return Err(Invalid::new("filtered", "the service filtered the answer"));
            }
            Ended::Stop => {}
        }
        let mut value: Value = serde_json::from_str(json_of(&answer.text)).map_err(|error| {
            Invalid::new(
                "not JSON",
                format!("found {}; expected JSON: {error}", quoted(&answer.text)),
            )
        })?;
        let checked = self.shape.check(&value);
        checked.map_err(|fault| Invalid::new("another form", fault))?;
        let list = match &self.items {
            Some(name) => value[name.as_str()].take(),
            None => Value::Array(vec![value]),
        };
        let Value::Array(list) = list else {
            return Ok(Vec::new());
        };
        let objects = list.into_iter().filter_map(|item| match item {
            Value::Object(fields) => Some(fields),
            _ => None,
        });
        Ok(objects.collect())
    }
}

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invalid {
    /// The key under which it is counted.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Invalid {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { reason, message }
    }
}

/// The JSON of an answer: models like to put a fence around it, or a sentence before it.
fn json_of(text: &str) -> &str {
    let start = text.find('{').unwrap_or(0);
    let end = text.rfind('}').map_or(text.len(), |last| last + 1);
    text.get(start..end).unwrap_or(text)
}

/// A recipe with its template read.
pub(super) struct Prompts<'r> {
    recipe: &'r Recipe,
    environment: Environment<'static>,
}

impl Prompts<'_> {
    /// The prompt for a document.
    ///
    /// # Errors
    ///
    /// [`DataError::TemplateRender`] if the template names something that does not exist, or fails;
    /// [`DataError::MissingField`] if the document lacks a field that is to be kept.
    pub(super) fn render(
        &self,
        document: &Document,
        count: u32,
        seed: Option<&Value>,
    ) -> Result<String> {
        let lost = |name: &&String| !document.fields.contains_key(name);
        if let Some(name) = self.recipe.keep.iter().find(lost) {
            let hint =
                "The recipe keeps it: map the records first, or name another field in `keep`";
            return Err(document.missing(name, hint));
        }
        let fault = |error: minijinja::Error| DataError::TemplateRender {
            place: Place::from(&document.origin),
            name: quoted(&self.recipe.name),
            line: error.line().unwrap_or(0),
            message: escaped(&error.to_string()),
        };
        let shape =
            serde_json::to_string(&self.recipe.shape).expect("a shape can be written as JSON");
        let mut variables = vec![
            ("text", Variable::from(text_of(document))),
            ("fields", Variable::from(Serde(&document.fields))),
            ("count", Variable::from(count)),
            ("shape", Variable::from(shape)),
        ];
        variables.extend(seed.map(|seed| ("seed", Variable::from(Serde(seed)))));
        let template = self.environment.get_template("recipe").map_err(fault)?;
        template
            .render(Variable::from_pairs(variables))
            .map_err(fault)
    }
}

/// The text of a recipe's file.
fn text_at(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE + 1).read_to_string(&mut text));
    let read = read.and_then(|length| match length as u64 {
        0..=FILE => Ok(()),
        _ => Err(std::io::Error::other(format!(
            "it is longer than {FILE} bytes"
        ))),
    });
    read.map_err(|source| DataError::Io {
        place: Place::file(path),
        operation: "read",
        source,
    })?;
    Ok(text)
}

/// The text of a document, or its fields as JSON if it has none.
fn text_of(document: &Document) -> String {
    if !document.text.trim().is_empty() {
        return document.text.clone();
    }
    let told = |(name, _): &(&String, &Value)| !PLACES.contains(&name.as_str());
    let fields: Map<String, Value> = document
        .fields
        .iter()
        .filter(told)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Value::Object(fields).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Origin;
    use crate::mapping::{AnyChat, Mapping, PreferenceMapping, TextMapping};
    use serde_json::json;

    fn document(text: &str, fields: Value) -> Document {
        let Value::Object(fields) = fields else {
            panic!("an object")
        };
        Document {
            text: text.into(),
            fields: fields.into_iter().collect(),
            origin: Origin::new("a.md", 4),
        }
    }

    fn answer(text: &str) -> Answer {
        Answer {
            text: text.into(),
            ended: Ended::Stop,
            usage: None,
        }
    }

    #[test]
    fn recipes_of_the_list_make_records_that_the_mappings_know() {
        let answers = json!({
            "pairs": [{"question": "q", "answer": "a"}], "paraphrases": [{"text": "p"}],
            "questions": [{"prompt": "q"}], "variants": [{"prompt": "p", "completion": "c"}],
            "preferences": [{"prompt": "p", "chosen": "c", "rejected": "r"}],
        });
        let source = document(
            "The <text>.",
            json!({"prompt": "The <text>.", "completion": "c"}),
        );
        for recipe in Recipe::list() {
            let prompts = recipe.compile().unwrap();
            let plain = prompts.render(&source, 3, None).unwrap();
            assert!(
                plain.contains("The <text>.") && plain.contains(" 3 ") && !plain.contains("Aim"),
                "{plain}"
            );
            assert!(plain.contains("\"minItems\":1"), "{plain}");
            let aim = json!("dates");
            let seeded = prompts.render(&source, 3, Some(&aim)).unwrap();
            assert!(seeded.contains("Aim at this: dates\n"), "{seeded}");
            let mut records = recipe.read(&answer(&answers.to_string())).unwrap();
            let mut record = document("", Value::Object(records.remove(0)));
            let kept = recipe.keep.iter();
            let kept = kept.map(|name| (name.clone(), source.fields[name].clone()));
            record.fields.extend(kept);
            match recipe.name.as_str() {
                "paraphrases" => drop(TextMapping::default().example(record).unwrap()),
                "preferences" => drop(PreferenceMapping::default().example(record).unwrap()),
                _ => drop(AnyChat::Detect.example(record).unwrap()),
            }
        }
        let error = Recipe::named("paraphrase").unwrap_err().to_string();
        assert!(error.contains("did you mean paraphrases?"), "{error}");
    }

    #[test]
    fn a_recipe_or_its_template_is_read_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let harder = Recipe::named("harder").unwrap();
        let path = at("mine.json", &serde_json::to_vec(&harder).unwrap());
        assert_eq!(Recipe::open(path).unwrap(), harder);
        let path = at("short.jinja", "{{ text }}é".as_bytes());
        let short = harder.clone().template_from(path).unwrap();
        assert_eq!(
            (short.name.as_str(), short.template.as_str()),
            ("short", "{{ text }}é")
        );
        assert_eq!(short.shape, harder.shape);
        for (text, part) in [
            (b"{\n\"nam\": 1}".as_slice(), "bad:2:"),
            (b"\xff", "bad: cannot read"),
            (&vec![b' '; (1 << 20) + 1], "longer than 1048576 bytes"),
        ] {
            let error = Recipe::open(at("bad", text)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_record_without_text_is_shown_as_json() {
        let recipe = Recipe {
            template: "{{ text }} {{ fields.b }}".into(),
            ..Recipe::named("harder").unwrap()
        };
        let record = document(
            "",
            json!({"b": "x", "a": 1, "chunk": {"number": 1}, "source_path": "p"}),
        );
        let prompt = recipe.compile().unwrap().render(&record, 1, None).unwrap();
        assert_eq!(prompt, "{\"a\":1,\"b\":\"x\"} x");
    }

    #[test]
    fn faults_of_a_recipe_are_found_before_anything_is_asked() {
        let recipe = Recipe::named("harder").unwrap();
        let check = |recipe: &Recipe, kind: &str, part: &str| {
            let prompts = recipe.compile();
            let error = prompts
                .and_then(|prompts| prompts.render(&document("t", json!({})), 1, None))
                .unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        let template = |source: &str| Recipe {
            template: source.into(),
            ..recipe.clone()
        };
        check(&template("a\n{% if %}"), "template syntax", "\"harder\":2");
        check(&template("{{ tekst }}"), "template render", "a.md:4");
        check(
            &template("{{ fields.missing }}"),
            "template render",
            "undefined",
        );
        check(
            &template(
                "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            ),
            "template render",
            "fuel",
        );
        check(
            &Recipe {
                items: Some("others".into()),
                ..recipe.clone()
            },
            "setting",
            "\"others\"",
        );
        check(
            &Recipe {
                shape: Shape::Boolean {},
                ..recipe.clone()
            },
            "setting",
            "object",
        );
    }

    #[test]
    fn answers_that_were_not_asked_for_are_named() {
        let recipe = Recipe::named("paraphrases").unwrap();
        let good = "Here you are:\n```json\n{\"paraphrases\": [{\"text\": \"a } b\"}]}\n```\n";
        assert_eq!(recipe.read(&answer(good)).unwrap()[0]["text"], "a } b");
        for (text, reason) in [
            ("no", "not JSON"),
            ("}{", "not JSON"),
            ("", "not JSON"),
            ("{\"paraphrases\": [", "not JSON"),
            ("{\"paraphrases\": []}", "another form"),
            ("{\"paraphrases\": [{\"text\": \" \"}]}", "another form"),
            ("[1]", "another form"),
        ] {
            assert_eq!(
                recipe.read(&answer(text)).unwrap_err().reason,
                reason,
                "{text}"
            );
        }
        let cut = Answer {
            ended: Ended::Length,
            ..answer(good)
        };
        assert_eq!(recipe.read(&cut).unwrap_err().reason, "cut off");
        let cut = Answer {
            ended: Ended::Filter,
            ..answer(good)
        };
        assert_eq!(recipe.read(&cut).unwrap_err().reason, "filtered");
    }
}
