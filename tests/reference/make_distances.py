"""Makes `distances.json`: the kind that transformers' T5 gives to every distance.

    python tests/reference/make_distances.py

Needs torch and transformers 5.23. Each entry has the number of kinds, the longest distance, whether tokens see both ways,
and the kinds of the distances from -300 to 300 as runs of [kind, how many].
"""

import itertools
import json
from pathlib import Path

import torch
from transformers.models.t5.modeling_t5 import T5Attention

REACH = 300
found = []
for kinds, longest, both in itertools.product((4, 7, 8, 12, 32, 33, 64), (10, 17, 20, 128, 256, 300), (True, False)):
    if longest <= kinds // 2:
        continue
    distances = torch.arange(-REACH, REACH + 1)
    of = T5Attention._relative_position_bucket(distances, both, kinds, longest).tolist()
    runs = [[kind, len(list(run))] for kind, run in itertools.groupby(of)]
    found.append({"kinds": kinds, "longest": longest, "both": both, "runs": runs})
lines = ",\n".join(json.dumps(entry) for entry in found)
(Path(__file__).parent / "distances.json").write_text(f"[\n{lines}\n]\n")
