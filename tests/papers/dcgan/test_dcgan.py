"""The script's own logic: alternating updates, separate batch norm, honest claims."""

import jax
import numpy as np
import pytest

from research import app
from research import config as configs
from research.core import UserError
from research.core.tree import count_parameters
from research.data.dataset import parse_split, slice_records
from research.models import adversarial
from research.report.claims import MissingResult, Results

ROOT = configs.Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def script():
    return configs.load_module(ROOT / "experiments" / "dcgan.py")


@pytest.fixture(scope="module")
def smoke():
    return configs.load_config(ROOT / "configs" / "dcgan.py", "smoke")


@pytest.fixture(scope="module")
def stepped(script, smoke):
    experiment = app.build(script, smoke)
    state = experiment.init(jax.random.key(0))
    batch = {"image": np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), np.uint8)}
    return state, batch, jax.jit(experiment.step)(state, batch, 0, jax.random.key(1))


def test_one_step_moves_both_players_and_their_running_statistics(stepped):
    before, _, (after, metrics) = stepped
    for name in ("generator", "discriminator"):
        for part in ("params", "variables"):
            old, new = (jax.tree.leaves(getattr(getattr(s, name), part)) for s in (before, after))
            assert all((a != b).any() for a, b in zip(old, new, strict=True)), (name, part)
        # Adam moves every entry by about the learning rate in the first step.
        assert int(jax.tree.leaves(getattr(after, name).opt_state)[0]) == 1
    assert {"generator/loss", "discriminator/loss", "discriminator/real"} <= set(metrics)


def test_discriminator_sees_each_batch_by_itself(script, smoke, stepped, monkeypatch):
    """The classic bug, one mixed batch, gives other logits on the data; the step does not."""
    state, batch, (_, metrics) = stepped
    discriminator = app.build(script, smoke).discriminator
    real = batch["image"] / 127.5 - 1
    alone, _ = adversarial.train_mode(discriminator, state.discriminator, real)
    np.testing.assert_allclose(metrics["discriminator/real"], alone.mean(), rtol=1e-3, atol=1e-5)

    def mixed(model, variables, real, fake):
        both = jax.numpy.concatenate([real, fake])
        (logits, _), updated = model.apply(variables, both, train=True, mutable=["batch_stats"])
        return logits[: len(real)], logits[len(real) :], updated

    monkeypatch.setattr(adversarial, "discriminate_pair", mixed)
    _, broken = jax.jit(app.build(script, smoke).step)(state, batch, 0, jax.random.key(1))
    assert abs(broken["discriminator/real"] - alone.mean()) > 1e-3


def test_losses_are_the_papers(script, smoke, stepped):
    """-log D(x) - log(1 - D(G(z))) of D, and of G -log D(G(z)), which does not vanish early on."""
    state, batch, _ = stepped
    experiment = app.build(script, smoke)
    g, d, key = experiment.generator, experiment.discriminator, jax.random.key(4)

    def variables(learner):
        return {"params": learner.params, **learner.variables}

    def probability(images):
        logits = adversarial.train_mode(d, state.discriminator, images)[0]
        return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))

    real, fake = experiment.real_and_fake(state.generator, batch, key)
    np.testing.assert_allclose(real, batch["image"] / 127.5 - 1, atol=1e-6)
    loss, _ = experiment.discriminator_loss(variables(state.discriminator), (real, fake), key)
    expected = -np.log(probability(real)).mean() - np.log(1 - probability(fake)).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-4)

    z = experiment.latents(key, 16)
    samples = adversarial.train_mode(g, state.generator, z)[0]
    loss, _ = experiment.generator_loss(state.discriminator, variables(state.generator), z, key)
    np.testing.assert_allclose(loss, -np.log(probability(samples)).mean(), rtol=1e-4)


