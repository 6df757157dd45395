"""The same training step here and in PyTorch + transformers, in turn, on this machine.

    cargo build --release --bench step && python benches/peers/training_step.py [--rounds 5] [--shape base|small]

Each round runs one process of either side: the same LLaMA shape, random weights, random ids, f32, AdamW, the global
norm clipped at 1, a few warm-up steps, then timed ones. Printed are the median seconds per step of either side, the
ratio PyTorch / finetune of each round (median, smallest, largest; above 1 means that finetune is faster), and the
peak memory of both processes.
"""

import argparse
import glob
import json
import os
import resource
import statistics
import subprocess
import sys
import time

SHAPES = {
    # width, layers, heads, key heads, feed-forward, vocabulary, rows, length
    "base": dict(width=256, layers=4, heads=4, key_heads=2, feed_forward=688, vocabulary=4096, rows=8, length=256),
    "small": dict(width=768, layers=12, heads=12, key_heads=12, feed_forward=2048, vocabulary=32000, rows=2, length=256),
}


def torch_side(shape, threads, warmup, steps):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=shape["vocabulary"], hidden_size=shape["width"], intermediate_size=shape["feed_forward"],
            num_hidden_layers=shape["layers"], num_attention_heads=shape["heads"],
            num_key_value_heads=shape["key_heads"], max_position_embeddings=shape["length"], tie_word_embeddings=True,
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, eps=1e-8, weight_decay=0.01, fused=True)
    ids = torch.randint(0, shape["vocabulary"], (shape["rows"], shape["length"]))
    seconds = []
    for step in range(warmup + steps):
        start = time.perf_counter()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        if step >= warmup:
            seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak}))


def run(command, environment=None):
    out = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    return json.loads(out.stdout.strip().splitlines()[-1])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--warmup", type=int, default=3)
    arguments.add_argument("--steps", type=int, default=10)
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    arguments.add_argument("--shape", choices=SHAPES, default="base")
    arguments.add_argument("--torch-side", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    shape = SHAPES[given.shape]
    if given.torch_side:
        torch_side(shape, given.threads, given.warmup, given.steps)
        return
    ours = sorted(glob.glob("target/release/deps/step-*"), key=os.path.getmtime)
    ours = [path for path in ours if os.access(path, os.X_OK) and not path.endswith(".d")]
    if not ours:
        sys.exit("target/release/deps/step-*: not found; run `cargo build --release --bench step` first")
    flags = ["--warmup", str(given.warmup), "--steps", str(given.steps)]
    peer = [sys.executable, __file__, "--torch-side", "--shape", given.shape, "--threads", str(given.threads), *flags]
    settings = [part for key, value in shape.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    mine = [ours[-1], "--peer", *settings, *flags]
    ratios, here, there = [], [], []
    for _ in range(given.rounds):
        a = run(mine, {"RAYON_NUM_THREADS": str(given.threads)})
        b = run(peer)
        here.append((statistics.median(a["seconds"]), a["peak_mib"]))
        there.append((statistics.median(b["seconds"]), b["peak_mib"]))
        ratios.append(there[-1][0] / here[-1][0])
    print(f"shape {given.shape}: {shape}")
    for name, rows in (("finetune", here), ("PyTorch + transformers", there)):
        print(
            f"{name:24} {statistics.median(s for s, _ in rows):.3f} s per step"
            f" ({min(s for s, _ in rows):.3f}–{max(s for s, _ in rows):.3f}), peak {max(m for _, m in rows):.0f} MiB"
        )
    print(f"PyTorch / finetune: {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})")


if __name__ == "__main__":
    main()
