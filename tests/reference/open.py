"""Opens in transformers and peft what this library wrote, and compares logits.

    cargo build --release --example parity
    python tests/reference/open.py --parity target/release/examples/parity [--write docs/fidelity.md] [CASE…]

`--write` puts the differences into the table between this script's marks in a document; rows of cases that did not run
stay. Needs what `make.py` needs. Each golden case is trained for some steps by `examples/parity --save`: whole (f32, bf16, in
several files), and with adapters (the family's layers, all linear layers with rsLoRA, one block alone, on a base in
bf16, an adapter of peft read, and trained further). The folder that it wrote is opened here and there. The difference of the
logits on text is printed, and beyond 1e-5 it is a failure. So is a weight that transformers or peft misses or does not
expect, a loss that is not the one after the steps, and a model that training left as it was. What is not built here
(this library's own message says so) is no failure and is shown as "not built"; a dash means that there is no such
adapter: neither peft nor we have default layers for the family, or peft cannot adapt all its linear layers.
"""

import argparse
import json
import subprocess
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers.utils import logging

HERE = Path(__file__).parent
TOLERANCE, STEPS = 1e-5, 10
TRAINING = ["--learning-rate", "1e-2", "--weight-decay", "0.01"]
ADAPTERS = {
    "family": {"rank": 3, "alpha": 5.0},
    "all-linear, rsLoRA": {"rank": 4, "alpha": 6.0, "rslora": True, "targets": "all-linear"},
    "one block": {"rank": 2, "alpha": 3.0, "targets": {"pattern": r".*\.1\..*"}},
}
# Their logits are larger than those of others: see docs/fidelity.md.
LARGE = {"t5", "t5_apart", "t5_gated"}
# Where peft has no layers of its own choice, these are taken.
LAYERS = {"distilbert": ["q_lin", "v_lin"], "modernbert": ["Wqkv"], "xlnet": ["layer_1", "layer_2"]}


# What the columns of the table are called.
COLUMNS = {
    "whole": "whole",
    "whole, bf16": "bf16",
    "whole, shards": "shards",
    "adapter: family": "family's layers",
    "adapter: all-linear, rsLoRA": "all linear, rsLoRA",
    "adapter: one block": "one block",
    "adapter: base in bf16": "base in bf16",
    "adapter: base in shards": "base in shards",
    "adapter: peft's": "peft's",
    "adapter: peft's, further": "peft's, further",
}
BEGIN, END = "<!-- opened: begin -->", "<!-- opened: end -->"


class NotBuilt(Exception):
    """Our program says that it does not have this."""


class Ours:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def run(self, checkpoint, inputs, *flags):
        output = self.folder / "output.safetensors"
        command = [self.program, "--checkpoint", checkpoint, "--inputs", inputs, "--output", output, *flags]
        done = subprocess.run([str(word) for word in command], stderr=subprocess.PIPE, text=True)
        if done.returncode:
            if any(word in done.stderr for word in ("not built", "Family fits no linear layer")):
                raise NotBuilt("none" if "Family" in done.stderr else "not built")
            raise RuntimeError(done.stderr)
        return load_file(output)


def kind(folder):
    return getattr(transformers, json.loads((folder / "config.json").read_text())["architectures"][0])


def opened(folder):
    """The model of a folder in f32, and what transformers has to say about its weights."""
    model, said = kind(folder).from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    return model.eval(), {field: sorted(map(str, found)) for field, found in said.items()}


def logits(model, inputs):
    # Labels are what a decoder reads, where there is one.
    answers = "ConditionalGeneration" in kind(inputs.parent).__name__
    given = {name: value for name, value in load_file(inputs).items() if answers or name != "labels"}
    with torch.no_grad():
        return model(**given).logits


def worst(found, expected, inputs):
    """The largest difference; what stands on padding has no meaning."""
    assert found.shape == expected.shape, (found.shape, expected.shape)
    difference = (found - expected).abs()
    mask = load_file(inputs).get("attention_mask")
    if mask is not None and difference.shape[:2] == mask.shape:
        difference = difference[mask.bool()]
    return float(difference.max())


def trained(ours, base, inputs, *flags):
    """Trains, saves, and returns the folder with the loss after the steps."""
    folder = Path(tempfile.mkdtemp(dir=ours.folder)) / "saved"
    ours.run(base, inputs, *TRAINING, "--steps", STEPS, "--save", folder, *flags)
    further = ours.run(base, inputs, *TRAINING, "--steps", STEPS + 1, *flags)
    return folder, float(further["curve"][-1])


def checked(here, there, before, inputs, loss=None):
    """The difference of the logits, after everything else was found right."""
    if loss is not None:
        assert abs(float(here["loss"]) - loss) < 1e-5, ("the loss after the steps", float(here["loss"]), loss)
    moved = worst(here["logits"], before, inputs)
    assert moved > 1e-2, ("training changed the logits by", moved)
    return worst(here["logits"], there, inputs)


def checkpoint(ours, base, inputs, exact=True):
    folder, loss = trained(ours, base, inputs)
    files = sorted(path.name for path in base.glob("model*"))
    assert files == sorted(path.name for path in folder.glob("model*")), files
    model, said = opened(folder)
    expected = opened(base)[1]
    assert said == expected, (said, expected)
    before = ours.run(base, inputs)["logits"]
    return checked(ours.run(folder, inputs), logits(model, inputs), before, inputs, loss if exact else None)


