"""Makes the golden files of generation: what transformers' own processors and `generate` give.

    python tests/reference/make_generation.py     # rewrites tests/reference/generation/

Needs torch and transformers 5.23. `processors.json` holds random scores and contexts, settings by the names of
`generation_config.json`, and what the processors that `generate` takes for these settings make of them. `texts.json`
holds, for the tiny checkpoints of `make.py`, what `generate` gives for prompts of unlike length: new tokens (the stop
token included), scores of beams, and the model's log-probability of each new token. `answers.json` holds the same for
those with an encoder; their prompts are padded on the right.
"""

import json
import math
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationConfig, logging

HERE = Path(__file__).parent
OUT = HERE / "generation"
VOCABULARY, PAD = 23, 0
logging.set_verbosity_error()
torch.set_num_threads(1)

# Every setting alone, then some together.
SETTINGS = [
    dict(repetition_penalty=1.7),
    dict(repetition_penalty=0.6),
    dict(encoder_repetition_penalty=1.5),
    dict(no_repeat_ngram_size=1),
    dict(no_repeat_ngram_size=2),
    dict(no_repeat_ngram_size=3),
    dict(encoder_no_repeat_ngram_size=2),
    dict(bad_words_ids=[[3], [4, 5], [2], [6, 7, 8], [9, 9]]),
    dict(min_length=9),
    dict(min_new_tokens=3),
    dict(forced_bos_token_id=11),
    dict(forced_eos_token_id=2),
    dict(forced_eos_token_id=[2, 5]),
    dict(exponential_decay_length_penalty=[1, 1.4]),
    dict(suppress_tokens=[1, 4, 7]),
    dict(begin_suppress_tokens=[3, 6]),
    dict(begin_suppress_tokens=[3, 6], forced_bos_token_id=11),
    dict(do_sample=True, temperature=0.4),
    dict(do_sample=True, temperature=2.5),
    dict(do_sample=True, top_k=1),
    dict(do_sample=True, top_k=5),
    dict(do_sample=True, top_k=100),
    dict(do_sample=True, top_p=0.1),
    dict(do_sample=True, top_p=0.5),
    dict(do_sample=True, top_p=0.95),
    dict(do_sample=True, min_p=0.05),
    dict(do_sample=True, min_p=0.5),
    dict(do_sample=True, min_p=1.0),
    dict(do_sample=True, typical_p=0.2),
    dict(do_sample=True, typical_p=0.6),
    dict(do_sample=True, typical_p=0.95),
    dict(do_sample=True, epsilon_cutoff=0.03),
    dict(do_sample=True, epsilon_cutoff=0.9),
    dict(do_sample=True, eta_cutoff=0.05),
    dict(do_sample=True, eta_cutoff=0.6),
    dict(do_sample=True, temperature=0.7, top_k=12, top_p=0.9, repetition_penalty=1.2),
    dict(do_sample=True, temperature=1.3, top_k=15, min_p=0.1, no_repeat_ngram_size=2, min_new_tokens=2),
    dict(do_sample=True, temperature=1.5, top_p=0.9, min_p=0.02, typical_p=0.8, epsilon_cutoff=0.01, eta_cutoff=0.02),
    dict(do_sample=True, top_k=8, typical_p=0.7, bad_words_ids=[[3], [4, 5]], suppress_tokens=[9]),
    dict(do_sample=True, top_k=1, num_beams=3),
    dict(do_sample=True, top_p=0.1, num_beams=3),
    dict(do_sample=True, min_p=1.0, num_beams=3),
    dict(do_sample=True, typical_p=0.1, num_beams=3),
    dict(do_sample=True, epsilon_cutoff=0.9, num_beams=3),
    dict(do_sample=True, eta_cutoff=0.9, num_beams=3, temperature=3.0),
    dict(repetition_penalty=1.3, no_repeat_ngram_size=2, bad_words_ids=[[1], [8, 9]], min_length=8, suppress_tokens=[2]),
]
# Prompt and what was written after it.
TEXTS = [([5], []), ([5, 4], []), ([9, 6, 7], [9, 6]), ([4, 5, 4], [8, 9, 8]), ([6, 7, 8, 9], [3, 4, 6, 7, 9])]
NEW, ENDS = 6, [2, 10]

