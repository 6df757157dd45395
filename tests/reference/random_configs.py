"""Compares random configurations of every family with transformers, through `examples/parity`.

    cargo build --release --example parity
    python tests/reference/random_configs.py --parity target/release/examples/parity [--count 5] [--seed 0] [FAMILY …]

Needs what `make.py` needs. For each configuration a tiny checkpoint with every parameter perturbed is written to a
temporary folder, and logits, loss, the gradient of every parameter, the losses of twenty AdamW steps and sixteen greedy
tokens are compared within the tolerances of `tests/parity.rs`; losses may differ by more where the reference's own do so
after a change of the weights' last digits. Prints the worst difference of each family; fails if a
configuration is refused or differs.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
import transformers as tf
from transformers.utils import logging

import make

ACTIVATIONS = ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"]
ENCODER = ("MaskedLM", "SequenceClassification", "TokenClassification")
HIDDEN = [(16, 2), (24, 4), (32, 4), (20, 2)]


def common(r):
    width, heads = r.choice(HIDDEN)
    return dict(
        vocab_size=r.randint(20, 90), hidden_size=width, num_attention_heads=heads, num_hidden_layers=r.randint(1, 4),
        intermediate_size=r.choice([12, 33, 48]), bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )


def ropes(r, head):
    base = r.choice([100.0, 10000.0, 5e5])
    kinds = [
        make.rope("default", rope_theta=base),
        make.rope("linear", rope_theta=base, factor=r.choice([1.5, 4.0])),
        make.rope("dynamic", rope_theta=base, factor=r.choice([2.0, 3.0])),
        make.rope(
            "llama3", rope_theta=base, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=16,
        ),
        make.rope(
            "yarn", rope_theta=base, factor=r.choice([2.0, 4.0]), original_max_position_embeddings=16,
            **r.choice([{}, {"beta_fast": 16.0, "beta_slow": 2.0}, {"mscale": 0.7, "mscale_all_dim": 1.1}]),
        ),
    ]
    return r.choice(kinds if head > 2 else kinds[:2])


def rotating(r, kind, **more):
    settings = common(r)
    heads = settings["num_attention_heads"]
    head = r.choice([None, 4, 8, 10])
    settings.update(
        num_key_value_heads=r.choice([h for h in (1, 2, heads) if heads % h == 0]),
        max_position_embeddings=r.choice([12, 64]),
        rms_norm_eps=r.choice([1e-6, 1e-4]), tie_word_embeddings=r.random() < 0.5,
    )
    if head:
        settings["head_dim"] = head
    head = head or settings["hidden_size"] // heads
    settings["rope_parameters"] = ropes(r, head)
    settings.update(more)
    if settings.get("head_dim") is None:
        settings.pop("head_dim", None)
    return kind(**settings)


def labelled(r, config):
    config.num_labels = r.choice([3, 5])
    config.classifier_dropout = 0.0
    return config


def headed(r, name, heads=("CausalLM", "SequenceClassification", "TokenClassification")):
    """A class of a family: most often the first head."""
    return getattr(tf, f"{name}For{r.choice([heads[0], *heads])}")


def llama(r):
    config = rotating(
        r, tf.LlamaConfig, attention_bias=r.random() < 0.5, mlp_bias=r.random() < 0.5, hidden_act=r.choice(ACTIVATIONS)
    )
    return headed(r, "Llama"), labelled(r, config)


def mistral(r):
    return headed(r, "Mistral"), labelled(r, rotating(r, tf.MistralConfig, sliding_window=r.choice([None, 3, 7, 40])))


def qwen2(r):
    window = dict(use_sliding_window=True, sliding_window=r.choice([3, 6]), max_window_layers=r.randint(0, 3))
    return headed(r, "Qwen2"), labelled(r, rotating(r, tf.Qwen2Config, head_dim=None, **r.choice([{}, window])))


def qwen3(r):
    return tf.Qwen3ForCausalLM, rotating(r, tf.Qwen3Config, attention_bias=r.random() < 0.5, head_dim=r.choice([4, 6, 8]))


def gemma(r):
    return tf.GemmaForCausalLM, rotating(r, tf.GemmaConfig, head_dim=r.choice([4, 8]), tie_word_embeddings=True)


def gemma2(r):
    return tf.Gemma2ForCausalLM, rotating(
        r, tf.Gemma2Config, head_dim=r.choice([4, 8]), sliding_window=r.choice([2, 5, 30]),
        query_pre_attn_scalar=r.choice([4, 12, 100]), attn_logit_softcapping=r.choice([None, 1.5, 50.0]),
        final_logit_softcapping=r.choice([None, 2.0, 30.0]), tie_word_embeddings=True,
    )


def gemma3_text(r):
    layers = r.randint(2, 4)
    return tf.Gemma3ForCausalLM, rotating(
        r, tf.Gemma3TextConfig, head_dim=8, sliding_window=r.choice([2, 5]), query_pre_attn_scalar=r.choice([4, 12]),
        num_hidden_layers=layers, tie_word_embeddings=True,
        layer_types=[r.choice(["sliding_attention", "full_attention"]) for _ in range(layers)],
        rope_parameters={
            "sliding_attention": make.rope("default", rope_theta=100.0),
            "full_attention": make.rope("linear", factor=r.choice([2.0, 8.0]), rope_theta=1000.0),
        },
    )


def phi3(r):
    share = r.choice([1.0, 0.5])
    return tf.Phi3ForCausalLM, rotating(
        r, tf.Phi3Config, hidden_size=32, num_attention_heads=4, num_key_value_heads=r.choice([2, 4]), head_dim=None,
        sliding_window=r.choice([None, 4]), rope_parameters=make.rope("default", partial_rotary_factor=share),
        max_position_embeddings=64, original_max_position_embeddings=64,
    )


def olmo2(r):
    return tf.Olmo2ForCausalLM, rotating(r, tf.Olmo2Config, attention_bias=r.random() < 0.5, head_dim=None)


def smollm3(r):
    return tf.SmolLM3ForCausalLM, rotating(
        r, tf.SmolLM3Config, no_rope_layer_interval=r.choice([2, 3]), attention_bias=r.random() < 0.5,
        mlp_bias=r.random() < 0.5, head_dim=None,
    )


def starcoder2(r):
    return tf.Starcoder2ForCausalLM, rotating(
        r, tf.Starcoder2Config, use_bias=r.random() < 0.5, hidden_act=r.choice(ACTIVATIONS), head_dim=None,
        sliding_window=r.choice([None, 4]), norm_epsilon=r.choice([1e-5, 1e-3]),
    )


def gpt2(r):
    width, heads = r.choice(HIDDEN)
    config = make.gpt2(
        vocab_size=r.randint(20, 90), n_embd=width, n_head=heads, n_layer=r.randint(1, 4), n_inner=r.choice([None, 30]),
        activation_function=r.choice(ACTIVATIONS), scale_attn_weights=r.random() < 0.5,
        scale_attn_by_inverse_layer_idx=r.random() < 0.5, tie_word_embeddings=r.random() < 0.5,
        layer_norm_epsilon=r.choice([1e-5, 1e-3]),
    )
    kinds = [tf.GPT2LMHeadModel, tf.GPT2ForSequenceClassification, tf.GPT2ForTokenClassification]
    config.classifier_dropout = 0.0
    return r.choice(kinds), labelled(r, config)


def gpt_neox(r):
    width, heads = r.choice([(32, 2), (32, 4), (64, 4)])
    config = make.neox(
        vocab_size=r.randint(20, 90), hidden_size=width, num_attention_heads=heads, num_hidden_layers=r.randint(1, 3),
        use_parallel_residual=r.random() < 0.5, attention_bias=r.random() < 0.5, hidden_act=r.choice(ACTIVATIONS),
        rope_parameters=make.rope("default", partial_rotary_factor=r.choice([0.25, 0.5, 1.0])),
        tie_word_embeddings=r.random() < 0.3,
    )
    return headed(r, "GPTNeoX"), labelled(r, config)


def bloom(r):
    heads = r.choice([1, 2, 3, 4, 5, 6, 7])
    config = make.bloom(
        vocab_size=r.randint(20, 90), hidden_size=heads * r.choice([4, 6]), n_head=heads, n_layer=r.randint(1, 3),
        apply_residual_connection_post_layernorm=r.random() < 0.5, tie_word_embeddings=r.random() < 0.5,
    )
    return headed(r, "Bloom"), labelled(r, config)


def encoding(r, kind, **more):
    settings = common(r)
    settings.update(
        max_position_embeddings=48, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        hidden_act=r.choice(ACTIVATIONS), type_vocab_size=r.choice([1, 2, 3]), layer_norm_eps=r.choice([1e-12, 1e-5]),
        tie_word_embeddings=r.random() < 0.5,
    )
    settings.update(more)
    return labelled(r, kind(**settings))


def bert(r):
    config = encoding(r, tf.BertConfig)
    return headed(r, "Bert", ENCODER), config


def roberta(r):
    config = encoding(r, tf.RobertaConfig, pad_token_id=1)
    return headed(r, "Roberta", ENCODER), config


def electra(r):
    config = encoding(r, tf.ElectraConfig, embedding_size=r.choice([8, 16, 24]))
    return headed(r, "Electra", ("PreTraining", *ENCODER)), config


def modernbert(r):
    layers = r.randint(1, 5)
    width, heads = r.choice(HIDDEN[:3])
    kinds = ["full_attention", "sliding_attention"]
    config = make.modernbert(
        vocab_size=r.randint(20, 90), hidden_size=width, num_attention_heads=heads, num_hidden_layers=layers,
        intermediate_size=r.choice([12, 33]), local_attention=r.choice([2, 6, 10]), attention_bias=r.random() < 0.5,
        mlp_bias=r.random() < 0.5, norm_bias=r.random() < 0.5, classifier_bias=r.random() < 0.5,
        decoder_bias=r.random() < 0.5, hidden_activation=r.choice(ACTIVATIONS), classifier_pooling=r.choice(["cls", "mean"]),
        tie_word_embeddings=r.random() < 0.7, layer_types=r.choice([None, [r.choice(kinds) for _ in range(layers)]]),
    )
    return headed(r, "ModernBert", ENCODER), labelled(r, config)


def distilbert(r):
    width, heads = r.choice(HIDDEN)
    config = make.distilbert(
        vocab_size=r.randint(20, 90), dim=width, n_heads=heads, hidden_dim=r.choice([20, 33]), n_layers=r.randint(1, 3),
        activation=r.choice(["gelu", "relu"]), tie_word_embeddings=r.random() < 0.5,
    )
    return headed(r, "DistilBert", ENCODER), labelled(r, config)


def t5(r):
    kinds = r.choice([4, 6, 8, 9, 32])
    heads = ("ConditionalGeneration", "SequenceClassification", "TokenClassification")
    config = make.t5(
        vocab_size=r.randint(20, 90), d_model=r.choice([16, 24, 32]), d_kv=r.choice([3, 4, 8]), d_ff=r.choice([20, 33]),
        num_layers=r.randint(1, 3), num_decoder_layers=r.choice([None, 1, 2, 3]), num_heads=r.choice([1, 2, 4, 5]),
        relative_attention_num_buckets=kinds, relative_attention_max_distance=r.choice([17, 20, 128]),
        feed_forward_proj=r.choice(["relu", "gated-gelu", "gated-silu", "gelu", "silu", "gated-relu"]),
        tie_word_embeddings=r.random() < 0.5, layer_norm_epsilon=r.choice([1e-6, 1e-4]), initializer_factor=0.3,
        decoder_start_token_id=r.choice([0, 3]),
    )
    return headed(r, "T5", heads), labelled(r, config)


def xlnet(r):
    width, heads = r.choice(HIDDEN)
    kinds = [tf.XLNetLMHeadModel, tf.XLNetForSequenceClassification, tf.XLNetForTokenClassification]
    kind = r.choice(kinds)
    config = make.xlnet(
        vocab_size=r.randint(20, 90), d_model=width, n_head=heads, n_layer=r.randint(1, 4), d_inner=r.choice([20, 33]),
        ff_activation=r.choice(ACTIVATIONS), attn_type=r.choice(["bi", "bi", "uni"]), clamp_len=r.choice([-1, 0, 1, 3, 40]),
        same_length=r.random() < 0.3, layer_norm_eps=r.choice([1e-12, 1e-5]),
        mem_len=r.choice([None, 0, 1, 2, 5, 12, 512]), use_mems_eval=r.random() < 0.8,
        summary_type=r.choice(["first", "last", "mean", "cls_index"]), summary_use_proj=r.random() < 0.7,
        summary_activation=r.choice(["tanh", "gelu", "relu", "linear", ""]), tie_word_embeddings=r.random() < 0.5,
        num_labels=r.choice([3, 5]), bi_data=kind is not tf.XLNetLMHeadModel and r.random() < 0.3,
    )
    changes = [make.segments] if r.random() < 0.6 else []
    if kind is tf.XLNetLMHeadModel and r.random() < 0.7:
        known = r.choice([0, 1, 3])
        changes.append(lambda given: make.ordered(given, known))
    # What transformers can read: see `make.CHANGED`.
    count = 2 if config.bi_data else 1 if config.attn_type == "uni" else 3

    def changed(given):
        for change in changes:
            given = given | change(given)
        if config.attn_type == "uni" and count > 1:
            given.pop("attention_mask")
        return make.rows(given, count)

    return kind, config, changed


FAMILIES = [
    bert, bloom, distilbert, electra, gemma, gemma2, gemma3_text, gpt2, gpt_neox, llama, mistral, modernbert, olmo2, phi3, qwen2, qwen3,
    roberta, smollm3, starcoder2, t5, xlnet,
]
LEFT = {"bloom", "modernbert", "roberta", "t5", "mistral", "llama", "gemma2", "olmo2", "smollm3", "qwen3", "xlnet"}


def worst(found, expected):
    return float((found - expected).abs().max()) if expected.numel() else 0.0


def unrest(kind, folder, given, curve):
    """How far the reference's own losses move when every weight moves by its last digits."""
    model = kind.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 2e-7 * torch.randn_like(parameter))
    moved = make.curve(model, given)
    return float(((moved - curve).abs() / curve.abs().clamp(min=1e-2)).max())


