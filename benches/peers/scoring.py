"""The same answers scored here and by lm-evaluation-harness, in turn, on this machine.

    pip install lm_eval==0.4.13 torch transformers
    cargo build --release --bench scoring && python benches/peers/scoring.py [--rounds 3] [--shape base|small]

Questions with four answers each, as multiple choice asks them: contexts of 25 to 400 words, answers of 1 to 15. Both
sides read the same checkpoint and the same file of requests, tokenize them and sum log-probabilities in f32. `base` is
the checkpoint of the examples, `small` a LLaMA of 60 million random weights with its tokenizer. The harness's `HFLM`
runs with its default batch size, 1, and with 16, and keeps its cache of logits, which is its default too; answers of one
token share a context there. Each round runs one process of each. Printed are the median requests per second of each,
the ratio finetune / harness of each round (median, smallest, largest; above 1 means that finetune is faster), and the
largest difference of a log-likelihood.
"""

import argparse
import glob
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BASE = pathlib.Path(__file__).resolve().parents[2] / "examples/assets/base"
BATCHES = (1, 16)
WORDS = """the a of to and in is that it was for on are as with his they at be this from have or by one had not but what all
were when we there can an your which their said if do will each about how up out them then she many some so these would
other into has more her two like him see time could no make than first been its who now people my made over did down only
way find use may water long little very after words called just where most know""".split()


def questions(count):
    """Pairs of a context and an answer, four for each context."""
    draw = random.Random(0)
    text = lambda least, most: " ".join(draw.choices(WORDS, k=draw.randint(least, most)))
    pairs = []
    for _ in range(count):
        context = f"Question: {text(25, 400)}\nAnswer:"
        pairs += [(context, " " + text(1, 15)) for _ in range(4)]
    return pairs


def small(folder):
    """A checkpoint of 60 million random weights with the tokenizer of the base."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=4096, hidden_size=768, intermediate_size=2048, num_hidden_layers=8, num_attention_heads=12,
        num_key_value_heads=12, max_position_embeddings=1024, tie_word_embeddings=True, eos_token_id=0, bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(BASE / name, folder)


def harness_side(folder, requests, batch, threads, passes):
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(threads)
    model = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=batch)
    pairs = json.loads(pathlib.Path(requests).read_text())
    instances = [Instance("loglikelihood", {}, tuple(pair), number) for number, pair in enumerate(pairs)]
    score = lambda instances: model.loglikelihood(instances, disable_tqdm=True)
    score(instances[:4])
    seconds = []
    for _ in range(passes):
        start = time.perf_counter()
        scores = score(instances)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "scores": [score for score, _ in scores]}))


def run(command, environment=None):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **(environment or {})}
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(out.stdout.strip().splitlines()[-1])


def compare(folder, requests, given):
    pattern = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release/deps/scoring-*")
    ours = [path for path in glob.glob(pattern) if os.access(path, os.X_OK) and not path.endswith(".d")]
    if not ours:
        sys.exit(f"{pattern}: not found; run `cargo build --release --bench scoring` first")
    ours = max(ours, key=os.path.getmtime)
    flags = ["--folder", str(folder), "--requests", str(requests), "--passes", str(given.passes)]
    peer = [sys.executable, __file__, "--harness-side", "--threads", str(given.threads), *flags]
    sides = {"finetune": [ours, "--peer", *flags]}
    sides |= {f"HFLM, batch size {batch}": [*peer, "--batch", str(batch)] for batch in BATCHES}
    rates, apart = {name: [] for name in sides}, 0.0
    for _ in range(given.rounds):
        found = {name: run(side, {"RAYON_NUM_THREADS": str(given.threads)}) for name, side in sides.items()}
        for name, side in found.items():
            rates[name].append(len(side["scores"]) / statistics.median(side["seconds"]))
            pairs = zip(found["finetune"]["scores"], side["scores"], strict=True)
            apart = max([apart, *(abs(a - b) for a, b in pairs)])
    spread = lambda values: f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"
    print(f"shape {given.shape}, {given.questions} questions, {given.threads} threads, load {os.getloadavg()[0]:.1f}")
    for name, rate in rates.items():
        ratios = [here / there for here, there in zip(rates["finetune"], rate)]
        print(f"{name:22} {spread(rate)} requests per second, finetune / this {spread(ratios)}")
    print(f"log-likelihoods differ by {apart:.1e} at most")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--passes", type=int, default=1)
    arguments.add_argument("--questions", type=int, default=40)
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    arguments.add_argument("--shape", choices=("base", "small"), default="small")
    for name in ("--folder", "--requests"):
        arguments.add_argument(name, help=argparse.SUPPRESS)
    arguments.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    arguments.add_argument("--harness-side", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.harness_side:
        harness_side(given.folder, given.requests, given.batch, given.threads, given.passes)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder, requests = pathlib.Path(scratch, "model"), pathlib.Path(scratch, "requests.json")
        requests.write_text(json.dumps(questions(given.questions)))
        if given.shape == "small":
            small(folder)
        compare(folder if given.shape == "small" else BASE, requests, given)


if __name__ == "__main__":
    main()
