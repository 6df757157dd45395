//! What the benchmark suite says to rows, tasks and settings that it cannot use.

use std::fs;

use finetune_data::Loaders;
use finetune_eval::suite::{Benchmark, Rows, Setup, Suite};

/// The error of opening a task of this text over these rows of its test split.
fn error(task: &str, rows: &str, setup: &Setup) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.yaml");
    fs::write(&file, format!("task: mine\ntest_split: test\n{task}")).expect("a file");
    fs::create_dir(folder.path().join("mine")).expect("a folder");
    fs::write(folder.path().join("mine/test.jsonl"), rows).expect("a file");
    let selected = Suite::default().select(&[file.display().to_string()]);
    let opened = selected.and_then(|mut selection| {
        Benchmark::open(
            selection.tasks.remove(0),
            &Rows::new(folder.path(), Loaders::default()),
            setup,
        )
    });
    match opened {
        Ok(_) => panic!("{task} was opened over {rows}"),
        Err(error) => error.to_string(),
    }
}

const CHOICE: &str = "output_type: multiple_choice\ndoc_to_text: question\ndoc_to_choice: choices\ndoc_to_target: answer\n";
const WRITTEN: &str = "doc_to_text: \"{{question}}\"\ndoc_to_target: answer\n";

#[test]
fn rows_that_lack_something_are_named_with_file_and_line() {
    let good = r#"{"question": "Why?", "choices": ["a", "b"], "answer": 0}"#;
    for (task, row, parts) in [
        (
            CHOICE,
            r#"{"question": "Why?", "choices": ["a", "b"]}"#,
            ["mine/test.jsonl:2", "\"answer\""],
        ),
        (
            CHOICE,
            r#"{"question": "Why?", "choices": ["a", "b"], "answer": 2}"#,
            ["mine/test.jsonl:2", "below 2"],
        ),
        (
            CHOICE,
            r#"{"question": "Why?", "choices": ["a", "b"], "answer": "c"}"#,
            ["mine/test.jsonl:2", "\"c\""],
        ),
        (
            CHOICE,
            r#"{"question": "Why?", "choices": ["a", "b"], "answer": null}"#,
            ["mine/test.jsonl:2", "null"],
        ),
        (
            CHOICE,
            r#"{"question": "Why?", "choices": [], "answer": 0}"#,
            ["mine/test.jsonl:2", "doc_to_choice"],
        ),
        (
            CHOICE,
            r#"{"question": "Why?", "choices": ["a", ""], "answer": 0}"#,
            ["mine/test.jsonl:2", "doc_to_choice"],
        ),
        (
            CHOICE,
            r#"{"question": 7, "choices": ["a", "b"], "answer": 0}"#,
            ["mine/test.jsonl:2", "doc_to_target"],
        ),
        (
            WRITTEN,
            r#"{"text": "Why?", "answer": "So."}"#,
            ["mine/test.jsonl:2", "columns answer, text"],
        ),
        (
            WRITTEN,
            r#"{"question": "Why?", "answer": {}}"#,
            ["mine/test.jsonl:2", "{}"],
        ),
        (
            WRITTEN,
            r#"{"question": "Why?", "answer""#,
            ["mine/test.jsonl:", "unexpected end"],
        ),
    ] {
        let found = error(task, &format!("{good}\n{row}\n"), &Setup::default());
        assert!(
            parts.iter().all(|part| found.contains(part)),
            "{row}: {found}"
        );
    }
}

#[test]
fn nothing_is_evaluated_over_nothing() {
    for (rows, setup) in [
        ("", Setup::default()),
        ("\n\n", Setup::default()),
        (
            r#"{"question": "Why?", "answer": "So."}"#,
            Setup {
                limit: Some(0),
                ..Setup::default()
            },
        ),
    ] {
        let found = error(WRITTEN, rows, &setup);
        assert!(
            found.contains("empty") || found.contains("no record"),
            "{found}"
        );
    }
}

#[test]
fn tasks_that_ask_for_what_is_not_there_are_refused_by_name() {
    let row = r#"{"question": "Why?", "choices": ["a", "b"], "answer": 0}"#;
    let more = |base: &str, text: &str| format!("{base}{text}\n");
    for (task, part) in [
        (
            more(CHOICE, "metric_list: [{metric: brier}]"),
            "\"brier\" is not known",
        ),
        (
            more(CHOICE, "metric_list: [{metric: acc, aggregation: sum}]"),
            "\"sum\" is not known",
        ),
        (more(CHOICE, "metric_list: []"), "metric_list is empty"),
        (more(CHOICE, "filter_list: []"), "filter_list is empty"),
        (
            more(
                CHOICE,
                "filter_list: [{name: f, filter: [{function: vote}]}]",
            ),
            "vote",
        ),
        (
            more(
                CHOICE,
                "process_results: !function utils.process_results_gen",
            ),
            "process_results_gen",
        ),
        (
            more(CHOICE, "process_docs: !function utils.process_docs"),
            "\"ctx_a\"",
        ),
        (more(CHOICE, "doc_to_image: image"), "doc_to_image"),
        (more(CHOICE, "num_fewshot: 3"), "lower the number of shots"),
        (
            more(CHOICE, "num_fewshot: 1\nfewshot_split: dev"),
            "dev.jsonl",
        ),
        (
            more(
                CHOICE,
                "num_fewshot: 1\nfewshot_config: {fewshot_indices: [4]}",
            ),
            "fewshot_indices: 4",
        ),
        (
            more(
                WRITTEN,
                "generation_kwargs: {do_sample: true, temperature: 0.7}",
            ),
            "drawn at random",
        ),
        (
            more(WRITTEN, "generation_kwargs: {max_gen_toks: 0}"),
            "0 tokens",
        ),
        (more(WRITTEN, "generation_kwargs: {until: [1]}"), "until"),
        (
            more(
                WRITTEN,
                "metric_list: [{metric: exact_match, regexes_to_ignore: ['(']}]",
            ),
            "the pattern \"(\"",
        ),
        (
            "output_type: multiple_choice\ndoc_to_text: question\ndoc_to_target: answer\n"
                .to_owned(),
            "doc_to_choice",
        ),
        (
            "doc_to_text: \"{{ question\"\ndoc_to_target: answer\n".to_owned(),
            "cannot be rendered",
        ),
        (
            "doc_to_text: \"{{ question.nope() }}\"\ndoc_to_target: answer\n".to_owned(),
            "cannot be rendered",
        ),
    ] {
        let found = error(&task, row, &Setup::default());
        assert!(found.contains(part), "{task}: {found}");
    }
}

#[test]
fn a_split_that_is_not_there_is_answered_with_what_is() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("arc_eazy")).expect("a folder");
    let rows = Rows::new(folder.path(), Loaders::default());
    let task = || {
        Suite::standard()
            .select(&["arc_easy"])
            .expect("a task")
            .tasks
            .remove(0)
    };
    let open = |rows| match Benchmark::open(task(), rows, &Setup::default()) {
        Ok(_) => panic!("there are no rows"),
        Err(error) => error.to_string(),
    };
    assert!(open(&rows).contains("holds arc_eazy"), "{}", open(&rows));
    fs::create_dir(folder.path().join("arc_easy")).expect("a folder");
    fs::write(folder.path().join("arc_easy/validation.jsonl"), "{}").expect("a file");
    assert!(
        open(&rows).contains("it holds validation.jsonl"),
        "{}",
        open(&rows)
    );
}
