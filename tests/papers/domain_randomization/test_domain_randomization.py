"""What is the script's own: its claims, its training samples, its bad input."""

import jax
import numpy as np
import pytest

from configs.domain_randomization import get_config
from experiments import domain_randomization
from research.config import with_overrides
from research.core import UserError


def numbers(unseen, trained, guess=20.0):
    return {
        "unseen/error_cm": np.array(unseen),
        "unseen/guess_cm": np.full(len(unseen), guess),
        "trained/error_cm": np.array(trained),
    }


def holds(**results):
    return [bool(claim.holds) for claim in domain_randomization.claims(results)]


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


def test_as_many_training_samples_as_there_are():
    config = with_overrides(
        get_config("smoke"), {"data.training_samples": 1, "randomization.noise": 0.0}
    )
    draw = domain_randomization.training_look(config, np.uint32(7))
    images, _ = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 3))
    assert np.abs(images[0] - images[1]).max() > 0.1
    experiment = domain_randomization.build(config)
    step = jax.jit(experiment.step, static_argnums=1)
    state = jax.jit(experiment.init)(jax.random.key(0))
    first, second = (step(state, None, jax.random.key(seed))[1] for seed in (1, 2))
    np.testing.assert_allclose(first["loss"], second["loss"], rtol=1e-6)  # the one image there is


@pytest.mark.parametrize("overrides", [{"scene.shape": "bogus"}, {"data.image_size": 10}], ids=str)
def test_wrong_values_are_one_clear_line(overrides):
    with pytest.raises(UserError):
        domain_randomization.build(with_overrides(get_config("smoke"), overrides))
