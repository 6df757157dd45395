"""Makes the golden files of `tests/parity.rs`: tiny random checkpoints and what `transformers` computes from them.

    python tests/reference/make.py            # rewrites tests/reference/<case>/ and the two lists
    python tests/reference/make.py llama_yarn # only the cases that are named, and the two lists
    python tests/reference/make.py all-linear # only the lists, all_linear.json and settings.json

Needs torch, transformers 5.23, peft 0.21 and safetensors. Each case is a folder:

    config.json model.safetensors   a Hugging Face checkpoint, every parameter perturbed
    inputs.safetensors              what `examples/parity --inputs` takes
    expected.safetensors            logits, loss, grad.<name>, curve, greedy
    adapter/                        (where there is one) an adapter written by peft, and
    adapter.safetensors             the logits of base + adapter, and of the merged model

`all_linear.json` lists, for each case, the layers that peft adapts for `target_modules="all-linear"`, and those that it
trains as a whole. `settings.json` lists the settings by which each case differs from the defaults of its family, for the
table in `docs/fidelity.md`.
"""

import copy
import json
import re
import shutil
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import (
    AutoConfig,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    BloomConfig,
    BloomForCausalLM,
    BloomForSequenceClassification,
    BloomForTokenClassification,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForPreTraining,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma2ForSequenceClassification,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    Gemma3TextForSequenceClassification,
    GemmaConfig,
    GemmaForCausalLM,
    GemmaForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2ForTokenClassification,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    GPTNeoXForSequenceClassification,
    GPTNeoXForTokenClassification,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaForTokenClassification,
    MistralConfig,
    MistralForCausalLM,
    MistralForSequenceClassification,
    ModernBertConfig,
    ModernBertForMaskedLM,
    ModernBertForSequenceClassification,
    ModernBertForTokenClassification,
    Olmo2Config,
    Olmo2ForCausalLM,
    Olmo2ForSequenceClassification,
    Phi3Config,
    Phi3ForCausalLM,
    Phi3ForSequenceClassification,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2ForSequenceClassification,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3ForSequenceClassification,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    SmolLM3Config,
    SmolLM3ForCausalLM,
    SmolLM3ForSequenceClassification,
    Starcoder2Config,
    Starcoder2ForCausalLM,
    Starcoder2ForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
    T5ForSequenceClassification,
    T5ForTokenClassification,
    XLNetConfig,
    XLNetForSequenceClassification,
    XLNetForTokenClassification,
    XLNetLMHeadModel,
)

HERE = Path(__file__).parent
# What the reference calls otherwise in memory than in files.
RENAMED = {"lm_head.weight": "embed_out.weight"}
STEPS, RATE, DECAY, CLIP, GREEDY = 20, 3e-3, 0.01, 1.0, 16


def llama(**changes):
    settings = dict(
        vocab_size=97, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=False, bos_token_id=1,
        eos_token_id=2, pad_token_id=0,
    )
    return LlamaConfig(**{**settings, **changes})


def gpt2(**changes):
    settings = dict(
        vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=48, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )
    return GPT2Config(**{**settings, **changes})


def bert(**changes):
    settings = dict(
        vocab_size=97, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=48, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, num_labels=3,
        pad_token_id=0,
    )
    return BertConfig(**{**settings, **changes})


def encoder(kind, **changes):
    """The families that share BERT's fields."""
    return kind(**{**bert().to_diff_dict(), "vocab_size": 61, "hidden_size": 24, "model_type": kind.model_type, **changes})


def distilbert(**changes):
    settings = dict(
        vocab_size=61, dim=24, hidden_dim=40, n_layers=2, n_heads=4, max_position_embeddings=48, dropout=0.0,
        attention_dropout=0.0, seq_classif_dropout=0.0, num_labels=3, pad_token_id=0,
    )
    return DistilBertConfig(**{**settings, **changes})


def decoder(kind, **changes):
    """The families that share LLaMA's fields."""
    settings = dict(
        vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )
    return kind(**{**settings, **changes})


def rope(kind, **changes):
    return {"rope_type": kind, "rope_theta": 10000.0, **changes}


def neox(**changes):
    settings = dict(
        vocab_size=61, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0, classifier_dropout=0.0,
    )
    return GPTNeoXConfig(**{**settings, **changes})


