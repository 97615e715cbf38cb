"""The script: its loss, its update, its measures, its sounds, its demo and its claims."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app
from research.config import load_config, load_module, with_overrides
from research.core import UserError
from research.data.audio import mu_law
from research.data.procedural import voices
from research.report.claims import Results

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = load_module(ROOT / "experiments" / "wavenet.py")
configure = functools.partial(load_config, ROOT / "configs" / "wavenet.py")


@functools.cache
def built(arm):
    """The experiment of an arm at the sizes of the smoke run, its first state, and a batch.

    «speech» is not among the arms of the smoke run.
    """
    config = configure("smoke")
    overrides = config.arms[arm] if arm in config.arms else configure("").arms[arm]
    experiment = app.build(SCRIPT, with_overrides(config, {**overrides}))
    experiment.source.open()
    return experiment, jax.jit(experiment.init)(jax.random.key(0)), experiment.source(None)


def log_softmax(x):
    x = np.asarray(x, np.float64)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def test_the_loss_is_the_mean_over_samples_and_over_frames():
    """Of those that there are: not of what fills up a crop."""
    experiment, state, batch = built("mel")
    batch = {name: value.copy() for name, value in batch.items()}
    batch["samples"][0, 240:], batch["classes"][0, 3:] = -1, -1
    variables = experiment.learner.eval_variables(state)
    apply = jax.jit(experiment.net.apply)
    logits, more = apply(variables, batch["samples"], batch["speaker"], batch["local"])
    heard, known = batch["samples"] >= 0, batch["classes"] >= 0
    nats = -np.take_along_axis(log_softmax(logits), batch["samples"][..., None], -1)[..., 0]
    frames = -np.take_along_axis(log_softmax(more["classes"]), batch["classes"][..., None], -1)
    loss, aux = jax.jit(experiment.loss)(variables, batch, jax.random.key(0))
    assert aux.metrics["nats"] == pytest.approx(nats[heard].mean(), rel=1e-5)
    assert aux.metrics["frame_nats"] == pytest.approx(frames[known].mean(), rel=1e-5)
    assert loss == pytest.approx(nats[heard].mean() + frames[known].mean(), rel=1e-5)
    assert aux.weight == heard.sum()


def test_a_first_prediction_knows_nothing_and_costs_what_bins_do():
    experiment, state, batch = built("dilated")
    variables = experiment.learner.eval_variables(state)
    loss, _ = jax.jit(experiment.loss)(variables, batch, jax.random.key(0))
    assert abs(float(loss) - np.log(16)) < 0.3


def test_the_update_is_adams_at_a_rate_that_falls_along_a_line():
    experiment, state, batch = built("dilated")
    grads = jax.jit(jax.grad(lambda p: experiment.loss({"params": p}, batch, None)[0]))
    moments = jax.tree.map(lambda x: (0.0 * x, 0.0 * x), state.params)
    is_pair = lambda x: isinstance(x, tuple)  # noqa: E731
    params, step = state.params, jax.jit(experiment.step)
    for t in range(2):
        g = grads(params)
        moments = jax.tree.map(
            lambda m, g: (0.9 * m[0] + 0.1 * g, 0.999 * m[1] + 0.001 * g * g),
            moments,
            g,
            is_leaf=is_pair,
        )
        rate = experiment.config.learning_rate * (1 - t / experiment.num_steps)

        def moved(p, m, t=t, rate=rate):
            mean, square = m[0] / (1 - 0.9 ** (t + 1)), m[1] / (1 - 0.999 ** (t + 1))
            return p - rate * mean / (jnp.sqrt(square) + 1e-8)

        params = jax.tree.map(moved, params, moments)
        state, _ = step(state, batch, jnp.int32(t), jax.random.key(t))
    for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(state.params), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_test_clips_are_measured_whole_and_once():
    experiment, state, _ = built("speech")
    found = experiment.evaluate(state, jax.random.key(0))
    variables = experiment.learner.eval_variables(state)
    apply = jax.jit(experiment.net.apply)

    def mean_nats(change):
        total, count = 0.0, 0
        for row in map(change, experiment.test_rows()[:60]):
            logits, _ = apply(
                variables, row["samples"][None], row["speaker"][None], row["local"][None]
            )
            heard = row["samples"] >= 0
            picked = np.take_along_axis(log_softmax(logits[0]), row["samples"][:, None], -1)[:, 0]
            total, count = total - picked[heard].sum(), count + heard.sum()
        return total / count

    assert len(experiment.test_rows()) == 60
    assert found["test/loss"] == pytest.approx(mean_nats(lambda row: row), rel=1e-5)
    assert found["test/bits"] == pytest.approx(found["test/loss"] / np.log(2))
    swapped = mean_nats(lambda row: {**row, "speaker": (row["speaker"] + 1) % 6})
    assert found["test/loss_swapped"] == pytest.approx(swapped, rel=1e-5) != found["test/loss"]

    def late(row):
        return {**row, "local": np.concatenate([row["local"][-1:], row["local"][:-1]])}

    assert found["test/loss_late"] == pytest.approx(mean_nats(late), rel=1e-5)
    assert found["test/loss_late"] != found["test/loss"]


def test_frames_that_are_wrong_are_counted_against_the_commonest_class():
    experiment, state, _ = built("mel")
    found = experiment.evaluate(state, jax.random.key(0))
    classes = np.concatenate([clip["classes"] for clip in experiment.clips.train])
    commonest = np.bincount(classes).argmax()
    told = np.concatenate([row["classes"] for row in experiment.test_rows()])
    told = told[told >= 0]
    assert found["test/frame_error_of_commonest"] == pytest.approx(100 * np.mean(told != commonest))
    # A head that always says the commonest class is wrong as often as that.
    params = jax.tree.map(jnp.zeros_like, state.params["frame_head"])
    params["Dense_0"]["bias"] = params["Dense_0"]["bias"].at[commonest].set(1.0)
    always = state.replace(params={**state.params, "frame_head": params})
    again = experiment.evaluate(always, jax.random.key(0))
    assert again["test/frame_error"] == pytest.approx(found["test/frame_error_of_commonest"])


def test_what_is_told_is_a_word_in_a_voice():
    experiment, _, _ = built("speech")
    frames, higher = experiment.told(3, 7, 0), experiment.told(3, 7, 0, pitch=2.0)
    phones = [list(voices.PHONES)[i] for i in frames[:, : len(voices.PHONES)].argmax(1)]
    assert "".join(dict.fromkeys(phones)) == "-sevn"
    voiced = frames[:, -3] > 0
    np.testing.assert_allclose(higher[voiced, -2] - frames[voiced, -2], 1.0, atol=1e-5)


def test_speaking_decodes_what_was_drawn():
    experiment, state, _ = built("speech")
    local = experiment.told(0, 1, 0)[None]
    sound, entropy = experiment.speak(state, 3, np.array([0]), local, 1.0)
    assert sound.shape == entropy.shape == (1, local.shape[1] * voices.HOP)
    levels = mu_law.decode(np.arange(16), 16)
    assert (
        np.isin(sound, levels).all() and (entropy > 0).all() and entropy.max() < np.log(16) + 1e-5
    )
    again, _ = experiment.speak(state, 3, np.array([0]), local, 1.0)
    np.testing.assert_array_equal(sound, again)
    other, _ = experiment.speak(state, 4, np.array([0]), local, 1.0)
    assert (sound != other).any()


def test_the_demo_says_a_word_in_a_voice_and_another_word_differs():
    experiment, state, _ = built("speech")
    demo = SCRIPT.demo(experiment, state)
    assert list(demo.inputs) == ["speaker", "word", "pitch", "temperature", "number"]
    said = demo.run(**demo.defaults())
    frames = experiment.told(0, 0, 0)
    assert said["sound"].shape == (len(frames) * voices.HOP,)
    assert said["spectrogram"].dtype == np.uint8 and said["spectrogram"].ndim == 3
    other = demo.run(**{**demo.defaults(), "word": "seven", "speaker": "fritz"})
    assert len(other["sound"]) != len(said["sound"])


def test_the_demo_says_a_recording_again():
    experiment, state, _ = built("mel")
    demo = SCRIPT.demo(experiment, state)
    recording = np.sin(np.arange(5 * voices.HOP + 7)).astype(np.float32)
    said = demo.run(**{**demo.defaults(), "recording": recording})
    assert said["sound"].shape == (5 * voices.HOP,)
    with pytest.raises(UserError, match="shorter than a frame of 80 samples"):
        demo.run(**{**demo.defaults(), "recording": recording[:79]})


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"model.strides": (4, 4)}, "the product of model.strides=.* data.hop=80"),
        ({"data.length": 100}, "data.length is a multiple of data.hop=80"),
        ({"data.name": "spoken_digit", "data.local": "linguistic"}, "no phones are known"),
        ({"data.speakers": 7}, "6 speakers, not 7; set --config.data.speakers=6"),
        ({"data.rate": 16000}, "voices has 8000 samples a second; set --config.data.rate=8000"),
    ],
)
def test_bad_settings_in_one_line_before_training(overrides, words):
    with pytest.raises(UserError, match=words) as error:
        app.build(SCRIPT, with_overrides(configure("smoke"), overrides)).source.open()
    assert "\n" not in str(error.value)


def test_missing_recordings_in_one_line(tmp_path):
    found = app.build(SCRIPT, with_overrides(configure("fsdd"), {"data.dir": str(tmp_path)}))
    with pytest.raises(UserError, match="data set 'spoken_digit' not found: no fsdd/") as error:
        found.source.open()
    assert "\n" not in str(error.value)


def test_the_paper_has_300_milliseconds_of_context():
    config = configure("paper")
    net = app.build(SCRIPT, config).net
    assert len(net.dilations) == 50 and net.receptive_field / config.data.rate > 0.3


def results(**changes):
    """Numbers of a faithful run, arm by arm, and changes to them as "arm: {metric: number}"."""
    arms = {
        "undilated": {"test/loss": 2.0},
        "dilated": {
            "test/loss": 1.5,
            "counts/best": 2.1,
            "queues/same_samples": 1.0,
            "queues/times_cheaper": 900.0,
            "field/reach_wrong": 0.0,
            "field/nearest": 1.0,
        },
        "speaker": {"test/loss": 1.3, "test/loss_swapped": 1.9},
        "mel": {
            "test/loss": 1.0,
            "test/loss_late": 1.4,
            "vocoded/apart": 0.1,
            "vocoded/apart_from_others": 0.6,
        },
        "speech": {"test/loss": 1.0},
        "phones": {"test/frame_error": 10.0, "test/frame_error_of_commonest": 80.0},
    }
    for arm, metrics in changes.items():
        arms[arm] |= metrics
    return Results({a: {m: np.full(3, v) for m, v in ms.items()} for a, ms in arms.items()})


@pytest.mark.parametrize(
    "changes",
    [
        {"dilated": {"test/loss": 2.0}},
        {"dilated": {"counts/best": 1.5}},
        {"dilated": {"queues/same_samples": 0.995}},
        {"dilated": {"queues/times_cheaper": 49.0}},
        {"dilated": {"field/nearest": 0.0}},
        {"dilated": {"field/reach_wrong": 1.0}},
        {"speaker": {"test/loss": 1.5}},
        {"speaker": {"test/loss_swapped": 1.3}},
        {"mel": {"test/loss": 1.4}},
        {"mel": {"test/loss_late": 1.0}},
        {"mel": {"vocoded/apart": 0.6}},
        {"speech": {"test/loss": 1.3}},
        {"phones": {"test/frame_error": 45.0}},
    ],
)
def test_what_does_not_hold_is_said(changes):
    assert all(claim.holds for claim in SCRIPT.claims(results()))
    failed = [claim for claim in SCRIPT.claims(results(**changes)) if not claim.holds]
    assert failed
