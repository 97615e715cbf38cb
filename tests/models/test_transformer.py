"""The transformer's properties: counts, causality, masks, tying, incremental decoding."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.models import transformer
from research.models.sizes import TRANSFORMER as VARIANTS
from research.models.transformer import Transformer

V, S, T = 19, 6, 5
SMALL = dict(layers=2, dim=8, num_heads=2, head_dim=4, hidden=12, dropout=0.0)


def build(**changes):
    return Transformer(V, **{**SMALL, **changes})


@functools.cache
def inputs():
    keys = jax.random.split(jax.random.key(0))
    source = jax.random.randint(keys[0], (2, S), 3, V)
    return source.at[0, 4:].set(0), jax.random.randint(keys[1], (2, T), 3, V)


def initialised(**changes):
    model = build(**changes)
    init = jax.jit(functools.partial(model.init, train=False))
    return model, init(jax.random.key(1), *inputs())


@functools.cache
def jitted(model):
    return jax.jit(functools.partial(model.apply, train=False))


def forward(model, variables, source, target):
    return jitted(model)(variables, source, target)[0]


@pytest.mark.parametrize(
    ("variant", "vocab", "bias", "count"),
    [
        ("base", 37_000, False, 63_045_632),
        ("big", 37_000, False, 214_171_648),
        ("base", 32_000, False, 60_485_632),
        ("base", 37_000, True, 63_082_496),
        ("big", 37_000, True, 214_245_376),
    ],
)
def test_parameter_counts(variant, vocab, bias, count):
    model = Transformer(vocab, **VARIANTS[variant], attention_bias=bias)
    init = functools.partial(model.init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), *(jnp.zeros((1, 3), jnp.int32),) * 2)
    assert sum(x.size for x in jax.tree.leaves(shapes)) == count


def decode(module, memory, x, source):
    """The decoder from embedded targets `x` on; what `__call__` does after shifting."""
    self_mask = transformer.causal_mask(T) & transformer.padding_mask(jnp.ones((2, T), bool))
    shared = (memory, self_mask, transformer.padding_mask(source != 0), False)
    return module.decoder.decode(x, None, shared)[0]


def leak(model, variables):
    """Largest gradient of a position's output with respect to an input behind it."""
    source, target = inputs()
    memory = model.apply(variables, source, train=False, method="encode")[0]
    x = model.apply(variables, target, method="_embed")

    probe = jax.random.normal(jax.random.key(4), (model.dim,))  # a plain sum is zero after a norm

    @jax.jit
    @jax.jacobian
    def gradients(x):
        out = model.apply(variables, memory, x, source, method=decode)
        return (out * probe).sum((0, 2))

    by_position = np.abs(gradients(x)).max((1, 3))  # [output, input]
    assert np.all(by_position[np.tril_indices(T)] > 1e-3)
    return by_position[np.triu_indices(T, 1)].max()


def test_no_output_depends_on_a_later_input():
    assert leak(*initialised()) == 0.0


def test_an_unmasked_future_is_caught(monkeypatch):
    model, variables = initialised()
    monkeypatch.setattr(transformer, "causal_mask", lambda n: jnp.ones((1, 1, n, n), bool))
    assert leak(model, variables) > 1e-3


def test_targets_are_shifted_right():
    model, variables = initialised()
    source, target = inputs()
    logits = forward(model, variables, source, target)
    for t in range(T):  # a token changes the logits behind it, not its own
        other = target.at[:, t].set(3 + (target[:, t] - 2) % 16)
        changed = forward(model, variables, source, other)
        np.testing.assert_array_equal(changed[:, : t + 1], logits[:, : t + 1])
        assert t == T - 1 or np.any(changed[:, t + 1] != logits[:, t + 1])


