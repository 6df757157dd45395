"""Near duplicates with datasketch, on the documents of crates/data/benches/dedup.rs.

    pip install datasketch
    python benches/peers/dedup.py

128 permutations, a threshold of 0.8 and runs of five words in lower case, as there. datasketch gives candidates and
does not verify them; the bench in Rust does.
"""

import re
import time

from datasketch import MinHash, MinHashLSH

DOCUMENTS, WORDS = 5_000, 200
seed = 1


def draw():
    global seed
    seed = (seed * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
    return seed >> 33


def documents():
    words = []
    for number in range(DOCUMENTS):
        if number % 5 == 4:
            for _ in range(2):
                place = draw() % WORDS
                words[place] = f"w{draw() % 5_000}"
        else:
            words = [f"w{draw() % 5_000}" for _ in range(WORDS)]
        yield " ".join(words)


texts = list(documents())
start = time.perf_counter()
index, near = MinHashLSH(threshold=0.8, num_perm=128), 0
for number, text in enumerate(texts):
    words = re.findall(r"\w+", text.lower())
    sketch = MinHash(num_perm=128)
    sketch.update_batch([" ".join(words[place : place + 5]).encode() for place in range(len(words) - 4)])
    if index.query(sketch):
        near += 1
    else:
        index.insert(str(number), sketch)
seconds = time.perf_counter() - start
print(f"{near} near duplicates, {DOCUMENTS / seconds:.0f} documents per second")
