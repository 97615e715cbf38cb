"""A training step of CIFAR's ResNet-20 at the paper's batch of 128, beside eager PyTorch.

Run with `python -m pytest tests/benchmarks/test_resnet_benchmark.py -s` where PyTorch is installed.
Both have the same parameters, SGD with momentum 0.9 and weight decay, in float32.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research.core import Aux, Learner
from research.models.resnet import ResNet
from tests.benchmarks import pairs

BATCH, STEPS = 128, 2


def images():
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(BATCH, 32, 32, 3)).astype(np.float32)
    return pixels, rng.integers(0, 10, BATCH).astype(np.int32)


def ours():
    tx = optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(0.1, momentum=0.9))
    learner = Learner(ResNet("cifar20", 10, shortcut="A"), tx)
    pixels, labels = images()

    def loss_fn(variables, batch, key):
        (logits, _), changed = learner.apply(
            variables, batch["image"], train=True, mutable=["batch_stats"]
        )
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
        return loss, Aux({}, changed)

    def step(state, batch):
        return learner.minimize(state, loss_fn, batch, jax.random.key(1))

    state = learner.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False)
    parameters = sum(x.size for x in jax.tree.leaves(state.params))
    batch = {"image": jnp.asarray(pixels), "label": jnp.asarray(labels)}
    return pairs.repeated(state, step, STEPS, batch=batch), parameters


def eager():
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)

    def conv(inputs, outputs, stride):
        return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1, self.norm1 = conv(inputs, outputs, stride)
            self.conv2, self.norm2 = conv(outputs, outputs, 1)
            self.stride, self.added = stride, outputs - inputs

        def forward(self, x):
            y = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
            x = x[:, :, :: self.stride, :: self.stride]
            return functional.relu(y + functional.pad(x, (0, 0, 0, 0, 0, self.added)))

    widths = [16] * 4 + [32] * 3 + [64] * 3
    shapes = zip(widths[:-1], widths[1:], strict=True)
    blocks = (Block(a, b, 1 if a == b else 2) for a, b in shapes)
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)
    model = nn.Sequential(*conv(3, 16, 1), nn.ReLU(), *blocks, *head)
    pixels, labels = images()
    x, y = torch.from_numpy(pixels).permute(0, 3, 1, 2), torch.from_numpy(labels).long()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)

    def run():
        for _ in range(STEPS):
            loss = functional.cross_entropy(model(x), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return run, sum(p.numel() for p in model.parameters())


def test_steps_per_second_beside_eager_pytorch():
    pytest.importorskip("torch")
    (run, parameters), (other, others) = ours(), eager()
    assert parameters == others, "the same model"
    ratio, seconds = pairs.race(run, other)
    print(f"\nResNet-20, batch {BATCH}: {STEPS / seconds:.2f} steps/s, {ratio:.2f} x eager PyTorch")