def bloom(**changes):
    settings = dict(
        vocab_size=61, hidden_size=24, n_layer=2, n_head=6, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )
    return BloomConfig(**{**settings, **changes})


def t5(**changes):
    settings = dict(
        vocab_size=61, d_model=24, d_kv=6, d_ff=40, num_layers=2, num_heads=4, relative_attention_num_buckets=8,
        relative_attention_max_distance=10, dropout_rate=0.0, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )
    return T5Config(**{**settings, **changes})


def modernbert(**changes):
    settings = dict(
        vocab_size=61, hidden_size=24, intermediate_size=20, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=64, local_attention=6, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
        pad_token_id=0, num_labels=3,
    )
    return ModernBertConfig(**{**settings, **changes})


def xlnet(**changes):
    settings = dict(
        vocab_size=61, d_model=24, n_layer=2, n_head=4, d_inner=40, dropout=0.0, summary_last_dropout=0.0, num_labels=3,
    )
    return XLNetConfig(**{**settings, **changes})


# name -> (model class, config, where the padding goes, adapter targets); with "pairs" each row holds two texts
CASES = {
    "llama_grouped": (LlamaForCausalLM, llama(), "right", ["q_proj", "v_proj"]),
    "llama_tied_bias": (
        LlamaForCausalLM,
        llama(tie_word_embeddings=True, attention_bias=True, mlp_bias=True, head_dim=12, rms_norm_eps=1e-5),
        "left",
        "all-linear",
    ),
    "llama_classifier": (LlamaForSequenceClassification, llama(num_labels=3), "right", None),
    "gpt2_tied": (GPT2LMHeadModel, gpt2(), "right", ["c_attn"]),
    "gpt2_untied": (
        GPT2LMHeadModel,
        gpt2(tie_word_embeddings=False, n_inner=40, activation_function="gelu", scale_attn_by_inverse_layer_idx=True),
        "right",
        None,
    ),
    "gpt2_classifier": (GPT2ForSequenceClassification, gpt2(num_labels=3), "right", None),
    "bert_classifier": (BertForSequenceClassification, bert(), "right", ["query", "value"]),
    "bert_masked": (BertForMaskedLM, bert(hidden_act="gelu_new"), "right", None),
    "roberta_classifier": (RobertaForSequenceClassification, encoder(RobertaConfig, pad_token_id=1), "left", ["query", "value"]),
    "roberta_masked": (RobertaForMaskedLM, encoder(RobertaConfig, pad_token_id=1, type_vocab_size=1), "right", None),
    "distilbert_classifier": (DistilBertForSequenceClassification, distilbert(), "right", ["q_lin", "v_lin"]),
    "distilbert_masked": (DistilBertForMaskedLM, distilbert(activation="relu"), "left", None),
    "electra_classifier": (
        ElectraForSequenceClassification,
        encoder(ElectraConfig, embedding_size=16),
        "right",
        "all-linear",
    ),
    "electra_equal": (ElectraForSequenceClassification, encoder(ElectraConfig, embedding_size=24), "left", None),
    "electra_discriminator": (
        ElectraForPreTraining, encoder(ElectraConfig, embedding_size=16, hidden_act="relu"), "left", "all-linear",
    ),
    "electra_masked": (
        ElectraForMaskedLM, encoder(ElectraConfig, embedding_size=16, hidden_act="relu"), "right", None,
    ),
    "electra_masked_untied": (
        ElectraForMaskedLM, encoder(ElectraConfig, embedding_size=16, tie_word_embeddings=False), "left", None,
    ),
    "bert_tokens": (BertForTokenClassification, bert(vocab_size=61, hidden_size=24), "right", ["query", "value"]),
    "roberta_tokens": (RobertaForTokenClassification, encoder(RobertaConfig, pad_token_id=1), "left", None),
    "distilbert_tokens": (DistilBertForTokenClassification, distilbert(), "left", None),
    "electra_tokens": (ElectraForTokenClassification, encoder(ElectraConfig, embedding_size=16), "right", None),
    "gpt2_tokens": (GPT2ForTokenClassification, gpt2(n_embd=24, num_labels=3, classifier_dropout=0.0), "right", None),
    "llama_tokens": (
        LlamaForTokenClassification,
        decoder(LlamaConfig, num_labels=4, token_classification_bias=False, classifier_dropout=0.0),
        "left",
        None,
    ),
    "neox_tokens": (GPTNeoXForTokenClassification, neox(num_labels=3), "right", None),
    "bloom_tokens": (BloomForTokenClassification, bloom(num_labels=3), "right", None),
    "bert_pairs": (BertForSequenceClassification, bert(vocab_size=61, hidden_size=24), "left pairs", None),
    "bert_regression": (
        BertForSequenceClassification, bert(vocab_size=61, hidden_size=24, num_labels=1), "right pairs", None,
    ),
    "bert_multi_label": (
        BertForSequenceClassification,
        bert(vocab_size=61, hidden_size=24, num_labels=4, problem_type="multi_label_classification"),
        "right",
        None,
    ),
    "electra_numbers": (
        ElectraForSequenceClassification, encoder(ElectraConfig, embedding_size=24, problem_type="regression"), "left pairs",
        None,
    ),
    "llama_regression": (LlamaForSequenceClassification, decoder(LlamaConfig, num_labels=1), "left", None),
    "modernbert_classifier": (ModernBertForSequenceClassification, modernbert(), "right", "all-linear"),
    "modernbert_left": (
        ModernBertForSequenceClassification,
        modernbert(local_attention=3, hidden_activation="gelu_new", classifier_activation="tanh", norm_bias=True),
        "left",
        None,
    ),
    "modernbert_mean": (
        ModernBertForSequenceClassification,
        modernbert(
            classifier_pooling="mean", attention_bias=True, mlp_bias=True, norm_bias=True, classifier_bias=True,
            classifier_activation="silu", norm_eps=1e-3, num_hidden_layers=3,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
            rope_parameters={
                "sliding_attention": rope("default", rope_theta=50.0),
                "full_attention": rope("linear", factor=2.0, rope_theta=1000.0),
            },
        ),
        "left",
        ["Wqkv"],
    ),
    "modernbert_masked": (
        ModernBertForMaskedLM, modernbert(mlp_bias=True, classifier_bias=True, sparse_pred_ignore_index=-1), "left", None,
    ),
    "modernbert_untied": (
        ModernBertForMaskedLM,
        modernbert(
            tie_word_embeddings=False, decoder_bias=False, attention_bias=True, classifier_activation="relu",
            global_attn_every_n_layers=2, global_rope_theta=900.0, local_rope_theta=40.0,
        ),
        "right",
        None,
    ),
    "modernbert_tokens": (ModernBertForTokenClassification, modernbert(local_attention=4), "left", None),
    "llama_linear": (LlamaForCausalLM, decoder(LlamaConfig, rope_parameters=rope("linear", factor=2.5)), "left", None),
    "llama_dynamic": (
        LlamaForCausalLM,
        decoder(LlamaConfig, rope_parameters=rope("dynamic", factor=3.0), max_position_embeddings=12, hidden_size=32),
        "right",
        None,
    ),
    "llama_llama3": (
        LlamaForCausalLM,
        decoder(
            LlamaConfig,
            hidden_size=64,
            rope_parameters=rope(
                "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16
            ),
        ),
        "right",
        None,
    ),
    "llama_yarn": (
        LlamaForCausalLM,
        decoder(
            LlamaConfig,
            hidden_size=64,
            rope_parameters=rope("yarn", factor=4.0, original_max_position_embeddings=16),
        ),
        "right",
        None,
    ),
    "mistral_window": (MistralForCausalLM, decoder(MistralConfig, sliding_window=5, head_dim=8), "left", None),
    "mistral_classifier": (MistralForSequenceClassification, decoder(MistralConfig, sliding_window=None, num_labels=3), "right", None),
    "qwen2_tied": (Qwen2ForCausalLM, decoder(Qwen2Config, tie_word_embeddings=True), "right", None),
    "qwen2_window": (
        Qwen2ForCausalLM,
        decoder(Qwen2Config, use_sliding_window=True, sliding_window=4, max_window_layers=1, num_hidden_layers=3),
        "left",
        None,
    ),
    "qwen2_classifier": (Qwen2ForSequenceClassification, decoder(Qwen2Config, num_labels=3), "right", None),
    "qwen3": (Qwen3ForCausalLM, decoder(Qwen3Config, head_dim=12, attention_bias=True), "left", ["q_proj", "v_proj"]),
    "qwen3_classifier": (Qwen3ForSequenceClassification, decoder(Qwen3Config, head_dim=6, num_labels=3), "right", None),
    "gemma": (GemmaForCausalLM, decoder(GemmaConfig, head_dim=8), "right", None),
    "gemma2": (
        Gemma2ForCausalLM,
        decoder(
            Gemma2Config, head_dim=8, sliding_window=5, query_pre_attn_scalar=12, attn_logit_softcapping=2.0,
            final_logit_softcapping=3.0, num_hidden_layers=3,
        ),
        "left",
        None,
    ),
    "gemma_classifier": (GemmaForSequenceClassification, decoder(GemmaConfig, head_dim=8, num_labels=3), "left", None),
    "gemma2_classifier": (
        Gemma2ForSequenceClassification,
        decoder(Gemma2Config, head_dim=8, sliding_window=5, attn_logit_softcapping=2.0, num_labels=3),
        "right",
        None,
    ),
    "gemma3_classifier": (
        Gemma3TextForSequenceClassification,
        decoder(
            Gemma3TextConfig, head_dim=8, sliding_window=4, num_labels=3,
            layer_types=["sliding_attention", "full_attention"],
        ),
        "left",
        None,
    ),
    "phi3_classifier": (Phi3ForSequenceClassification, decoder(Phi3Config, num_labels=3), "right", None),
    "olmo2_classifier": (Olmo2ForSequenceClassification, decoder(Olmo2Config, num_labels=3), "left", None),
    "smollm3_classifier": (
        SmolLM3ForSequenceClassification,
        decoder(SmolLM3Config, no_rope_layer_interval=2, num_labels=3),
        "right",
        None,
    ),
    "gemma2_unbounded": (
        Gemma2ForCausalLM,
        decoder(
            Gemma2Config, head_dim=8, attn_logit_softcapping=None, final_logit_softcapping=None, attention_bias=True,
            hidden_activation="gelu", tie_word_embeddings=False,
        ),
        "right",
        None,
    ),
    "gemma3": (
        Gemma3ForCausalLM,
        decoder(
            Gemma3TextConfig, head_dim=8, sliding_window=4, query_pre_attn_scalar=10, num_hidden_layers=3,
            layer_types=["sliding_attention", "sliding_attention", "full_attention"],
            rope_parameters={
                "sliding_attention": rope("default", rope_theta=100.0),
                "full_attention": rope("linear", factor=2.0, rope_theta=1000.0),
            },
        ),
        "right",
        None,
    ),
    "phi3": (Phi3ForCausalLM, decoder(Phi3Config), "right", "all-linear"),
    "phi3_window": (
        Phi3ForCausalLM,
        decoder(
            Phi3Config, sliding_window=6, hidden_size=32,
            rope_parameters=rope("default", partial_rotary_factor=0.5), tie_word_embeddings=True,
        ),
        "left",
        None,
    ),
    "olmo2": (Olmo2ForCausalLM, decoder(Olmo2Config, attention_bias=True), "left", None),
    "smollm3": (
        SmolLM3ForCausalLM,
        decoder(SmolLM3Config, num_hidden_layers=4, no_rope_layer_interval=2, mlp_bias=True, tie_word_embeddings=False),
        "right",
        None,
    ),
    "smollm3_window": (
        SmolLM3ForCausalLM,
        decoder(
            SmolLM3Config, num_hidden_layers=3, no_rope_layers=[1, 0, 1], use_sliding_window=True, sliding_window=5,
        ),
        "left",
        None,
    ),
    "starcoder2": (Starcoder2ForCausalLM, decoder(Starcoder2Config, sliding_window=6), "left", ["q_proj", "v_proj"]),
    "starcoder2_bare": (
        Starcoder2ForCausalLM,
        decoder(Starcoder2Config, use_bias=False, tie_word_embeddings=False, hidden_act="relu", norm_epsilon=1e-3),
        "right",
        None,
    ),
    "starcoder2_classifier": (Starcoder2ForSequenceClassification, decoder(Starcoder2Config, num_labels=3), "right", None),
    "neox_parallel": (GPTNeoXForCausalLM, neox(), "right", ["query_key_value"]),
    "neox_serial": (
        GPTNeoXForCausalLM,
        neox(
            use_parallel_residual=False, attention_bias=False, hidden_act="gelu_new", num_attention_heads=4,
            rope_parameters=rope("default", partial_rotary_factor=0.5),
        ),
        "left",
        None,
    ),
    "neox_classifier": (GPTNeoXForSequenceClassification, neox(num_labels=3), "right", None),
    "bloom": (BloomForCausalLM, bloom(), "left", "all-linear"),
    "bloom_stream": (
        BloomForCausalLM,
        bloom(n_head=4, apply_residual_connection_post_layernorm=True, tie_word_embeddings=False),
        "right",
        None,
    ),
    "t5": (T5ForConditionalGeneration, t5(), "right", ["q", "v"]),
    "t5_gated": (
        T5ForConditionalGeneration,
        t5(
            feed_forward_proj="gated-gelu", tie_word_embeddings=False, num_decoder_layers=3, d_kv=8,
            relative_attention_num_buckets=12, relative_attention_max_distance=14, initializer_factor=0.3,
        ),
        "left",
        None,
    ),
    "t5_apart": (
        T5ForConditionalGeneration,
        t5(feed_forward_proj="gated-silu", num_decoder_layers=1, num_heads=2),
        "right",
        "all-linear",
    ),
    "t5_classifier": (
        T5ForSequenceClassification,
        t5(num_labels=3, num_decoder_layers=1, feed_forward_proj="gated-gelu", decoder_start_token_id=3),
        "left",
        ["q", "v"],
    ),
    "t5_tokens": (T5ForTokenClassification, t5(num_labels=3), "right", None),
    "bloom_classifier": (BloomForSequenceClassification, bloom(n_head=2, num_labels=3), "right", None),
    "xlnet_classifier": (XLNetForSequenceClassification, xlnet(), "left", "all-linear"),
    "xlnet_first": (
        XLNetForSequenceClassification,
        xlnet(summary_type="first", summary_activation="relu", clamp_len=5, ff_activation="gelu_new", n_layer=3),
        "left",
        None,
    ),
    "xlnet_mean": (
        XLNetForSequenceClassification,
        xlnet(
            summary_type="mean", summary_use_proj=False, summary_activation="linear", attn_type="uni", ff_activation="relu",
        ),
        "right",
        None,
    ),
    "xlnet_tokens": (XLNetForTokenClassification, xlnet(clamp_len=4), "left", None),
    "xlnet_numbers": (XLNetForSequenceClassification, xlnet(num_labels=1, summary_type="mean"), "left", None),
    "xlnet": (XLNetLMHeadModel, xlnet(tie_word_embeddings=False), "left", ["layer_1"]),
    "xlnet_streams": (XLNetLMHeadModel, xlnet(n_layer=3, mem_len=9), "left", None),
    "xlnet_uni": (
        XLNetLMHeadModel,
        xlnet(attn_type="uni", clamp_len=6, n_head=2, tie_word_embeddings=False, use_mems_eval=False),
        "right",
        None,
    ),
    "xlnet_level": (XLNetLMHeadModel, xlnet(attn_type="uni", same_length=True, mem_len=None), "left", None),
    "xlnet_mirrored": (XLNetForSequenceClassification, xlnet(bi_data=True, summary_type="cls_index"), "left", None),
}


