"""The script of Bahdanau et al.: its update, its batches, its alignments, its claims."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app
from research.config import load_config, load_module, with_overrides
from research.core import UserError
from research.data.text.pairs import PAD, UNK, SortedBatches
from research.papers.bahdanau_attention.alignments import near_diagonal, on_aligned_words
from research.report.claims import Results

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = load_module(ROOT / "experiments" / "bahdanau_attention.py")
configure = functools.partial(load_config, ROOT / "configs" / "bahdanau_attention.py")


@functools.cache
def smoke():
    """The experiment with the paper's optimizer, and its first state."""
    config = with_overrides(
        configure("smoke"), {"optimizer.name": "adadelta", "optimizer.learning_rate": 1.0}
    )
    experiment = app.build(SCRIPT, config)
    return experiment, jax.jit(experiment.init)(jax.random.key(0))


def test_two_updates_are_adadelta_of_clipped_gradients():
    """Zeiler's algorithm 1 with rho 0.95 and epsilon 1e-6, gradients of a norm of 1 at most."""
    experiment, state = smoke()
    model = experiment.model

    @jax.jit
    @jax.grad
    def gradient(params, source, target):
        logits, _ = model.apply({"params": params}, source, target)
        picked = jnp.take_along_axis(jax.nn.log_softmax(logits), target[..., None], axis=-1)
        return -jnp.sum(picked[..., 0] * (target != PAD)) / len(source)

    x = jax.tree.map(np.asarray, state["learner"].params)
    squares, steps = (jax.tree.map(np.zeros_like, x) for _ in range(2))
    advance = jax.jit(experiment.step)
    for t in range(2):
        batch = experiment.source(None)
        g = gradient(x, batch["source"], batch["target"])
        norm = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(g)))
        assert norm > 1.0
        g = jax.tree.map(lambda leaf, norm=norm: np.asarray(leaf) / norm, g)
        squares = jax.tree.map(lambda e, leaf: 0.95 * e + 0.05 * leaf**2, squares, g)
        move = jax.tree.map(
            lambda d, e, leaf: -np.sqrt(d + 1e-6) / np.sqrt(e + 1e-6) * leaf, steps, squares, g
        )
        steps = jax.tree.map(lambda d, m: 0.95 * d + 0.05 * m**2, steps, move)
        x = jax.tree.map(np.add, x, move)
        state, metrics = advance(state, batch, t, jax.random.key(t))
        assert float(metrics["grad_norm"]) == pytest.approx(norm, rel=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-6),
        state["learner"].params,
        x,
    )


def test_batches_are_sorted_by_length_twenty_at_a_time():
    config = configure("paper")
    assert (config.data.sentences_per_batch, config.data.sorted_batches) == (80, 20)
    experiment, _ = smoke()
    source = SortedBatches(experiment.text, [12, 18, 28], 8, 5, seed=3)
    source.open()
    longest, seen = [], set()
    while source.epoch == 0:
        batch = source(None)
        sizes = np.maximum(*((batch[side] != PAD).sum(axis=1) for side in ("source", "target")))
        assert batch["source"].shape == batch["target"].shape
        assert batch["source"].shape[1] == min(n for n in (12, 18, 28) if n >= sizes.max())
        longest.append((sizes.min(), sizes.max()))
        seen |= {tuple(row) for row in np.pad(batch["source"], ((0, 0), (0, 28)))[:, :28].tolist()}
    assert len(longest) == len(experiment.text.pairs("train")) // 40 * 5
    assert len(seen) == 8 * len(longest), "every pair once"
    groups = np.array(longest).reshape(-1, 5, 2)
    assert np.all(groups[:, :-1, 1] <= groups[:, 1:, 0]), "ascending within each group"
    # Batch t is a function of the seed and t: one that is set to a place goes on from there.
    state = source.get_state()
    expected = source(None)
    other = SortedBatches(experiment.text, [12, 18, 28], 8, 5, seed=3)
    other.set_state(state)
    jax.tree.map(np.testing.assert_array_equal, other(None), expected)


def test_processes_share_one_global_batch(monkeypatch):
    experiment, _ = smoke()

    def first():
        return SortedBatches(experiment.text, [28], 8, 5, seed=3)(None)

    whole, parts = first(), []
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    for index in range(2):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        parts.append(first())
    joined = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    jax.tree.map(np.testing.assert_array_equal, joined, whole)


