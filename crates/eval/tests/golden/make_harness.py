"""Writes two tiny models (with and without a BOS token) and harness.json: what lm-evaluation-harness says about them.

Run with Python 3.11, torch, transformers 5.23 and lm_eval 0.4.13:

    python crates/eval/tests/golden/make_harness.py

All texts are made up here.
"""

import json
import pathlib

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent
LENGTH = 48
TEXTS = [
    "The rank sets the width of the update, and the alpha sets its scale.",
    "A small rank is often enough; a large one learns more and forgets more.",
    "Question: Which rank should I take?\nAnswer: Rank eight is a good start.",
    "Grüße aus Köln — 中文 und 🙂 belong to the text as well.",
]
CONTINUATIONS = [
    ("The rank sets the", " width"),
    ("The rank sets the", " scale"),
    ("The rank sets the", " width of the update"),
    ("The rank sets the ", "width"),
    ("The rank sets the \n\n", "width"),
    ("Question: Which rank?\nAnswer:", " eight"),
    ("Question: Which rank?\nAnswer:", " a small one, Grüße"),
    ("A small ran", "k is often enough"),
    ("中文", " und 🙂"),
    ("", "The rank"),
    ("", " is"),
    (" ".join(TEXTS), " good"),
    (" ".join(TEXTS), " and forgets more and more."),
]
DOCUMENTS = ["The rank.", TEXTS[0], " ".join(TEXTS), " ".join(TEXTS * 3)]
PROMPTS = [
    ("The rank sets the", {"until": ["\n\n"], "max_gen_toks": 12, "do_sample": False}),
    ("Question: Which rank?\nAnswer:", {"until": [" "], "max_gen_toks": 12, "do_sample": False}),
    (" ".join(TEXTS), {"until": ["\n\n"], "max_gen_toks": 8, "do_sample": False}),
]


def tokenizer(folder, bos):
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    specials = ["<s>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=specials, initial_alphabet=alphabet)
    made.train_from_iterator(TEXTS * 3, trainer)
    if bos:
        made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    names = {"bos_token": "<s>"} if bos else {}
    fast = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", **names)
    fast.save_pretrained(folder)


def model(folder):
    torch.manual_seed(11)
    config = LlamaConfig(
        vocab_size=320, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=LENGTH, initializer_range=0.6, tie_word_embeddings=True,
        bos_token_id=0, eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def greedy(engine):
    """Continuations that greedy decoding would write: contexts after which the likeliest token is readable text."""
    found = []
    for end in range(1, len(TEXTS[0])):
        context = TEXTS[0][:end]
        ids = engine.tok_encode(context)
        likeliest = engine.model(torch.tensor([ids])).logits[0, -1].argmax().item()
        text = engine.tokenizer.decode([likeliest])
        if text.isascii() and context == context.rstrip() and engine.tok_encode(context + text) == [*ids, likeliest]:
            found.append((context, text))
    assert len(found) > 2
    return found[:5]


def ask(folder):
    # With its cache of logits the harness mistakes (c, "a b") for (c + "a", "b"), which share their input.
    engine = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=1, logits_cache=False)
    assert engine.max_length == LENGTH

    def requests(kind, arguments):
        return [Instance(request_type=kind, doc={}, arguments=args, idx=index) for index, args in enumerate(arguments)]

    continuations = CONTINUATIONS + greedy(engine)
    scores = engine.loglikelihood(requests("loglikelihood", continuations))
    rolling = engine.loglikelihood_rolling(requests("loglikelihood_rolling", [(text,) for text in DOCUMENTS]))
    texts = engine.generate_until(requests("generate_until", PROMPTS))
    return {
        "continuations": [
            {"context": context, "text": text, "log_likelihood": score, "greedy": bool(greedy)}
            for (context, text), (score, greedy) in zip(continuations, scores, strict=True)
        ],
        "documents": [{"text": text, "log_likelihood": score} for text, score in zip(DOCUMENTS, rolling, strict=True)],
        "prompts": [
            {"context": context, "stop": how["until"], "max_tokens": how["max_gen_toks"], "text": text}
            for (context, how), text in zip(PROMPTS, texts, strict=True)
        ],
    }


golden = {}
for name, bos in [("with_bos", True), ("without_bos", False)]:
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    model(folder)
    tokenizer(folder, bos)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "model.safetensors").chmod(0o644)
    golden[name] = ask(folder)
text = json.dumps(golden, ensure_ascii=False, indent=1)
(HERE / "harness.json").write_text(text + "\n", encoding="utf-8")