def adapter(ours, base, inputs, *flags):
    folder, loss = trained(ours, base, inputs, *flags)
    written = load_file(folder / "adapter_model.safetensors")
    factors = [value for name, value in written.items() if "lora_B" in name]
    assert factors and all(factor.abs().max() > 1e-3 for factor in factors)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tuned = PeftModel.from_pretrained(opened(base)[0], folder).eval()
    names = set(get_peft_model_state_dict(tuned))
    assert names == set(written), names ^ set(written)
    before = ours.run(base, inputs)["logits"]
    here = ours.run(base, inputs, "--adapter", folder)
    return checked(here, logits(tuned, inputs), before, inputs, loss)


def of_peft(case, folder):
    """Has peft write an adapter of all linear layers with random factors; false where it cannot have one."""
    task = {"ConditionalGeneration": "SEQ_2_SEQ_LM", "Classification": "SEQ_CLS", "CausalLM": "CAUSAL_LM", "LMHead": "CAUSAL_LM"}
    tasks = [kind_of for word, kind_of in task.items() if word in kind(case).__name__]
    config = LoraConfig(r=3, lora_alpha=5, target_modules="all-linear", task_type=tasks[0] if tasks else None)
    try:
        tuned = get_peft_model(opened(case)[0], config)
    except TypeError:
        # A layer of a classifier's head that peft would both adapt and train as a whole.
        return False
    torch.manual_seed(7)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_" in name:
                # Greater ones make some cases so unruly that f32 is off by more than the tolerance on either side.
                parameter.copy_(torch.randn_like(parameter) * 0.1)
    tuned.save_pretrained(folder)
    return True


def none():
    raise NotBuilt("none")


def read(ours, base, inputs, folder):
    """The difference of the logits with an adapter that peft wrote."""
    tuned = PeftModel.from_pretrained(opened(base)[0], folder).eval()
    before = ours.run(base, inputs)["logits"]
    return checked(ours.run(base, inputs, "--adapter", folder), logits(tuned, inputs), before, inputs)


def variants(ours, case, folder):
    """The names of all variants of a case, each with a function to its difference."""
    inputs = case / "inputs.safetensors"
    short, shards = folder / "bf16", folder / "shards"
    model, _ = opened(case)
    model.save_pretrained(shards, max_shard_size="8KB")
    model.to(torch.bfloat16).save_pretrained(short)
    assert len(list(shards.glob("*.safetensors"))) > 2
    yield "whole", lambda: checkpoint(ours, case, inputs)
    yield "whole, bf16", lambda: checkpoint(ours, short, inputs, exact=False)
    yield "whole, shards", lambda: checkpoint(ours, shards, inputs)
    own = LAYERS.get(model.config.model_type)
    for name, config in ADAPTERS.items():
        config = json.dumps({**config, "targets": {"names": own}} if own and name == "family" else config)
        yield f"adapter: {name}", lambda config=config: adapter(ours, case, inputs, "--lora", config)
    config = json.dumps(ADAPTERS["all-linear, rsLoRA"])
    yield "adapter: base in bf16", lambda: adapter(ours, short, inputs, "--lora", config)
    yield "adapter: base in shards", lambda: adapter(ours, shards, inputs, "--lora", config)
    theirs = case / "adapter"
    made = theirs.is_dir() or of_peft(case, theirs := folder / "peft")
    yield "adapter: peft's", lambda: read(ours, case, inputs, theirs) if made else none()
    yield "adapter: peft's, further", lambda: adapter(ours, case, inputs, "--adapter", theirs) if made else none()


def table(path, found):
    """Replaces the rows of these cases in the table of a document."""
    before, rest = path.read_text().split(BEGIN)
    old, after = rest.split(END)
    rows = [line for line in old.splitlines() if line.startswith("| ") and not line.startswith("| case ")]
    rows = {line.split("|")[1].strip(): line for line in rows}
    for case, cells in found.items():
        cells = [cells.get(name, "") for name in COLUMNS]
        rows[case] = f"| {case} | {' | '.join(cells)} |"
    rows = {case: row for case, row in rows.items() if (HERE / case).is_dir()}
    head = [f"| case | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines = [BEGIN, *head, *(rows[case] for case in sorted(rows)), END]
    path.write_text(before + "\n".join(lines) + after)


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--parity", required=True, help="the program that examples/parity became")
    flags.add_argument("--write", type=Path, help="a document with the table of the differences")
    flags.add_argument("cases", nargs="*", help="names of folders here; all without any")
    flags = flags.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.simplefilter("ignore", FutureWarning)
    warnings.filterwarnings("ignore", message="fan_in_fan_out")
    cases = [HERE / name for name in flags.cases] or sorted(path.parent for path in HERE.glob("*/expected.safetensors"))
    failed, most, found = False, 0.0, {}
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            ours = Ours(flags.parity, Path(folder))
            for name, measure in variants(ours, case, Path(folder)):
                try:
                    difference = measure()
                    wrong = not difference < TOLERANCE * (5 if case.name in LARGE else 1)
                    most, said = max(most, difference), f"{difference:.1e}"
                except NotBuilt as why:
                    wrong, said = False, str(why)
                except Exception as error:
                    wrong, said = True, f"{type(error).__name__}: {error}"
                failed = failed or wrong
                cell = "**wrong**" if wrong else said.replace("e-0", "e-").replace("none", "—")
                found.setdefault(case.name, {})[name] = cell
                print(f"{case.name:18} {name:27} {said}{'  WRONG' if wrong else ''}", flush=True)
    if flags.write:
        table(flags.write, found)
    print(f"the worst difference is {most:.1e}; {TOLERANCE:.0e} is allowed, five times as much where logits are large")
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
