//! Our metrics against the reference packages; `golden/make.py` wrote what they say.

use finetune_data::Origin;
use finetune_eval::{
    Metric, Outcome,
    metric::{
        Confusion, MacroF1, Matthews, Mean, Normalization, Overlap, Words, bleu, chrf, exact_match,
        rouge_l, rouge_lsum, rouge_n, token_f1,
    },
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    texts: Vec<Pair>,
    corpus: Corpus,
    labels: Vec<Classified>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pair {
    reference: String,
    output: String,
    #[serde(rename = "exact_match")]
    exact_match: f64,
    f1: f64,
    rouge1: [f64; 3],
    rouge2: [f64; 3],
    #[serde(rename = "rougeL")]
    rouge_l: [f64; 3],
    #[serde(rename = "rougeLsum")]
    rouge_lsum: [f64; 3],
    bleu: f64,
    #[serde(rename = "bleu_intl")]
    bleu_intl: f64,
    chrf: f64,
    #[serde(rename = "chrf++")]
    chrf_words: f64,
}

#[derive(Deserialize)]
struct Corpus {
    bleu: f64,
    chrf: f64,
    #[serde(rename = "chrf++")]
    chrf_words: f64,
}

#[derive(Deserialize)]
struct Classified {
    reference: Vec<String>,
    output: Vec<String>,
    accuracy: f64,
    macro_f1: f64,
    mcc: f64,
    confusion: Vec<Vec<usize>>,
    labels: Vec<String>,
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<usize>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/metrics.json"))
        .expect("golden/metrics.json has the form that make.py writes")
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-12
}

fn same(found: Overlap, expected: [f64; 3]) -> bool {
    [found.precision, found.recall, found.f1]
        .into_iter()
        .zip(expected)
        .all(|(found, expected)| near(found, expected))
}

#[test]
fn text_metrics_equal_the_reference() {
    for Pair {
        reference,
        output,
        exact_match: exact,
        f1,
        rouge1,
        rouge2,
        rouge_l: longest,
        rouge_lsum: by_lines,
        bleu: expected_bleu,
        bleu_intl: expected_intl,
        chrf: expected_chrf,
        chrf_words,
    } in golden().texts
    {
        let squad = Normalization::default();
        assert!(
            near(exact_match(&reference, &output, squad), exact),
            "exact match: {reference:?} {output:?}"
        );
        assert!(
            near(token_f1(&reference, &output, squad), f1),
            "F1: {reference:?} {output:?}"
        );
        assert!(
            same(rouge_n(&reference, &output, 1), rouge1),
            "ROUGE-1: {reference:?} {output:?}"
        );
        assert!(
            same(rouge_n(&reference, &output, 2), rouge2),
            "ROUGE-2: {reference:?} {output:?}"
        );
        assert!(
            same(rouge_l(&reference, &output), longest),
            "ROUGE-L: {reference:?} {output:?}"
        );
        assert!(
            same(rouge_lsum(&reference, &output), by_lines),
            "ROUGE-Lsum: {reference:?} {output:?}"
        );
        let pair = [(reference.as_str(), output.as_str())];
        for (name, found, expected) in [
            ("BLEU", bleu(&pair, Words::Mteval), expected_bleu),
            (
                "BLEU, intl",
                bleu(&pair, Words::International),
                expected_intl,
            ),
            ("chrF", chrf(&pair, false), expected_chrf),
            ("chrF++", chrf(&pair, true), chrf_words),
        ] {
            assert!(
                (found - expected).abs() < 1e-9,
                "{name}: {reference:?} {output:?}: {found}, expected {expected}"
            );
        }
    }
}

#[test]
fn corpus_metrics_equal_sacrebleu() {
    let golden = golden();
    let pairs: Vec<_> = golden
        .texts
        .iter()
        .map(|pair| (pair.reference.as_str(), pair.output.as_str()))
        .collect();
    for (name, found, expected) in [
        ("BLEU", bleu(&pairs, Words::Mteval), golden.corpus.bleu),
        ("chrF", chrf(&pairs, false), golden.corpus.chrf),
        ("chrF++", chrf(&pairs, true), golden.corpus.chrf_words),
    ] {
        assert!(
            (found - expected).abs() < 1e-9,
            "{name}: {found}, expected {expected}"
        );
    }
}

#[test]
fn label_metrics_equal_scikit_learn() {
    for golden in golden().labels {
        let outcomes: Vec<_> = (1..)
            .zip(golden.reference.iter().zip(&golden.output))
            .map(|(line, (reference, output))| {
                Outcome::new(Origin::new("labels.csv", line), "", reference, output)
                    .with_score("acc", f64::from(u8::from(reference == output)))
            })
            .collect();
        let outcomes: Vec<_> = outcomes.iter().collect();
        assert!(near(
            Mean::new("accuracy", "acc").value(&outcomes).unwrap(),
            golden.accuracy
        ));
        assert!(near(
            MacroF1::default().value(&outcomes).unwrap(),
            golden.macro_f1
        ));
        assert!(near(Matthews.value(&outcomes).unwrap(), golden.mcc));
        let confusion = Confusion::of(&outcomes).unwrap();
        assert_eq!(confusion.labels, golden.labels);
        assert_eq!(confusion.counts, golden.confusion);
        for (index, class) in confusion.classes().into_iter().enumerate() {
            assert!(near(
                class.precision.map_or(0.0, |estimate| estimate.value),
                golden.precision[index]
            ));
            assert!(near(
                class.recall.map_or(0.0, |estimate| estimate.value),
                golden.recall[index]
            ));
            assert!(near(class.f1, golden.f1[index]));
            assert_eq!(class.count, golden.support[index]);
        }
    }
}
