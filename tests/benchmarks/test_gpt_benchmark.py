"""Tokens a second of a GPT step at the CPU setting of nanoGPT, beside the plainest such step.

nanoGPT's recipe for a laptop: 4 layers, 4 heads, 128 wide, rows of 64 tokens, 12 to a batch. The
peer is written out here without scan, fused loss, masks or modules: what one would write first.

Run with `python -m pytest tests/benchmarks/test_gpt_benchmark.py -s`.
"""

from __future__ import annotations

import functools
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from research.losses.next_token import next_token_loss
from research.models.gpt import GPT
from research.training import Learner

SIZES = dict(vocab_size=65, layers=4, dim=128, num_heads=4, head_dim=32, hidden=512, max_length=64)
ROWS, LENGTH = 12, 64
STEPS, PAIRS = 20, 7


def ours():
    learner = Learner(GPT(**SIZES), optax.adamw(1e-3), max_grad_norm=1.0)
    loss_fn = next_token_loss(learner, 1)
    state = learner.init(jax.random.key(0), jnp.zeros((1, 2), jnp.int32), train=False)

    def step(state, tokens):
        return learner.minimize(state, loss_fn, {"tokens": tokens}, jax.random.key(1))

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
            "ln1": gain(), "ln2": gain(), "qkv": normal(128, 384), "qkv_bias": jnp.zeros(384),
            "out": normal(128, 128), "out_bias": jnp.zeros(128), "up": normal(128, 512),
            "up_bias": jnp.zeros(512), "down": normal(512, 128), "down_bias": jnp.zeros(128),
        }
        for _ in range(4)
    ]  # fmt: skip
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


def test_tokens_per_second_beside_the_plainest_step():
    batch = np.random.default_rng(0).integers(0, 65, (ROWS, LENGTH + 1)).astype(np.int32)
    runs = {}
    for name, (state, step) in {"ours": ours(), "peer": peer()}.items():
        compiled = functools.partial(jax.jit(step, donate_argnums=0), tokens=batch)
        for _ in range(3):
            state, metrics = compiled(state)
        runs[name] = [compiled, state, []]
    assert count(ours()[0].params) == count(peer()[0][0]), "the same model"
    for _ in range(PAIRS):
        for run in runs.values():
            compiled, state, times = run
            start = time.perf_counter()
            for _ in range(STEPS):
                state, metrics = compiled(state)
            jax.block_until_ready((state, metrics))
            times.append((time.perf_counter() - start) / STEPS)
            run[1] = state
    ratio = statistics.median(a / b for a, b in zip(runs["peer"][2], runs["ours"][2], strict=True))
    tokens = ROWS * LENGTH / min(runs["ours"][2])
    print(f"\nGPT at nanoGPT's CPU setting: {tokens:,.0f} tokens/s, {ratio:.2f} x the plain step")
    assert ratio > 0.8, "what serves large models costs small ones more than a quarter"