def test_accumulated_gradients_keep_the_players_apart(script, smoke):
    two = configs.with_overrides(smoke, {"accumulate_steps": 2})
    experiment = app.build(script, two)
    batch = {"image": np.zeros((16, 16, 16, 3), np.uint8)}
    state, metrics = jax.eval_shape(
        lambda key: experiment.step(experiment.init(key), batch, 0, key), jax.random.key(0)
    )
    assert set(count_parameters(state)) == {"generator", "discriminator"}
    assert experiment.micro_batches == 2
    assert metrics["generator/loss"].shape == ()


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--config.data.test_split=validation", "not 'validation'"),
        ("--config.probe.test_split=test[", "split 'test[' is not understood"),
        ("--config.probe.data=no_such_set", "no data set is called 'no_such_set'"),
        ("--config.eval.num_images=301", "eval.num_images is at most 300"),
    ],
)
def test_data_to_judge_by_is_opened_before_anything_is_trained(
    script, flag, said, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(script.training, "run", lambda *_: pytest.fail("trained"))
    base = ["--config", f"{ROOT / 'configs' / 'dcgan.py'}:smoke", "--arm=street"]
    assert app.main(script, [*base, flag, "--workdir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and said in error and "\n" not in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("variant", ["lsun", "torch", "paper", "celeb_a", "imagenet", "svhn"])
def test_large_variants_are_not_judged_by_what_they_train_on(variant):
    config = configs.load_config(ROOT / "configs" / "dcgan.py", variant)
    (train, *ends), (test, *held_out) = map(
        parse_split, (config.data.train_split, config.data.test_split)
    )
    if train == test:
        images = range(3_033_042)
        kept, judged = (set(slice_records(images, *slice_)) for slice_ in (ends, held_out))
        assert not kept & judged and len(kept | judged) == len(images)
        assert len(judged) >= config.eval.num_images
        assert config.total_images == 5 * len(kept)
    assert bool(config.deduplicate_steps) == (config.data.name == "lsun/bedroom")


def test_the_claim_of_100_labels_is_of_no_other_number(script):
    numbers = {
        "samples/std_ratio": 0.9,
        "samples/coverage[project_cnn:mnist]": 1.0,
        "probe/trained_100": 0.79,
        "probe/untrained_100": 0.73,
        "probe/pixels_100": 0.70,
        "probe/trained_1000": 0.92,
        "probe/untrained_1000": 0.91,
        "probe/pixels_1000": 0.83,
    }
    assert holds(script, main=numbers) == [True, True, True, True]
    numbers["probe/untrained_100"] = 0.78
    assert holds(script, main=numbers) == [True, True, True, False]
    assert "trained 79.0, untrained 78.0" in script.claims(measured(main=numbers))[-1].ours


def test_latents_are_claimed_where_they_are_studied(script):
    numbers = {
        "samples/std_ratio": 1.1,
        "arithmetic/success": 0.7,
        "arithmetic/base": 0.1,
        "removal/after": 0.0,
        "removal/control": 0.1,
        "removal/dropped": 0.2,
        "removal/same_marker": 0.95,
    }
    assert holds(script, main=numbers) == [True] * 6
    for name, value, row in (
        ("samples/std_ratio", 1.3, 0),
        ("arithmetic/success", 0.5, 1),
        ("arithmetic/base", 0.4, 2),
        ("removal/after", 0.06, 3),
        ("removal/dropped", 0.5, 4),
        ("removal/same_marker", 0.6, 5),
    ):
        broken = holds(script, main={**numbers, name: value})
        assert broken == [i != row for i in range(6)]


def test_no_claim_holds_on_nothing(script):
    for arm in ("main", "street"):
        with pytest.raises(MissingResult):
            script.claims(Results({arm: {}}))
    # An arm that should have been probed, and whose metrics are not there.
    with pytest.raises(MissingResult, match="coverage"):
        script.claims(measured(street={"samples/std_ratio": 1.0}))
    with pytest.raises(MissingResult, match="trained_100"):
        script.claims(measured(street={"samples/std_ratio": 1.0, "samples/coverage[n@0]": 1.0}))


def measured(**arms):
    return Results(
        {arm: {k: np.array([v]) for k, v in found.items()} for arm, found in arms.items()}
    )


def holds(script, **arms):
    return [claim.holds for claim in script.claims(measured(**arms))]


def test_data_is_opened_once(script, smoke, monkeypatch):
    opened, load = [], script.squares.load
    monkeypatch.setattr(script.squares, "load", lambda *args: opened.append(args) or load(*args))
    experiment = app.build(script, smoke)
    assert not opened  # a dry run needs none
    experiment.source.open()
    experiment.train_on(np.arange(20))  # as `main` does after de-duplication
    assert len(experiment.source.dataset) == 20
    assert len(opened) == len(set(opened)) == 4


def test_no_image_is_removed_unless_asked(script, smoke, tmp_path, monkeypatch):
    monkeypatch.setattr(script.training, "run", lambda *_: pytest.fail("trained"))
    config = configs.with_overrides(smoke, {"deduplicate_steps": 0})
    assert script.unique_images(app.build(script, config), config, tmp_path) is None


def test_concepts_need_a_classifier(script, smoke):
    config = configs.with_overrides(smoke, {"concepts": True, "classifier.num_steps": 0})
    with pytest.raises(UserError, match="classifier.num_steps"):
        app.build(script, config)
