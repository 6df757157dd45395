//! Results in the form of the harness's own file.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Figure, HARNESS, Results, TaskInfo, bare, filter};
use crate::metric::Better;

impl Results {
    /// The results in the form of the harness's own file, for tools that read that.
    pub fn harness(&self) -> Value {
        let is_group = |name: &&String| self.groups.contains_key(*name);
        let mut results = Map::new();
        for (name, figures) in &self.results {
            results.insert(name.clone(), harness_figures(name, figures));
        }
        let groups: Map<_, _> = results
            .iter()
            .filter(|(name, _)| is_group(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let of_tasks = |value: &dyn Fn(&TaskInfo) -> Value| -> Map<String, Value> {
            self.tasks
                .iter()
                .map(|(name, task)| (name.clone(), value(task)))
                .collect()
        };
        let better = |name: &String| -> Map<String, Value> {
            let figures = self.results.get(name).into_iter().flatten();
            figures
                .map(|(metric, figure)| {
                    (
                        bare(metric).to_owned(),
                        (figure.better == Better::Higher).into(),
                    )
                })
                .collect()
        };
        json!({
            "results": results,
            "groups": groups,
            "group_subtasks": self.groups,
            "configs": of_tasks(&|task| Value::Object(task.definition.clone())),
            "versions": of_tasks(&|task| task.version.parse::<f64>().map_or_else(|_| task.version.clone().into(), Value::from)),
            "n-shot": of_tasks(&|task| task.shots.into()),
            "n-samples": of_tasks(&|task| json!({"original": task.n, "effective": task.n})),
            "higher_is_better": self.results.keys().map(|name| (name.clone(), Value::Object(better(name)))).collect::<Map<_, _>>(),
            "config": {"model": "finetune", "model_args": self.model, "configuration": self.configuration},
            "model_name": self.model,
            "lm_eval_version": HARNESS,
        })
    }
}

fn harness_figures(name: &str, figures: &BTreeMap<String, Figure>) -> Value {
    let mut fields = Map::from_iter([("alias".to_owned(), Value::from(name))]);
    for (key, figure) in figures {
        let (metric, filter) = (bare(key), filter(key));
        fields.insert(format!("{metric},{filter}"), figure.value.into());
        let stderr = figure.stderr.map_or_else(|| "N/A".into(), Value::from);
        fields.insert(format!("{metric}_stderr,{filter}"), stderr);
        fields.insert("sample_len".to_owned(), figure.n.into());
    }
    Value::Object(fields)
}