MODELS = ["llama_grouped", "gpt2_tied", "gemma2", "mistral_window", "bloom"]
PROMPTS = [[5, 6, 7], [9], list(range(10, 22)), [40, 41, 42, 43, 44]]
RUNS = [
    dict(),
    dict(num_beams=2),
    dict(num_beams=3, num_return_sequences=3),
    dict(num_beams=5, num_return_sequences=2, length_penalty=0.0),
    dict(num_beams=3, length_penalty=2.5, num_return_sequences=3),
    dict(num_beams=3, length_penalty=-1.5, num_return_sequences=3),
    dict(num_beams=3, early_stopping=True, num_return_sequences=3),
    dict(num_beams=3, early_stopping="never", num_return_sequences=3),
    dict(num_beams=4, early_stopping="never", length_penalty=-0.5),
    dict(num_beams=3, repetition_penalty=1.4, no_repeat_ngram_size=2, min_new_tokens=3, num_return_sequences=2),
    dict(num_beams=2, bad_words_ids=[[7], [3, 4]], suppress_tokens=[11], renormalize_logits=True),
    dict(num_beams=2, forced_eos_token_id=2),
    dict(repetition_penalty=1.4, no_repeat_ngram_size=2, min_new_tokens=3),
]

ANSWERING = ["t5", "t5_gated", "t5_apart"]
ASKED = [[5, 6, 7, 8, 9, 5, 6], [9, 30], list(range(10, 24))]
ANSWER_RUNS = [
    *RUNS[:-1],
    dict(num_beams=5, num_return_sequences=5),
    dict(num_beams=5, length_penalty=2.0, early_stopping=True),
    dict(num_beams=2, length_penalty=0.6, early_stopping="never", num_return_sequences=2),
    dict(forced_bos_token_id=7),
    dict(forced_eos_token_id=2),
    dict(forced_bos_token_id=7, forced_eos_token_id=2, num_beams=3),
    dict(forced_bos_token_id=7, begin_suppress_tokens=[7, 8]),
    dict(no_repeat_ngram_size=1),
    dict(no_repeat_ngram_size=2),
    dict(no_repeat_ngram_size=3, num_beams=3),
    dict(min_length=7),
    dict(min_length=7, num_beams=3, num_return_sequences=3),
    dict(min_new_tokens=6),
    dict(repetition_penalty=1.4),
    dict(repetition_penalty=0.7, num_beams=2),
    dict(exponential_decay_length_penalty=[3, 1.5]),
    dict(max_length=6),
    dict(max_length=6, num_beams=3, forced_eos_token_id=2),
    dict(max_length=9, min_length=9, num_beams=2),
]
# The reference looks at padding too, in these: each prompt by itself.
ALONE = [
    dict(encoder_repetition_penalty=1.6),
    dict(encoder_repetition_penalty=0.5, num_beams=3),
    dict(encoder_no_repeat_ngram_size=1),
    dict(encoder_no_repeat_ngram_size=2, encoder_repetition_penalty=5.0),
    dict(encoder_repetition_penalty=3.0, repetition_penalty=1.5, encoder_no_repeat_ngram_size=3, num_beams=2),
]


def numbers(values):
    """Floats that are short and enough; what is -inf becomes null."""
    return [None if math.isinf(value) else float(f"{value:.8g}") for value in values]


def processed(model, settings, prompt, written, scores):
    config = GenerationConfig(**settings)
    config.eos_token_id = ENDS
    config.max_length = len(prompt) + NEW
    config._eos_token_tensor = torch.tensor(ENDS)
    context = torch.tensor([prompt + written])
    processors = model._get_logits_processor(
        config,
        input_ids_seq_length=len(prompt),
        encoder_input_ids=torch.tensor([prompt]),
        device="cpu",
        model_kwargs={"attention_mask": torch.ones_like(context)},
    )
    return processors(context, scores[None].clone())[0]


def processors():
    model = AutoModelForCausalLM.from_pretrained(HERE / "gpt2_tied")
    torch.manual_seed(3)
    cases = []
    for number, settings in enumerate(SETTINGS):
        for prompt, written in TEXTS:
            scores = torch.randn(VOCABULARY) * (1 + number % 3)
            out = processed(model, settings, prompt, written, scores)
            case = dict(settings=settings, prompt=prompt, written=written, scores=numbers(scores.tolist()))
            cases.append({**case, "processed": numbers(out.tolist())})
    return dict(new=NEW, ends=ENDS, cases=cases)


def common(model):
    """Two tokens that the model likes, so that texts end."""
    ids, mask = padded()
    out = model.generate(ids, attention_mask=mask, max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=PAD)
    counts = torch.bincount(out[:, ids.shape[1] :].flatten(), minlength=2)
    counts[PAD] = 0
    return counts.topk(3).indices[1:].tolist()


def padded():
    longest = max(map(len, PROMPTS))
    ids = torch.tensor([[PAD] * (longest - len(prompt)) + prompt for prompt in PROMPTS])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in PROMPTS])
    return ids, mask


