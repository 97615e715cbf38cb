"""Generative Adversarial Imitation Learning (Ho and Ermon, 2016), arXiv:1606.03476.

Claim: a policy that an adversary cannot tell from an expert acts like it after the sight of few of
its episodes; a policy cloned from them needs more.

Phases: TRPO on the true reward makes the expert, whose episodes are thinned out to every 20th pair
from a random offset; then a network like the expert's is trained from these alone, by GAIL or by
cloning. The reward of the paper's cost, -log D, is positive and keeps episodes going; where the
task is to end them `gail.reward` is log(1 - D), as in the authors' code. Departures: the value
function is fitted as in OpenAI Baselines' TRPO; the discriminator may take several gradient steps
an iteration, on inputs as they are, without the authors' entropy regulariser; inputs of policy and
value are not normalised by the expert's. The paper's other tasks need MuJoCo.
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from research import app, training
from research.config import with_overrides
from research.core import Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.core.legacy import OldExperiment
from research.models.actor_critic import Actor, Critic
from research.papers.gail.adversary import REWARDS, Adversary
from research.papers.gail.behavioral_cloning import Cloning
from research.papers.gail.pair_discriminator import PairDiscriminator
from research.report.claims import Claim, Paper
from research.rl import demonstrations
from research.rl.acting.actor import Actors
from research.rl.acting.episodes import Evaluation
from research.rl.acting.rollouts import Collector, flatten
from research.rl.agents.on_policy import ACTOR_RULES, evaluation, make_collector, random_return
from research.rl.agents.trpo import TRPO, check_rollout
from research.rl.demonstrations import Demonstrations
from research.rl.envs import games

PAPER = Paper(
    title="Generative Adversarial Imitation Learning",
    authors="Ho, Ermon",
    year=2016,
    arxiv="1606.03476",
    claim="Few episodes of an expert suffice to act like it, where cloning them fails.",
    curves=("eval/return",),
)
METHODS = ("gail", "cloning", "expert")


@flax.struct.dataclass
class State:
    policy: Any  # variables
    value: LearnerState
    discriminator: LearnerState
    actors: Actors
    expert: Demonstrations


def build(config: Any, expert: Demonstrations | None = None) -> Experiment:
    """One phase; without demonstrations, of those the shapes alone are right."""
    check_choice("method", config.method, METHODS)
    check_choice("gail.reward", config.gail.reward, REWARDS)
    if config.vmap_seeds:
        raise UserError("each seed has an expert of its own: set vmap_seeds=false")
    env = make_rollouts(config).env
    if len(env.observation_space.shape) != 1 or config.env.normalize_observations:
        raise UserError(
            "demonstrations are vectors as the task gives them: env.name is one of classic "
            "control, env.normalize_observations=false"
        )
    if expert is None:
        seen = config.expert
        expert = demonstrations.blank(
            demonstrators(config), seen.max_episode_steps, seen.every_steps
        )
    return (cloning if config.method == "cloning" else imitation)(config, env, expert)


def imitation(config: Any, env: Any, expert: Demonstrations) -> Experiment:
    """Algorithm 1; the method "expert" has its policy's steps alone, with the true reward."""
    settings, trpo, collector = config.gail, make_trpo(config, env), make_rollouts(config)
    network = PairDiscriminator(env.num_actions, tuple(settings.hidden), config.compute_dtype)
    judge = Learner(network, optax.adam(settings.learning_rate))
    adversary = Adversary(judge, settings.updates, settings.reward, settings.entropy_weight)

    def init(key: jax.Array) -> State:
        env_key, policy_key, value_key, judge_key = jax.random.split(key, 4)
        actors, pairs = collector.init(env_key), flatten(expert)
        seen = actors.observation[:1]
        return State(
            trpo.init_policy(policy_key, seen),
            trpo.critic.init(value_key, seen),
            judge.init(judge_key, pairs.observation[:1], pairs.action[:1]),
            actors,
            jax.tree.map(jnp.copy, expert),
        )

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        play_key, judge_key, value_key = jax.random.split(key, 3)
        actors, played = collector.run(
            state.actors,
            lambda seen: (trpo.policy(state.policy, seen), trpo.value(state.value, seen)),
            play_key,
        )
        discriminator, metrics = state.discriminator, {}
        if config.method == "gail":
            discriminator, metrics = adversary.learn(discriminator, played, state.expert, judge_key)
            played = adversary.judged(discriminator, played)
        actors, rollout, shown = collector.estimate(actors, played)
        rollout = flatten(rollout)
        learned, taken = trpo.improve(state.policy, rollout)
        value, fitted = trpo.fit(state.value, rollout, value_key)
        return State(learned, value, discriminator, actors, state.expert), {
            "value_loss": fitted["loss"],
            "kl": taken.kl,
            **metrics,
            **shown,
            "entropy": rollout.policy.entropy().mean(),
        }

    test = evaluation(test_games(config), trpo.policy, greedy=config.eval.greedy)

    def play(state: State, key: jax.Array) -> dict[str, float]:
        return test((state.policy, state.actors.moments), key)

    frames = env.num_envs * config.agent.rollout_steps
    return OldExperiment(
        init,
        step,
        config.total_frames // frames,
        evals={"eval": play},
        splits=ACTOR_RULES,
        per_step={"frames": frames},
    )