# Cases whose files hold several tensors for what the others share.
APART = {
    "t5_gated": ["lm_head"],
    "t5_apart": ["encoder.embed_tokens", "lm_head"],
}


def part(model, case):
    """Gives the layers parameters of their own."""
    for name in APART.get(case, []):
        layer = model.get_submodule(name)
        layer.weight = torch.nn.Parameter(layer.weight.detach().clone())
        model.all_tied_weights_keys.pop(f"{name}.weight", None)


# Settings as the files of earlier versions have them, and what these had instead of others.
OLD = {
    "modernbert_untied": (
        {"global_attn_every_n_layers": 2, "global_rope_theta": 900.0, "local_rope_theta": 40.0},
        ["layer_types", "rope_parameters"],
    ),
}


def perturb(model, seed):
    """Random values everywhere, biases and norms included, so that no term can be missing unnoticed."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            scale = 0.3 if parameter.dim() > 1 else 0.2
            parameter.add_(torch.randn_like(parameter) * scale * (0.5 if parameter.dim() > 1 else 1.0))


def inputs(model, side, seed):
    generator = torch.Generator().manual_seed(seed)
    config = model.config
    lengths, width = [11, 17, 6], 17
    pad = config.pad_token_id
    ids = torch.full((3, width), pad, dtype=torch.long)
    mask = torch.zeros(3, width, dtype=torch.long)
    for row, length in enumerate(lengths):
        place = slice(width - length, width) if "left" in side else slice(0, length)
        ids[row, place] = torch.randint(3, config.vocab_size, (length,), generator=generator)
        mask[row, place] = 1
    if type(model).__name__ == "T5ForSequenceClassification":
        # It takes the hidden state at the last end token, which every row must have.
        last = mask.cumsum(1).argmax(1)
        ids[torch.arange(3), last] = config.eos_token_id
    given = {"input_ids": ids, "attention_mask": mask}
    name = type(model).__name__
    if "pairs" in side:
        # The second text begins after a third of the first row, half of the second, and all but two of the third.
        begins = torch.tensor([lengths[0] // 3, lengths[1] // 2, lengths[2] - 2])
        given["token_type_ids"] = (mask.cumsum(1) > begins[:, None]).long() * mask
    elif getattr(config, "type_vocab_size", 1) > 1:
        given["token_type_ids"] = ((torch.arange(width) > 7).long()[None] * mask).contiguous()
    if "SequenceClassification" in name:
        kind = config.problem_type or ("regression" if config.num_labels == 1 else None)
        if kind == "regression":
            shape = (3,) if config.num_labels == 1 else (3, config.num_labels)
            given["labels"] = torch.randn(shape, generator=generator)
        elif kind == "multi_label_classification":
            given["labels"] = torch.randint(0, 2, (3, config.num_labels), generator=generator).float()
        else:
            given["labels"] = torch.tensor([2, 0, 1])
    elif "ConditionalGeneration" in name:
        answers, longest = [7, 12, 3], 12
        labels = torch.full((3, longest), -100, dtype=torch.long)
        for row, length in enumerate(answers):
            labels[row, :length] = torch.randint(3, config.vocab_size, (length,), generator=generator)
        given["labels"] = labels
    elif "TokenClassification" in name:
        labels = torch.randint(0, config.num_labels, (3, width), generator=generator)
        labels[mask == 0] = -100
        labels[:, 8] = -100
        given["labels"] = labels
    elif "PreTraining" in name:
        given["labels"] = torch.randint(0, 2, (3, width), generator=generator) * mask
    else:
        labels = ids.clone()
        labels[mask == 0] = -100
        labels[:, :4][mask[:, :4] == 1] = -100
        labels[1, 9] = -100
        given["labels"] = labels
    return given


def segments(given):
    """Two texts, and what stands at their end and on padding is of segments of its own."""
    place = torch.arange(given["input_ids"].shape[1])
    kinds = (place > 9).long().repeat(len(given["input_ids"]), 1)
    kinds[:, -1] = 2
    kinds[given["attention_mask"] == 0] = 3
    return {"token_type_ids": kinds}


def ordered(given, known=0):
    """A random order in which tokens are predicted, and the places of five predictions; none sees less than nothing."""
    generator = torch.Generator().manual_seed(known)
    mask, ids = given["attention_mask"], given["input_ids"]
    (batch, length), asked = ids.shape, 5
    hidden, mapping = torch.zeros(batch, length, length), torch.zeros(batch, asked, length)
    labels = torch.zeros(batch, asked, dtype=torch.long)
    for row in range(batch):
        text = mask[row].nonzero()[:, 0]
        order = text[torch.randperm(len(text), generator=generator)]
        rank = torch.full((length,), -1)
        rank[order] = torch.arange(len(order))
        hidden[row] = (rank[None, :] >= rank[:, None]).float() * (rank[None, :] >= known)
        # The first in the order is asked too: it sees nothing, or what is known.
        places = order[[0, 2, 3, 4, 5]]
        mapping[row, torch.arange(asked), places] = 1.0
        labels[row] = ids[row, places]
    labels[0, 1] = -100
    return {"perm_mask": hidden, "target_mapping": mapping, "labels": labels}


def rows(given, count):
    return {name: value[:count].clone() for name, value in given.items()}


# What becomes of the inputs of a case. (One way of attention with a mask is an error there for more than one row, and
# so are rows that are read from both ends unless they are even.)
CHANGED = {
    "xlnet_classifier": lambda given: given | segments(given),
    "xlnet_mean": lambda given: rows(given, 1),
    "xlnet_mirrored": lambda given: rows(given | segments(given), 2),
    "xlnet": lambda given: given | segments(given),
    "xlnet_streams": lambda given: given | segments(given) | ordered(given),
    "xlnet_uni": lambda given: rows(given | ordered(given, known=2), 1),
    "xlnet_level": lambda given: {name: value for name, value in given.items() if name != "attention_mask"},
}


# Where what is seen counts for more: what is asked begins alike at every place, and would end in the same tokens.
LOUD = {"xlnet", "xlnet_streams", "xlnet_uni", "xlnet_level"}


def greedy(model, given):
    row = given["input_ids"][:1]
    if "attention_mask" in given:
        row = row[:, given["attention_mask"][0].bool()]
    if isinstance(model, XLNetLMHeadModel):
        made = model.generate(row, do_sample=False, max_new_tokens=GREEDY, eos_token_id=None)
        return made[0, row.shape[1]:]
    made = []
    for _ in range(GREEDY):
        token = model(input_ids=row).logits[0, -1].argmax()
        made.append(token)
        row = torch.cat([row, token[None, None]], dim=1)
    return torch.stack(made)


def answer(model, given):
    row = given["input_ids"][:1][:, given["attention_mask"][0].bool()]
    made = [torch.tensor(model.config.decoder_start_token_id)]
    for _ in range(GREEDY):
        read = torch.stack(made)[None]
        made.append(model(input_ids=row, decoder_input_ids=read).logits[0, -1].argmax())
    return torch.stack(made[1:])


def curve(model, given):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}],
        lr=RATE, betas=(0.9, 0.999), eps=1e-8,
    )
    losses = []
    for _ in range(STEPS):
        loss = model(**given).loss
        losses.append(loss.detach())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
    return torch.stack(losses)


def adapter(kind, config, state, given, targets, folder):
    from peft import LoraConfig, get_peft_model

    model = kind(config)
    part(model, folder.name)
    model.load_state_dict(state)
    tuned = get_peft_model(
        model.eval(), LoraConfig(r=3, lora_alpha=5, target_modules=targets, use_rslora=targets == "all-linear", task_type=task(kind))
    )
    torch.manual_seed(7)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn_like(parameter) * 0.2)
            if "modules_to_save" in name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    tuned.save_pretrained(folder / "adapter")
    for stray in (folder / "adapter").glob("README.md"):
        stray.unlink()
    without = {k: v for k, v in given.items() if k != "labels" or "ConditionalGeneration" in kind.__name__}
    logits = tuned.eval()(**without).logits.detach()
    merged = tuned.merge_and_unload()(**without).logits.detach()
    save_file({"logits": logits.contiguous(), "merged": merged.contiguous()}, folder / "adapter.safetensors")


def older(kind, model, folder, instead, without):
    """Writes the settings as an earlier version did, and sees that the reference reads them alike."""
    path = folder / "config.json"
    config = {k: v for k, v in json.loads(path.read_text()).items() if k not in without}
    path.write_text(json.dumps({**config, **instead}, indent=2, sort_keys=True) + "\n")
    ids = torch.arange(3, 20)[None]
    again = kind.from_pretrained(folder, attn_implementation="eager").eval()
    assert torch.equal(again(input_ids=ids).logits, model(input_ids=ids).logits)


def make(case, quiet=False):
    kind, config, side, targets = CASES[case]
    folder = HERE / case
    shutil.rmtree(folder, ignore_errors=True)
    config._attn_implementation = "eager"
    seed = sum(map(ord, case))
    torch.manual_seed(seed)
    model = kind(config).eval()
    part(model, case)
    perturb(model, seed)
    if case in LOUD:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.mul_(4.0 if name.endswith(("rel_attn.v", "rel_attn.o")) else 1.0)
    model.save_pretrained(folder)
    for stray in folder.glob("generation_config.json"):
        stray.unlink()
    if case in OLD:
        older(kind, model, folder, *OLD[case])
    state = {k: v.clone() for k, v in model.state_dict().items()}
    given = inputs(model, side, seed)
    given = CHANGED.get(case, lambda given: given)(given)
    save_file(given, folder / "inputs.safetensors")
    out = model(**given)
    out.loss.backward()
    expected = {"logits": out.logits.detach().contiguous(), "loss": out.loss.detach()}
    with safe_open(folder / "model.safetensors", "pt") as file:
        stored = set(file.keys())
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            # An untied head keeps the bias of the tied one and does not use it.
            continue
        name = name if name in stored else RENAMED.get(name, name)
        # What the loss does not depend on has no gradient.
        if parameter.grad is not None:
            expected[f"grad.{name}"] = parameter.grad.clone().contiguous()
    model.zero_grad()
    if "CausalLM" in kind.__name__ or "LMHead" in kind.__name__:
        # A copy: dynamic rotations remember the longest text that they have seen.
        with torch.no_grad():
            expected["greedy"] = greedy(copy.deepcopy(model), given)
    if "ConditionalGeneration" in kind.__name__:
        with torch.no_grad():
            expected["greedy"] = answer(model, given)
    expected["curve"] = curve(model, given)
    save_file(expected, folder / "expected.safetensors")
    if targets:
        adapter(kind, config, state, given, targets, folder)
    if not quiet:
        print(case, "loss", float(out.loss), "->", float(expected["curve"][-1]))


def task(kind):
    if "SequenceClassification" in kind.__name__:
        return "SEQ_CLS"
    if "ConditionalGeneration" in kind.__name__:
        return "SEQ_2_SEQ_LM"
    if "TokenClassification" in kind.__name__:
        return "TOKEN_CLS"
    return "CAUSAL_LM" if "CausalLM" in kind.__name__ or "LMHead" in kind.__name__ else None


def all_linear():
    from peft import LoraConfig, get_peft_model

    untied = (BertForMaskedLM, bert(hidden_act="gelu_new", tie_word_embeddings=False))
    cases = {case: (kind, config) for case, (kind, config, _, _) in CASES.items()} | {"bert_masked untied": untied}
    found = {}
    for case, (kind, config) in cases.items():
        try:
            # peft knows heads by two names. A new head of another name has to be named, or it stays random.
            saved = {XLNetForSequenceClassification: ["logits_proj"], T5ForSequenceClassification: ["classification_head"]}
            saved = saved.get(kind)
            settings = LoraConfig(r=3, target_modules="all-linear", task_type=task(kind), modules_to_save=saved)
            tuned = get_peft_model(kind(config), settings)
        except TypeError:
            # peft would adapt a layer that it also trains as a whole, and fails.
            continue
        modules = [name for name, module in tuned.named_modules() if hasattr(module, "lora_A") and module.lora_A]
        wrapped = [name for name, _ in tuned.named_modules() if name.endswith(".modules_to_save.default")]
        found[case] = {
            "adapted": sorted(name.removeprefix("base_model.model.") for name in modules),
            "whole": [name.removeprefix("base_model.model.").removesuffix(".modules_to_save.default") for name in wrapped],
        }
    (HERE / "all_linear.json").write_text(json.dumps(found, indent=1) + "\n")


# Settings of no interest: sizes, which are tiny in every case, and what no arithmetic depends on.
PLAIN = re.compile(
    r".*(size|dim|embd|inner|layers?|heads?|_len|positions|embeddings|prob|drop|dropout|token_id|token|labels?|label2id)"
    r"|d_\w+|layer_types|\w*pattern|architectures|dtype|transformers_version|use_cache|initializer_\w+|problem_type|_\w+|model_type"
)
TELLING = {"head_dim", "n_inner", "num_key_value_heads", "embedding_size", "type_vocab_size", "tie_word_embeddings"}


def short(value):
    """A setting's value in a table's cell."""
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name}={short(own)}" for name, own in sorted(value.items())) + ")"
    return json.dumps(value).strip('"')


def differing(folder):
    """By which settings a case differs from the defaults of its family, in words."""
    stored = json.loads((folder / "config.json").read_text())
    kind = type(AutoConfig.from_pretrained(folder))
    plain = kind().to_dict()
    found = []
    for name, value in sorted(stored.items()):
        if name in plain and value != plain[name] and (name in TELLING or not PLAIN.fullmatch(name)):
            found.append(f"{name}={short(value)}")
    types = stored.get("layer_types")
    if types and len(set(types)) > 1:
        found.append("layers " + "/".join(kind.split("_")[0] for kind in types))
    return ", ".join(found)


def settings():
    """Those of every case that lies here, made by this script or not."""
    found = {path.parent.name: differing(path.parent) for path in sorted(HERE.glob("*/config.json"))}
    (HERE / "settings.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for case in sys.argv[1:] or CASES:
        if case != "all-linear":
            make(case)
    all_linear()
    settings()