def log_probs(model, prompt, new):
    """The model's own, of each new token."""
    logits = model(torch.tensor([prompt + new])).logits[0, len(prompt) - 1 : -1]
    return logits.float().log_softmax(-1).gather(1, torch.tensor(new)[:, None])[:, 0].tolist()


def likely(model, prompts, start):
    """Two tokens of like rank that the model writes, so that answers end, and not all of them at once."""
    ids, mask = right_padded(prompts)
    made = dict(max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=PAD, decoder_start_token_id=start)
    out = model.generate(ids, attention_mask=mask, **made)[:, 1:]
    counts = torch.bincount(out.flatten(), minlength=2)
    counts[PAD] = 0
    return counts.topk(3).indices[1:].tolist()


def right_padded(prompts):
    longest = max(map(len, prompts))
    ids = torch.tensor([prompt + [PAD] * (longest - len(prompt)) for prompt in prompts])
    mask = torch.tensor([[1] * len(prompt) + [0] * (longest - len(prompt)) for prompt in prompts])
    return ids, mask


def answer_log_probs(model, start, prompt, new):
    """The model's own, of each new token."""
    given = torch.tensor([[start] + new[:-1]])
    logits = model(torch.tensor([prompt]), decoder_input_ids=given).logits[0]
    return logits.float().log_softmax(-1).gather(1, torch.tensor(new)[:, None])[:, 0].tolist()


@torch.no_grad()
def answers():
    cases = []
    for name in ANSWERING:
        model = AutoModelForSeq2SeqLM.from_pretrained(HERE / name, attn_implementation="eager").eval()
        # The reference's cache has as many layers as the encoder: it breaks off where the decoder has more.
        cached = model.config.num_decoder_layers <= model.config.num_layers
        model.generation_config = GenerationConfig(use_cache=cached)
        start = model.config.decoder_start_token_id
        ends = likely(model, ASKED, start)
        for number, run in enumerate(ANSWER_RUNS + ALONE):
            length = {} if "max_length" in run else dict(max_new_tokens=10)
            tokens = dict(eos_token_id=ends, pad_token_id=PAD, decoder_start_token_id=start)
            settings = dict(**length, do_sample=False, **tokens, **run)
            together = [list(range(len(ASKED)))] if number < len(ANSWER_RUNS) else [[at] for at in range(len(ASKED))]
            made = [answer for rows in together for answer in answered(model, rows, settings)]
            cases.append(dict(model=name, settings=settings, answers=made))
    return dict(prompts=ASKED, cases=cases)


def answered(model, rows, settings):
    ids, mask = right_padded([ASKED[row] for row in rows])
    made = model.generate(ids, attention_mask=mask, return_dict_in_generate=True, output_scores=True, **settings)
    count = settings.get("num_return_sequences", 1)
    scores = getattr(made, "sequences_scores", None)
    for row, sequence in enumerate(made.sequences):
        new, asked = sequence[1:].tolist(), rows[row // count]
        last = next((at for at, id in enumerate(new) if id in settings["eos_token_id"]), len(new) - 1)
        new = new[: last + 1]
        log_probs = answer_log_probs(model, settings["decoder_start_token_id"], ASKED[asked], new)
        answer = dict(prompt=asked, ids=new, log_probs=numbers(log_probs))
        if scores is not None:
            answer["score"] = float(f"{scores[row].item():.8g}")
        yield answer


@torch.no_grad()
def texts():
    cases = []
    ids, mask = padded()
    for name in MODELS:
        model = AutoModelForCausalLM.from_pretrained(HERE / name, attn_implementation="eager").eval()
        model.generation_config = GenerationConfig()
        ends = common(model)
        for run in RUNS:
            settings = dict(max_new_tokens=10, do_sample=False, eos_token_id=ends, pad_token_id=PAD, **run)
            made = model.generate(ids, attention_mask=mask, return_dict_in_generate=True, output_scores=True, **settings)
            count = run.get("num_return_sequences", 1)
            scores = getattr(made, "sequences_scores", None)
            answers = []
            for row, sequence in enumerate(made.sequences):
                new = sequence[ids.shape[1] :].tolist()
                last = next((at for at, id in enumerate(new) if id in ends), len(new) - 1)
                new = new[: last + 1]
                answer = dict(prompt=row // count, ids=new, log_probs=numbers(log_probs(model, PROMPTS[row // count], new)))
                if scores is not None:
                    answer["score"] = float(f"{scores[row].item():.8g}")
                answers.append(answer)
            cases.append(dict(model=name, settings=dict(settings), answers=answers))
    return dict(prompts=PROMPTS, cases=cases)


def main():
    OUT.mkdir(exist_ok=True)
    for name, made in [("processors", processors()), ("texts", texts()), ("answers", answers())]:
        (OUT / f"{name}.json").write_text(json.dumps(made, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