@pytest.mark.parametrize(
    "changes",
    [{}, {"pre_norm": True, "positions": "learned", "attention_bias": True}],
    ids=("paper", "options"),
)
def test_incremental_decoding_gives_the_logits_of_the_full_forward(changes):
    model, variables = initialised(**changes)
    source, target = inputs()
    expected = forward(model, variables, source, target)
    start = jax.jit(functools.partial(model.apply, method="start"), static_argnums=2)
    state = start(variables, source, T + 2)
    step = jax.jit(functools.partial(model.apply, method="step"))
    token = jnp.full(2, model.bos_id)
    for t in range(T):
        state, logits = step(variables, state, token)
        np.testing.assert_allclose(logits, expected[:, t], atol=1e-4)
        token = target[:, t]


def test_order_of_the_source_matters_through_positions_alone():
    source, target = inputs()
    source = source.at[0, 4:].set(5)
    shuffled = source[:, jnp.array([3, 1, 5, 0, 2, 4])]
    for positions, same in (("none", True), ("sinusoid", False), ("learned", False)):
        model, variables = initialised(positions=positions)
        a, b = (forward(model, variables, s, target) for s in (source, shuffled))
        assert (np.abs(a - b).max() < 1e-5) == same


def test_encoder_is_permutation_equivariant_without_positions():
    model, variables = initialised(positions="none")
    source, order = inputs()[0], jnp.array([3, 1, 5, 0, 2, 4])
    encode = jax.jit(functools.partial(model.apply, variables, train=False, method="encode"))
    np.testing.assert_allclose(encode(source)[0][:, order], encode(source[:, order])[0], atol=1e-5)


def test_padding_changes_nothing():
    model, variables = initialised()
    source, target = inputs()
    logits = forward(model, variables, source, target)
    longer = jnp.pad(source, ((0, 0), (0, 3)))
    np.testing.assert_allclose(forward(model, variables, longer, target), logits, atol=1e-5)
    # What the embedding of padding is does not matter either.
    table = variables["params"]["embedding"].at[model.pad_id].add(3.0)
    changed = {"params": {**variables["params"], "embedding": table}}
    other = forward(model, changed, source, target)
    np.testing.assert_allclose(other[..., 1:], logits[..., 1:], atol=1e-5)


def test_unmasked_padding_is_caught(monkeypatch):
    model, variables = initialised()
    source, target = inputs()
    logits = forward(model, variables, source, target)
    monkeypatch.setattr(transformer, "padding_mask", lambda valid: jnp.ones((1, 1, 1, 1), bool))
    longer = jnp.pad(source, ((0, 0), (0, 3)))
    broken = jax.jit(functools.partial(model.apply, train=False))  # traced anew, without the mask
    assert np.abs(broken(variables, longer, target)[0] - logits).max() > 1e-3


def test_tied_table_gets_gradient_from_its_three_places():
    model, variables = initialised()
    source, target = inputs()
    direction = jax.random.normal(jax.random.key(3), (V, model.dim))

    def loss(amounts):
        """The table moved along `direction`, by another amount in each place it is used in."""
        tables = [variables["params"]["embedding"] + a * direction for a in amounts]

        def with_table(i):
            return {"params": {**variables["params"], "embedding": tables[i]}}

        memory, _ = model.apply(with_table(0), source, train=False, method="encode")
        x = model.apply(with_table(1), target, method=embed)
        hidden = model.apply(with_table(1), memory, x, source, method=decode)
        logits = model.apply(with_table(2), hidden, method="_logits")
        picked = jnp.take_along_axis(jax.nn.log_softmax(logits), target[..., None], -1)
        return -jnp.sum(picked)

    def embed(module, target):
        shifted = jnp.pad(target[:, :-1], ((0, 0), (1, 0)), constant_values=module.bos_id)
        return module.target_positions(module._embed(shifted))

    def tied(amount):
        table = variables["params"]["embedding"] + amount * direction
        params = {"params": {**variables["params"], "embedding": table}}
        logits = forward(model, params, source, target)
        picked = jnp.take_along_axis(jax.nn.log_softmax(logits), target[..., None], -1)
        return -jnp.sum(picked)

    parts = jax.jit(jax.grad(loss))(jnp.zeros(3))
    assert np.all(np.abs(parts) > 1e-3)
    np.testing.assert_allclose(jax.jit(jax.grad(tied))(0.0), parts.sum(), rtol=1e-4)
    numeric = (tied(3e-3) - tied(-3e-3)) / 6e-3
    np.testing.assert_allclose(numeric, parts.sum(), rtol=1e-2)


