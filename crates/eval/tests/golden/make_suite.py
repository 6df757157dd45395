"""Writes rows of our own in the schemas of the benchmarks, two tiny models, and suite.json: what lm-evaluation-harness
says about them, at 0 and 2 shots, as text and as conversations.

Run with Python 3.11, torch, transformers 5.23, datasets and lm_eval 0.4.13:

    python crates/eval/tests/golden/make_suite.py

All texts are made up here.
"""

import json
import os
import pathlib
import random

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DISABLE_MULTIPROC"] = "1"

import lm_eval.tasks
import torch
import yaml
from lm_eval import simple_evaluate
from lm_eval.api.metrics import aggregate_subtask_metrics, pooled_sample_stderr, unweighted_mean_stderr
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks._yaml_loader import load_yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent / "suite"
TASK_FILES = pathlib.Path(lm_eval.tasks.__file__).parent
LENGTH = 320
CHAT = (
    "{% for message in messages %}[{{ message.role }}]\n{{ message.content }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]\n{% endif %}"
)
random.seed(5)
NOUNS = "rank adapter gradient token batch loss epoch layer head mask prompt answer weight bias".split()
VERBS = "learns forgets reads writes scales sums cuts keeps moves holds".split()
ADJECTIVES = "small large cold warm random exact frozen shared long short".split()


def sentence(words=None):
    noun, other = random.sample(NOUNS, 2)
    text = f"the {random.choice(ADJECTIVES)} {noun} {random.choice(VERBS)} a {random.choice(ADJECTIVES)} {other}"
    return text if words is None else " ".join(text.split()[:words])


def choices(count, words=4):
    found = []
    while len(found) < count:
        text = random.choice([sentence(words), random.choice(NOUNS), "Grüße, " + sentence(3), sentence()])
        if text not in found:
            found.append(text)
    return found


def arc(count):
    for number in range(count):
        size = random.choice([3, 4, 5])
        labels = random.choice(["ABCDE", "12345"])[:size]
        yield {
            "id": f"Row_{number}",
            "question": f"Which one {random.choice(VERBS)} when {sentence()}?" + " Say why." * (number % 4 == 3) * 30,
            "choices": {"text": choices(size), "label": list(labels)},
            "answerKey": random.choice(labels),
        }


def hellaswag(count):
    for number in range(count):
        yield {
            "ind": 100 + number,
            "activity_label": random.choice(["Tuning", "Removing snow"]),
            "ctx_a": sentence().capitalize() + random.choice([".", " [header] Step one [title] Begin ."]),
            "ctx_b": random.choice(["", "then the OTHER one", "A  Batch"]),
            "endings": [f" {text} [step] {sentence(3)} . " for text in choices(4)],
            "label": str(random.randrange(4)),
        }


def mmlu(count):
    for _ in range(count):
        yield {"question": f" {sentence().capitalize()}?\n", "choices": choices(4), "answer": random.randrange(4)}


def truthful(count):
    for _ in range(count):
        many = choices(random.choice([3, 5]))
        labels = [1] + [random.randrange(2) for _ in many[1:]]
        yield {
            "question": f"Is it true that {sentence()}?",
            "mc1_targets": {"choices": choices(4), "labels": [1, 0, 0, 0]},
            "mc2_targets": {"choices": many, "labels": labels},
        }


def truthful_gen(count):
    for _ in range(count):
        yield {
            "question": f" Is it true that {sentence()}? ",
            "correct_answers": [f" {sentence()}", sentence() + ".", ""],
            "incorrect_answers": [sentence() + " . " + sentence(), "No. \"Never\""],
        }


def wikitext(count):
    for number in range(count):
        yield {
            "page": f" = {sentence()} = \n \n It 's {sentence()} , @-@ 1 @.@ 5 ( {sentence(3)} ) . \" {sentence(2)} \" "
            + f"and [ {sentence(2)} ] ; N 20 \u00b0 C ! \n" * (1 + 6 * (number % 2))
        }


def lambada(count):
    for _ in range(count):
        yield {"text": f"{sentence()} and {sentence()}"}