def make_trpo(config: Any, env: Any) -> TRPO:
    agent, kind = config.agent, (config.model.variant, config.compute_dtype)
    check_rollout(env.num_envs * agent.rollout_steps, agent.value_minibatches, agent.fisher_every)
    return TRPO(
        actor=Actor(env.num_actions, env.action_size, *kind),
        critic=Learner(
            Critic(*kind),
            optax.adam(config.optimizer.learning_rate, eps=config.optimizer.adam_epsilon),
            max_grad_norm=config.max_grad_norm,
        ),
        kl_limit=agent.kl_limit,
        damping=agent.damping,
        cg_iterations=agent.cg_iterations,
        backtracks=agent.backtracks,
        fisher_every=agent.fisher_every,
        value_epochs=agent.value_epochs,
        value_minibatches=agent.value_minibatches,
    )


def make_rollouts(config: Any) -> Collector:
    agent, settings = config.agent, games.Settings(**config.env)
    return make_collector(settings, agent.rollout_steps, agent.gamma, agent.gae_lambda)


def test_games(config: Any) -> Any:
    return games.evaluation_games(
        games.Settings(**config.env),
        config.eval.episodes,
        max_noops=config.eval.max_noops,
        max_episode_frames=config.eval.max_episode_frames,
    )


def cloning(config: Any, env: Any, expert: Demonstrations) -> Experiment:
    """What GAIL is compared with: the same network on the same pairs (section 6)."""
    settings, actor = config.cloning, make_trpo(config, env).actor
    learner = Learner(actor, optax.adam(settings.learning_rate))
    method = Cloning(learner, settings.train_share, settings.batch_size)

    def step(state: Any, batch: Any, key: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        keys = jax.random.split(key, settings.updates_per_step)
        state, metrics = jax.lax.scan(method.step, state, keys)
        return state, jax.tree.map(jnp.mean, metrics)

    def act(params: Any, observation: jax.Array, key: jax.Array) -> jax.Array:
        policy = method.policy({"params": params}, observation)
        return policy.mode() if config.eval.greedy else policy.sample(key)

    play = Evaluation(test_games(config), act)
    return OldExperiment(
        lambda key: method.init(key, expert),
        step,
        settings.num_steps,
        evals={"eval": lambda state, key: play(state.best, key)},
    )


def main(config: Any, workdir: Any) -> dict[str, float]:
    frames = config.expert.total_frames
    settings = with_overrides(config, {"method": "expert", "total_frames": frames})
    master = build(settings)
    learned, trained = training.run(master, settings, workdir / "expert")
    numbers = {"expert/return": trained["eval/return"]}
    # Keys, as the expert itself, are the same in every arm of a seed.
    pairs_key = jax.random.fold_in(jax.random.key(config.seed), 7)
    pairs = demonstrate(config, jax.device_get(learned.policy["params"]), pairs_key)
    numbers["random/return"] = random_return(test_games(config), config.seed)

    experiment = build(config, pairs)
    state, found = training.run(experiment, config, workdir)
    numbers |= found
    span = numbers["expert/return"] - numbers["random/return"]
    numbers["score"] = (numbers["eval/return"] - numbers["random/return"]) / span
    return {**numbers, "expert/pairs": float(pairs.present.sum())}


def demonstrators(config: Any) -> Any:
    """As many copies of the task as episodes of the expert are seen."""
    return games.evaluation_games(games.Settings(**config.env), config.expert.episodes)


def demonstrate(config: Any, params: Any, key: jax.Array) -> Demonstrations:
    env, expert = demonstrators(config), config.expert
    policy = make_trpo(config, env).policy
    return jax.device_get(
        jax.jit(
            lambda key: demonstrations.record(
                env,
                lambda seen, key: policy({"params": params}, seen).sample(key),
                key,
                max_steps=expert.max_episode_steps,
                every_steps=expert.every_steps,
            )
        )(key)
    )


def claims(results: Any) -> list[Claim]:
    if not {"gail_1", "cloning_1"} <= results.keys():
        return []
    # Scores, seeds 0 to 4: gail_1 .95 .93 .62 .96 .94, cloning_1 -.23 .27 -.04 -.32 -.08, of 11
    # .04 .10 -.19 .65 -.10. Bounds are from six runs before: .78 to .98, cloning up to .07.
    runs = {arm: numbers["score"] for arm, numbers in results.items()}
    shown = {k: f"{k} {v.mean():.2f} ({v.min():.2f} to {v.max():.2f})" for k, v in runs.items()}
    ours, pairs = runs["gail_1"], results["gail_1"]["expert/pairs"].mean()
    return [
        Claim(
            f"{pairs:.0f} pairs of one episode: GAIL's score >= 0.6 of the expert's",
            "near 1 (figure 1)",
            shown["gail_1"],
            ours.min() >= 0.6,
        ),
        *(
            Claim(
                f"cloning {what}: score lower by >= 0.4",
                "cloning needs more data (figure 1)",
                f"{shown['gail_1']}, {shown[arm]}",
                ours.min() >= runs[arm].max() + 0.4,
            )
            for arm, what in (
                ("cloning_1", "the same pairs"),
                ("cloning_11", "those of 11 episodes"),
            )
            if arm in runs
        ),
    ]


if __name__ == "__main__":
    app.run()