def embedding_scale(model, variables):
    embedded = model.apply(variables, inputs()[1], method="_embed")
    return float(jnp.std(embedded) / jnp.std(variables["params"]["embedding"]))


def test_embeddings_are_scaled_by_the_root_of_the_width(monkeypatch):
    model, variables = initialised(dim=64)
    assert embedding_scale(model, variables) == pytest.approx(8.0, rel=0.1)
    unscaled = lambda self, tokens: jnp.take(self.table, tokens, axis=0)  # noqa: E731
    monkeypatch.setattr(Transformer, "_embed", unscaled)
    assert embedding_scale(model, variables) == pytest.approx(1.0, rel=0.1)


def test_post_norm_is_the_norm_of_the_sum():
    model, variables = initialised()
    source, target = inputs()
    # The last thing before the logits is the decoder's last norm: zero mean, unit variance.
    _, seen = jitted(model)(variables, source, target)
    memory = seen["memory"]
    np.testing.assert_allclose(memory.mean(-1), 0.0, atol=1e-5)
    np.testing.assert_allclose(memory.var(-1), 1.0, atol=1e-2)
    names = set(variables["params"])
    assert names == {"embedding", "encoder", "decoder"}  # no norm outside the layers
    assert {"encoder_norm", "decoder_norm"} < set(initialised(pre_norm=True)[1]["params"])


def test_every_parameter_gets_a_gradient():
    model, variables = initialised(positions="learned", attention_bias=True, pre_norm=True)
    source, target = inputs()

    def loss(params):
        logits = forward(model, {"params": params}, source, target)
        return jnp.sum(jnp.square(jax.nn.softmax(logits)))

    grads = jax.jit(jax.grad(loss))(variables["params"])
    for path, grad in jax.tree_util.tree_flatten_with_path(grads)[0]:
        # A bias of the keys moves all scores of a query alike: its gradient is zero by nature.
        if "key']['bias" in jax.tree_util.keystr(path):
            continue
        largest = np.abs(grad).reshape(grad.shape[0], -1).max()
        assert largest > 0.0, path


def test_intermediates_and_dropout():
    model, variables = initialised(dropout=0.5)
    source, target = inputs()
    _, seen = jitted(model)(variables, source, target)
    assert seen["encoder_attention"].shape == (2, 2, 2, S, S)
    assert seen["decoder_attention"].shape == (2, 2, 2, T, T)
    assert seen["cross_attention"].shape == (2, 2, 2, T, S)
    assert not np.any(seen["cross_attention"][:, 0, :, :, 4:])

    @jax.jit
    def train(key):
        return model.apply(variables, source, target, train=True, rngs={"dropout": key})[0]

    a, b, c = (train(jax.random.key(i)) for i in (0, 0, 1))
    assert np.array_equal(a, b) and not np.allclose(a, c)


def test_bfloat16_is_close_and_logits_stay_float32():
    model, variables = initialised()
    source, target = inputs()
    logits = forward(model.clone(dtype=jnp.bfloat16), variables, source, target)
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, forward(model, variables, source, target), atol=0.15)


def layer_norm(params, x):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * params["scale"] + params["bias"]


