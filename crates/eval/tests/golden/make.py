"""Writes metrics.json: what the reference packages say about a list of texts and labels.

Run with Python 3.11, rouge-score 0.1.2, sacrebleu 2.6 and scikit-learn 1.7 or later:

    python crates/eval/tests/golden/make.py

The exact match and F1 follow the definition of SQuAD's evaluation script (version 1.1; 2.0 for answers without words).
"""

import json
import pathlib
import random
import re
import string
from collections import Counter

import sacrebleu
from rouge_score import rouge_scorer
from sklearn import metrics

PAIRS = [
    ("The rank sets the width of the update.", "The rank sets the width of the update."),
    ("The rank sets the width of the update.", "the rank is the width of an update"),
    ("Use a learning rate of 2e-4.", "A learning rate of 1e-4 is used."),
    ("low-rank adaptation", "Low rank adaptation (LoRA)"),
    ("", ""),
    ("", "something"),
    ("something", ""),
    ("The", "a"),
    ("an", "rank"),
    ("Yes, it does.", "No."),
    ("café au lait", "cafe au lait"),
    ("Gewöhnlich über Nacht", "gewöhnlich ÜBER nacht"),
    ("don't stop", "dont stop"),
    ("one two three four five", "five four three two one"),
    ("a b a b a b", "b a b a"),
    ("“quoted” text — with dashes", '"quoted" text - with dashes'),
    ("line one\nline two", "line one\tline two"),
    ("模型 训练", "模型 训练"),
    ("the the the cat", "cat the"),
    ("snake_case and camelCase", "snakecase and camelcase"),
    ("İstanbul K", "i̇stanbul k"),
    ("3.14", "314"),
    ("no-break\u00a0space", "nobreak space"),
]
# Those of several lines and of what tokenizers part come last: the random ones are drawn after the first.
LINES = [
    ("the cat sat\non the mat\n\nand slept", "on the mat\nthe cat slept\nthe cat sat and slept"),
    ("a b c d\ne f g", "g f e d\nc b a"),
    ("one &amp; two, 1,000.50 - that's 5-6 (about) $7!", "one & two, 1,000.50 - that's 5 - 6 (about) $ 7 !"),
    ("C'est l'été: «déjà» 20°C…", "C'est l'ete : \"déjà\" 20 °C ..."),
    ("(hi) a, b. \"c\"", "(hi a , b . \"c"),
]

WORDS = "the a rank of model adapter train loss is and learning rate data with small".split()
random.seed(7)
for _ in range(60):
    reference = " ".join(random.choices(WORDS, k=random.randint(1, 14)))
    output = " ".join(random.choices(WORDS, k=random.randint(1, 14)))
    PAIRS.append((reference, output))
PAIRS += LINES


def normalized(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1(reference, output):
    expected, found = normalized(reference).split(), normalized(output).split()
    if not expected or not found:
        return float(expected == found)
    shared = sum((Counter(expected) & Counter(found)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(found), shared / len(expected)
    return 2 * precision * recall / (precision + recall)


def texts():
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=False)
    for reference, output in PAIRS:
        rouge = scorer.score(reference, output)
        yield {
            "reference": reference,
            "output": output,
            "exact_match": float(normalized(reference) == normalized(output)),
            "f1": f1(reference, output),
            **{name: [score.precision, score.recall, score.fmeasure] for name, score in rouge.items()},
            "bleu": sacrebleu.corpus_bleu([output], [[reference]]).score,
            "bleu_intl": sacrebleu.corpus_bleu([output], [[reference]], tokenize="intl").score,
            "chrf": sacrebleu.corpus_chrf([output], [[reference]]).score,
            "chrf++": sacrebleu.corpus_chrf([output], [[reference]], word_order=2).score,
        }


def labels():
    for classes, items, skew in [(2, 40, 0.8), (3, 60, 0.6), (5, 200, 0.4), (4, 10, 0.1)]:
        names = [f"class {index}" for index in range(classes)]
        reference = random.choices(names, k=items)
        output = [label if random.random() < skew else random.choice(names) for label in reference]
        known = sorted(set(reference) | set(output))
        precision, recall, scores, support = metrics.precision_recall_fscore_support(
            reference, output, labels=known, zero_division=0
        )
        yield {
            "reference": reference,
            "output": output,
            "accuracy": metrics.accuracy_score(reference, output),
            "macro_f1": metrics.f1_score(reference, output, average="macro", zero_division=0),
            "mcc": metrics.matthews_corrcoef(reference, output),
            "confusion": metrics.confusion_matrix(reference, output, labels=known).tolist(),
            "labels": known,
            "precision": precision.tolist(),
            "recall": recall.tolist(),
            "f1": scores.tolist(),
            "support": support.tolist(),
        }


def corpus():
    references, outputs = zip(*PAIRS, strict=True)
    return {
        "bleu": sacrebleu.corpus_bleu(outputs, [references]).score,
        "chrf": sacrebleu.corpus_chrf(outputs, [references]).score,
        "chrf++": sacrebleu.corpus_chrf(outputs, [references], word_order=2).score,
    }


golden = {"texts": list(texts()), "corpus": corpus(), "labels": list(labels())}
path = pathlib.Path(__file__).with_name("metrics.json")
path.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
