"""Human-level control through deep reinforcement learning (Mnih et al., Nature 518, 2015), and
Playing Atari with Deep Reinforcement Learning (Mnih et al., 2013), arXiv:1312.5602.

Claim: experience replay and a separate target network each make Q-learning with a network work.

Extensions as values of the config: double Q (van Hasselt 2015, 1509.06461), dueling (Wang 2015,
1511.06581), prioritized replay (Schaul 2015, 1511.05952), n-step returns, Adam, sticky actions.
Departures: 84x84 frames are resized as ALE's vector environments do, in 2013's variant too (the paper
crops); many environments may be stepped together (`env.num_envs`), the papers have one.
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec

from research import app, training
from research.models.dqn import DQN
from research.paper import Claim, Paper
from research.rl import ale, games, host_actor
from research.rl.evaluation import Evaluation, epsilon_greedy
from research.rl.prioritized import Prioritized
from research.rl.replay import Newest, Replay, ReplayState, Uniform
from research.rl.rmsprop import centered_rmsprop

PAPER = Paper(
    title="Human-level control through deep reinforcement learning",
    authors="Mnih et al.",
    year=2015,
    arxiv="1312.5602",
    claim="Experience replay and a target network each make deep Q-learning work.",
    # Breakout's 4 actions; A actions have 257 (2013) or 513 (2015) parameters more or less each.
    parameters={"2013": 677_172, "2015": 1_686_180},
    curves=("train/return",),
    x="frames",
)


@flax.struct.dataclass
class State:
    """N environments, their experience, and what has learned from it."""

    learner: training.LearnerState
    target: Any  # parameters
    env: Any
    observation: jax.Array  # [N, H, W, C] uint8
    episode_return: jax.Array  # [N], of the unfinished episodes
    replay: ReplayState
    priorities: Any
    agent_steps: jax.Array  # by all environments together
    updates: jax.Array
    last: dict[str, jax.Array]  # metrics of the last update


def build(config: Any) -> training.Experiment:
    agent, replay_config = config.agent, config.replay
    env = games.training_games(config.env)
    frames_per_step = env.num_envs * env.frames_per_step
    *size, channels = env.env.observation_space.shape
    replay = Replay(env.num_envs, replay_config.capacity, (*size, channels), env.depth,
                    agent.n_steps, agent.gamma)
    sampler = make_sampler(replay_config, replay)
    learner = training.Learner(
        DQN(env.num_actions, config.model.variant, config.model.dueling, config.compute_dtype),
        make_optimizer(config.optimizer, agent.batch_size),
        max_grad_norm=config.max_grad_norm, ema_decay=config.ema_decay,
    )

    def values(variables: Any, observation: jax.Array) -> jax.Array:
        return learner.apply(variables, observation, train=False)[0]

    def init(key: jax.Array) -> State:
        env_key, net_key = jax.random.split(key)
        observation, env_state = env.reset(env_key)
        state = learner.init(net_key, observation[:1], train=True)
        zero = jnp.zeros((), jnp.int32)
        return State(
            state, jax.tree.map(jnp.copy, state.params), env_state, observation,
            jnp.zeros(env.num_envs), replay.init(), sampler.init(), zero, zero,
            {"loss": jnp.zeros(()), "grad_norm": jnp.zeros(()), "q": jnp.zeros(())},
        )

    def epsilon(agent_steps: jax.Array) -> jax.Array:
        learned = agent_steps * env.frames_per_step - replay_config.learning_starts_frames
        progress = jnp.clip(learned / agent.epsilon_decay_frames, 0, 1)
        return 1 + progress * (agent.epsilon_end - 1)

    def act(state: State, key: jax.Array) -> jax.Array:
        q = values({"params": state.learner.params}, state.observation)
        return epsilon_greedy(key, q, epsilon(state.agent_steps))

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        act_key, env_key, learn_key = jax.random.split(key, 3)
        action = batch["action"] if config.env.actor == "host" else act(state, act_key)
        observation, env_state, reward, terminated, truncated, info = env.step(
            env_key, env.receive(state.env, batch), action
        )
        ended = terminated | truncated
        returns = state.episode_return + reward
        if config.env.life_loss_ends:  # nothing of value follows, but the episode goes on
            terminated |= info["life_lost"]
        if config.env.reward_clip:
            reward = jnp.clip(reward, -config.env.reward_clip, config.env.reward_clip)
        experience = replay.add(
            state.replay, state.observation[..., -channels:], action, reward, terminated, ended,
            info["final_observation"][..., -channels:],
        )
        state = state.replace(
            env=env_state, observation=observation, episode_return=jnp.where(ended, 0, returns),
            replay=experience, priorities=sampler.added(state.priorities, state.replay),
            agent_steps=state.agent_steps + env.num_envs,
        )
        metrics = {
            "train/return": jnp.where(ended, returns, 0).sum() / ended.sum(),  # NaN if none ended
            "epsilon": epsilon(state.agent_steps),
        }
        state = learn(state, learn_key)
        return state, {**metrics, **state.last}

    def learn(state: State, key: jax.Array) -> State:
        k, done = agent.agent_steps_per_update, state.agent_steps
        due = done // k - (done - env.num_envs) // k
        started = done * env.frames_per_step >= replay_config.learning_starts_frames
        frames = state.agent_steps * env.frames_per_step
        start = replay_config.importance_exponent_start
        beta = start + (1 - start) * frames / config.total_frames

        def update(i: jax.Array, loop: tuple[Any, ...]) -> tuple[Any, ...]:
            learned, target, priorities, updates, _ = loop
            batch = sampler.sample(
                priorities, state.replay, jax.random.fold_in(key, i), agent.batch_size, beta
            )
            following = values({"params": target}, batch.next_observation)
            chooser = following
            if agent.double:
                chooser = values({"params": learned.params}, batch.next_observation)
            best = jnp.take_along_axis(following, chooser.argmax(-1, keepdims=True), axis=1)[:, 0]
            goal = batch.reward + batch.discount * best

            def loss_fn(variables: Any, batch: Any, key: jax.Array) -> Any:
                q = learner.apply(variables, batch.observation, train=True)[0]
                q = jnp.take_along_axis(q, batch.action[:, None], axis=1)[:, 0]
                # The derivative of this loss is the TD error clipped to [-1, 1].
                loss = jnp.mean(batch.weight * optax.huber_loss(q, goal, delta=1.0))
                return loss, training.Aux({"q": q.mean(), "td_error": goal - q})

            learned, metrics = learner.minimize(learned, loss_fn, batch, key)
            priorities = sampler.update(priorities, batch.slot, metrics.pop("td_error"))
            target = optax.periodic_update(
                learned.params, target, updates + 1, agent.target_period_updates
            )
            return learned, target, priorities, updates + 1, metrics

        loop = state.learner, state.target, state.priorities, state.updates, state.last
        learned, target, priorities, updates, last = jax.lax.fori_loop(
            0, jnp.where(started, due, 0), update, loop
        )
        return state.replace(
            learner=learned, target=target, priorities=priorities, updates=updates, last=last
        )

    source: training.Source | None = None
    if config.env.actor == "host":
        spec = games.atari_spec(config.env, env.num_envs)
        source = host_actor.HostActor(spec, act, lambda s: s.env.env, config.seed)
    elif games.is_atari(config.env.name):
        source = ale.EmulatorSource(env.env, lambda s: s.env.env.log)
    return training.Experiment(
        init=init,
        step=step,
        num_steps=config.total_frames // frames_per_step,
        source=source,
        evals={"eval": make_evaluation(config, values, config.eval.epsilon)},
        rules=[("^(env|observation|episode_return|replay)", PartitionSpec("data"))],
        per_step={"frames": frames_per_step},
    )


def make_sampler(config: Any, replay: Replay) -> Uniform | Prioritized:
    samplers = {"uniform": Uniform, "newest": Newest}
    if config.sampling == "prioritized":
        return Prioritized(replay, config.priority_exponent)
    if config.sampling not in samplers:
        raise training.UserError(
            f"replay.sampling is uniform, newest or prioritized, not {config.sampling!r}"
        )
    return samplers[config.sampling](replay)


def make_optimizer(config: Any, batch_size: int) -> optax.GradientTransformation:
    if config.name == "adam":
        return optax.adam(config.learning_rate, eps=config.adam_epsilon)
    if config.name != "rmsprop":
        raise training.UserError(f"optimizer.name is rmsprop or adam, not {config.name!r}")
    # The paper sums the gradient over the batch, the loss here is its mean: the same step, with
    # the constant scaled alike.
    return centered_rmsprop(
        config.learning_rate, config.gradient_momentum, config.squared_gradient_momentum,
        config.min_squared_gradient / batch_size**2,
    )


def make_evaluation(config: Any, values: Any, epsilon: float) -> Evaluation:
    """Episodes of their own: whole ones whatever the lives, rewards as the game gives them."""
    env = games.evaluation_games(config.env, config.eval)

    def act(state: State, observation: jax.Array, key: jax.Array) -> jax.Array:
        q = values({"params": state.learner.params}, observation)
        return epsilon_greedy(key, q, epsilon)

    return Evaluation(env, act)


def main(config: Any, workdir: Any) -> dict[str, float]:
    experiment = build(config)
    state = training.run(experiment, config, workdir)
    return training.evaluate(experiment, state, config)


def claims(results: Any) -> list[Claim]:
    return []


if __name__ == "__main__":
    app.run()
