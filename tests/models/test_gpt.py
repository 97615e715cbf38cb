"""GPT's properties: causality, bands, remat, initialisation, cached decoding."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core.errors import UserError
from research.models.gpt import GPT
from research.nn import transformer_block
from research.papers.gpt.residual_growth import residual_growth

V, T = 19, 12
SMALL = dict(vocab_size=V, layers=2, dim=16, num_heads=2, head_dim=8, hidden=24, max_length=20)
KINDS = {
    "gpt1": dict(pre_norm=False),
    "gpt2": {},
    "gpt3": dict(window=4),
}

each_kind = pytest.mark.parametrize("kind", KINDS)


@functools.cache
def tokens():
    return jax.random.randint(jax.random.key(0), (2, T), 0, V)


def initialised(**changes):
    model = GPT(**{**SMALL, **changes})
    return model, model.init(jax.random.key(1), tokens(), train=False)


def forward(model, variables, tokens):
    return model.apply(variables, tokens, train=False)[0]


def influence(model, variables):
    """`[T, T]`: how much the embedding of token s (column) moves the output at position t (row)."""

    def output(shift):
        # A token and a position are embedded alike: a shift of the position is one of the token.
        table = variables["params"]["position_embedding"].at[:T].add(shift)
        params = {"params": {**variables["params"], "position_embedding": table}}
        return model.apply(params, tokens()[:1], train=False)[1]["hidden"][0]

    jacobian = jax.jacrev(output)(jnp.zeros((T, model.dim)))
    return np.abs(jacobian).max(axis=(1, 3))


@each_kind
def test_no_output_depends_on_a_later_token(kind):
    seen = influence(*initialised(**KINDS[kind]))
    assert np.all(np.triu(seen, 1) == 0.0)
    assert np.all(np.diag(seen) > 0.0) and np.all(seen[:, 0] > 0.0)


def test_an_unmasked_future_is_caught(monkeypatch):
    monkeypatch.setattr(
        transformer_block,
        "causal_attention",
        lambda q, k, v, window: jax.nn.dot_product_attention(q, k, v),
    )
    assert np.triu(influence(*initialised()), 1).max() > 1e-4


def test_banded_layers_alternate_with_dense_ones():
    # All layers banded would see window * layers positions back; one dense layer sees them all.
    model, variables = initialised(window=3)
    assert np.all(np.tril(influence(model, variables)) >= 0.0)
    assert np.all(influence(model, variables)[:, 0] > 0.0)
    bands = variables["params"]["groups"]
    assert set(bands) == {"blocks_0", "blocks_1"}
    with pytest.raises(UserError, match="alternate"):
        initialised(window=3, layers=3)


def test_the_second_layer_of_two_is_the_banded_one():
    model, variables = initialised(window=3)
    # Without the first layer's attention nothing reaches a position from beyond the band.
    groups = variables["params"]["groups"]
    out = jax.tree.map(jnp.zeros_like, groups["blocks_0"]["out"])
    silent = {**groups, "blocks_0": {**groups["blocks_0"], "out": out}}
    seen = influence(model, {"params": {**variables["params"], "groups": silent}})
    distance = np.arange(T)[:, None] - np.arange(T)[None]
    assert np.array_equal(seen > 0, (distance >= 0) & (distance < 3))


@pytest.mark.parametrize("remat", ["dots", "block"])
def test_remat_changes_nothing(remat):
    model, variables = initialised(window=4, dropout=0.3)

    def loss(params, model):
        out = model.apply(
            {"params": params}, tokens(), train=True, rngs={"dropout": jax.random.key(2)}
        )[0]
        return jnp.mean(jnp.square(out))

    plain = jax.value_and_grad(loss)(variables["params"], model)
    again = jax.value_and_grad(loss)(variables["params"], model.clone(remat=remat))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), plain, again)


@each_kind
@pytest.mark.parametrize("prompt", [1, 4])
def test_cached_steps_give_the_logits_of_the_full_forward(kind, prompt):
    """Prompts of different lengths, padded on the left, each as if it were alone."""
    model, variables = initialised(**KINDS[kind])
    expected = forward(model, variables, tokens())
    lengths = jnp.array([prompt, max(prompt - 2, 1)])
    padded = jnp.stack(
        [
            jnp.pad(row[:n], (prompt - n, 0))
            for row, n in zip(tokens(), lengths.tolist(), strict=True)
        ]
    )
    state = model.apply(variables, padded, lengths, T, method="start")
    step = jax.jit(functools.partial(model.apply, method="step"))
    token = padded[:, -1]
    for t in range(T - prompt):
        state, logits = step(variables, state, token)
        for row, n in enumerate(lengths.tolist()):
            np.testing.assert_allclose(logits[row], expected[row, n - 1 + t], atol=1e-4)
        token = jnp.stack([tokens()[row, n + t] for row, n in enumerate(lengths.tolist())])


def test_a_continuation_without_room_is_refused():
    model, variables = initialised()
    start = functools.partial(model.apply, variables, tokens(), jnp.array([T, T]), method="start")
    for room in (T - 1, 21):
        with pytest.raises(UserError, match="do not fit"):
            start(room)


def growth(layers, scale):
    sizes = {"dim": 64, "hidden": 256, "layers": layers, "head_dim": 32}
    model = GPT(**{**SMALL, **sizes}, scale_residual=scale)
    return residual_growth(model, np.asarray(tokens()), seed=3)


def test_scaled_start_keeps_the_residual_stream_from_growing_with_depth():
    scaled, plain = (growth(24, scale) / growth(2, scale) for scale in (True, False))
    assert 0.5 < scaled < 2.0
    assert plain > 4.0


def test_kernels_start_with_the_published_deviations():
    _, variables = initialised(dim=64, hidden=256, head_dim=32, layers=8)
    params = variables["params"]
    block = params["groups"]["blocks_0"]
    for kernel, std in (
        (params["embedding"], 0.02),
        (params["position_embedding"], 0.01),
        (block["qkv"]["kernel"], 0.02),
        (block["expand"]["kernel"], 0.02),
        (block["out"]["kernel"], 0.02 / 4),
        (block["contract"]["kernel"], 0.02 / 4),
    ):
        assert np.std(kernel) == pytest.approx(std, rel=0.06)
    first = initialised(pre_norm=False)[1]["params"]["groups"]["blocks_0"]
    assert np.std(first["contract"]["kernel"]) == pytest.approx(0.02, rel=0.1)


def test_post_norm_is_the_norm_of_the_sum_and_has_no_final_norm():
    model, variables = initialised(pre_norm=False)
    hidden = model.apply(variables, tokens(), train=False)[1]["hidden"]
    np.testing.assert_allclose(hidden.mean(-1), 0.0, atol=1e-5)
    np.testing.assert_allclose(hidden.var(-1), 1.0, atol=1e-2)
    assert "norm" not in variables["params"] and "norm" in initialised()[1]["params"]


def test_attention_dropout_is_on_in_training_alone():
    model, variables = initialised(attention_dropout=0.5)

    def train(key):
        rngs = {"dropout": jax.random.key(key)}
        return model.apply(variables, tokens(), train=True, rngs=rngs)[0]

    assert np.array_equal(train(0), train(0)) and not np.allclose(train(0), train(1))
    full = forward(model.clone(attention_dropout=0.0), variables, tokens())
    np.testing.assert_allclose(forward(model, variables, tokens()), full)


def test_explicit_weights_are_the_attention_they_replace():
    """The path with dropout, at a rate that drops nothing, equals the fused one."""
    model, variables = initialised(window=4, attention_dropout=1e-12)
    rngs = {"dropout": jax.random.key(0)}
    explicit = model.apply(variables, tokens(), train=True, rngs=rngs)[0]
    np.testing.assert_allclose(explicit, forward(model, variables, tokens()), atol=1e-5)


@each_kind
def test_every_parameter_gets_a_gradient(kind):
    model, variables = initialised(**KINDS[kind])
    grads = jax.grad(
        lambda p: jnp.sum(jnp.square(jax.nn.softmax(forward(model, {"params": p}, tokens()))))
    )(variables["params"])
    for path, grad in jax.tree_util.tree_flatten_with_path(grads)[0]:
        assert np.abs(grad).max() > 0.0, path


def test_bfloat16_is_close_and_logits_stay_float32():
    model, variables = initialised()
    logits = forward(model.clone(dtype=jnp.bfloat16), variables, tokens())
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, forward(model, variables, tokens()), atol=0.02)


def layer_norm(params, x):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * params["scale"] + params["bias"]


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def attend(block, x, window, dropped):
    """Causal attention; a banded layer sees the last `window` positions, itself included."""
    kernel, bias = block["qkv"]["kernel"], block["qkv"]["bias"]
    query, keys, values = np.einsum("btd,dnhk->nbthk", x, kernel) + bias[:, None, None]
    distance = np.arange(T)[:, None] - np.arange(T)
    mask = (distance >= 0) & (distance < window)
    scores = np.einsum("bthk,bshk->bhts", query, keys) / np.sqrt(SMALL["head_dim"])
    scores = np.exp(np.where(mask, scores, -np.inf))
    weights = dropped * scores / scores.sum(-1, keepdims=True)
    mixed = np.einsum("bhts,bshk->bthk", weights, values).reshape(2, T, -1)
    return mixed @ block["out"]["kernel"].reshape(-1, SMALL["dim"]) + block["out"]["bias"]


def reference(kind, params, dropped):
    """Logits; the dropouts of embeddings, sublayers and attention weights multiply by `dropped`."""
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    blocks = [
        jax.tree.map(lambda p, i=i: p[i], params["groups"][name])
        for i in range(2 if kind != "gpt3" else 1)
        for name in sorted(params["groups"])
    ]
    windows = (T, KINDS[kind].get("window", T))
    assert len(blocks) == 2
    x = params["embedding"][np.asarray(tokens())] + params["position_embedding"][:T]
    x = dropped * x
    for block, window in zip(blocks, windows, strict=True):

        def feed_forward(y, block=block):
            hidden = gelu(y @ block["expand"]["kernel"] + block["expand"]["bias"])
            return hidden @ block["contract"]["kernel"] + block["contract"]["bias"]

        def attention(y, block=block, window=window):
            return attend(block, y, window, dropped)

        for name, f in (("attention_norm", attention), ("mlp_norm", feed_forward)):
            if kind == "gpt1":
                x = layer_norm(block[name], x + dropped * f(x))
            else:
                x = x + dropped * f(layer_norm(block[name], x))
    return (x if kind == "gpt1" else layer_norm(params["norm"], x)) @ params["embedding"].T


@pytest.mark.parametrize("train", [False, True], ids=("testing", "training"))
@each_kind
def test_equals_numpy(kind, train, monkeypatch):
    """In training, every dropout multiplies by 1 + its rate in place of dropping."""
    monkeypatch.setattr(
        nn.Dropout,
        "__call__",
        lambda self, x, deterministic: x if deterministic else (1 + self.rate) * x,
    )
    model, variables = initialised(**KINDS[kind], dropout=0.5, attention_dropout=0.5)
    keys = iter(jax.random.split(jax.random.key(5), 100))
    params = jax.tree.map(  # biases and gains are to matter
        lambda p: p + 0.3 * jax.random.normal(next(keys), p.shape), variables["params"]
    )
    logits, _ = jax.jit(functools.partial(model.apply, train=train))({"params": params}, tokens())
    expected = reference(kind, params, dropped=1.5 if train else 1.0)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-3)
