"""Gopher's measures of repetition and quality, written a second time and as plainly as possible.

    python crates/data/tests/reference/gopher.py > crates/data/tests/reference/gopher.json

The rules are those of Rae et al. (2021), section A.1.1; where the paper leaves room, the choices are those that
crates/data/src/quality/repetition.rs names. Needs nothing but Python's standard library.
"""

import json
import random
from collections import Counter

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}


def repeated(parts):
    seen, again = set(), []
    for part in parts:
        if part in seen:
            again.append(part)
        seen.add(part)
    count, characters = len(parts), sum(map(len, parts))
    return (
        len(again) / count if count else 0.0,
        sum(map(len, again)) / characters if characters else 0.0,
    )


def covered(words, size, chosen):
    inside = set()
    for start in range(len(words) - size + 1):
        if chosen(tuple(words[start : start + size])):
            inside.update(range(start, start + size))
    whole = sum(map(len, words))
    return sum(len(words[place]) for place in inside) / whole if whole else 0.0


def runs(words, size):
    return Counter(tuple(words[start : start + size]) for start in range(len(words) - size + 1))


def top(words, size):
    # Of equally frequent runs Counter.most_common gives the one that was counted first.
    most = runs(words, size).most_common(1)
    if not most or most[0][1] < 2:
        return 0.0
    return covered(words, size, lambda run: run == most[0][0])


def duplicate(words, size):
    counts = runs(words, size)
    return covered(words, size, lambda run: counts[run] > 1)


def measures(text):
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    paragraphs, current = [], []
    for line in text.split("\n") + [""]:
        if line.strip():
            current.append(line.strip())
        elif current:
            paragraphs.append("\n".join(current))
            current = []
    words = text.split()
    count = max(len(words), 1)
    bare = {"".join(c if c.isalnum() else " " for c in word).strip().lower() for word in words}
    return {
        "lines": repeated(lines),
        "paragraphs": repeated(paragraphs),
        "top": [top(words, size) for size in (2, 3, 4)],
        "duplicate": [duplicate(words, size) for size in range(5, 11)],
        "words": len(words),
        "word_length": sum(map(len, words)) / count,
        "symbols": (text.count("#") + text.count("…") + text.count("...")) / count,
        "bullets": sum(line[0] in "•‣▪●*-" for line in lines) / max(len(lines), 1),
        "ellipses": sum(line.endswith(("…", "...")) for line in lines) / max(len(lines), 1),
        "alphabetic": sum(any(c.isalpha() for c in word) for word in words) / count,
        "stop_words": len(STOP_WORDS & bare),
    }


def texts():
    yield ""
    yield "\n \n"
    yield "one"
    yield "a a a a a a a a a a a a"
    yield "The cat sat.\nThe cat sat.\n\nThe dog ran.\n\nThe cat sat.\nThe cat sat.\n"
    yield "- one\n- two…\n* three...\n# head ### \nÄpfel und Birnen und Äpfel und Birnen und Äpfel"
    yield "東京 は 東京 は 東京\n\n東京 は\n\n東京 は"
    draw = random.Random(7)
    for size in (3, 12, 60):
        vocabulary = ["the", "and", "With", "house.", "größe", "42", "#x", "...", "naïve", "to,", "I", "tree"][:size]
        for _ in range(8):
            lines = []
            for _ in range(draw.randint(1, 14)):
                if lines and draw.random() < 0.3:
                    lines.append(draw.choice(lines))
                else:
                    lines.append(" ".join(draw.choice(vocabulary) for _ in range(draw.randint(0, 12))))
            yield "\n".join(lines)


print(json.dumps([{"text": text, **measures(text)} for text in texts()], ensure_ascii=False, indent=1))
