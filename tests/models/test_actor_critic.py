"""Policies and values: shapes, initialisation, what is shared."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.models.actor_critic import Actor, ActorCritic, Critic

IMAGE = jnp.zeros((2, 84, 84, 4), jnp.uint8)
VECTOR = jnp.ones((2, 3))


def test_counts_of_the_atari_networks():
    trunks = {
        "2015": 8_224 + 32_832 + 36_928 + 1_606_144,
        "2016": 4_112 + 8_224 + 663_808,
    }
    for variant, trunk in trunks.items():
        features = {"2015": 512, "2016": 256}[variant]
        model = ActorCritic(4, 0, variant, shared=True)
        shapes = jax.eval_shape(model.init, jax.random.key(0), IMAGE)
        count = sum(x.size for x in jax.tree.leaves(shapes))
        assert count == trunk + (features + 1) * 4 + features + 1


def test_continuous_policies_start_near_zero_with_deviation_one():
    model = ActorCritic(0, 2, "mlp", shared=False)
    (policy, value), _ = model.init_with_output(jax.random.key(0), VECTOR)[0]
    assert policy["mean"].shape == policy["log_std"].shape == (2, 2) and value.shape == (2,)
    assert abs(policy["mean"]).max() < 0.05 and (policy["log_std"] == 0).all()


def test_weights_are_orthogonal_with_the_gains_of_baselines():
    params = ActorCritic(6, 0, "mlp", shared=False).init(jax.random.key(0), VECTOR)["params"]
    for layer, gain in (
        (params["trunk"]["Dense_1"], 2**0.5),
        (params["policy"]["Dense_0"], 0.01),
        (params["value"]["Dense_0"], 1.0),
    ):
        singular = np.linalg.svd(layer["kernel"], compute_uv=False)
        np.testing.assert_allclose(singular, gain, rtol=1e-4)
        assert (layer["bias"] == 0).all()


@pytest.mark.parametrize("shared", [True, False])
def test_the_values_gradient_reaches_the_policys_trunk_only_if_it_is_shared(shared):
    model = ActorCritic(2, 0, "mlp", shared)
    params = model.init(jax.random.key(0), VECTOR)["params"]
    gradient = jax.grad(lambda p: model.apply({"params": p}, VECTOR)[0][1].sum())(params)
    assert bool((gradient["trunk"]["Dense_0"]["kernel"] != 0).any()) == shared
    assert (gradient["policy"]["Dense_0"]["kernel"] == 0).all()


def test_alone_they_are_the_halves_of_two_trunks():
    both = ActorCritic(2, 0, "mlp", shared=False).init(jax.random.key(0), VECTOR)["params"]
    (policy, value), _ = ActorCritic(2, 0, "mlp", shared=False).apply({"params": both}, VECTOR)
    actor = {"trunk": both["trunk"], "policy": both["policy"]}
    critic = {"trunk": both["value_trunk"], "value": both["value"]}
    np.testing.assert_array_equal(
        Actor(2, 0, "mlp").apply({"params": actor}, VECTOR)[0]["logits"], policy["logits"]
    )
    np.testing.assert_array_equal(Critic("mlp").apply({"params": critic}, VECTOR)[0], value)


@pytest.mark.parametrize("variant", ["2015", "bogus"])
def test_a_wrong_variant_is_one_clear_line(variant):
    with pytest.raises(UserError, match="model.variant"):
        ActorCritic(2, 0, variant, shared=True).init(jax.random.key(0), VECTOR)
