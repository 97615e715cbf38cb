"""Deep RL from human preferences on classic control, MinAtar and Atari. Lengths in `_frames` are in
frames of the game, agent steps times action repeat.

    python experiments/human_preferences.py --config configs/human_preferences.py
    python experiments/human_preferences.py --config configs/human_preferences.py:person
    python experiments/human_preferences.py --config configs/human_preferences.py:pong

The first checks the claim with a synthetic oracle, on a pendulum that begins at rest and is to be
swung up: 2.5 CPU minutes for three seeds of five arms. In the paper 700 comparisons nearly match
the reward itself. The second asks you: it prints the address of a page with two clips side by side,
to be answered with the arrow keys; stop it when you like, the same command goes on. The third has
the paper's settings for Atari, and takes days on a CPU.
"""

from ml_collections import ConfigDict

from configs import common
from research.schema import any_number, non_negative

ALLOWED = {"goal_return": any_number, "total_labels": non_negative}


def smoke(config: ConfigDict) -> None:
    """Seconds: every part at a tiny size."""
    config.env.num_envs = 8
    config.agent.update(rollout_steps=8, value_epochs=2, value_minibatches=2)
    config.reward.update(members=2, batch_size=8, updates=2, initial_updates=4, check_size=8)
    config.queries.update(total_labels=40, clip_steps=5, history_steps=16, memory=40)
    config.total_frames = 8 * 8 * 30
    config.eval.episodes = 8
    config.seeds = (0,)
    config.vmap_seeds = False
    config.checkpoint_every_steps = 10
    config.check_claims = False
    config.arms = ConfigDict(
        {"preferences": {}, "true_reward": {"agent.reward": "true"}}, convert_dict=False
    )


def alone(config: ConfigDict) -> None:
    common.single(config)
    config.vmap_seeds = False


def person(config: ConfigDict) -> None:
    """You compare the clips, on a page in your browser."""
    alone(config)
    config.env.name = "Pendulum-v1"
    config.queries.update(labeller="person", total_labels=120)
    config.seeds = (0,)
    config.checkpoint_every_steps = 5


def continuous(config: ConfigDict) -> None:
    """The paper's settings of continuous control (A.1), on Pendulum."""
    alone(config)
    config.env.update(name="Pendulum-v1", num_envs=8, normalize_rewards=False)
    config.agent.update(rollout_steps=600, gamma=0.995, gae_lambda=0.97)
    config.queries.update(
        initial_steps=4, annealing_frames=2_000_000, clip_steps=30, history_steps=600
    )
    config.total_frames = 10_000_000


def atari(config: ConfigDict, game: str) -> None:
    alone(config)
    config.model.update(variant="2015", shared=True)
    config.env.update(
        name=game,
        num_envs=16,
        stack=4,
        action_repeat=4,
        max_noops=30,
        life_loss_ends=True,
        reward_clip=1.0,
        normalize_rewards=False,
    )
    config.agent.update(
        algorithm="a2c", rollout_steps=5, gamma=0.99, gae_lambda=1.0, hide_ends=True
    )
    config.optimizer.learning_rate = 7e-4  # to 0 in the end; the paper's ends at 3/8 of it
    config.max_grad_norm = 0.5
    config.reward.update(
        variant="atari",
        dropout=0.5,
        batch_size=8,
        updates=1,
        initial_updates=125,
        check_size=64,
        l2_rate=1e-3,
        std=0.05,
        moments_decay=0.99,
    )
    config.queries.update(
        total_labels=5_500,
        initial_fraction=500 / 5_500,
        initial_steps=100,
        annealing_frames=20_000_000,
        history_steps=100,
        memory=3_000,
    )
    config.total_frames = 200_000_000
    config.eval.update(episodes=30, max_noops=30)
    config.log_every_steps = 100
    config.checkpoint_every_steps = 10_000
    config.seeds = (0,)


