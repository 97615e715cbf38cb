import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from research.training.meter import Meter, NonFiniteLoss, check_parameters

NAN = float("nan")


def test_means_over_steps_ignore_what_was_not_reported():
    meter = Meter()
    meter.add(0, 2, {"loss": jnp.array([1.0, 2.0]), "return": jnp.array([NAN, 5.0])})
    meter.add(2, 1, {"loss": jnp.array([6.0]), "return": jnp.array([NAN])})
    assert meter.means() == {"loss": 3.0, "return": 5.0}
    meter.add(3, 1, {"loss": jnp.array([4.0]), "return": jnp.array([NAN])})
    means = meter.means()
    assert means["loss"] == 4.0 and math.isnan(means["return"])


def test_an_infinite_metric_is_no_missing_one():
    meter = Meter()
    meter.add(0, 3, {"grad_norm": jnp.array([1.0, math.inf, NAN])})
    assert meter.means() == {"grad_norm": math.inf}


def test_only_the_first_n_count():
    meter = Meter()
    meter.add(0, 2, {"loss": jnp.array([1.0, 2.0, NAN, 9.0])})
    assert meter.means() == {"loss": 1.5}


@pytest.mark.parametrize("name", ["loss", "generator/loss", "loss_value"])
@pytest.mark.parametrize("bad", [NAN, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_named_with_its_step(name, bad):
    with pytest.raises(NonFiniteLoss, match=rf"{name} is not finite at step 12\b"):
        Meter().add(10, 4, {name: jnp.array([1.0, 1.0, bad, NAN])})


def test_sums_survive_being_saved():
    meter, again = Meter(), Meter()
    values = np.random.default_rng(0).normal(size=10).astype(np.float32)
    meter.add(0, 10, {"loss": jnp.asarray(values)})
    again.sums = json.loads(json.dumps(meter.sums))
    assert meter.means() == again.means()
    assert again.sums == {}


def test_parameters_that_are_not_finite_are_named():
    state = {
        "net": {"params": {"w": jnp.ones(3), "n": jnp.ones(3, int)}, "opt_state": jnp.ones(2)},
        "replay": jnp.array([NAN]),
    }
    check_parameters(4, state)
    state["net"]["params"]["w"] = jnp.array([1.0, math.inf, 1.0])
    with pytest.raises(NonFiniteLoss, match="net/params/w is not finite after step 4"):
        check_parameters(4, state)
