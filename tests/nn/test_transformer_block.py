"""The one block of all Transformers against NumPy: norms, dropouts, activation, masks, names."""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core.tree import named_leaves
from research.nn.attention import causal_mask, empty_cache
from research.nn.transformer_block import Memory, Names, TransformerBlock

B, T, S, D, H, K, F = 2, 6, 5, 12, 3, 4, 20
SIZES = dict(dim=D, num_heads=H, head_dim=K, hidden=F)
GPT_NAMES = Names(attention="", feed_forward_norm="mlp_norm")


def erf_gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / np.sqrt(2)))


def tanh_gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


# What the papers' blocks are, and their activation in NumPy.
KINDS = {
    "vaswani": (
        dict(pre_norm=False, attention_bias=False, activation=nn.relu),
        lambda x: x * (x > 0),
    ),
    "gpt1": (
        dict(pre_norm=False, causal=True, fused=True, epsilon=1e-5, names=GPT_NAMES),
        tanh_gelu,
    ),
    "gpt2": (dict(causal=True, fused=True, epsilon=1e-5, names=GPT_NAMES), tanh_gelu),
    "gpt3": (dict(causal=True, fused=True, window=3, epsilon=1e-5), tanh_gelu),
    "bert": (
        dict(
            pre_norm=False,
            epsilon=1e-2,  # 1e-12 there; here large enough to be seen
            activation=functools.partial(nn.gelu, approximate=False),
        ),
        erf_gelu,
    ),
    "cross": (dict(cross=True, causal=True), tanh_gelu),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


@functools.cache
def made(kind):
    """A block, its parameters far from their start, inputs, and a memory `[B, S, D]`."""
    block = TransformerBlock(**SIZES, **KINDS[kind][0])
    keys = iter(jax.random.split(jax.random.key(0), 100))
    x = jax.random.normal(next(keys), (B, T, D))
    memory = jax.random.normal(next(keys), (B, S, D))
    init = functools.partial(apply_whole, block, train=False)
    params = nn.init(lambda block, *inputs: init(*inputs, bound=block), block)(
        jax.random.key(1), x, memory
    )["params"]
    params = jax.tree.map(lambda p: p + 0.3 * jax.random.normal(next(keys), p.shape), params)
    return block, params, x, memory


def apply_whole(block, x, memory, bound, train, **options):
    """`__call__`, with the memory where there is cross-attention; one of its keys is hidden."""
    if block.cross:
        mask = (jnp.arange(S) != 2)[None, None, None]
        options["memory"] = Memory(bound.memory_keys_values(memory), mask)
    return bound(x, train, **options)


def run(kind, train=False, rngs=None, **options):
    block, params, x, memory = made(kind)
    whole = lambda bound: apply_whole(block, x, memory, bound, train, **options)  # noqa: E731
    return nn.apply(whole, block)({"params": params}, rngs=rngs)


def norm(params, x, epsilon):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * params["scale"] + params["bias"]


def dense(params, x):
    return x @ params["kernel"] + params.get("bias", 0.0)


def heads_of(params, x, memory):
    """Queries, keys and values, each `[B, T, H, K]`."""
    if "qkv" in params:
        kernel = params["qkv"]["kernel"]  # [D, 3, H, K]
        qkv = np.einsum("btd,dnhk->nbthk", x, kernel)
        return qkv + params["qkv"]["bias"][:, None, None]
    inputs = {"query": x, "key": memory, "value": memory}
    return [dense(params[n], v).reshape(*v.shape[:2], H, K) for n, v in inputs.items()]


def attention(params, x, memory, mask, factor):
    query, keys, values = heads_of(params, x, memory)
    scores = np.einsum("bthk,bshk->bhts", query, keys) / np.sqrt(K)
    scores = np.exp(np.where(mask, scores, -np.inf))
    weights = factor * scores / scores.sum(-1, keepdims=True)
    mixed = np.einsum("bhts,bshk->bthk", weights, values).reshape(B, -1, H * K)
    kernel = params["out"]["kernel"].reshape(H * K, D)
    return mixed @ kernel + params["out"].get("bias", 0.0)


def reference(kind, mask, factors=(1.0, 1.0, 1.0)):
    """The block in NumPy; `factors` are what its three kinds of dropout multiply by."""
    block, params, x, memory = made(kind)
    params, x, memory = jax.tree.map(lambda p: np.asarray(p, np.float64), (params, x, memory))
    residual, weights, hidden = factors

    def sublayer(name, x, f):
        normed = functools.partial(norm, params[name], epsilon=block.epsilon)
        if block.pre_norm:
            return x + residual * f(normed(x))
        return normed(x + residual * f(x))

    def feed_forward(y):
        return dense(params["contract"], hidden * KINDS[kind][1](dense(params["expand"], y)))

    own = params if block.names.attention == "" else params["attention"]
    x = sublayer("attention_norm", x, lambda y: attention(own, y, y, mask, weights))
    if block.cross:
        seen, cross = np.arange(S) != 2, params["cross_attention"]
        x = sublayer("cross_norm", x, lambda y: attention(cross, y, memory, seen, weights))
    return sublayer(block.names.feed_forward_norm, x, feed_forward)


def own_mask(kind):
    options = KINDS[kind][0]
    distance = np.arange(T)[:, None] - np.arange(T)
    mask = np.ones((T, T), bool)
    if options.get("causal"):
        mask &= distance >= 0
    if options.get("window"):
        mask &= distance < options["window"]
    return mask


@each_kind
def test_equals_numpy(kind):
    out, weights = run(kind)
    np.testing.assert_allclose(out, reference(kind, own_mask(kind)), atol=2e-4)
    assert weights is None


@each_kind
def test_a_mask_comes_on_top_of_what_the_block_hides_itself(kind):
    padding = np.ones((B, 1, 1, T), bool)
    padding[0, ..., 1] = padding[1, ..., 4:] = False
    out, weights = run(kind, mask=jnp.asarray(padding), return_weights=True)
    both = own_mask(kind) & padding
    np.testing.assert_allclose(out, reference(kind, both), atol=2e-4)
    assert not np.any(np.asarray(weights.own)[~np.broadcast_to(both, weights.own.shape)])
    np.testing.assert_allclose(weights.own.sum(-1), 1.0, atol=1e-5)
    assert (weights.cross is None) == (not made(kind)[0].cross)


@each_kind
def test_dropout_falls_on_weights_on_the_activation_and_on_what_is_added(kind, monkeypatch):
    """Each kind of dropout multiplies by a number of its own, and so does the reference."""

    def multiply(self, x, deterministic):
        return x if deterministic else (1 + self.rate) * x

    block, params, x, memory = made(kind)
    dropping = block.clone(dropout=0.5, attention_dropout=0.25, hidden_dropout=0.125)
    monkeypatch.setattr(nn.Dropout, "__call__", multiply)

    def whole(bound, train):
        return apply_whole(block, x, memory, bound, train)[0]

    out = nn.apply(functools.partial(whole, train=True), dropping)({"params": params})
    expected = reference(kind, own_mask(kind), factors=(1.5, 1.25, 1.125))
    np.testing.assert_allclose(out, expected, atol=4e-4)
    out = nn.apply(functools.partial(whole, train=False), dropping)({"params": params})
    np.testing.assert_allclose(out, reference(kind, own_mask(kind)), atol=2e-4)


def test_dropout_draws_by_the_key():
    block, params, x, _ = made("bert")
    block = block.clone(dropout=0.3, attention_dropout=0.3, hidden_dropout=0.3)

    def train(seed):
        return block.apply({"params": params}, x, True, rngs={"dropout": jax.random.key(seed)})[0]

    assert np.array_equal(train(0), train(0)) and not np.allclose(train(0), train(1))


@pytest.mark.parametrize("kind", ["gpt1", "gpt2", "gpt3", "cross"])
@pytest.mark.parametrize("filled", [0, 3])
def test_steps_give_what_the_whole_gives(kind, filled):
    block, params, x, memory = made(kind)
    expected = run(kind)[0]

    def decode(bound):
        memory_of = None
        if block.cross:
            mask = (jnp.arange(S) != 2)[None, None, None]
            memory_of = Memory(bound.memory_keys_values(memory), mask)
        cache = empty_cache(B, T + 1, H, K, jnp.float32)
        outputs = []
        if filled:
            y, new = bound.prefill(x[:, :filled], memory=memory_of)
            cache = jax.tree.map(lambda c, n: c.at[:, :filled].set(n), cache, new)
            outputs.append(y)
        for t in range(filled, T):
            y, cache = bound.step(x[:, t : t + 1], cache, t, memory=memory_of)
            outputs.append(y)
        return jnp.concatenate(outputs, axis=1)

    np.testing.assert_allclose(nn.apply(decode, block)({"params": params}), expected, atol=1e-4)


@pytest.mark.parametrize("fused", [True, False])
def test_kernels_start_with_the_deviations_asked_for(fused):
    block = TransformerBlock(
        dim=64,
        num_heads=4,
        head_dim=16,
        hidden=256,
        fused=fused,
        kernel_init=nn.initializers.normal(0.02),
        residual_init=nn.initializers.normal(0.005),
    )
    params = block.init(jax.random.key(0), jnp.zeros((1, 3, 64)), False)["params"]
    found = {
        name.split("/")[-2]: np.std(v) for name, v in named_leaves(params).items() if v.ndim > 1
    }
    assert set(found) == {
        *(("qkv",) if fused else ("query", "key", "value")),
        "out",
        "expand",
        "contract",
    }
    for name, std in found.items():
        assert std == pytest.approx(0.005 if name in ("out", "contract") else 0.02, rel=0.06), name
    assert not any(np.any(v) for name, v in named_leaves(params).items() if name.endswith("bias"))


def test_names_are_the_callers_and_change_nothing_else():
    block, params, x, _ = made("gpt2")
    assert set(params) == {"qkv", "out", "expand", "contract", "attention_norm", "mlp_norm"}
    nested = {
        "attention": {"qkv": params["qkv"], "out": params["out"]},
        "attention_norm": params["attention_norm"],
        "expand": params["expand"],
        "contract": params["contract"],
        "feed_forward_norm": params["mlp_norm"],
    }
    other = block.clone(names=Names()).apply({"params": nested}, x, False)[0]
    np.testing.assert_array_equal(other, block.apply({"params": params}, x, False)[0])


def test_other_norms_serve():
    block = TransformerBlock(**SIZES, norm=nn.RMSNorm, epsilon=1e-5)
    x = made("gpt2")[2]
    params = block.init(jax.random.key(0), x, False)["params"]
    assert set(params["attention_norm"]) == {"scale"}


def test_a_causal_block_is_one_with_a_causal_mask():
    block, params, x, _ = made("gpt2")
    masked = block.clone(causal=False).apply({"params": params}, x, False, causal_mask(T))[0]
    np.testing.assert_allclose(masked, block.apply({"params": params}, x, False)[0], atol=1e-5)


def test_a_window_without_causality_is_refused():
    with pytest.raises(ValueError, match="causal"):
        TransformerBlock(**SIZES, window=2).init(jax.random.key(0), jnp.zeros((1, 2, D)), False)


@each_kind
def test_every_parameter_gets_a_gradient(kind):
    block, params, x, memory = made(kind)
    target = jax.random.normal(jax.random.key(9), x.shape)

    def loss(params):
        whole = lambda bound: apply_whole(block, x, memory, bound, False)[0]  # noqa: E731
        return jnp.mean((nn.apply(whole, block)({"params": params}) - target) ** 2)

    for name, grad in named_leaves(jax.grad(loss)(params)).items():
        if name.endswith("key/bias"):  # softmax does not see what all scores share
            continue
        assert np.abs(grad).max() > 1e-6, name
