"""Goals in hindsight, against a loop over episodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.rl.envs.goals import Episode
from research.rl.replay.hindsight import STRATEGIES, Hindsight
from research.rl.replay.transitions import Ring

T, N, ROWS, B = 5, 3, 4, 4000


class Counter:
    """A task whose state is a number that nothing else has: `[state, goal]`."""

    num_actions, action_size, goal_size, horizon = 2, 0, 1, T

    def achieved_goal(self, observation):
        return observation[..., :1]

    def reward(self, achieved, goal):
        return -(achieved != goal).any(axis=-1).astype(jnp.float32)


def filled(rounds):
    """A ring of `rounds` times N episodes, and all episodes by their number.

    In step t of episode e the state is 100 e + t, its action t % 2 and its own goal -e - 1.
    """
    ring, everything = Ring(ROWS * N, N), []
    shapes = Episode(jnp.zeros((N, T + 1, 2)), jnp.zeros((N, T), jnp.int32), jnp.zeros((N, T)))
    state = ring.init(shapes)
    for r in range(rounds):
        number = r * N + np.arange(N)
        states = 100.0 * number[:, None] + np.arange(T + 1)
        observation = np.stack([states, np.broadcast_to(-number[:, None] - 1.0, states.shape)], -1)
        action = np.broadcast_to(np.arange(T) % 2, (N, T))
        state = ring.add(
            state,
            Episode(
                jnp.asarray(observation, jnp.float32), jnp.asarray(action), jnp.full((N, T), -1.0)
            ),
        )
        everything.extend(observation)
    return ring, state, np.array(everything)


def sampled(strategy, k, rounds=6, kind=Hindsight):
    ring, state, everything = filled(rounds)
    batch = kind(Counter(), ring, strategy, k).sample(state, jax.random.key(0), B)
    return jax.tree.map(np.asarray, batch), everything


def allowed(strategy, episode, t, held):
    """States whose achieved goal may replace the goal of step t, by the paper's words."""
    if strategy == "random":
        return {100.0 * e + i for e in held for i in range(1, T + 1)}
    times = {"future": range(t + 1, T + 1), "final": [T], "episode": range(1, T + 1)}[strategy]
    return {100.0 * episode + i for i in times}


def check(batch, everything, strategy, rounds):
    """Every sampled transition is one that the paper's words allow, and none is missing."""
    held = range(max(0, rounds - ROWS) * N, rounds * N)
    replaced, used = 0, {(e, t): set() for e in held for t in range(T)}
    for i in range(B):
        state, goal = batch.observation[i]
        episode, t = divmod(int(state), 100)
        following, goal_of_following = batch.next_observation[i]
        assert following == everything[episode, t + 1, 0] and goal_of_following == goal
        assert batch.action[i] == t % 2
        assert batch.reward[i] == (0 if following == goal else -1)
        if goal >= 0:
            assert goal in allowed(strategy, episode, t, held)
            replaced += 1
            used[episode, t].add(goal)
        else:
            assert goal == -episode - 1
    assert not batch.terminated.any()
    # k of k + 1 are replaced, within five standard deviations of the binomial.
    assert abs(replaced - 0.8 * B) < 5 * (B * 0.8 * 0.2) ** 0.5
    if strategy == "random":
        assert set.union(*used.values()) == allowed(strategy, 0, 0, held)
    else:  # every state that may be a goal is one
        assert all(used[e, t] == allowed(strategy, e, t, held) for e, t in used)


@pytest.mark.parametrize("rounds", [2, 6])  # part of the ring, and more than it holds
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_relabelling_equals_a_loop(strategy, rounds):
    check(*sampled(strategy, 4, rounds), strategy, rounds)


class AcrossEpisodes(Hindsight):
    def _goal_state(self, state, key, row, env, step):
        return super()._goal_state(state, key, row, (env + (step == T - 1)) % N, step)


class FromTheStart(Hindsight):
    def _goal_state(self, state, key, row, env, step):
        return super()._goal_state(state, key, row, env, jnp.zeros_like(step))


class RewardOfTheOldGoal(Hindsight):
    def sample(self, state, key, size):
        batch = super().sample(state, key, size)
        return batch._replace(reward=jnp.full_like(batch.reward, -1))


class OldGoalAfterwards(Hindsight):
    def sample(self, state, key, size):
        batch = super().sample(state, key, size)
        row = batch.next_observation[:, 0] // 100
        own = jnp.stack([batch.next_observation[:, 0], -row - 1], axis=1)
        return batch._replace(next_observation=own)


@pytest.mark.parametrize(
    "bug", [AcrossEpisodes, FromTheStart, RewardOfTheOldGoal, OldGoalAfterwards]
)
def test_bugs_are_caught(bug):
    batch, everything = sampled("future", 4, kind=bug)
    with pytest.raises(AssertionError):
        check(batch, everything, "future", 6)


def test_no_goals_in_hindsight():
    batch, _ = sampled("future", 0)
    assert (batch.observation[:, 1] < 0).all() and (batch.reward == -1).all()


def test_reward_is_of_the_new_goal():
    """With "final", the last steps alone are rewarded."""
    batch, _ = sampled("final", 10**6)
    last = batch.observation[:, 0] % 100 == T - 1
    np.testing.assert_array_equal(batch.reward == 0, last)


def test_unknown_strategy_is_one_clear_line():
    with pytest.raises(UserError, match="future"):
        Hindsight(Counter(), Ring(4, 2), "past")
