"""Every kind of environment becomes frames, and the film is of the episode that was evaluated."""

import jax
import numpy as np
import pytest

from research.rl.acting.episodes import Evaluation
from research.rl.acting.recurrent_rollouts import RecurrentEnvironment
from research.rl.envs import games, probe_envs
from research.rl.films import painter
from research.viz.game_frames import SIZE

PROBES = next(iter(probe_envs.PROBES)), next(iter(probe_envs.CONTINUOUS_PROBES))
NAMES = ("Breakout-MinAtar", "CartPole-v1", "Pendulum-hanging", "pixel-maze", *PROBES)


@pytest.mark.parametrize("name", NAMES)
def test_environments_are_drawn(name):
    env = games.evaluation_games(games.Settings(name, 1), games.EvaluationSettings(2))
    observation, _ = env.reset(jax.random.key(0))
    frames = [painter(env).paint(np.asarray(x)) for x in observation]
    assert all(f.shape == (SIZE, SIZE, 3) and f.dtype == np.uint8 for f in frames)
    assert np.ptp(frames[0]) > 0 or name.startswith("probe")


def test_of_a_stack_the_newest_is_drawn():
    game = games.Settings("CartPole-v1", 1, stack=3)
    stacked = games.evaluation_games(game, games.EvaluationSettings(1))
    single = stacked.env
    x = np.arange(12, dtype=np.float32) / 10
    np.testing.assert_array_equal(painter(stacked).paint(x), painter(single).paint(x[-4:]))


def test_of_an_agent_with_a_memory_what_it_sees_is_drawn():
    env = games.evaluation_games(games.Settings("pixel-maze", 1), games.EvaluationSettings(1))
    with_memory = RecurrentEnvironment(env, 4)
    observation, _ = with_memory.reset(jax.random.key(1))
    first = jax.tree.map(lambda x: np.asarray(x)[0], observation)
    seen = np.asarray(observation.observation)[0]
    np.testing.assert_array_equal(painter(with_memory).paint(first), painter(env).paint(seen))


def test_the_film_is_of_the_first_episode_that_is_evaluated():
    env = games.evaluation_games(games.Settings("CartPole-v1", 1), games.EvaluationSettings(1))

    def act(variables, observation, key):
        return jax.random.randint(key, (len(observation),), 0, 2)

    evaluation, key = Evaluation(env, act), jax.random.key(3)
    numbers = evaluation(None, key)
    seen, rewards = evaluation.watch(None, key, 500)
    assert sum(rewards) == numbers["return"] and len(seen) == len(rewards) == numbers["length"]
    assert len(evaluation.watch(None, key, 5)[0]) == 5
    angles = np.array([x[2] for x in seen])
    assert abs(angles).max() <= 0.21  # of one episode, which ends where the pole has fallen