def paper(config: ConfigDict) -> None:
    """Atari (A.2), Breakout; 5,500 comparisons, 200M frames."""
    atari(config, "breakout")
    config.seeds = (0, 1, 2)


VARIANTS = {
    "smoke": smoke,
    "person": person,
    "continuous": continuous,
    "paper": paper,
    **common.atari_games(atari),
}


def reward_predictors() -> ConfigDict:
    """The predictors of the reward, and how they are fitted."""
    return ConfigDict(
        {
            "variant": "mlp",  # or "atari"
            "members": 3,
            "dropout": 0.0,  # of "atari"
            "learning_rate": 1e-3,
            "batch_size": 32,  # comparisons
            "updates": 20,  # in each step of the run
            "initial_updates": 150,  # in each of the random policy's
            "error_rate": 0.1,  # share of answers that come at random
            "l2": 1e-4,  # at first
            "l2_rate": 0.05,  # by how much it changes in a step, where it is to
            "validation_ratio": (1.1, 1.5),  # of validation to training loss, where it is not
            "check_size": 128,  # comparisons that each loss is told from
            "std": 1.0,  # of predicted rewards
            "moments_decay": 0.0,  # of their mean and deviation, a rollout; 0: the newest alone
        }
    )


def query_schedule() -> ConfigDict:
    """Which clips are compared, when, and by whom."""
    return ConfigDict(
        {
            "labeller": "oracle",  # or "person"
            "selection": "variance",  # or "random"
            "total_labels": 700,
            "initial_fraction": 0.25,  # of them, of clips of the first, random policy
            "initial_steps": 3,  # steps of the run in which that plays
            # Labels come half as often after so many: M of M / (T + M).
            "annealing_frames": 150_000,
            "clip_steps": 25,  # agent steps
            "candidates": 10,  # pairs, for each that is asked about
            "history_steps": 200,  # agent steps of each environment from which clips are cut
            "memory": 700,  # comparisons to learn from, the newest
            "waiting": 16,  # queries without an answer with which the policy goes on; of a person
            "goal_return": -636.0,  # labels are counted until a rollout has it; of the claim
            "port": 8017,  # of a person's page; 0: any that is free
        }
    )


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.model = ConfigDict(
        {
            "variant": "mlp",  # or for images "minatar", "2015", "2016"
            "shared": False,  # one trunk for policy and value; A2C alone
        }
    )
    config.env = common.rl_env("Pendulum-hanging", num_envs=16, normalize_rewards=True)
    config.agent = common.trpo_agent()
    config.agent.update(
        {
            # or "a2c", which takes no notice of TRPO's settings, nor TRPO of its.
            "algorithm": "trpo",
            "reward": "predicted",  # or "true"
            "hide_ends": False,  # from the policy: a predicted reward goes on through all episodes
            "entropy_weight": 0.01,
            "value_weight": 0.5,  # of the squared error; this and the next of A2C
            "anneal": True,  # the learning rate, to 0 over the run
        }
    )
    config.optimizer = ConfigDict(
        {
            "learning_rate": 1e-3,
            "adam_epsilon": 1e-5,  # of TRPO's value
            "rmsprop_decay": 0.99,
            "rmsprop_epsilon": 1e-5,  # of A2C, with the same learning rate
        }
    )
    config.reward = reward_predictors()
    config.queries = query_schedule()
    config.total_frames = 150_000
    config.eval = common.rl_eval()
    config.log_every_steps = 2
    config.best_metric, config.best_mode = "eval/return", "max"
    config.seeds = (0, 1, 2)
    config.vmap_seeds = True
    config.arms = ConfigDict(
        {
            "preferences": {},
            "random_queries": {"queries.selection": "random"},
            "true_reward": {"agent.reward": "true"},
            "offline": {"queries.initial_fraction": 1.0},
            "no_labels": {"queries.total_labels": 0},
        },
        convert_dict=False,
    )
    return common.choose(config, VARIANTS, variant)
