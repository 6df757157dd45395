"""Writes a first corpus for each target, made of the tests' golden and hostile files, to corpus/<target>.

    python crates/data/fuzz/seeds.py

A container becomes its entries (name, content, name, content, a zero byte between), as `load_parts` takes them.
Files of more than 64 KiB are left out: they slow a fuzzer and show it nothing new.
"""

import gzip
import io
import json
import pathlib
import struct
import zipfile

FUZZ = pathlib.Path(__file__).parent
TESTS = FUZZ.parent / "tests"
LIMIT = 64 << 10

# Which files are seeds of a target, as patterns below tests/golden and tests/hostile.
FILES = {
    "arrow": "*.arrow *.feather",
    "bzip2": "*.bz2",
    "card": "README.md",
    "charset": "*.html",
    "csv": "*.csv *.tsv",
    "encoding": "*.txt",
    "epub": "*.epub",
    "gzip": "*.gz",
    "html": "*.html",
    "json": "*.json",
    "json_lines": "*.jsonl",
    "json3": "*.json3",
    "markdown": "*.md",
    "mbox": "*.mbox",
    "message": "*.eml",
    "notebook": "*.ipynb",
    "office": "*.docx",
    "open_document": "*.odt *.odp",
    "open_sheet": "*.ods",
    "parquet": "*.parquet",
    "pdf": "*.pdf",
    "sheet": "*.xlsx",
    "slides": "*.pptx",
    "source": "*.txt *.json *.md LICENSE",
    "sqlite": "*.sqlite *.db",
    "srt": "*.srt",
    "tar": "*.tar",
    "tweets": "tweets.js",
    "vtt": "*.vtt",
    "wikipedia": "*.xml",
    "xz": "*.xz",
    "zip": "*.zip",
    "zstd": "*.zst",
    "sensitive": "*.txt",
    "discord": "discord.json",
    "messenger": "messenger.json",
    "telegram": "telegram.json",
}
CONTAINERS = {"office", "open_document", "open_sheet", "sheet", "slides", "epub"}

TEXTS = {
    "answer": ['[{"question": "q", "answer": "a"}]', '```json\n{"items": ["a"]}\n```', "1. one\n2. two\n"],
    "chat_template": [
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content | trim }}</s>{% endfor %}{% if add_generation_prompt %}<|a|>{% endif %}",
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m['content'] }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}\n{% endfor %}",
        "{{ raise_exception('no') }}", "{% macro f(x) %}{{ x | tojson }}{% endmacro %}{{ f(messages) }}", "{% for i in range(1000000000) %}a{% endfor %}",
    ],
    "chunk": ["\x20\x03\x00# Head\n\nA text.\n\n```\ncode\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- one\n  - two\n"],
    "custom_template": ["Facts: {facts}\nQ: {prompt}\nA: {completion}", "{{a}}{completion}\n"],
    "discord": ['{"guild":{"id":"1","name":"g"},"channel":{"id":"1","name":"c","type":"GuildTextChat"},"messages":[{"id":"1","type":"Default","timestamp":"2024-01-01T00:00:00Z","content":"hello","author":{"id":"1","name":"ann"},"mentions":[]}]}'],
    "facts": ['{"id":"a","topic":"t","subject":["x","y"],"answer":"b","questions":["What is {subject}?","Why {{ {s}?"],"slots":{"s":["1","2"]}}\n'],
    "github": ['[{"number":1,"title":"t","body":"b","author":{"login":"a"},"comments":[{"body":"c","author":{"login":"b"},"createdAt":"2024-01-01T00:00:00Z"}],"createdAt":"2024-01-01T00:00:00Z","labels":[{"name":"l"}],"url":"https://github.com/a/b/issues/1"}]'],
    "hub_listing": ['[{"type":"file","oid":"' + "f" * 40 + '","size":1,"path":"a.txt"},{"type":"directory","oid":"a","size":0,"path":"d"},{"type":"file","oid":"' + "e" * 40 + '","size":9,"path":"d/b.bin","lfs":{"oid":"' + "0" * 64 + '","size":9,"pointerSize":130}}]', '[{"type":"file","oid":"' + "f" * 40 + '","size":0,"path":"../a"}]'],
    "hub_name": ["hf://openai/gsm8k@main/main", "hf://datasets/a/b@refs/pr/3/d/e", "hf://models/a/b@x%2Fy"],
    "json3": ['{"wireMagic":"pb3","events":[{"tStartMs":0,"dDurationMs":1000,"segs":[{"utf8":"hello","tOffsetMs":1},{"utf8":"\\n"}]}]}'],
    "manifest": ['{"rank":0,"world":1,"file":"a.jsonl","rows":1,"bytes":1,"xxh3":"0000000000000000","settings":"s"}'],
    "mapping": ["prompt=question,completion=answer;id{\"question\":\"a\",\"answer\":\"b\"}\n{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n{\"text\":\"a\",\"label\":1,\"chosen\":\"x\",\"rejected\":\"y\",\"prompt\":\"z\"}\n"],
    "messenger": ['{"participants":[{"name":"a"},{"name":"b"}],"messages":[{"sender_name":"a","timestamp_ms":1700000000000,"content":"h\\u00c3\\u00a9","type":"Generic"}],"title":"t","thread_path":"inbox/x"}'],
    "robots": ["User-agent: *\nDisallow: /a*b$\nAllow: /a/%2Fb\nCrawl-delay: 0.1\n\nUser-agent: finetune\nDisallow:\n"],
    "sensitive": ["ann@example.org +49 30 123456 4111 1111 1111 1111 DE89 3704 0044 0532 0130 00 192.168.0.1 AKIAIOSFODNN7EXAMPLE ghp_" + "a" * 36 + " 123-45-6789 -----BEGIN RSA PRIVATE KEY-----"],
    "sitemap": ['<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>http://127.0.0.1/a?b&amp;c</loc><lastmod>2024-01-01</lastmod></url></urlset>', "<sitemapindex><sitemap><loc>/x.xml</loc></sitemap></sitemapindex>", '<!DOCTYPE x [<!ENTITY a "b">]><urlset><url><loc>&a;</loc></url></urlset>'],
    "slack": ['[{"type":"message","user":"U1","ts":"1700000000.000100","text":"hi <@U1> <https://a.b|c>","thread_ts":"1700000000.000100"}]'],
    "telegram": ['{"name":"a","type":"personal_chat","id":1,"messages":[{"id":1,"type":"message","date":"2024-01-01T00:00:00","date_unixtime":"1704067200","from":"ann","from_id":"user1","text":["a",{"type":"link","text":"b"}],"text_entities":[{"type":"plain","text":"a"}]}]}'],
    "tweets": ['window.YTD.tweets.part0 = [ {"tweet" : {"id_str":"1","full_text" : "a &amp; b","created_at":"Wed Oct 10 20:19:24 +0000 2018","entities":{"urls":[]},"in_reply_to_status_id_str":"0","lang":"en"}} ]'],
    "whatsapp": ["[01.05.24, 12:30:00] Ann: hello\n[01.05.24, 12:31:00] Bob: line\nnext line\n", "5/1/24, 12:30 PM - Ann: hello\n5/1/24, 12:31 PM - Bob: <Media omitted>\n"],
}


