//! The tasks that can be asked for by name: those that come with the crate, and a user's own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::definition::{Definition, Group, Member, Members, refused};
use super::near::near;
use super::yaml::{Disk, Files, read, with_includes};
use crate::{EvalError, Result};

/// The task files that come with the crate.
const FILES: [(&str, &str); 19] = [
    (
        "arc_challenge.yaml",
        include_str!("tasks/arc_challenge.yaml"),
    ),
    ("arc_easy.yaml", include_str!("tasks/arc_easy.yaml")),
    ("boolq.yaml", include_str!("tasks/boolq.yaml")),
    ("gsm8k.yaml", include_str!("tasks/gsm8k.yaml")),
    ("hellaswag.yaml", include_str!("tasks/hellaswag.yaml")),
    (
        "lambada_openai.yaml",
        include_str!("tasks/lambada_openai.yaml"),
    ),
    (
        "lambada_standard.yaml",
        include_str!("tasks/lambada_standard.yaml"),
    ),
    ("mmlu.yaml", include_str!("tasks/mmlu.yaml")),
    (
        "mmlu_humanities.yaml",
        include_str!("tasks/mmlu_humanities.yaml"),
    ),
    ("mmlu_other.yaml", include_str!("tasks/mmlu_other.yaml")),
    (
        "mmlu_social_sciences.yaml",
        include_str!("tasks/mmlu_social_sciences.yaml"),
    ),
    ("mmlu_stem.yaml", include_str!("tasks/mmlu_stem.yaml")),
    ("openbookqa.yaml", include_str!("tasks/openbookqa.yaml")),
    ("piqa.yaml", include_str!("tasks/piqa.yaml")),
    (
        "truthfulqa_gen.yaml",
        include_str!("tasks/truthfulqa_gen.yaml"),
    ),
    (
        "truthfulqa_mc1.yaml",
        include_str!("tasks/truthfulqa_mc1.yaml"),
    ),
    (
        "truthfulqa_mc2.yaml",
        include_str!("tasks/truthfulqa_mc2.yaml"),
    ),
    ("wikitext.yaml", include_str!("tasks/wikitext.yaml")),
    ("winogrande.yaml", include_str!("tasks/winogrande.yaml")),
];

/// Parts of task files that are no tasks themselves.
const PARTS: [(&str, &str); 1] = [("mmlu_subject.yaml", include_str!("tasks/mmlu_subject.yaml"))];

/// Tasks and groups by their names.
#[derive(Clone, Debug, Default)]
pub struct Suite {
    tasks: BTreeMap<String, Definition>,
    groups: BTreeMap<String, Group>,
}

/// What was asked for: tasks, each once, and the groups whose results are put together.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The tasks, in the order in which they were named.
    pub tasks: Vec<Definition>,
    /// The groups, those within others first.
    pub groups: Vec<SelectedGroup>,
}

/// A group and the names of all tasks in it.
#[derive(Clone, Debug)]
pub struct SelectedGroup {
    /// The group.
    pub group: Group,
    /// The names of its tasks, those of groups within it too.
    pub tasks: Vec<String>,
}

/// The files that come with the crate.
struct Embedded;

impl Files for Embedded {
    fn read(&self, _: Option<&Path>, name: &Path) -> Result<(PathBuf, String)> {
        let mut files = FILES.iter().chain(&PARTS);
        let file = files.find(|(known, _)| Path::new(known) == name);
        file.map(|(_, text)| (name.to_owned(), (*text).to_owned()))
            .ok_or_else(|| {
                refused(
                    &name.display().to_string(),
                    "no such file comes with the crate",
                )
            })
    }
}

impl Suite {
    /// The tasks that come with the crate.
    ///
    /// # Panics
    /// If one of its own files does not read, which a test rules out.
    pub fn standard() -> Self {
        let mut suite = Self::default();
        for (name, _) in FILES {
            let added = suite.add(&Embedded, Path::new(name));
            added.unwrap_or_else(|error| panic!("{error}"));
        }
        suite
    }

    /// Adds the task or group of a file, or of every file in a folder that ends in `.yaml` or `.yml`; one of the same
    /// name is replaced.
    ///
    /// # Errors
    /// If a file cannot be read, is no task, or asks for something that is not supported, by name.
    pub fn with(mut self, path: impl AsRef<Path>) -> Result<Self> {
        self.load(path.as_ref())?;
        Ok(self)
    }

