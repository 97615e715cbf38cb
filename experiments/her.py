"""Hindsight Experience Replay (Andrychowicz et al., 2017), arXiv:1707.01495.

Claim: with sparse rewards, replaying episodes with goals that they did meet makes off-policy
learning work where it fails without: DQN on bit flipping, DDPG on reaching and pushing.

Departures: the paper's robot arm needs MuJoCo; reaching and pushing are played in the plane without
the arm (`research.papers.her.point_mass`). Its 8 workers are one, with 8 times the episodes
and batch. Copies of a transition with other goals are drawn when it is sampled instead of being
stored.
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from research import app, training
from research.core import Experiment, Learner
from research.core.errors import check_choice
from research.core.legacy import OldExperiment
from research.models.deterministic_actor_critic import Actor, Critic
from research.models.q_network import QNetwork
from research.papers.her.bit_flipping import BitFlipping
from research.papers.her.point_mass import Push, Reach
from research.report.claims import Claim, Paper, spread
from research.rl.acting.noise import random_or_gaussian
from research.rl.acting.normalization import Moments
from research.rl.agents.ddpg import DDPG
from research.rl.agents.q_learning import QLearning, epsilon_greedy
from research.rl.envs import goals
from research.rl.envs.environments import Vectorized
from research.rl.replay.hindsight import Hindsight
from research.rl.replay.transitions import Ring, RingState

PAPER = Paper(
    title="Hindsight Experience Replay",
    authors="Andrychowicz et al.",
    year=2017,
    arxiv="1707.01495",
    claim="Replaying episodes with goals they met makes learning from sparse rewards possible.",
    curves=("eval/success", "train/success"),
    x="frames",
)


@flax.struct.dataclass
class State:
    """What has learned, the moments of all observations, and the episodes it learns from."""

    agent: Any
    seen: Moments
    episodes: RingState | None


def build(config: Any) -> Experiment:
    task = make_task(config.env)
    agent, policy = make_agent(config, task)
    env = Vectorized(task, config.agent.episodes_per_cycle)
    ring = Ring(config.replay.capacity_frames // task.horizon, env.num_envs)
    hindsight = Hindsight(task, ring, config.replay.strategy, config.replay.k)

    def play(copies: Vectorized, state: State, explore: bool, key: jax.Array) -> goals.Episode:
        act = policy(state.agent, explore)
        return goals.play(
            copies, task.horizon, lambda x, key: act(normalized(state.seen, x), key), key
        )

    def init(key: jax.Array) -> State:
        observation = jnp.zeros((1, *env.observation_space.shape))
        state = State(agent.init(key, observation), Moments.init(observation.shape[1:]), None)
        episode = jax.eval_shape(lambda: play(env, state, True, key))
        return state.replace(episodes=ring.init(episode))

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        """A cycle (algorithm 1): episodes of the exploring policy, updates, then the targets."""
        play_key, learn_key = jax.random.split(key)
        episode = play(env, state, True, play_key)
        episodes, seen = ring.add(state.episodes, episode), state.seen.update(episode.observation)

        def update(i: jax.Array, loop: tuple[Any, Any]) -> tuple[Any, Any]:
            sample_key, loss_key = jax.random.split(jax.random.fold_in(learn_key, i))
            batch = hindsight.sample(episodes, sample_key, config.agent.batch_size)
            batch = batch._replace(
                observation=normalized(seen, batch.observation),
                next_observation=normalized(seen, batch.next_observation),
            )
            return agent.update(loop[0], batch, loss_key)

        names = jax.eval_shape(lambda a: update(0, (a, None))[1], state.agent)
        loop = state.agent, jax.tree.map(lambda s: jnp.zeros(s.shape), names)
        learned, metrics = jax.lax.fori_loop(0, config.agent.updates_per_cycle, update, loop)
        shares = {f"train/{name}": share for name, share in goals.success(episode).items()}
        learned = agent.follow(learned, config.agent.tau)
        return State(learned, seen, episodes), {**metrics, **shares}

    frames = env.num_envs * task.horizon
    test = Vectorized(task, config.eval.episodes)
    evaluate = jax.jit(lambda state, key: goals.success(play(test, state, False, key)))
    return OldExperiment(
        init,
        step,
        config.total_frames // frames,
        evals={
            "eval": lambda state, key: evaluate(jax.device_get(state.replace(episodes=None)), key)
        },
        per_step={"frames": frames},
    )


def normalized(seen: Moments, observation: jax.Array) -> jax.Array:
    """In standard deviations from the mean of all observations, clipped to 5 (appendix A)."""
    return jnp.clip(seen.normalize(observation), -5, 5)


def make_task(env: Any) -> goals.GoalEnvironment:
    tasks = {"bit_flipping": lambda: BitFlipping(env.num_bits), "reach": Reach, "push": Push}
    check_choice("env.name", env.name, tasks)
    return tasks[env.name]()


def make_agent(config: Any, task: goals.GoalEnvironment) -> tuple[Any, Any]:
    """What learns, DQN or DDPG as the task's actions have it, and its policy:
    `(state, explore) -> (observation, key) -> action`. Tests are played by the target network, as
    it is more stable (appendix A)."""
    hidden, dtype, noise = tuple(config.model.hidden), config.compute_dtype, config.exploration
    gamma = config.agent.gamma
    # Returns of rewards -1 and 0 lie within these bounds (appendix A).
    common = {"gamma": gamma, "target_range": (-1 / (1 - gamma), 0.0)}

    def learner(network: Any) -> Learner:
        return Learner(
            network,
            optax.adam(config.learning_rate),
            max_grad_norm=config.max_grad_norm,
        )

    if task.num_actions:
        dqn = QLearning(learner(QNetwork(task.num_actions, hidden, dtype)), **common)

        def dqn_policy(state: Any, explore: bool) -> Any:
            network, epsilon = (state.learner, noise.epsilon) if explore else (state.target, 0.0)
            return lambda x, key: epsilon_greedy(key, dqn.values(network, x), epsilon)

        return dqn, dqn_policy

    ddpg = DDPG(
        learner(Actor(task.action_size, hidden, dtype=dtype)),
        learner(Critic(hidden, action_layer=0, dtype=dtype)),
        **common,
        action_penalty=config.agent.action_penalty,
    )

    def ddpg_policy(state: Any, explore: bool) -> Any:
        if not explore:
            return lambda x, key: ddpg.action(state.target_actor, x)
        return lambda x, key: random_or_gaussian(
            key, ddpg.action(state.actor, x), noise.epsilon, noise.sigma
        )

    return ddpg, ddpg_policy


def main(config: Any, workdir: Any) -> dict[str, float]:
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)
    return numbers


def claims(results: Any) -> list[Claim]:
    """One row for each arm with goals in hindsight, against the same without."""
    # 20 bits, seeds 0 to 4: her 1.00 five times, no_her 0.00 five times.
    rows = []
    for arm in results:
        if arm.startswith("no_"):
            continue
        flips = arm.startswith("her")  # of bits it counts when they were right at any time
        kind = "eval/success" if flips else "eval/success_at_end"
        ours, without = results[arm][kind], results["no_" + arm][kind]
        shown = f"{arm} {spread(ours, 2)}, no_{arm} {spread(without, 2)}"
        if flips:
            rows.append(
                Claim(
                    "success >= 0.9 with goals in hindsight, <= 0.2 without",
                    "40 bits and more; without, no more than about 13 (figure 1)",
                    shown,
                    ours.min() >= 0.9 and without.max() <= 0.2,
                )
            )
        else:
            rows.append(
                Claim(
                    "success at the end >= 0.9 with goals in hindsight, lower by >= 0.3 without",
                    "a robot learns to push with it alone (figure 3)",
                    shown,
                    ours.min() >= 0.9 and without.max() <= ours.min() - 0.3,
                )
            )
    return rows


if __name__ == "__main__":
    app.run()