def piqa(count):
    for _ in range(count):
        first, second = choices(2)
        yield {"goal": f"To {sentence()}", "sol1": first, "sol2": second, "label": random.randrange(2)}


def winogrande(count):
    for _ in range(count):
        first, second = random.sample(NOUNS, 2)
        yield {
            "sentence": f"{sentence()} so the _ {random.choice(VERBS)} it. ",
            "option1": first,
            "option2": second,
            "answer": random.choice("12"),
        }


def openbookqa(count):
    for number in range(count):
        yield {
            "id": f"7-{number}",
            "question_stem": sentence(),
            "choices": {"text": choices(4), "label": list("ABCD")},
            "answerKey": random.choice("ABCD"),
        }


def boolq(count):
    for number in range(count):
        yield {"idx": number, "passage": sentence().capitalize() + ".", "question": sentence(), "label": random.randrange(2)}


def gsm8k(count):
    for _ in range(count):
        total = random.randrange(2000)
        yield {"question": f"{sentence()}, how many?", "answer": f"It is {total}.\n#### {total:,}"}


def own_choices(count):
    for _ in range(count):
        size = random.choice([2, 3])
        yield {
            "topic": random.choice(NOUNS),
            "question": sentence(),
            "choices": choices(size),
            "answer": random.randrange(size),
        }


def several(count):
    for _ in range(count):
        yield {"question": sentence(), "answers": random.sample(range(3), random.choice([1, 2]))}


def binary(count):
    for _ in range(count):
        yield {"question": sentence() + "???", "label": random.randrange(2)}


def written(count):
    for _ in range(count):
        yield {"question": sentence(), "answers": choices(2, 3)}


def translated(count):
    for _ in range(count):
        yield {"source": sentence(), "target": sentence()}


TASKS = {
    "arc_easy": (arc, {"train": 9, "test": 8}),
    "arc_challenge": (arc, {"train": 30, "test": 4}),
    "hellaswag": (hellaswag, {"train": 12, "validation": 6}),
    "mmlu_anatomy": (mmlu, {"dev": 5, "test": 6}),
    "mmlu_world_religions": (mmlu, {"dev": 5, "test": 9}),
    "truthfulqa_mc1": (truthful, {"validation": 4}),
    "truthfulqa_mc2": (truthful, {"validation": 5}),
    "truthfulqa_gen": (truthful_gen, {"validation": 3}),
    "wikitext": (wikitext, {"test": 4}),
    "lambada_openai": (lambada, {"test": 7}),
    "piqa": (piqa, {"train": 10, "validation": 6}),
    "winogrande": (winogrande, {"train": 10, "validation": 7}),
    "openbookqa": (openbookqa, {"train": 10, "test": 5}),
    "boolq": (boolq, {"train": 10, "validation": 6}),
    "gsm8k": (gsm8k, {"train": 8, "test": 3}),
    "choices": (own_choices, {"train": 4, "validation": 6}),
    "several": (several, {"train": 8, "validation": 6}),
    "binary": (binary, {"train": 8, "validation": 8}),
    "written": (written, {"train": 6, "test": 4}),
    "translated": (translated, {"train": 6, "test": 5}),
}
OWN = ["choices", "several", "binary", "written", "translated"]
NO_SHOTS = ["wikitext", "several"]
# Where the harness's files lie.
FILES = {
    "arc_easy": "arc/arc_easy",
    "arc_challenge": "arc/arc_challenge",
    "hellaswag": "hellaswag/hellaswag",
    "mmlu_anatomy": "mmlu/default/mmlu_anatomy",
    "mmlu_world_religions": "mmlu/default/mmlu_world_religions",
    "truthfulqa_mc1": "truthfulqa/truthfulqa_mc1",
    "truthfulqa_mc2": "truthfulqa/truthfulqa_mc2",
    "truthfulqa_gen": "truthfulqa/truthfulqa_gen",
    "wikitext": "wikitext/wikitext",
    "lambada_openai": "lambada/lambada_openai",
    "piqa": "piqa/piqa",
    "winogrande": "winogrande/default",
    "openbookqa": "openbookqa/openbookqa",
    "boolq": "super_glue/boolq/default",
    "gsm8k": "gsm8k/gsm8k",
}


