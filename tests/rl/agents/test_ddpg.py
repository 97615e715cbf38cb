"""The four networks of DDPG: targets that follow. What they learn is tested with the scripts."""

import jax
import numpy as np
import pytest

from research.rl.agents import target_network
from tests.rl import ddpg_by_hand as by_hand


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_targets_follow(tau):
    networks, state = by_hand.made("batch")
    moved = networks.update_targets(state, tau)
    for target, after, learner in (
        (state.target_actor, moved.target_actor, state.actor),
        (state.target_critic, moved.target_critic, state.critic),
    ):
        learned = target_network.variables_of(learner)
        assert set(learned) == {"params", "batch_stats"}
        by_hand.same(after, jax.tree.map(lambda o, n: tau * n + (1 - tau) * o, target, learned))
        if tau == 1:
            jax.tree.map(np.testing.assert_array_equal, after, learned)