    /// The names of tasks, groups and tags.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let tags = self.tasks.values().flat_map(|task| task.tag.names());
        let tasks = self.tasks.keys().chain(self.groups.keys());
        let mut names: Vec<_> = tasks.chain(tags).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }

    /// The tasks and groups of these names: names of tasks, groups or tags, or the files of a user's own tasks.
    ///
    /// # Errors
    /// A name that is not known, with those that are near; the errors of [`Suite::with`] for a file.
    pub fn select<S: AsRef<str>>(&self, names: &[S]) -> Result<Selection> {
        let mut suite = self.clone();
        let mut selection = Selection::default();
        for name in names {
            let name = name.as_ref();
            if is_file(name) {
                for added in suite.load(Path::new(name))? {
                    suite.choose(&added, &mut selection, &mut Vec::new())?;
                }
            } else {
                suite.choose(name, &mut selection, &mut Vec::new())?;
            }
        }
        Ok(selection)
    }

    /// Adds a name and what belongs to it; the names of the tasks that it stands for.
    fn choose(
        &self,
        name: &str,
        into: &mut Selection,
        within: &mut Vec<String>,
    ) -> Result<Vec<String>> {
        if let Some(task) = self.tasks.get(name) {
            if !into.tasks.iter().any(|chosen| chosen.task == name) {
                into.tasks.push(task.clone());
            }
            return Ok(vec![name.to_owned()]);
        }
        let mut found: Vec<String> = Vec::new();
        let mut add = |names: Vec<String>| {
            for name in names {
                if !found.contains(&name) {
                    found.push(name);
                }
            }
        };
        if let Some(group) = self.groups.get(name) {
            if within.iter().any(|outer| outer == name) {
                return Err(refused(name, "the group holds itself"));
            }
            within.push(name.to_owned());
            for member in group.members() {
                add(self.choose(member, into, within)?);
            }
            within.pop();
            if !into.groups.iter().any(|chosen| chosen.group.group == name) {
                let (group, tasks) = (group.clone(), found.clone());
                into.groups.push(SelectedGroup { group, tasks });
            }
            return Ok(found);
        }
        let tagged = self
            .tasks
            .values()
            .filter(|task| task.tag.names().iter().any(|tag| tag == name));
        for task in tagged {
            add(self.choose(&task.task, into, within)?);
        }
        if found.is_empty() {
            let mut names = near(name, self.names());
            if names.is_empty() {
                names = self
                    .names()
                    .filter(|name| !name.starts_with("mmlu_"))
                    .collect();
            }
            return Err(EvalError::UnknownTask {
                name: name.to_owned(),
                known: names.into_iter().map(str::to_owned).collect(),
            });
        }
        Ok(found)
    }

    /// The names of the tasks and groups of a file or folder, which are added.
    fn load(&mut self, path: &Path) -> Result<Vec<String>> {
        if !path.is_dir() {
            return self.add(&Disk, path).map(|name| vec![name]);
        }
        let entries = std::fs::read_dir(path).map_err(|source| EvalError::Io {
            path: path.to_owned(),
            source,
        })?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| is_yaml(file));
        files.sort();
        if files.is_empty() {
            return Err(refused(
                &path.display().to_string(),
                "no file of the folder ends in .yaml or .yml",
            ));
        }
        files.iter().map(|file| self.add(&Disk, file)).collect()
    }

    fn add(&mut self, files: &dyn Files, path: &Path) -> Result<String> {
        let fields = read(files, path)?;
        if fields.contains_key("group") {
            return self.add_group(files, path, fields);
        }
        self.add_task(&path.display().to_string(), fields)
    }

    fn add_task(&mut self, place: &str, fields: Map<String, Value>) -> Result<String> {
        let definition = Definition::of(place, fields)?;
        let name = definition.task.clone();
        self.tasks.insert(name.clone(), definition);
        Ok(name)
    }

    fn add_group(
        &mut self,
        files: &dyn Files,
        path: &Path,
        fields: Map<String, Value>,
    ) -> Result<String> {
        let place = path.display().to_string();
        let mut group: Group = serde_json::from_value(Value::Object(fields))
            .map_err(|error| refused(&place, &error.to_string()))?;
        if let Some(aggregate) = group
            .aggregate_metric_list
            .list()
            .iter()
            .find(|one| one.aggregation != "mean")
        {
            let reason = format!(
                "the aggregation {:?} of a group is not known; expected mean",
                aggregate.aggregation
            );
            return Err(refused(&place, &reason));
        }
        if let Members::Many(members) = &mut group.task {
            for member in members {
                if let Member::Inline(fields) = member {
                    let fields = with_includes(files, path, std::mem::take(fields))?;
                    *member = Member::Name(self.add_task(&place, fields)?);
                }
            }
        }
        let name = group.group.clone();
        self.groups.insert(name.clone(), group);
        Ok(name)
    }
}

