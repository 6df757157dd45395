"""Writes folders of data sets, and what `datasets` finds in them, for tests/dataset_folder.rs.

    python3 -m venv venv && venv/bin/pip install datasets==5.2.0
    venv/bin/python crates/data/tests/reference/datasets_folders.py

`expected.json` holds for each folder (and configuration) the splits in order with their rows, as `load_dataset` or
`load_from_disk` give them, and the names of the classes.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp()

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, load_dataset, load_from_disk

GOLDEN = Path(__file__).parent.parent / "golden" / "datasets"


def write(path, text):
    path = GOLDEN / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def lines(path, rows):
    write(path, "".join(json.dumps(row) + "\n" for row in rows))


def shard(path, texts, labels):
    path = GOLDEN / path
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"text": texts, "label": pa.array(labels, pa.int64())}), path)


def make():
    write("sharded/README.md", """---
language: [en]
pretty_name: >-
  A folder with
  shards
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': neg
          '1': pos
  splits:
  - name: train
    num_bytes: 100
    num_examples: 3
  - name: test
    num_bytes: 10
    num_examples: 1
  - name: extra
    num_bytes: 10
    num_examples: 1
---

# Sharded
""")
    shard("sharded/data/train-00000-of-00002.parquet", ["a", "b"], [0, 1])
    shard("sharded/data/train-00001-of-00002.parquet", ["c"], [1])
    shard("sharded/data/test-00000-of-00001.parquet", ["d"], [0])
    shard("sharded/data/extra-00000-of-00001.parquet", ["e"], [0])
    lines("names/train.jsonl", [{"q": "1"}, {"q": "2"}])
    lines("names/my-dev.jsonl", [{"q": "3"}])
    lines("names/sub/eval_set.jsonl", [{"q": "4"}])
    write("names/LICENSE", "None.\n")
    write("names/README.md", "# No front matter\n")
    write("folders/train/b.csv", "x,y\nbb,b\n")
    write("folders/train/a.csv", "x,y\naa,a\n")
    write("folders/valid/c.csv", "x,y\ncc,c\n")
    write("folders/my_testing/deep/d.csv", "x,y\ndd,d\n")
    write("folders/notes.csv", "x,y\nee,e\n")
    write("configs/README.md", """---
configs:
- config_name: small
  data_files:
  - split: train
    path: "small/*.jsonl"
  - split: held.out
    path:
    - small/held/one.jsonl
    - small/held/t*.jsonl
- config_name: large
  default: true
  data_files: 'large/**'
---
""")
    lines("configs/small/b.jsonl", [{"n": 2}])
    lines("configs/small/a.jsonl", [{"n": 1}])
    lines("configs/small/held/one.jsonl", [{"n": 3}])
    lines("configs/small/held/two.jsonl", [{"n": 4}])
    lines("configs/large/x/y.jsonl", [{"n": 5}])
    lines("configs/large/z.jsonl", [{"n": 6}])
    lines("configs/unused.jsonl", [{"n": 7}])
    write("texts/b.txt", "third\n\nfifth")
    write("texts/a.txt", "first\nsecond\n")
    write("mixed/one.csv", "a\n1x\n")
    write("mixed/two.csv", "a\n2x\n")
    lines("mixed/three.jsonl", [{"a": "3x"}])
    write("tags/README.md", """---
dataset_info:
  features:
  - name: tokens
    sequence: string
  - name: ner_tags
    sequence:
      class_label:
        names:
          '0': O
          '1': B-PER
          '2': I-PER
  - name: spans
    list:
      list:
        class_label:
          names:
            '0': person
            '1': place
---
""")
    lines("tags/train.jsonl", [
        {"tokens": ["Ada", "Lovelace", "wrote"], "ner_tags": [1, 2, 0], "spans": [[0], [], [1, 0]]},
        {"tokens": [], "ner_tags": [], "spans": []},
        {"tokens": ["?"], "ner_tags": [-1], "spans": [[1]]},
    ])
    tagged = Features({"tags": [ClassLabel(names=["no", "yes"])], "label": ClassLabel(names=["a", "b"])})
    train = Dataset.from_dict({"tags": [[1, 0], [], [-1]], "label": [0, 1, 0]}, features=tagged)
    DatasetDict({"train": train}).save_to_disk(GOLDEN / "saved_tags")
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    train = Dataset.from_dict({"text": ["p", "q", "r"], "label": [1, 0, -1]}, features=features)
    test = Dataset.from_dict({"text": ["s"], "label": [1]}, features=features)
    DatasetDict({"train": train, "test": test}).save_to_disk(GOLDEN / "saved", num_shards={"train": 2, "test": 1})


def classes(feature):
    """The classes of a column, or of the lists in it."""
    while hasattr(feature, "feature"):
        feature = feature.feature
    return feature if isinstance(feature, ClassLabel) else None


def named(value, feature):
    if isinstance(value, list):
        return [named(item, feature) for item in value]
    return feature.int2str(value) if value is not None and value >= 0 else None


def rows(dataset):
    columns = {name: classes(feature) for name, feature in dataset.features.items() if classes(feature)}
    return [{name: named(value, columns[name]) if name in columns else value for name, value in row.items()} for row in dataset]


def expected():
    found = {}
    cases = [("sharded", None), ("names", None), ("folders", None), ("configs", "small"), ("configs", "large"),
             ("texts", None), ("mixed", None), ("tags", None), ("saved", None), ("saved_tags", None)]
    for folder, configuration in cases:
        path = str(GOLDEN / folder)
        sets = load_from_disk(path) if folder.startswith("saved") else load_dataset(path, configuration)
        splits = [[name, rows(split)] for name, split in sets.items()]
        labels = {}
        for name, feature in next(iter(sets.values())).features.items():
            if classes(feature):
                labels[name] = classes(feature).names
        found[f"{folder}/{configuration or ''}"] = {"splits": splits, "labels": labels}
    write("expected.json", json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    shutil.rmtree(GOLDEN, ignore_errors=True)
    make()
    expected()
    for path in GOLDEN.rglob("cache-*"):
        path.unlink()