def attend(params, x, memory, mask):
    """Multi-head attention without biases (section 3.2)."""

    def heads(name, x):
        return (x @ params[name]["kernel"]).reshape(*x.shape[:2], SMALL["num_heads"], -1)

    query, keys, values = heads("query", x), heads("key", memory), heads("value", memory)
    scores = np.einsum("bthk,bshk->bhts", query, keys) / np.sqrt(SMALL["head_dim"])
    scores = np.exp(np.where(mask, scores, -np.inf))
    mixed = np.einsum("bhts,bshk->bthk", scores / scores.sum(-1, keepdims=True), values)
    kernel = params["out"]["kernel"].reshape(-1, SMALL["dim"])
    return mixed.reshape(*mixed.shape[:2], -1) @ kernel


def reference(params, source, target, dropped):
    """Logits as section 3 has them; dropout multiplies by `dropped` wherever section 5.4 drops."""
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    dim = SMALL["dim"]

    def embed(tokens):
        angle = np.arange(tokens.shape[1])[:, None] / 10_000 ** (np.arange(0, dim, 2) / dim)
        signal = np.stack([np.sin(angle), np.cos(angle)], -1).reshape(-1, dim)
        return dropped * (params["embedding"][tokens] * np.sqrt(dim) + signal)

    def feed_forward(layer, x):
        hidden = x @ layer["hidden_layer"]["kernel"] + layer["hidden_layer"]["bias"]
        out = layer["output_layer"]
        y = np.maximum(hidden, 0) @ out["kernel"] + out["bias"]
        return layer_norm(layer["feed_forward_norm"], x + dropped * y)

    seen = (np.asarray(source) != 0)[:, None, None]
    x = embed(np.asarray(source))
    for i in range(SMALL["layers"]):
        layer = jax.tree.map(lambda p, i=i: p[i], params["encoder"])
        y = attend(layer["attention"], x, x, seen)
        x = feed_forward(layer, layer_norm(layer["attention_norm"], x + dropped * y))
    memory, x = x, embed(np.pad(np.asarray(target)[:, :-1], ((0, 0), (1, 0)), constant_values=1))
    for i in range(SMALL["layers"]):
        layer = jax.tree.map(lambda p, i=i: p[i], params["decoder"])
        y = attend(layer["self_attention"], x, x, np.tril(np.ones((T, T), bool)))
        x = layer_norm(layer["self_norm"], x + dropped * y)
        y = attend(layer["cross_attention"], x, memory, seen)
        x = feed_forward(layer, layer_norm(layer["cross_norm"], x + dropped * y))
    return x @ params["embedding"].T


@pytest.mark.parametrize("train", [False, True], ids=("testing", "training"))
def test_equals_numpy(train, monkeypatch):
    """In training, every dropout multiplies by 1 + its rate in place of dropping."""
    monkeypatch.setattr(
        nn.Dropout,
        "__call__",
        lambda self, x, deterministic: x if deterministic else (1 + self.rate) * x,
    )
    model, variables = initialised(dropout=0.5)
    keys = iter(jax.random.split(jax.random.key(5), 100))
    params = jax.tree.map(  # biases and gains are to matter
        lambda p: p + 0.2 * jax.random.normal(next(keys), p.shape), variables["params"]
    )
    logits, _ = jax.jit(functools.partial(model.apply, train=train))({"params": params}, *inputs())
    expected = reference(params, *inputs(), dropped=1.5 if train else 1.0)
    np.testing.assert_allclose(logits, expected, atol=5e-4)


def test_initial_values():
    """Kernels are Glorot's in every layer; the table's rows have length one on average."""
    _, variables = initialised(dim=64, head_dim=32, hidden=96)
    params = variables["params"]
    assert np.std(params["embedding"]) == pytest.approx(64**-0.5, rel=0.05)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = jax.tree_util.keystr(path)
        if name.endswith("['bias']"):
            assert not np.any(leaf), name
        elif name.endswith("['scale']"):
            assert np.all(leaf == 1), name
        elif name.endswith("['kernel']"):
            first, last = (64, 96) if "hidden_layer" in name or "output_layer" in name else (64, 64)
            for layer in leaf:
                expected = (2 / (first + last)) ** 0.5
                assert np.std(layer) == pytest.approx(expected, rel=0.06), name
