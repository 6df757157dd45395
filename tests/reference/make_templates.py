"""Makes the golden files of templates and tokenizers in tests/reference/templates/.

    python tests/reference/make_templates.py

Needs transformers 5.23 (with jinja2), tokenizers 0.23 and trl 1.16; no model is loaded and nothing is fetched. Every template
here is written for this project. Each emits the format of a well-known family, and is there twice: as it is published,
and with {% generation %} around what the assistant writes, from which transformers tells what is learned.

The folder trained/ is written by the Rust side (see crates/data/tests/trained.rs); this script adds the ids that
transformers gives for it.
"""

import datetime
import json
import pathlib

import tokenizers
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).parent / "templates"

# The clock of templates that print a date.
NOW = datetime.datetime(2024, 7, 4, 15, 6, 9)


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


chat_template_utils.datetime = Clock


# --- conversations ------------------------------------------------------------------------------------------------


def talk(*texts, system=None):
    roles = ["user", "assistant"]
    messages = [{"role": "system", "content": system}] if system is not None else []
    return messages + [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]


CONVERSATIONS = {
    "single": talk("What is a learning rate?", "The size of a step."),
    "system": talk("Name a primary colour.", "Red.", system="Answer in one word."),
    "turns": talk("Hi!", "Hello.", "What is 2 + 2?", "It is 4.", "And 3 + 3?", "6"),
    "system_turns": talk("One", "Two", "Three", "Four", system="Count on."),
    "unicode": talk("Grüße, 世界! 😀👩‍👩‍👧 é\u0301", "Привет — «мир» שלום ½ \u2028 ok", system="日本語で。"),
    "space": talk("  leading and trailing \n\n", "a\ttab\n\n    indented  code\n", "x\n", " y "),
    "markup": talk(
        'if (a < b && c["d"] > \'e\') { return `f`; }',
        "{{ not.a.template }} {% if x %} <b>bold</b> &amp; [link](url) \\n \\u0041 #1 100%",
    ),
    "asked": talk("First", "Second", "Third"),
    "empty": talk("Say nothing.", ""),
    "long": talk("word " * 40 + "end?", "yes " * 30 + "1234567890" * 3, system="Keep " + "very " * 20 + "calm."),
    "thought": talk("Why?", "<think>\nBecause of this.\n</think>\n\nSo it is.", "Sure?", "<think>\nYes.\n</think>\n\nQuite."),
}


# --- tokenizers ---------------------------------------------------------------------------------------------------

TEXT = """
A model learns from examples. Each example is a question with its answer, and the answer is what the model learns.
The learning rate is the size of a step: too large, and the loss jumps; too small, and nothing happens for hours.
What is a batch? A batch is a number of rows that are computed together. What is an epoch? One pass over all rows.
It is 4. It is 6. Hello. Answer in one word. Name a primary colour. Count on. Keep calm. Say nothing. Because of this.
if (a < b) { return c; } <b>bold</b> [link](url) {{ name }} {% if x %} # comment 100% 1234567890
    indented code follows    and goes on
user assistant system model User Assistant Human INST SYS end start turn header role think
Grüße Привет мир שלום 世界 日本語 — «»
""".strip().splitlines() * 4


def bytes_tokenizer():
    """Byte-level BPE: the kind of GPT-2, Llama 3, Qwen."""
    tokenizer = Tokenizer(models.BPE())
    split = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(split), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return tokenizer


def pieces_tokenizer():
    """BPE over characters with bytes to fall back on: the kind of Llama 2 and Gemma."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=460, special_tokens=specials, show_progress=False, max_token_length=8)
    tokenizer.train_from_iterator(TEXT, trainer)
    # The bytes are tokens of the model, not added ones.
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = state["added_tokens"][:3]
    state["post_processor"] = json.loads(
        processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
        ).__getstate__()
    )
    return Tokenizer.from_str(json.dumps(state))


def unigram_tokenizer():
    """Unigram with its control tokens in the vocabulary: the kind of T5 and XLNet."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(tokenizers.Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.UnigramTrainer(
        vocab_size=260, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer


