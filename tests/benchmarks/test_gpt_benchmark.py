"""Tokens a second of a GPT step at the CPU setting of nanoGPT, beside the plainest such step.

nanoGPT's recipe for a laptop: 4 layers, 4 heads, 128 wide, rows of 64 tokens, 12 to a batch. The
first peer is written out here without scan, fused loss, masks or modules: what one would write
first. The second is eager PyTorch, where it is installed.

Run with `python -m pytest tests/benchmarks/test_gpt_benchmark.py -s`.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research.core import Aux, Learner
from research.losses.next_token import next_token_loss
from research.models.gpt import GPT
from tests.benchmarks import pairs

SIZES = dict(vocab_size=65, layers=4, dim=128, num_heads=4, head_dim=32, hidden=512, max_length=64)
ROWS, LENGTH = 12, 64
STEPS = 20


def ours():
    learner = Learner(GPT(**SIZES), optax.adamw(1e-3), max_grad_norm=1.0)
    state = learner.init(jax.random.key(0), jnp.zeros((1, 2), jnp.int32), train=False)

    def loss(variables, tokens, key):
        return next_token_loss(learner, variables, tokens, key), Aux()

    def step(state, tokens):
        return learner.minimize(state, loss, tokens, jax.random.key(1))

    return state, step


def peer():
    def norm(x, gain, bias):
        x = (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * gain + bias

    def logits_of(p, tokens):
        x = p["wte"][tokens] + p["wpe"]
        for b in p["blocks"]:
            q, k, v = jnp.split(norm(x, *b["ln1"]) @ b["qkv"] + b["qkv_bias"], 3, axis=-1)
            q, k, v = (a.reshape(*a.shape[:2], 4, 32).swapaxes(1, 2) for a in (q, k, v))
            scores = q @ k.swapaxes(-1, -2) / 32**0.5
            scores = jnp.where(jnp.tril(jnp.ones((LENGTH, LENGTH), bool)), scores, -jnp.inf)
            mixed = (jax.nn.softmax(scores) @ v).swapaxes(1, 2).reshape(x.shape)
            x = x + mixed @ b["out"] + b["out_bias"]
            hidden = jax.nn.gelu(norm(x, *b["ln2"]) @ b["up"] + b["up_bias"])
            x = x + hidden @ b["down"] + b["down_bias"]
        return norm(x, *p["ln"]) @ p["wte"].T

    keys = iter(jax.random.split(jax.random.key(0), 100))
    normal = lambda *shape: 0.02 * jax.random.normal(next(keys), shape)  # noqa: E731
    gain = lambda: (jnp.ones(128), jnp.zeros(128))  # noqa: E731
    params = {"wte": normal(65, 128), "wpe": normal(LENGTH, 128), "ln": gain()}
    params["blocks"] = [
        {
            "ln1": gain(),
            "ln2": gain(),
            "qkv": normal(128, 384),
            "qkv_bias": jnp.zeros(384),
            "out": normal(128, 128),
            "out_bias": jnp.zeros(128),
            "up": normal(128, 512),
            "up_bias": jnp.zeros(512),
            "down": normal(512, 128),
            "down_bias": jnp.zeros(128),
        }
        for _ in range(4)
    ]
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3))

    def step(state, tokens):
        params, opt_state = state

        def loss_fn(p):
            logits = logits_of(p, tokens[:, :-1])
            return optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), {"loss": loss}

    return (params, tx.init(params)), step


def count(state) -> int:
    return sum(x.size for x in jax.tree.leaves(state))


@functools.cache
def batch():
    return np.random.default_rng(0).integers(0, 65, (ROWS, LENGTH + 1)).astype(np.int32)


def compiled(start):
    return pairs.repeated(*start, STEPS, tokens=batch())


def test_tokens_per_second_beside_the_plainest_step():
    assert count(ours()[0].params) == count(peer()[0][0]), "the same model"
    ratio, seconds = pairs.race(compiled(ours()), compiled(peer()))
    tokens = ROWS * LENGTH * STEPS / seconds
    print(f"\nGPT at nanoGPT's CPU setting: {tokens:,.0f} tokens/s, {ratio:.2f} x the plain step")
    assert ratio > 0.8, "what serves large models costs small ones more than a quarter"


def eager():
    """`STEPS` steps of the same model and optimizer as an eager PyTorch program."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention_norm, self.mlp_norm = nn.LayerNorm(128), nn.LayerNorm(128)
            self.qkv, self.out = nn.Linear(128, 384), nn.Linear(128, 128)
            self.expand, self.contract = nn.Linear(128, 512), nn.Linear(512, 128)

        def forward(self, x):
            rows, length, width = x.shape
            parts = self.qkv(self.attention_norm(x)).split(width, dim=2)
            q, k, v = (part.view(rows, length, 4, 32).transpose(1, 2) for part in parts)
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(x.shape))
            hidden = functional.gelu(self.expand(self.mlp_norm(x)), approximate="tanh")
            return x + self.contract(hidden)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(65, 128), nn.Embedding(LENGTH, 128)
            self.blocks, self.norm = nn.Sequential(*(Block() for _ in range(4))), nn.LayerNorm(128)

        def forward(self, tokens):
            x = self.words(tokens) + self.places(torch.arange(tokens.shape[1]))
            return self.norm(self.blocks(x)) @ self.words.weight.T

    model, tokens = Model(), torch.from_numpy(batch()).long()
    assert sum(p.numel() for p in model.parameters()) == count(ours()[0].params), "the same model"
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)

    def run():
        for _ in range(STEPS):
            logits = model(tokens[:, :-1])
            loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    return run


def test_tokens_per_second_beside_eager_pytorch():
    pytest.importorskip("torch")
    ratio, seconds = pairs.race(compiled(ours()), eager())
    tokens = ROWS * LENGTH * STEPS / seconds
    print(f"\nGPT at nanoGPT's CPU setting: {tokens:,.0f} tokens/s, {ratio:.2f} x eager PyTorch")
