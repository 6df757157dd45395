"""Prints golden/adamw.json: AdamW steps with a clipped global norm, by torch.

    python crates/train/tests/reference/make_adamw.py > crates/train/tests/golden/adamw.json
"""

import json

import torch

torch.manual_seed(3)
RATES = [0.0, 1e-3, 2e-3, 1.5e-3, 1e-3, 5e-4]
SETTINGS = dict(betas=(0.9, 0.95), eps=1e-8)
CLIP, DECAY = 1.0, 0.1

weight = torch.nn.Parameter(torch.randn(3, 4))
norm = torch.nn.Parameter(torch.ones(4) + 0.1 * torch.randn(4))
bias = torch.nn.Parameter(torch.zeros(3))
late = torch.nn.Parameter(torch.randn(2, 2))  # has a gradient in every second step only
parameters = {"weight": weight, "norm": norm, "bias": bias, "late": late}

optimizer = torch.optim.AdamW(
    [{"params": [weight, late], "weight_decay": DECAY}, {"params": [norm, bias], "weight_decay": 0.0}],
    **SETTINGS, foreach=False, fused=False,
)


def lists(tensors):
    return {name: tensor.detach().flatten().tolist() for name, tensor in tensors.items() if tensor is not None}


start, steps = lists(parameters), []
for number, rate in enumerate(RATES):
    for group in optimizer.param_groups:
        group["lr"] = rate
    # Every third gradient is small, so that it is not clipped.
    size = 0.05 if number % 3 == 2 else 1.0
    for name, parameter in parameters.items():
        parameter.grad = None if name == "late" and number % 2 == 1 else size * torch.randn_like(parameter)
    gradients = lists({name: parameter.grad for name, parameter in parameters.items()})
    total = torch.nn.utils.clip_grad_norm_(list(parameters.values()), CLIP)
    optimizer.step()
    steps.append({"rate": rate, "gradients": gradients, "norm": total.item(), "after": lists(parameters)})

print(json.dumps({
    "torch": torch.__version__, "clip": CLIP, "weight_decay": DECAY, "beta1": SETTINGS["betas"][0],
    "beta2": SETTINGS["betas"][1], "epsilon": SETTINGS["eps"], "start": start, "steps": steps,
}, indent=1))
