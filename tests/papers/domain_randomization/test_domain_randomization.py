"""What is the script's own: its claims, its training samples, its bad input."""

import functools

import jax
import numpy as np
import pytest

from configs.domain_randomization import get_config
from experiments import domain_randomization
from research import app
from research.config import with_overrides
from research.core import UserError
from research.report.claims import MissingResult, Results


def numbers(unseen, trained, guess=20.0):
    return {
        "unseen/error_cm": np.array(unseen),
        "unseen/guess_cm": np.full(len(unseen), guess),
        "trained/error_cm": np.array(trained),
    }


def holds(**arms):
    return [claim.holds for claim in domain_randomization.claims(Results(arms))]


def test_claims_are_missed_by_what_is_broken():
    good, bad = numbers([5.0, 6.0], [4.0, 4.0]), numbers([14.0, 15.0], [2.0, 2.0])
    assert holds(randomized=good, one_texture=bad) == [True, True, True]
    # Random looks that are no better than one, on one of the seeds.
    assert holds(randomized=numbers([5.0, 8.0], [4.0, 4.0]), one_texture=bad)[0] is False
    # A detector of random looks that says about the same everywhere, against one far off.
    far = numbers([50.0, 50.0], [2.0, 2.0])
    assert holds(randomized=numbers([17.0, 17.0], [17.0, 17.0]), one_texture=far) == [
        True,
        True,
        False,
    ]
    # One texture that was not learned itself is no rival.
    assert holds(randomized=good, one_texture=numbers([14.0, 15.0], [15.0, 15.0]))[1] is False


def test_no_claim_holds_on_nothing():
    with pytest.raises(MissingResult):
        holds(randomized={})
    with pytest.raises(MissingResult, match="randomized"):
        holds(one_texture=numbers([14.0], [2.0]))


def test_detections_do_not_depend_on_what_they_are_batched_with():
    experiment = app.build(domain_randomization, get_config("smoke"))
    state = jax.jit(experiment.init)(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 5)
    for look in domain_randomization.LOOKS:
        every = experiment.detect_all(look, state, keys)
        last = experiment.detect_all(look, state, keys[3:])
        assert every.found.shape == (5, 3)
        for name in every._fields:
            np.testing.assert_allclose(
                getattr(every, name)[3:], getattr(last, name), atol=1e-5, err_msg=name
            )


def test_as_many_training_samples_as_there_are():
    config = with_overrides(
        get_config("smoke"), {"data.training_samples": 1, "randomization.noise": 0.0}
    )
    experiment = app.build(domain_randomization, config)
    draw = functools.partial(experiment.training_sample, np.uint32(7))
    images, _ = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 3))
    assert np.abs(images[0] - images[1]).max() > 0.1
    step = jax.jit(experiment.step, static_argnums=1)
    state = jax.jit(experiment.init)(jax.random.key(0))
    first, second = (step(state, None, 0, jax.random.key(seed))[1] for seed in (1, 2))
    np.testing.assert_allclose(first["loss"], second["loss"], rtol=1e-6)  # the one image there is


@pytest.mark.parametrize("overrides", [{"scene.shape": "bogus"}, {"data.image_size": 10}], ids=str)
def test_wrong_values_are_one_clear_line(overrides):
    with pytest.raises(UserError):
        app.build(domain_randomization, with_overrides(get_config("smoke"), overrides))
