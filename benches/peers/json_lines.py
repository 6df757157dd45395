"""JSON lines read by Python: json, orjson and, where it is installed, datasets; in bytes of the file per second.

    python benches/peers/json_lines.py [FILE]

Without a file one of instructions is made, of the shape that `cargo bench -p finetune-data --bench json_lines` reads.
The best of three rounds counts, on one thread, with the file in the page cache.
"""

import json
import os
import random
import sys
import tempfile
import time


def make(path, size=32 << 20):
    words = "the learning rate is a step of training model and loss falls when gradient descends slowly".split()
    draw = random.Random(0)

    def sentence(count):
        return "".join(draw.choice(words) + draw.choice([" "] * 20 + [".\n", ' "so" ', " naïve "]) for _ in range(count))

    with open(path, "w", encoding="utf-8") as file:
        while file.tell() < size:
            record = {"instruction": sentence(12), "input": "", "output": sentence(60)}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def lines(path, loads):
    with open(path, "rb") as file:
        for line in file:
            loads(line)


def data_set(path):
    import datasets

    with tempfile.TemporaryDirectory() as cache:
        for _ in datasets.load_dataset("json", data_files=path, split="train", cache_dir=cache):
            pass


def main():
    folder = tempfile.TemporaryDirectory()
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder.name, "instructions.jsonl")
    if len(sys.argv) < 2:
        make(path)
    size = os.path.getsize(path)
    peers = {"json": lambda: lines(path, json.loads)}
    try:
        import orjson

        peers["orjson"] = lambda: lines(path, orjson.loads)
    except ImportError:
        print("orjson is not installed")
    try:
        import datasets  # noqa: F401

        peers["datasets"] = lambda: data_set(path)
    except ImportError:
        print("datasets is not installed")
    for name, read in peers.items():
        best = min(timed(read) for _ in range(3))
        print(f"{name}: {size / best / 1e6:.0f} MB/s")


def timed(read):
    begun = time.perf_counter()
    read()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
