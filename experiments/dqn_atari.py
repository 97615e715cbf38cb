"""Human-level control through deep reinforcement learning (Mnih et al., Nature 518, 2015), and
Playing Atari with Deep Reinforcement Learning (Mnih et al., 2013), arXiv:1312.5602.

Claim: experience replay makes Q-learning with a network work, with a separate target network.

Extensions as values of the config: double Q (van Hasselt 2015, 1509.06461), dueling (Wang 2015,
1511.06581), prioritized replay (Schaul 2015, 1511.05952), n-step returns, Adam, sticky actions.
Departures: in 2013's variant too frames are resized (that paper crops) and are the maximum of two,
4 repeats hold in Space Invaders (3), and optimizer and clipped errors are 2015's; N environments
may be stepped together (`env.num_envs`).
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.models.dqn import DQN
from research.optim.centered_rmsprop import centered_rmsprop
from research.report.claims import Claim, Paper, Results, Scores
from research.report.demo import Demo
from research.report.game_demo import play_demo
from research.rl.acting.actor import Actors, apply_action
from research.rl.acting.episodes import Evaluation
from research.rl.agents.q_learning import epsilon_greedy, q_of_action
from research.rl.envs import games
from research.rl.envs.environments import empty_stack, push_frame
from research.rl.replay.frames import Batch, Replay, ReplayState
from research.rl.replay.prioritized import make_sampler

PAPER = Paper(
    title="Human-level control through deep reinforcement learning",
    authors="Mnih et al.",
    year=2015,
    arxiv="1312.5602",
    field="reinforcement learning",
    claim="Experience replay, with a target network, makes deep Q-learning work.",
    parameters={"2013": 677_172, "2015": 1_686_180},  # with Breakout's 4 actions
    curves=("train/return",),
    x="frames",
)


class Agent(flax.struct.PyTreeNode):
    """What an update changes.

    Attributes:
      learner: the network Q(s, a; theta) and its optimizer.
      target_params: theta^-, parameters of the target network.
      priorities: of the replayed transitions, as the sampler keeps them.
      metrics: of the last update.
    """

    learner: LearnerState
    target_params: Any
    priorities: Any
    metrics: dict[str, jax.Array]


class State(flax.struct.PyTreeNode):
    """N environments, their experience, and what has been learned from it.

    Attributes:
      agent: what has been learned.
      actors: the environments in mid-episode; their observations are single frames.
      observation: `[N, H, W, stack * C]` uint8, the newest frames of each, acted on next.
      replay: every frame once.
    """

    agent: Agent
    actors: Actors
    observation: jax.Array
    replay: ReplayState


class DeepQNetwork(Experiment):
    """Algorithm 1: epsilon-greedy actions, replay, and Q-learning with a target network."""

    def __init__(self, config: ConfigDict):
        agent, memory = config.agent, config.replay
        settings = games.Settings(**config.env)
        self.settings = settings
        self.env = games.training_frames(settings)
        self.replay = Replay(
            num_envs=self.env.num_envs,
            capacity=memory.capacity,
            frame_shape=self.env.observation_space.shape,
            stack=settings.stack,
            n_steps=agent.n_steps,
            gamma=agent.gamma,
        )
        self.sampler = make_sampler(memory.sampling, self.replay, memory.priority_exponent)
        self.importance_exponent_start = memory.importance_exponent_start
        self.learner = Learner(
            DQN(
                self.env.num_actions,
                config.model.variant,
                config.model.dueling,
                config.compute_dtype,
            ),
            make_optimizer(config.optimizer, agent.batch_size),
            max_grad_norm=config.max_grad_norm,
        )
        self.double = agent.double
        self.batch_size = agent.batch_size
        self.period = agent.agent_steps_per_update
        self.target_period_updates = agent.target_period_updates
        if agent.target_period_frames:
            frames_per_update = self.period * self.env.frames_per_step
            if agent.target_period_frames % frames_per_update:
                raise UserError(
                    f"agent.target_period_frames={agent.target_period_frames} is 0, or a multiple "
                    f"of the {frames_per_update} frames between two updates"
                )
            self.target_period_updates = agent.target_period_frames // frames_per_update
        self.epsilon = optax.linear_schedule(
            1.0, agent.epsilon_end, agent.epsilon_decay_frames, memory.learning_starts_frames
        )

        self.test_env = games.evaluation_games(
            settings,
            games.EvaluationSettings(
                config.eval.episodes,
                max_noops=config.eval.max_noops,
                max_episode_frames=config.eval.max_episode_frames,
            ),
        )
        self.test_play = self.evaluation(config.eval.epsilon)

        frames = self.env.num_envs * self.env.frames_per_step
        self.total_frames = config.total_frames
        self.num_steps = config.total_frames // frames
        # Agent steps of the last step before learning starts: from then on updates are counted.
        first_learning_step = max(-(-memory.learning_starts_frames // frames), 1)
        self.idle_agent_steps = (first_learning_step - 1) * self.env.num_envs

        self.source = games.source(self.env, self.act, config.seed)
        self.per_step = {"frames": frames}
        self.soft_rules = [("^(actors|observation|replay)(/|$)", PartitionSpec("data"))]

    def init(self, key):
        env_key, net_key = jax.random.split(key)
        actors = Actors.start(self.env, env_key)
        blank = empty_stack(actors.observation, self.settings.stack)
        observation = push_frame(blank, actors.observation)
        learner = self.learner.init(net_key, observation[:1], train=True)
        agent = Agent(
            learner=learner,
            target_params=jax.tree.map(jnp.copy, learner.params),
            priorities=self.sampler.init(),
            metrics={name: jnp.zeros(()) for name in ("loss", "grad_norm", "q")},
        )
        return State(agent, actors, observation, self.replay.init())

    def step(self, state, batch, t, key):
        act_key, env_key, learn_key = jax.random.split(key, 3)
        on_host = self.settings.actor == "host"
        actors, now = apply_action(
            self.env,
            state.actors,
            batch["action"] if on_host else self.act(state, t, act_key),
            env_key,
            reward_clip=self.settings.reward_clip,
            life_loss_ends=self.settings.life_loss_ends,
            batch=batch,
        )
        replay = self.replay.add(
            state.replay,
            frame=now.observation,
            action=now.action,
            reward=now.reward,
            terminated=now.terminated,
            ended=now.reset,
            next_frame=now.next_observation,
        )
        priorities = self.sampler.added(state.agent.priorities, replay)
        state = State(
            agent=self.learn(state.agent.replace(priorities=priorities), replay, t, learn_key),
            actors=actors,
            observation=push_frame(state.observation, actors.observation, first=now.reset),
            replay=replay,
        )
        return state, {
            "train/return": jnp.nanmean(now.episode_return),
            "epsilon": self.epsilon(self.frames(t + 1)),
            **state.agent.metrics,
        }

    def frames(self, t: jax.Array) -> jax.Array:
        """Frames of all environments together before step t."""
        return t * self.env.num_envs * self.env.frames_per_step

    def num_updates(self, t: jax.Array) -> jax.Array:
        """Updates made before step t: one for every period of agent steps since learning began."""
        agent_steps = t * self.env.num_envs
        return jnp.maximum(agent_steps // self.period - self.idle_agent_steps // self.period, 0)

    def q(self, params: Any, observation: jax.Array) -> jax.Array:
        """Q(s, .; theta), `[B, A]` of observations `[B, H, W, stack * C]`."""
        return self.learner.apply({"params": params}, observation, train=False)[0]

    def act(self, state: State, t: jax.Array, key: jax.Array) -> jax.Array:
        """Epsilon-greedy actions `[N]` in step t."""
        q = self.q(state.agent.learner.params, state.observation)
        return epsilon_greedy(key, q, self.epsilon(self.frames(t)))

    def learn(self, agent: Agent, replay: ReplayState, t: jax.Array, key: jax.Array) -> Agent:
        """The updates that are due in step t: none in some steps, several in others."""
        done, due = self.num_updates(t), self.num_updates(t + 1)
        progress = self.frames(t + 1) / self.total_frames
        beta = self.importance_exponent_start * (1 - progress) + progress

        def body(i, agent):
            update_key = jax.random.fold_in(key, i)
            return self.update(agent, replay, done + i, beta, update_key)

        return jax.lax.fori_loop(0, due - done, body, agent)

    def update(
        self, agent: Agent, replay: ReplayState, number: jax.Array, beta: jax.Array, key: jax.Array
    ) -> Agent:
        """Update `number`, from 0: a minibatch of replay, then, now and then, theta^- <- theta."""
        sample_key, loss_key = jax.random.split(key)
        batch = self.sampler.sample(agent.priorities, replay, sample_key, self.batch_size, beta)
        y = self.td_target(agent.learner.params, agent.target_params, batch)
        learner, metrics, td_error = self.learner.minimize_with_extra(
            agent.learner, self.loss, (batch, y), loss_key
        )
        return Agent(
            learner=learner,
            target_params=optax.periodic_update(
                learner.params, agent.target_params, number + 1, self.target_period_updates
            ),
            priorities=self.sampler.update(agent.priorities, batch, td_error),
            metrics=metrics,
        )

    def td_target(self, params: Any, target_params: Any, batch: Batch) -> jax.Array:
        """y = r + gamma max_a' Q(s', a'; theta^-) (below equation 2), `[B]`.

        Where n steps count as one, r is their return and gamma has the power n. In double
        Q-learning the network itself selects a', and the target network says what it is worth.
        """
        next_q = self.q(target_params, batch.next_observation)
        selector_q = self.q(params, batch.next_observation) if self.double else next_q
        return batch.reward + batch.discount * q_of_action(next_q, selector_q.argmax(axis=1))

    def loss(
        self, variables: Any, batch: tuple[Batch, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """L(theta) = E (y - Q(s, a; theta))^2 (equation 2), its error clipped to [-1, 1].

        2015 clips the error in the gradient, (y - Q) grad Q (equation 3): the gradient of Huber's
        loss. TD errors `[B]` are returned for priorities.
        """
        transition, y = batch
        q = self.learner.apply(variables, transition.observation, train=True)[0]
        q = q_of_action(q, transition.action)
        loss = jnp.mean(transition.weight * optax.huber_loss(q, y, delta=1.0))
        return loss, Aux({"q": q.mean()}, extra=y - q)

    def evaluation(self, epsilon: float) -> Evaluation:
        """Whole episodes, whatever the lives, with rewards as the game gives them."""
        return Evaluation(self.test_env, functools.partial(self.act_in_test, epsilon))

    def act_in_test(self, epsilon: float, params: Any, observation, key):
        return epsilon_greedy(key, self.q(params, observation), epsilon)

    def evaluate(self, state, key):
        numbers = self.test_play(state.agent.learner.params, key)
        return {f"eval/{name}": value for name, value in numbers.items()}


def make_optimizer(optimizer: ConfigDict, batch_size: int) -> optax.GradientTransformation:
    check_choice("optimizer.name", optimizer.name, ("rmsprop", "adam"))
    if optimizer.name == "adam":
        return optax.adam(optimizer.learning_rate, eps=optimizer.adam_epsilon)
    return centered_rmsprop(
        optimizer.learning_rate,
        optimizer.gradient_momentum,
        optimizer.squared_gradient_momentum,
        # The paper's is of the gradient summed over the batch, the loss here is a mean.
        optimizer.min_squared_gradient / batch_size**2,
    )


def main(experiment: DeepQNetwork, config: ConfigDict, workdir: Path) -> dict[str, float]:
    """Beside the trained agent a random one plays, as in the papers' tables."""
    state, numbers = training.run(experiment, config, workdir)
    play_at_random = experiment.evaluation(epsilon=1.0)
    random = play_at_random(state.agent.learner.params, jax.random.key(config.seed))
    return {**numbers, "random/return": random["return"]}


def demo(experiment: DeepQNetwork, state: State) -> Demo:
    return play_demo(experiment.test_play, state.agent.learner.params)


def claims(results: Results) -> list[Claim]:
    """The whole agent against those that lack a part, by returns."""
    if "full" not in results.arms:  # one game, nothing compared
        return []
    test_return = results["eval/return"]
    random = {"random": results["random/return"]["full"]}
    everyone = Scores("eval/return", {**test_return, **random})

    def ratio(arm: str, factor: float, claim: str, paper: str, min_seeds: int = 1) -> Claim:
        judged = len(everyone[arm]) >= min_seeds
        return everyone.ratio("full", arm, factor, claim=claim, paper=paper, judged=judged)

    return [
        ratio("no_replay", 1.1, "replay: return", "Breakout 316.8, 10.2 without"),
        ratio("neither", 1.1, "replay and target network: return", "Breakout 316.8, 3.2 without"),
        # Single seeds of these two overlap.
        ratio("no_target", 1.0, "a target network: return", "Breakout 316.8, 240.7 without", 3),
        ratio("random", 5.0, "a trained agent: return", "Breakout 401.2, random policy 1.7"),
    ]


if __name__ == "__main__":
    app.run()
