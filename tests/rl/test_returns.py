"""n-step and lambda-returns against plain loops."""

import numpy as np
import pytest

from research.rl.returns import lambda_returns, n_step, td_target


def loop(reward, terminated, transition, gamma):
    total, discount, length = 0.0, 1.0, 0
    for r, end, step in zip(reward, terminated, transition, strict=True):
        if not step:  # truncated before: the value of the observation reached still counts
            break
        total += discount * r
        discount *= gamma
        length += 1
        if end:
            return total, 0.0, length
    return total, discount, length


@pytest.mark.parametrize("n", [1, 2, 5])
def test_equals_the_loop_with_ends_in_the_middle(n):
    rng = np.random.default_rng(n)
    reward = rng.normal(size=(200, n)).astype(np.float32)
    terminated = rng.random((200, n)) < 0.2
    transition = rng.random((200, n)) < 0.8
    ours = n_step(reward, terminated, transition, 0.9)
    theirs = [loop(*row, 0.9) for row in zip(reward, terminated, transition, strict=True)]
    for a, b in zip(ours, zip(*theirs, strict=True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def advantages_by_loop(reward, value, next_value, terminated, ended, gamma, lambda_):
    """Generalised advantage estimates of one environment, equation 16 of 1506.02438: the sum of
    (gamma lambda)^l delta_{t+l} up to the episode's end or the rollout's."""
    out = []
    for t in range(len(reward)):
        total, weight = 0.0, 1.0
        for k in range(t, len(reward)):
            after = 0.0 if terminated[k] else next_value[k]
            total += weight * (reward[k] + gamma * after - value[k])
            if ended[k]:
                break
            weight *= gamma * lambda_
        out.append(total)
    return out


@pytest.mark.parametrize("lambda_", [0.0, 0.7, 0.95, 1.0])
def test_lambda_returns_less_values_are_generalised_advantages(lambda_):
    rng = np.random.default_rng(0)
    steps, envs = 40, 6
    terminated = rng.random((steps, envs)) < 0.1
    truncated = (rng.random((steps, envs)) < 0.1) & ~terminated
    ended = terminated | truncated
    assert terminated[:-1].any() and truncated[:-1].any() and not ended[-1].all()
    reward, value = rng.normal(size=(2, steps, envs)).astype(np.float32)
    # The value of what a step led to is the next one's, but where an episode ended.
    following = np.concatenate([value[1:], rng.normal(size=(1, envs))]).astype(np.float32)
    next_value = np.where(ended, rng.normal(size=(steps, envs)), following).astype(np.float32)
    ours = lambda_returns(reward, next_value, terminated, ended, 0.9, lambda_) - value
    for i in range(envs):
        columns = (x[:, i] for x in (reward, value, next_value, terminated, ended))
        theirs = advantages_by_loop(*columns, 0.9, lambda_)
        np.testing.assert_allclose(ours[:, i], theirs, rtol=1e-4, atol=1e-5)


def test_lambda_one_is_the_discounted_sum_to_the_rollouts_end():
    reward = np.array([[1.0], [2.0], [3.0]], np.float32)
    none = np.zeros((3, 1), bool)
    returns = lambda_returns(reward, np.full((3, 1), 10, np.float32), none, none, 0.5, 1.0)
    np.testing.assert_allclose(returns[:, 0], [1 + 1 + 0.75 + 1.25, 2 + 1.5 + 2.5, 3 + 5])


def test_a_td_target_is_a_return_of_one_step():
    rng = np.random.default_rng(0)
    reward, value = rng.normal(size=(2, 20)).astype(np.float32)
    terminated = rng.random(20) < 0.3
    one = n_step(reward[:, None], terminated[:, None], np.ones((20, 1), bool), 0.9)
    expected = one.reward + one.discount * value
    np.testing.assert_allclose(td_target(reward, value, terminated, 0.9), expected, rtol=1e-6)