def test_published_count_is_that_of_appendix_a():
    k, m, n, half, a = 30_000, 620, 1000, 500, 1000
    gru = 3 * n * (m + n + 1)
    encoder, decoder = 2 * gru, gru + 3 * n * 2 * n
    alignment = a * (n + 2 * n) + a + a
    output = 2 * half * (n + m + 2 * n + 1) + k * (half + 1)
    total = 2 * k * m + encoder + n * (n + 1) + alignment + decoder + output
    assert SCRIPT.PAPER.parameters["rnnsearch"] == total
    assert total - (k + 6 * n + n + a + 3 * n + 2 * half) == 80_401_000  # without biases


def test_alignments_are_those_of_each_pair_alone():
    experiment, state = smoke()
    params = state["learner"].params
    pairs = experiment.text.encoded("test")[:3]
    together = experiment.alignments(params, pairs)
    for (source, target), weights in zip(pairs, together, strict=True):
        assert weights.shape == (len(target), len(source))
        np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-5)
        alone = experiment.alignment(params, {"source": source[None], "target": target[None]})
        np.testing.assert_allclose(weights, alone[0], atol=1e-6)


def test_shares_of_weight_on_diagonals_and_on_words():
    assert near_diagonal([np.eye(6), np.eye(9)[:, ::-1][:1]]) == pytest.approx(6 / 7)
    wide = np.zeros((3, 9))
    wide[[0, 1, 2], [0, 4, 8]] = 1.0  # the corners are joined, whatever the lengths
    assert near_diagonal([wide]) == 1.0
    assert near_diagonal([np.full((10, 10), 0.1)]) < 0.5
    a = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.0, 1.0, 0.0]])
    # The last word renders none; the second renders two.
    assert on_aligned_words([a], [((0, 0), (1, 1), (2, 1))]) == pytest.approx((0.5 + 0.9) / 2)


def test_demo_translates_with_a_map_and_refuses_what_it_does_not_know():
    experiment, state = smoke()
    demo = SCRIPT.demo(experiment, state)
    found = demo.run(**demo.defaults())
    assert set(found) == set(demo.outputs) == {"translation", "alignment"}
    assert found["alignment"].dtype == np.uint8 and found["alignment"].shape[2] == 3
    with pytest.raises(UserError, match="word"):
        demo.run(sentence="zzz", beam=2)
    assert experiment.text.encode_source("zzz dog")[0] == UNK


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--config.optimizer.name=sgdm", "optimizer.name is"),
        ("--config.data.sorted_batches=0", "data.sorted_batches"),
        ("--config.data.sorted_batches=90", "lower data.sentences_per_batch"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(flag, words, tmp_path, capsys):
    config = str(ROOT / "configs" / "bahdanau_attention.py") + ":smoke"
    flags = ["--config", config, flag, "--workdir", str(tmp_path / "run")]
    assert app.main(SCRIPT, flags) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and words in error and "\n" not in error
    assert not (tmp_path / "run").exists()


def holding(search=None, encdec=None):
    both = {"required/bleu": [50.0], "required/gap": [10.0]}
    aligned = {"test/near_diagonal": [0.7], "test/on_aligned_words": [0.8]}
    arms = {
        "rnnencdec": {**both, "test/bleu": [30.0], "test/kept": [0.3], **(encdec or {})},
        "rnnsearch": {
            **both,
            **aligned,
            "test/bleu": [80.0],
            "test/kept": [0.9],
            **(search or {}),
        },
    }
    arms = {a: {m: np.array(v) for m, v in numbers.items()} for a, numbers in arms.items()}
    return [claim.holds for claim in SCRIPT.claims(Results(arms))]


def test_claims_hold_for_a_faithful_run_and_name_what_fails():
    assert holding() == [True] * 6
    assert holding({"test/bleu": [39.0]}) == [False, False, True, True, True, True]
    assert holding({"test/kept": [0.5]}) == [True, True, False, True, True, True]
    assert holding(encdec={"test/kept": [0.6]}) == [True, True, True, False, True, True]
    assert holding({"test/near_diagonal": [0.4]}) == [True, True, True, True, False, True]
    assert holding({"test/on_aligned_words": [0.4]}) == [True] * 5 + [False]
