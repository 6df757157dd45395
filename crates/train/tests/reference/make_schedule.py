"""Writes golden/schedule.json: learning-rate factors by transformers' own schedules.

    python crates/train/tests/reference/make_schedule.py crates/train/tests/golden/schedule.json
"""

import json
import sys

import torch
import transformers
from transformers import optimization as o

PEAK = 3e-4


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)


def rates(make, steps):
    """The rate of every step, and of the one at the end."""
    schedule = make(optimizer())
    factor = schedule.lr_lambdas[0]
    return [PEAK * factor(step) for step in range(steps + 1)]


cases = []


def case(name, steps, ours, make):
    cases.append({"name": name, "steps": steps, "schedule": {"peak": PEAK, **ours}, "rates": rates(make, steps)})


for steps, warmup in [(10, 0), (17, 4), (40, 1), (5, 5)]:
    w = {"warmup": warmup}
    case("constant", steps, {**w, "decay": "constant"},
         lambda x: o.get_constant_schedule_with_warmup(x, warmup))
    case("linear", steps, {**w, "decay": "linear"},
         lambda x: o.get_linear_schedule_with_warmup(x, warmup, steps))
    case("cosine", steps, {**w, "decay": "cosine"},
         lambda x: o.get_cosine_schedule_with_warmup(x, warmup, steps))
    case("inverse-sqrt", steps, {**w, "decay": "inverse-sqrt"},
         lambda x: o.get_inverse_sqrt_schedule(x, warmup))
    case("cosine to a floor", steps, {**w, "decay": "cosine", "floor": 0.1},
         lambda x: o.get_cosine_with_min_lr_schedule_with_warmup(x, warmup, steps, min_lr_rate=0.1))
    if warmup < steps:
        for cycles in (1, 3):
            case("restarts", steps, {**w, "decay": {"restarts": {"cycles": cycles}}},
                 lambda x: o.get_cosine_with_hard_restarts_schedule_with_warmup(x, warmup, steps, cycles))
        for power, floor in ((1.0, 0.0), (2.0, 0.25)):
            case("polynomial", steps, {**w, "decay": {"polynomial": {"power": power}}, "floor": floor},
                 lambda x: o.get_polynomial_decay_schedule_with_warmup(x, warmup, steps, lr_end=floor * PEAK, power=power))
        for shape, theirs in (("cosine", "cosine"), ("linear", "linear"), ("one-minus-sqrt", "1-sqrt")):
            for floor in (0.0, 0.2):
                case("warmup-stable-decay", steps,
                     {**w, "floor": floor, "decay": {"warmup-stable-decay": {"decay": 4, "shape": shape}}},
                     lambda x: o.get_wsd_schedule(x, warmup, 4, num_training_steps=steps, decay_type=theirs,
                                                  min_lr_ratio=floor))

with open(sys.argv[1], "w") as file:
    head = {"transformers": transformers.__version__, "cases": cases}
    json.dump(head, file, indent=1)
    file.write("\n")