impl Group {
    /// The names of its members.
    fn members(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match &self.task {
            Members::One(name) => (Some(name.as_str()), [].as_slice()),
            Members::Many(members) => (None, members.as_slice()),
        };
        let many = many.iter().filter_map(|member| match member {
            Member::Name(name) => Some(name.as_str()),
            // A file's own tasks have their names in their place since it was read.
            Member::Inline(_) => None,
        });
        one.into_iter().chain(many)
    }
}

fn is_yaml(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ["yaml", "yml"].contains(&ending))
}

/// Whether a name is that of a file or folder rather than of a task.
fn is_file(name: &str) -> bool {
    is_yaml(Path::new(name)) || name.contains(std::path::MAIN_SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(selection: &Selection) -> Vec<&str> {
        selection
            .tasks
            .iter()
            .map(|task| task.task.as_str())
            .collect()
    }

    #[test]
    fn names_stand_for_tasks_groups_and_tags() {
        let suite = Suite::standard();
        assert_eq!(
            names(&suite.select(&["arc_easy", "arc_easy"]).unwrap()),
            ["arc_easy"]
        );
        assert_eq!(
            names(&suite.select(&["ai2_arc"]).unwrap()),
            ["arc_challenge", "arc_easy"]
        );
        let mmlu = suite.select(&["mmlu"]).unwrap();
        assert_eq!(mmlu.tasks.len(), 57);
        let groups: Vec<_> = mmlu
            .groups
            .iter()
            .map(|one| (one.group.group.as_str(), one.tasks.len()))
            .collect();
        assert_eq!(
            groups,
            [
                ("mmlu_stem", 19),
                ("mmlu_other", 13),
                ("mmlu_social_sciences", 12),
                ("mmlu_humanities", 13),
                ("mmlu", 57)
            ]
        );
        assert_eq!(names(&suite.select(&["truthfulqa"]).unwrap()).len(), 3);
    }

    #[test]
    fn an_unknown_name_is_answered_with_near_ones() {
        let error = Suite::standard()
            .select(&["arc_eazy"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("arc_easy"), "{error}");
        let error = Suite::standard()
            .select(&["nothing_like_it"])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("nothing_like_it") && error.contains("hellaswag"),
            "{error}"
        );
    }

    #[test]
    fn a_users_file_is_a_task_or_a_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "base.yaml",
            "output_type: multiple_choice\ntest_split: test\ndoc_to_text: q\ndoc_to_target: 0\ndoc_to_choice: [a, b]\n",
        );
        write("mine.yaml", "include: base.yaml\ntask: mine\n");
        write(
            "all.yaml",
            "group: all\ntask:\n  - {include: base.yaml, task: other}\n  - arc_easy\naggregate_metric_list: {metric: acc}\n",
        );
        let suite = Suite::standard();
        assert_eq!(
            names(&suite.select(&[path("mine.yaml")]).unwrap()),
            ["mine"]
        );
        assert_eq!(
            names(&suite.select(&[path("all.yaml")]).unwrap()),
            ["other", "arc_easy"]
        );
        for (text, part) in [
            ("task: x\ntest_split: t\nuse_prompt: p\n", "use_prompt"),
            (
                "task: x\ntest_split: t\nprocess_docs: !function utils.mine\n",
                "utils.mine",
            ),
            ("task: x\ndoc_to_text: q\ndoc_to_target: a\n", "test_split"),
            ("task: x\ntest_split: t\noutput_type: chat\n", "chat"),
            ("task: x\ntest_split: t\nrepeats: 3\n", "repeats"),
            ("group: x\ntask: [nothing_of_this]\n", "nothing_of_this"),
            ("group: x\ntask: [x]\n", "holds itself"),
        ] {
            write("bad.yaml", text);
            let error = suite.select(&[path("bad.yaml")]).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