def write_rows():
    for task, (make, splits) in TASKS.items():
        for split, count in splits.items():
            path = HERE / "rows" / task / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in make(count)]
            path.write_text("".join(lines), encoding="utf-8")


def tokenizer(folder, bos):
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    specials = ["<s>", "</s>", "<end>"]
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator([sentence() for _ in range(200)] + ["\nAnswer:\nQuestion: "] * 20, trainer)
    if bos:
        made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    names = {"bos_token": "<s>"} if bos else {}
    fast = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", **names)
    fast.chat_template = ("{{ bos_token }}" if bos else "") + CHAT
    fast.save_pretrained(folder)


def model(folder, seed):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=420, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=LENGTH, initializer_range=0.5, tie_word_embeddings=True,
        bos_token_id=0, eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "model.safetensors").chmod(0o644)


def definition(task):
    files = {split: str(HERE / "rows" / task / f"{split}.jsonl") for split in TASKS[task][1]}
    data = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}
    if task == "lambada_openai" or task == "wikitext":
        data |= {"training_split": None, "validation_split": None}
    if task in OWN:
        return yaml.safe_load((HERE / f"{task}.yaml").read_text()) | data
    return load_yaml(TASK_FILES / f"{FILES[task]}.yaml") | data


def sample(one):
    requests = one["arguments"]
    row = {"doc_id": one["doc_id"], "filter": one["filter"], "prompt": requests[0][0]}
    if len(requests[0]) == 1:
        row["log_likelihoods"] = one["filtered_resps"]
    elif isinstance(requests[0][1], dict):
        row["generation"] = one["resps"][0][0]
        row["judged"] = one["filtered_resps"][0]
    else:
        row["log_likelihoods"] = [response[0] for response in one["filtered_resps"]]
        row["continuations"] = [request[1] for request in requests]
    return row


def groups(results):
    parts = [results["mmlu_anatomy"], results["mmlu_world_religions"]]
    values, errors = [part["acc,none"] for part in parts], [part["acc_stderr,none"] for part in parts]
    sizes = [part["sample_len"] for part in parts]
    return {
        "pair": {
            "acc,none": aggregate_subtask_metrics(values, sizes, True),
            "acc_stderr,none": float(pooled_sample_stderr(errors, sizes)),
        },
        "even": {
            "acc,none": aggregate_subtask_metrics(values, sizes, False),
            "acc_stderr,none": float(unweighted_mean_stderr(errors)),
        },
    }


def run(folder, shots, chat, multiturn, tasks):
    engine = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=1, logits_cache=False)
    assert engine.max_length == LENGTH
    definitions = [definition(task) for task in tasks]
    if shots != 0:
        definitions = [one for one in definitions if one["task"] not in NO_SHOTS]
    found = simple_evaluate(
        model=engine, tasks=definitions, num_fewshot=shots, apply_chat_template=chat, fewshot_as_multiturn=multiturn,
        system_instruction="Be brief." if chat else None, log_samples=True, bootstrap_iters=2000,
    )
    if not chat:
        found["results"] |= groups(found["results"])
    metrics = {
        task: {key: value for key, value in figures.items() if "," in key and not callable(value)}
        for task, figures in found["results"].items()
    }
    samples = {task: [sample(one) for one in rows] for task, rows in found["samples"].items()}
    return {"metrics": metrics, "samples": samples}


write_rows()
golden = {}
CHATS = ["arc_easy", "mmlu_anatomy", "choices", "written", "winogrande"]
for name, bos, seed in [("bos", True, 3), ("plain", False, 4)]:
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    model(folder, seed)
    tokenizer(folder, bos)
    every = list(TASKS)
    golden[name] = {
        "zero": run(folder, 0, False, False, every),
        "two": run(folder, 2, False, False, every),
        "chat": run(folder, 2, True, False, CHATS),
        "turns": run(folder, 2, True, True, CHATS),
    }
text = json.dumps(golden, ensure_ascii=False, indent=1)
(HERE / "suite.json").write_text(text + "\n", encoding="utf-8")