def compare(family, kind, case, folder, parity):
    flags = ["--gradients", "--steps", "20", "--greedy", "16", "--device", "flex"]
    out = folder / "out.safetensors"
    run = subprocess.run(
        [parity, "--checkpoint", folder, "--inputs", folder / "inputs.safetensors", "--output", out, *flags],
        capture_output=True, text=True,
    )
    if run.returncode:
        return [f"refused: {run.stderr.strip()}"], {}
    found, expected = load_file(out), load_file(folder / "expected.safetensors")
    given = load_file(folder / "inputs.safetensors")
    real = given.get("decoder_attention_mask", given.get("attention_mask", torch.ones_like(given["input_ids"]))).bool()
    logits = [found["logits"], expected["logits"]]
    if logits[0].dim() == 3 and logits[0].shape[:2] == real.shape:
        logits = [x[real] for x in logits]
    limits = {"logits": 5e-5 if family == "t5" else 1e-5, "loss": 1e-5, "gradients": 1e-4, "curve": 1e-3}
    size = max(1.0, float(logits[1].abs().max()) / 10)
    far = {"logits": worst(*logits) / size, "loss": worst(found["loss"], expected["loss"]), "gradients": 0.0}
    wrong = []
    for name, gradient in expected.items():
        if not name.startswith("grad."):
            continue
        if name not in found:
            wrong.append(f"{name} is missing")
            continue
        most, apart = float(gradient.abs().max()), worst(found[name].reshape(gradient.shape), gradient)
        far["gradients"] = max(far["gradients"], apart / most if most > 1e-6 else apart * 1e3)
    curve = expected["curve"]
    far["curve"] = float(((found["curve"] - curve).abs() / curve.abs().clamp(min=1e-2)).max())
    if far["curve"] > limits["curve"]:
        limits["curve"] = max(limits["curve"], 3 * unrest(kind, folder, given, curve))
    wrong += [f"{what} differ by {far[what]:.1e}" for what in far if not far[what] < limits[what]]
    # With a cache, a rotation that depends on the length turns each key by the length at its time.
    settled = '"dynamic"' not in (folder / "config.json").read_text()
    if settled and "greedy" in expected and not torch.equal(found["greedy"], expected["greedy"]):
        wrong.append(f"greedy tokens {found['greedy'].tolist()}, expected {expected['greedy'].tolist()}")
    return wrong, far


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--parity", required=True, type=Path)
    arguments.add_argument("--count", type=int, default=5)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("families", nargs="*")
    given = arguments.parse_args()
    failed = 0
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    for plan in FAMILIES:
        family = plan.__name__
        if given.families and family not in given.families:
            continue
        most = {}
        for number in range(given.seed, given.seed + given.count):
            r = random.Random(f"{family} {number}")
            kind, config, *changed = plan(r)
            side = r.choice(["left", "right"]) if family in LEFT else "right"
            case = f"{family}_{number}"
            with tempfile.TemporaryDirectory() as folder:
                make.HERE = Path(folder)
                make.CASES[case] = (kind, config, side, None)
                make.CHANGED.update({case: change for change in changed})
                make.make(case, quiet=True)
                wrong, far = compare(family, kind, case, Path(folder) / case, given.parity)
            for what, value in far.items():
                most[what] = max(most.get(what, 0.0), value)
            if wrong:
                failed += 1
                print(f"{case} ({kind.__name__}, {side}): {'; '.join(wrong)}\n  {config.to_diff_dict()}")
        print(family, " ".join(f"{what} {value:.1e}" for what, value in most.items()), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
