"""Opens in transformers and peft what this library wrote, and compares logits.

    cargo build --release --example parity
    python tests/reference/open.py --parity target/release/examples/parity [CASE…]

Needs what `make.py` needs. Each golden case is trained for some steps by `examples/parity --save`: whole (f32, bf16, in
several files), and with adapters (the family's layers, all linear layers with rsLoRA, one block alone, on a base in
bf16, an adapter of peft trained further). The folder that it wrote is opened here and there. The difference of the
logits on text is printed, and beyond 1e-5 it is a failure. So is a weight that transformers or peft misses or does not
expect, a loss that is not the one after the steps, and a model that training left as it was.
"""

import argparse
import json
import subprocess
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from peft import PeftModel, get_peft_model_state_dict
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
# Where peft has no layers of its own choice, these are taken.
LAYERS = {"distilbert": ["q_lin", "v_lin"], "modernbert": ["Wqkv"]}
# Families for which peft has no layers of its own choice.
CHOSEN = {"distilbert": ["q_lin", "v_lin"], "xlnet": ["layer_1", "layer_2"]}


class Ours:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def run(self, checkpoint, inputs, *flags):
        output = self.folder / "output.safetensors"
        command = [self.program, "--checkpoint", checkpoint, "--inputs", inputs, "--output", output, *flags]
        subprocess.run([str(word) for word in command], check=True)
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
    given = {name: value for name, value in load_file(inputs).items() if name != "labels"}
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


def variants(ours, case, folder):
    inputs = case / "inputs.safetensors"
    short, shards = folder / "bf16", folder / "shards"
    model, _ = opened(case)
    model.save_pretrained(shards, max_shard_size="20KB")
    model.to(torch.bfloat16).save_pretrained(short)
    assert len(list(shards.glob("*.safetensors"))) > 2
    yield "whole", checkpoint(ours, case, inputs)
    yield "whole, bf16", checkpoint(ours, short, inputs, exact=False)
    yield "whole, shards", checkpoint(ours, shards, inputs)
    own = LAYERS.get(model.config.model_type)
    chosen = CHOSEN.get(json.loads((case / "config.json").read_text())["model_type"])
    for name, config in ADAPTERS.items():
        if name == "family" and chosen:
            config = config | {"targets": {"names": chosen}}
        if own and name == "family":
            config = {**config, "targets": {"names": own}}
        yield f"adapter: {name}", adapter(ours, case, inputs, "--lora", json.dumps(config))
    config = json.dumps(ADAPTERS["all-linear, rsLoRA"])
    yield "adapter: base in bf16", adapter(ours, short, inputs, "--lora", config)
    yield "adapter: base in shards", adapter(ours, shards, inputs, "--lora", config)
    if (case / "adapter").is_dir():
        yield "adapter: peft's, further", adapter(ours, case, inputs, "--adapter", case / "adapter")


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--parity", required=True, help="the program that examples/parity.rs became")
    flags.add_argument("cases", nargs="*", help="names of folders here; all without any")
    flags = flags.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.simplefilter("ignore", FutureWarning)
    cases = [HERE / name for name in flags.cases] or sorted(path.parent for path in HERE.glob("*/expected.safetensors"))
    failed, most = False, 0.0
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            ours = Ours(flags.parity, Path(folder))
            for name, difference in variants(ours, case, Path(folder)):
                wrong = not difference < TOLERANCE
                failed, most = failed or wrong, max(most, difference)
                print(f"{case.name:18} {name:27} {difference:.1e}{'  WRONG' if wrong else ''}", flush=True)
    print(f"the worst difference is {most:.1e}; {TOLERANCE:.0e} is allowed")
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
