"""The released schedules, half precision, exact evaluation, and what breaks a claim."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research import app
from research import config as configs
from research.papers.imagenet_18min.rate_phases import RatePhase, phase_rate
from research.papers.imagenet_18min.rectangular import fit, rectangular_crops, square_crops
from research.report.claims import Results
from tests.training.toy import ROOT

script = configs.load_module(ROOT / "experiments" / "imagenet_18min.py")
FILE = ROOT / "configs" / "imagenet_18min.py"
smoke = configs.load_config(FILE, "smoke")


@pytest.mark.parametrize(
    ("variant", "batches", "rates"),
    [
        (
            "paper_16",
            (8192, 16_384, 8192, 24_576, 16_384),
            {0: 1.88, 3: 2.82, 6: 3.76, 16: 1.88, 19: 0.564, 31: 0.0564, 37: 0.0376, 38: 0.00376},
        ),
        (
            "paper_4",
            (8192, 16_384, 7168, 4096),
            {0: 2, 6: 4, 12: 3, 13: 1.75, 19.5: 0.9625, 23: 0.175, 28: 0.01, 30: 0.001},
        ),
    ],
)
def test_released_schedules(variant, batches, rates):
    config = configs.load_config(FILE, variant)
    experiments = [app.build(script, config).phase(i) for i in range(len(config.phases))]
    sizes = [e.source.spec["image"].shape for e in experiments]
    assert tuple(shape[0] for shape in sizes) == batches
    ends = [phase[0] for phase in config.phases[1:]] + [config.num_epochs]
    for experiment, phase, end in zip(experiments, config.phases, ends, strict=True):
        assert experiment.source.spec["image"].shape[1:] == (phase[1], phase[1], 3)
        batch = experiment.per_step["images"]
        assert experiment.num_steps == (end - phase[0]) * (1_281_167 // batch)
    phases = [RatePhase(*p) for p in config.rate_phases]
    np.testing.assert_allclose(
        [phase_rate(phases, e) for e in rates], list(rates.values()), rtol=1e-3
    )
    assert config.compute_dtype == "float16" and config.loss_scale == 1024


def test_the_schedule_goes_on_from_phase_to_phase():
    before, rates = None, []
    for index in range(3):
        experiment = app.build(script, smoke).phase(index)
        state = jax.jit(experiment.init)(jax.random.key(0))
        if before is not None:
            state = jax.jit(experiment.warm_start)(state, before)
        spec = experiment.source.spec
        batch = {
            "image": jnp.zeros(spec["image"].shape, jnp.uint8),
            "label": jnp.zeros(spec["label"].shape, jnp.int32),
        }
        step = jax.jit(experiment.step)
        for t in range(2):
            state, metrics = step(state, batch, jnp.int32(t), jax.random.key(0))
            rates.append(float(metrics["learning_rate"]))
        before = jax.device_get(state)
    phases = [RatePhase(*p) for p in smoke.rate_phases]
    epochs = (0, 1 / 4, 2, 2 + 1 / 8, 3, 3 + 1 / 8)  # 4 and 8 batches an epoch
    np.testing.assert_allclose(rates, [phase_rate(phases, e) for e in epochs], rtol=1e-4)
    assert np.any(optax.tree.get(before.learner.opt_state, "trace")["stem_conv"]["kernel"])


def test_the_penalty_leaves_norms_alone():
    overrides = {"optimizer.l2_penalty": 0.5, "rate_phases": ((0.0, 0.1),)}
    tx = app.build(script, configs.with_overrides(smoke, overrides)).learner.tx
    params = {"a_conv": {"kernel": jnp.array([2.0])}, "a_norm": {"scale": jnp.array([2.0])}}
    updates, _ = tx.update(jax.tree.map(jnp.ones_like, params), tx.init(params), params)
    np.testing.assert_allclose(updates["a_conv"]["kernel"], -0.2, rtol=1e-6)
    np.testing.assert_allclose(updates["a_norm"]["scale"], -0.1, rtol=1e-6)


def test_scaled_float16_gradients_are_those_of_float32():
    """From master weights in float32, to 1 % of the whole gradient, after a step from rest."""

    def velocity(**overrides):
        config = configs.with_overrides(smoke, {"model.last_scale": 1.0, **overrides})
        experiment = app.build(script, config)
        state = jax.jit(experiment.init)(jax.random.key(0))
        batch = {
            "image": jax.random.randint(jax.random.key(1), (32, 8, 8, 3), 0, 256, jnp.uint8),
            "label": jnp.arange(32) % 10,
        }
        state, metrics = jax.jit(experiment.step)(state, batch, jnp.int32(0), jax.random.key(2))
        assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(state.learner.params))
        return optax.tree.get(state.learner.opt_state, "trace"), metrics

    exact, expected = velocity()
    half, metrics = velocity(compute_dtype="float16", loss_scale=1024.0)
    np.testing.assert_allclose(metrics["loss"], expected["loss"], rtol=1e-3)
    np.testing.assert_allclose(metrics["grad_norm"], expected["grad_norm"], rtol=1e-2)
    apart = optax.global_norm(jax.tree.map(jnp.subtract, half, exact))
    assert 0 < apart <= 1e-2 * optax.global_norm(exact)


@pytest.fixture
def canvases():
    """An experiment on digits on canvases, and a state that no evaluation below looks at."""
    config = configs.with_overrides(
        smoke,
        {
            "data.name": "digits",
            "data.canvas_longs": (24, 32),
            "data.num_test": 70,
            "data.test_split": "test",
            "test.size": 16,
            "test.batch_size": 16,
        },
    )
    experiment = app.build(script, config)
    return experiment, jax.jit(experiment.init)(jax.random.key(0))


@pytest.mark.parametrize("whole", [False, True])
def test_every_image_is_counted_once_and_for_itself(canvases, whole):
    """A network that knows each image by its pixels, and is right on every third."""
    experiment, state = canvases
    records, shapes = experiment.images.test, set()
    assert len(records) == 70
    crops = (
        rectangular_crops([r["image"].shape for r in records], 16, 16)
        if whole
        else square_crops(70, 16)
    )
    known = {}
    for shape, images in crops.items():
        for i in images:
            known[fit(experiment.images.read(records[i]), shape, 1.0).tobytes()] = i

    def classify(variables, rows):
        shapes.add(rows["image"].shape)
        logits = np.zeros((len(rows["image"]), 10))
        for row, image in enumerate(np.asarray(rows["image"])):
            i = known[image.tobytes()]
            logits[row, (records[i]["label"] + (i % 3 > 0)) % 10] = 1
        return logits, rows["label"]

    experiment.classify = classify
    found = experiment.errors(state, 16, whole)
    assert found["error"] == pytest.approx(100 - 100 * 24 / 70)  # 0, 3, ... 69
    assert all(shape[0] == 16 for shape in shapes)
    if whole:
        assert len(shapes) > 1 and all(n % 8 == 0 for s in shapes for n in s[1:3])
    else:
        assert shapes == {(16, 16, 16, 3)}


def test_phases_share_the_data(monkeypatch):
    experiment, opened = app.build(script, smoke), []
    load = script.ImageSplits._open
    monkeypatch.setattr(
        script.ImageSplits, "_open", lambda self, split: opened.append(split) or load(self, split)
    )
    for index in (0, 1, 2):
        phase = experiment.phase(index)
        phase.source.open()
        assert len(phase.images.test) == 64
    assert opened == ["train[:128]", "test[:64]"]


ERRORS = {"fixed": 44.1, "progressive": 40.8, "no_last": 52.0, "small": 55.1}


def verdicts(rectangle=13.3, **errors):
    results = {arm: {"square/error": np.zeros(2) + e} for arm, e in {**ERRORS, **errors}.items()}
    results["canvases"] = {
        "square/error": np.zeros(2) + 17.1,
        "rectangular/error": np.zeros(2) + rectangle,
    }
    return [bool(claim.holds) for claim in script.claims(Results(results))]


@pytest.mark.parametrize(
    ("broken", "rows"),
    [
        ({}, set()),
        ({"progressive": 43.9}, {0}),
        ({"no_last": 41.0}, {1}),
        ({"small": 41.0}, {2}),
        ({"rectangle": 17.0}, {3}),  # squares after all
    ],
)
def test_what_is_broken_breaks_a_claim(broken, rows):
    found = verdicts(**broken)
    assert len(found) == 4 and {i for i, holds in enumerate(found) if not holds} == rows


def test_arms_compared_see_the_same_pixels():
    config = configs.load_config(FILE)
    costs = {}
    for arm, overrides in configs.arms_of(config).items():
        setting = configs.with_overrides(config, overrides)
        experiments = map(app.build(script, setting).phase, range(len(setting.phases)))
        costs[arm] = sum(e.num_steps * e.per_step["pixels"] for e in experiments)
    assert costs["progressive"] <= costs["fixed"]