def entries(data):
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if "theme" not in name and "Layout" not in name]
            parts = [(name, archive.read(name)) for name in names if name.endswith(("xml", "rels", "opf", "ncx", "mimetype"))]
    except Exception:  # A hostile container stays what it is.
        return data
    small = [part.encode() for name, content in parts if len(content) < LIMIT // 2 for part in (name, content.decode("utf-8", "replace"))]
    return b"\0".join(small)


def shard():
    """A shard of two rows and three tokens; the target puts the right hashes in."""
    sections = {"ends": struct.pack("<2Q", 1, 3), "places": struct.pack("<2Q", 1, 2), "ids": struct.pack("<3H", 5, 6, 7), "kinds": b"",
                "files": struct.pack("<2I", 0, 0), "learn": b"\5", "names": b'[{"path":"a.txt","place":0}]'}
    header = lambda places: json.dumps({
        "fingerprint": {"tokenizer": "t", "template": "p", "settings": "s", "vocabulary": 100}, "rows": 2, "tokens": 3,
        "sections": [{"name": name, "offset": place, "bytes": len(data), "xxh3": "0" * 16} for (name, data), place in zip(sections.items(), places)],
    }, separators=(",", ":")).encode()
    # Offsets of three digits: the header's length does not depend on them.
    length = len(header([100] * len(sections)))
    places, body, at = [], b"", 32 + length
    for data in sections.values():
        body += bytes(-at % 8)
        places.append(at + -at % 8)
        body += data
        at = 32 + length + len(body)
    return b"FTTOKENS" + struct.pack("<IIQQ", 1, length, 0, 0) + header(places) + body


def main():
    for target in sorted({*FILES, *TEXTS, "shard"}):
        folder = FUZZ / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        seeds = [text.encode() for text in TEXTS.get(target, [])]
        for pattern in FILES.get(target, "").split():
            for below in ("golden", "hostile"):
                for path in sorted((TESTS / below).rglob(pattern)):
                    # 5,000 rows of 20 MB each, which `load_all` would hold.
                    if path.name == "repeated.parquet":
                        continue
                    data = path.read_bytes()
                    seeds.append(data)
                    if target in CONTAINERS:
                        seeds.append(entries(data))
        if target == "shard":
            seeds.append(shard())
        if target == "sqlite":
            seeds.append(gzip.decompress((TESTS / "golden/sqlite/packed.sqlite.gz").read_bytes()))
        for number, seed in enumerate(seed for seed in seeds if len(seed) <= LIMIT):
            (folder / f"seed{number:03}").write_bytes(seed)


main()
