"""Retrace and V-trace against sums written out, with ends of episodes in the middle."""

import numpy as np
import pytest

from research.rl.retrace import retrace, v_trace
from research.rl.returns import lambda_returns

T, N, GAMMA = 9, 4, 0.9


def steps(seed=0):
    rng = np.random.default_rng(seed)
    reward, q, value = rng.normal(size=(3, T, N)).astype(np.float32)
    ratio = rng.uniform(0.2, 2.5, (T, N)).astype(np.float32)
    kind = rng.integers(0, 6, (T, N))
    return reward, q, value, ratio, kind == 0, kind <= 1


@pytest.mark.parametrize("longest", [1.0, 2.0])
def test_equals_the_sum_over_traces(longest):
    """Q + sum over later steps of the discounted, traced TD errors (Munos et al., equation 3)."""
    reward, q, value, ratio, terminated, ended = steps()
    expected = np.zeros((T, N))
    for i in range(N):
        for t in range(T):
            total, weight = q[t, i], 1.0
            for s in range(t, T):
                following = 0.0 if terminated[s, i] else value[s, i]
                total += weight * (reward[s, i] + GAMMA * following - q[s, i])
                if ended[s, i] or s + 1 == T:
                    break
                weight *= GAMMA * min(longest, ratio[s + 1, i])
            expected[t, i] = total
    got = retrace(reward, q, value, ratio, terminated, ended, GAMMA, longest)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_on_policy_with_values_for_q_it_is_the_return():
    """Where the policy has one action, Q(x, a) = V(x) and all ratios are 1."""
    reward, _, value, _, terminated, ended = steps(1)
    q = np.concatenate([np.zeros((1, N), np.float32), value[:-1]])
    ended = terminated  # V of the next step is that of the step's own observation
    got = retrace(reward, q, value, np.ones((T, N), np.float32), terminated, ended, GAMMA)
    expected = lambda_returns(reward, value, terminated, ended, GAMMA, 1.0)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_without_traces_it_is_one_step():
    reward, q, value, ratio, terminated, ended = steps(2)
    got = retrace(reward, q, value, 0 * ratio, terminated, ended, GAMMA)
    np.testing.assert_allclose(got, reward + GAMMA * np.where(terminated, 0, value), rtol=1e-5)


@pytest.mark.parametrize(("largest", "longest"), [(1.0, 1.0), (2.0, 1.0), (2.0, 0.5)])
def test_v_trace_equals_its_sum(largest, longest):
    """Espeholt et al., 2018, equation 1, and the policy's gradient in section 4.2."""
    reward, value, following, ratio, terminated, ended = steps(3)
    target, advantage = np.zeros((2, T, N))
    for i in range(N):
        for t in reversed(range(T)):
            total, weight = value[t, i], 1.0
            for s in range(t, T):
                reached = 0.0 if terminated[s, i] else following[s, i]
                error = reward[s, i] + GAMMA * reached - value[s, i]
                total += weight * min(largest, ratio[s, i]) * error
                if ended[s, i] or s + 1 == T:
                    break
                weight *= GAMMA * min(longest, ratio[s, i])
            target[t, i] = total
            onward = following[t, i]
            if not ended[t, i] and t + 1 < T:  # V-trace's own target of the state that is reached
                onward += target[t + 1, i] - value[t + 1, i]
            onward = 0.0 if terminated[t, i] else onward
            advantage[t, i] = min(1.5, ratio[t, i]) * (reward[t, i] + GAMMA * onward - value[t, i])
    got = v_trace(reward, value, following, ratio, terminated, ended, GAMMA, largest, longest, 1.5)
    np.testing.assert_allclose(got.target, target, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got.advantage, advantage, rtol=1e-4, atol=1e-5)


def test_on_policy_v_trace_is_the_return():
    """Remark 1: n-step returns, through whatever ends in the middle."""
    reward, _, following, _, terminated, ended = steps(4)
    value = np.concatenate([np.zeros((1, N), np.float32), following[:-1]])
    got = v_trace(reward, value, following, np.ones((T, N)), terminated, ended, GAMMA)
    expected = lambda_returns(reward, following, terminated, ended, GAMMA, 1.0)
    np.testing.assert_allclose(got.target, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got.advantage, expected - value, rtol=1e-4, atol=1e-5)