def words_tokenizer():
    """WordPiece: the kind of BERT."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


TOKENIZERS = {
    "bytes": bytes_tokenizer,
    "pieces": pieces_tokenizer,
    "unigram": unigram_tokenizer,
    "words": words_tokenizer,
}


# --- templates ----------------------------------------------------------------------------------------------------
#
# «…» stands around what the assistant writes; it becomes {% generation %} in one version and nothing in the other.
# A pair of the token's text and whether it is special (otherwise it is an added token such as <think>).

TEMPLATES = {}


def template(name, source, tokenizer="bytes", tokens=(), plain=(), bos=None, eos=None, **variables):
    TEMPLATES[name] = {
        "source": source.strip("\n"),
        "tokenizer": tokenizer,
        "special": list(tokens),
        "plain": list(plain),
        "bos": bos,
        "eos": eos,
        "variables": variables,
    }


template(
    "chatml",
    """
{%- if messages[0].role != 'system' %}
    {{- '<|im_start|>system\\nYou are an assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.role == 'assistant' %}«{{- message.content + '<|im_end|>' }}»
    {%- else %}
        {{- message.content + '<|im_end|>' }}
    {%- endif %}
    {{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    plain=["<think>", "</think>", "<tool_call>"],
    eos="<|im_end|>",
)

template(
    "llama2",
    """
{%- set start = 0 %}{%- set system = '' %}
{%- if messages[0]['role'] == 'system' %}
    {%- set start = 1 %}
    {%- set system = '<<SYS>>\\n' ~ messages[0]['content'] ~ '\\n<</SYS>>\\n\\n' %}
{%- endif %}
{%- for message in messages[start:] %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('roles must alternate user/assistant/user/assistant/...') }}
    {%- endif %}
    {%- if message['role'] == 'user' %}
        {{- bos_token + '[INST] ' + (system if loop.first else '') + message['content'].strip() + ' [/INST]' }}
    {%- else %}«{{- ' ' + message['content'].strip() + ' ' + eos_token }}»
    {%- endif %}
{%- endfor %}
""",
    tokenizer="pieces",
    bos="<s>",
    eos="</s>",
)

template(
    "llama3",
    """
{{- bos_token }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
    {%- if message['role'] == 'assistant' %}«{{- message['content'] | trim + '<|eot_id|>' }}»
    {%- else %}
        {{- message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    tokens=["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    bos="<|begin_of_text|>",
    eos="<|end_of_text|>",
)

template(
    "llama3_date",
    """
{{- bos_token -}}
{%- if messages[0].role == 'system' %}{% set words = messages[0].content | trim %}{% set rest = messages[1:] %}
{%- else %}{% set words = '' %}{% set rest = messages %}{% endif %}
{%- if strftime_now is defined %}{% set date = strftime_now('%d %b %Y') %}{% else %}{% set date = '26 Jul 2024' %}{% endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday: ' ~ date ~ '\\n\\n' ~ words ~ '<|eot_id|>' }}
{%- for message in rest %}
    {{- '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\\n\\n' }}
    {%- if message.role == 'assistant' %}«{{- (message.content | trim) ~ '<|eot_id|>' }}»
    {%- else %}{{- (message.content | trim) ~ '<|eot_id|>' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}
""",
    tokens=["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    bos="<|begin_of_text|>",
    eos="<|end_of_text|>",
)

template(
    "mistral",
    """
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set ns = namespace(last=-1) %}
{%- for message in loop_messages %}
    {%- if message['role'] == 'user' %}{% set ns.last = loop.index0 %}{% endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message['role'] == 'user' %}
        {%- if loop.index0 == ns.last and system_message is defined %}
            {{- '[INST] ' + system_message + '\\n\\n' + message['content'] + '[/INST]' }}
        {%- else %}
            {{- '[INST] ' + message['content'] + '[/INST]' }}
        {%- endif %}
    {%- elif message['role'] == 'assistant' %}«{{- ' ' + message['content'] | trim + eos_token }}»
    {%- else %}
        {{- raise_exception('only user and assistant roles are supported, with an initial system message') }}
    {%- endif %}
{%- endfor %}
""",
    tokenizer="pieces",
    tokens=["[INST]", "[/INST]"],
    bos="<s>",
    eos="</s>",
)

template(
    "gemma",
    """
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate') }}
{% endif %}
{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}
{{ '<start_of_turn>' + role + '\\n' }}{% if role == 'model' %}«{{ message['content'] | trim + '<end_of_turn>' }}»{% else %}{{ message['content'] | trim + '<end_of_turn>' }}{% endif %}{{ '\\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}
""",
    tokenizer="pieces",
    tokens=["<start_of_turn>", "<end_of_turn>"],
    plain=["\n", "\n\n", "    "],
    bos="<s>",
    eos="</s>",
)

template(
    "phi3",
    """
{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\\n' + message['content'] + '<|end|>\\n' }}{% elif message['role'] == 'user' %}{{ '<|user|>\\n' + message['content'] + '<|end|>\\n' }}{% elif message['role'] == 'assistant' %}{{ '<|assistant|>\\n' }}«{{ message['content'] + '<|end|>' }}»{{ '\\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}
""",
    tokens=["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
    eos="<|endoftext|>",
)

template(
    "phi4_mini",
    """
{% for message in messages %}{% if message['role'] == 'assistant' %}{{ '<|assistant|>' }}«{{ message['content'] + '<|end|>' }}»{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}
""",
    tokens=["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
    eos="<|endoftext|>",
)

template(
    "zephyr",
    """
{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n' }}«{{ message['content'] + eos_token }}»{{ '' }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}
""",
    tokenizer="pieces",
    bos="<s>",
    eos="</s>",
)

template(
    "tinyllama",
    """
{%- macro turn(role, text) -%}
    <|{{ role }}|>{{ '\\n' ~ text ~ eos_token ~ '\\n' }}
{%- endmacro -%}
{%- for message in messages -%}
    {%- if message.role == 'assistant' -%}
        <|assistant|>{{ '\\n' }}«{{ message.content ~ eos_token }}»{{ '\\n' }}
    {%- else -%}
        {{- turn(message.role, message.content) -}}
    {%- endif -%}
{%- endfor -%}
{{- '<|assistant|>\\n' if add_generation_prompt else '' -}}
""",
    tokenizer="pieces",
    bos="<s>",
    eos="</s>",
)

template(
    "smollm",
    """
{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You help.<|im_end|>
' }}{% endif %}{{ '<|im_start|>' + message['role'] + '
' }}{% if message['role'] == 'assistant' %}«{{ message['content'] + '<|im_end|>' }}»{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '
' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}
""",
    tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    bos="<|im_start|>",
    eos="<|im_end|>",
)

template(
    "deepseek2",
    """
{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\\n\\n' }}{% elif message['role'] == 'assistant' %}{{ 'Assistant:' }}«{{ ' ' + message['content'] + eos_token }}»{% elif message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}
""",
    tokens=["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"],
    bos="<｜begin▁of▁sentence｜>",
    eos="<｜end▁of▁sentence｜>",
)

template(
    "deepseek3",
    """
{%- set ns = namespace(system='', first=true) -%}
{%- for message in messages if message['role'] == 'system' -%}
    {%- set ns.system = ns.system + ('' if ns.first else '\\n\\n') + message['content'] -%}{%- set ns.first = false -%}
{%- endfor -%}
{{- bos_token ~ ns.system -}}
{%- for message in messages -%}
    {%- if message['role'] == 'user' -%}{{- '<｜User｜>' + message['content'] -}}{%- endif -%}
    {%- if message['role'] == 'assistant' -%}
        {{- '<｜Assistant｜>' -}}
        {%- set content = message['content'] -%}
        {%- if '</think>' in content -%}{%- set content = content.split('</think>')[-1] -%}{%- endif -%}
        «{{- content + '<｜end▁of▁sentence｜>' -}}»
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<｜Assistant｜>' -}}{%- endif -%}
""",
    tokens=["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"],
    plain=["<think>", "</think>"],
    bos="<｜begin▁of▁sentence｜>",
    eos="<｜end▁of▁sentence｜>",
)

template(
    "command_r",
    """
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% if system_message != false %}{{ '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + system_message + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% for message in loop_messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% elif message['role'] == 'assistant' %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}«{{ content.strip() + '<|END_OF_TURN_TOKEN|>' }}»{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}
""",
    tokens=[
        "<BOS_TOKEN>",
        "<|START_OF_TURN_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
        "<|USER_TOKEN|>",
        "<|CHATBOT_TOKEN|>",
        "<|SYSTEM_TOKEN|>",
    ],
    bos="<BOS_TOKEN>",
    eos="<|END_OF_TURN_TOKEN|>",
)

template(
    "olmo",
    """
{{ eos_token }}{% for message in messages %}
{% if message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] }}
{% elif message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
' }}«{{ message['content'] + eos_token }}»{{ '' }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}
""",
    tokens=["<|endoftext|>"],
    plain=["  ", "    "],
    eos="<|endoftext|>",
)

template(
    "granite",
    """
{%- if messages[0]['role'] == 'system' %}{%- set words = messages[0]['content'] %}{%- set rest = messages[1:] %}
{%- else %}{%- set words = 'Be kind.' %}{%- set rest = messages %}{%- endif %}
{{- '<|start_of_role|>system<|end_of_role|>' + words + '<|end_of_text|>\\n' }}
{%- for message in rest %}
    {{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' }}
    {%- if message['role'] == 'assistant' %}«{{- message['content'] + '<|end_of_text|>' }}»{% else %}
    {{- message['content'] + '<|end_of_text|>' }}{% endif %}
    {{- '\\n' }}
    {%- if loop.last and add_generation_prompt %}
        {{- '<|start_of_role|>assistant<|end_of_role|>' }}
    {%- endif %}
{%- endfor %}
""",
    tokens=["<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>"],
    eos="<|end_of_text|>",
)

template(
    "vicuna",
    """
{%- for message in messages -%}
    {%- if message['role'] == 'system' -%}{{ message['content'] + ' ' }}
    {%- elif message['role'] == 'user' -%}{{ 'USER: ' + message['content'] + ' ' }}
    {%- else -%}{{ 'ASSISTANT:' }}«{{ ' ' + message['content'] + eos_token }}»{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}
""",
    tokenizer="unigram",
    eos="</s>",
)

template(
    "plain_roles",
    """
{% for message in messages %}{{ message.role | capitalize }}:{% if message.role == 'assistant' %}«{{ ' ' ~ message.content ~ '\\n' }}»{% else %} {{ message.content }}{{ '\\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}
""",
)

template(
    "qwen3",
    """
{%- set ns = namespace(last=messages|length - 1, found=false) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if not ns.found and message.role == 'user' %}{% set ns.last = index %}{% set ns.found = true %}{% endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role != 'assistant' %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- else %}
        {%- set content = message.content %}
        {%- set thought = '' %}
        {%- if '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\\n' }}«
        {%- if loop.index0 > ns.last %}{{ '<think>\\n' + thought + '\\n</think>\\n\\n' }}{% endif %}
        {{- content + '<|im_end|>' }}»{{ '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
""",
    tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    plain=["<think>", "</think>"],
    eos="<|im_end|>",
)

template(
    "json_messages",
    """
{%- for message in messages %}
    {%- if message.role == 'assistant' %}«{{ message.content }}{{ eos_token }}»
    {%- else %}{{ {'role': message.role, 'content': message.content} | tojson }}
    {%- endif %}
    {%- if not loop.last %}{{ '\\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '\\n' }}{% endif %}
""",
    tokens=["<|end|>"],
    eos="<|end|>",
)


# --- renders ------------------------------------------------------------------------------------------------------


def added(state, tokens):
    """Adds tokens to the state of a tokenizer, as a checkpoint's file has them."""
    ids = state["model"]["vocab"]
    next_id = len(ids)
    for content, special in tokens:
        if any(token["content"] == content for token in state["added_tokens"]):
            continue
        # A list is the vocabulary of Unigram.
        known = ids.get(content) if isinstance(ids, dict) else None
        state["added_tokens"].append(
            {
                "id": next_id if known is None else known,
                "content": content,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": special,
            }
        )
        next_id += known is None
    state["added_tokens"].sort(key=lambda token: token["id"])
    return state


def byte_spans(text, spans):
    place = lambda index: len(text[:index].encode())
    return [[place(start), place(end)] for start, end in spans]


def case(tokenizer, conversation, messages, opened, plain, tagged):
    result = {"conversation": conversation, "open": opened}
    arguments = {"add_generation_prompt": opened}
    try:
        result["render"] = tokenizer.apply_chat_template(
            messages, chat_template=plain, tokenize=False, **arguments
        )
    except Exception as error:
        result["error"] = str(error)
        return result
    if opened:
        return result
    encoded = tokenizer.apply_chat_template(
        messages, chat_template=tagged, return_dict=True, return_assistant_tokens_mask=True, **arguments
    )
    rendered, spans = chat_template_utils.render_jinja_template(
        conversations=[messages],
        chat_template=tagged,
        return_assistant_tokens_mask=True,
        add_generation_prompt=False,
        **tokenizer.special_tokens_map,
    )
    assert rendered[0] == result["render"], (conversation, rendered[0], result["render"])
    result["spans"] = byte_spans(rendered[0], spans[0])
    result["ids"] = encoded["input_ids"]
    result["mask"] = "".join(str(bit) for bit in encoded["assistant_masks"])
    return result


def make_template(name, entry, states):
    tokens = [(token, True) for token in entry["special"]] + [(token, False) for token in entry["plain"]]
    for token in (entry["bos"], entry["eos"]):
        if token is not None and token not in entry["special"]:
            tokens.append((token, True))
    state = added(json.loads(json.dumps(states[entry["tokenizer"]])), tokens)
    named = {"bos_token": entry["bos"], "eos_token": entry["eos"]}
    named = {key: value for key, value in named.items() if value is not None}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state)), **named)
    plain = entry["source"].replace("«", "").replace("»", "")
    tagged = entry["source"].replace("«", "{% generation %}").replace("»", "{% endgeneration %}")
    cases = []
    for conversation, messages in CONVERSATIONS.items():
        asked = messages[:-1] if messages[-1]["role"] == "assistant" else messages
        cases.append(case(tokenizer, conversation, asked, True, plain, tagged))
        if asked is not messages:
            cases.append(case(tokenizer, conversation, messages, False, plain, tagged))
    return {
        "template": plain,
        "tagged": tagged,
        "tokenizer": entry["tokenizer"],
        "added_tokens": [token for token in state["added_tokens"]],
        "special_tokens": named,
        "cases": cases,
    }


def make_pairs(states):
    """Texts and pairs of texts between special tokens, some of them cut."""
    pairs = [
        ("What is a batch?", None),
        ("A batch is a number of rows.", "Rows are computed together."),
        ("short", "a much longer second text that goes on and on about the learning rate"),
        ("a much longer first text that goes on and on about the learning rate", "short"),
        ("Grüße, 世界! 😀", "Привет — мир"),
        ("", "only the second"),
    ]
    result = []
    for name in ("words", "pieces", "unigram"):
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(states[name])))
        for text, pair in pairs:
            for length in (None, 9, 12):
                encoded = tokenizer(
                    text,
                    pair,
                    truncation="longest_first" if length else False,
                    max_length=length,
                    return_token_type_ids=True,
                )
                ids, kinds = encoded["input_ids"], encoded["token_type_ids"]
                result.append([name, text, pair, length, ids, kinds])
    return result


def make_words(states):
    """Words that are split already, and for each token the word that begins with it."""
    sentences = [
        "EU rejects German call to boycott British lamb .".split(),
        ["Grüße", ",", "世界", "!", "😀"],
        ["a", "", "batch", " ", "of", "rows-and-columns"],
        [],
    ]
    result = []
    for name in ("words", "pieces", "unigram", "bytes"):
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(states[name])))
        for words in sentences:
            for length in (None, 8):
                encoded = tokenizer(words, is_split_into_words=True, truncation=length is not None, max_length=length)
                of = encoded.word_ids()
                first = [word if word not in of[:place] else None for place, word in enumerate(of)]
                result.append([name, words, length, encoded["input_ids"], first])
    return result


def make_texts(states):
    """Texts as they are, encoded without special tokens and decoded again."""
    texts = [message["content"] for messages in CONVERSATIONS.values() for message in messages]
    texts += ["", " ", "a" * 300, "\t\n \r\n x", "1 22 333 4444", "don't DON'T we'll", "ﬁ Å Å", "\u200b\ufeff"]
    result = []
    for name, state in states.items():
        tokenizer = Tokenizer.from_str(json.dumps(state))
        for text in dict.fromkeys(texts):
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            result.append([name, text, ids, tokenizer.decode(ids)])
    return result


def make_completions(states):
    """Prompts with completions as TRL tokenizes them: as one string with the EOS token after it; what is learned begins
    where the ids part from those of the prompt alone."""
    pairs = [
        ("What is a batch? ", "A number of rows."),
        ("Q: 2 + 2 =\n", "4"),
        ("", "only the completion"),
        ("Grüße,", " 世界! 😀"),
        ("user says", " </b> yes"),
        ("The learning ra", "te is small."),
    ]
    result = []
    for name, eos in (("bytes", "<|endoftext|>"), ("pieces", "</s>")):
        state = added(json.loads(json.dumps(states[name])), [(eos, True)])
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state)), eos_token=eos)
        for prompt, completion in pairs:
            asked = tokenizer(prompt)["input_ids"]
            ids = tokenizer(prompt + completion + eos)["input_ids"]
            start = next((i for i, (a, b) in enumerate(zip(asked, ids)) if a != b), min(len(asked), len(ids)))
            result.append([name, eos, prompt, completion, ids, start])
    return result


def make_packing():
    """Groups of rows as TRL packs them (strategy bfd)."""
    import random

    import pyarrow
    from trl.data_utils import _pack_bfd

    generator = random.Random(5)
    cases = [([5, 2, 3, 1], 5), ([4, 4, 4], 8), ([1] * 7, 3)]
    for count, longest, capacity in ((30, 10, 10), (60, 50, 64), (100, 100, 128), (40, 7, 31)):
        cases.append(([generator.randint(1, longest) for _ in range(count)], capacity))
    result = []
    for lengths, capacity in cases:
        # Every row is its own number, as often as it is long.
        rows = pyarrow.table({"input_ids": pyarrow.array([[i] * length for i, length in enumerate(lengths)])})
        packed = _pack_bfd(rows, capacity).column("input_ids").to_pylist()
        result.append([lengths, capacity, [list(dict.fromkeys(row)) for row in packed]])
    return result


def make_trained():
    """What transformers makes of the tokenizer that the Rust side trained and wrote."""
    folder = HERE / "trained"
    if not (folder / "tokenizer.json").exists():
        return None
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [message["content"] for messages in CONVERSATIONS.values() for message in messages]
    return {
        "special_tokens": tokenizer.special_tokens_map,
        "vocabulary": len(tokenizer),
        "texts": [
            [text, tokenizer(text)["input_ids"], tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True)]
            for text in dict.fromkeys(texts)
        ],
        "chats": [
            [name, tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]]
            for name, messages in CONVERSATIONS.items()
        ],
    }


def write(name, value):
    """One line per entry: small, and readable in a diff."""
    path = HERE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    compact = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, list):
        text = "[\n" + ",\n".join(map(compact, value)) + "\n]\n"
    else:
        lines = []
        for key, item in value.items():
            if isinstance(item, list) and item and not isinstance(item[0], (int, str)):
                inner = "[\n  " + ",\n  ".join(map(compact, item)) + "\n ]"
            else:
                inner = compact(item)
            lines.append(f" {json.dumps(key)}: {inner}")
        text = "{\n" + ",\n".join(lines) + "\n}\n"
    path.write_text(text, encoding="utf-8")


def main():
    assert transformers.__version__.startswith("5.23"), transformers.__version__
    # Training a tokenizer gives another one every time; those that are there stay. Remove them to make new ones.
    states = {}
    for name, make in TOKENIZERS.items():
        path = HERE / "tokenizers" / f"{name}.json"
        if not path.exists():
            write(f"tokenizers/{name}.json", json.loads(make().to_str()))
        states[name] = json.loads(path.read_text(encoding="utf-8"))
    write("conversations.json", CONVERSATIONS)
    for name, entry in TEMPLATES.items():
        write(f"chat/{name}.json", make_template(name, entry, states))
    write("pairs.json", make_pairs(states))
    write("words.json", make_words(states))
    write("texts.json", make_texts(states))
    write("packing.json", make_packing())
    write("completions.json", make_completions(states))
    trained = make_trained()
    if trained is not None:
        write("trained.json", trained)


if __name__ == "__main__":
    main()
