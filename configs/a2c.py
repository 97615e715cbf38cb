"""A2C on classic control, MinAtar and Atari. All lengths but `rollout_steps` are in frames of the
game: agent steps times action repeat.

    python experiments/a2c.py --config configs/a2c.py
    python experiments/a2c.py --config configs/a2c.py:pong

The first checks the claim on CartPole, five seeds of three arms, in half a minute on one core:
sixteen actors against one, with equal batches and with equal rollouts; a return of 500 is the most
there is. The second expects days on a CPU.
"""

from ml_collections import ConfigDict

from configs import common

_MEANS = "mean returns of seeds 100, 101, 102"
TRIED = {
    "one_actor": f"rates of 1e-3 (264), 3e-3 (362), 1e-2 (409); {_MEANS}",
    "single": f"rates of 3e-4 (61), 1e-3 (52), 3e-3 (142); {_MEANS}",
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.model = ConfigDict(
        {
            "variant": "mlp",  # or for images "minatar", "2015" (Baselines), "2016" (the paper)
            "shared": False,  # one trunk for policy and value
        }
    )
    config.env = common.rl_env("CartPole-v1", num_envs=16)
    config.agent = ConfigDict(
        {
            "rollout_steps": 5,  # agent steps of each environment: n of the n-step returns
            "gamma": 0.99,
            "gae_lambda": 1.0,  # 1: n-step returns
            "value_weight": 0.5,  # of the squared error
            "entropy_weight": 0.01,
            "anneal": True,  # the learning rate, to 0 over the run
        }
    )
    config.optimizer = ConfigDict(
        {
            "learning_rate": 3e-3,
            "rmsprop_decay": 0.99,
            "rmsprop_epsilon": 1e-5,
            "rmsprop_initial_scale": 0.0,  # of the second moment; in Baselines, TensorFlow's: 1
        }
    )
    config.max_grad_norm = 0.5
    config.total_frames = 150_000
    config.eval = common.rl_eval()
    config.steps_per_call = 125
    config.log_every_steps = 125
    config.best_metric, config.best_mode = "eval/return", "max"
    config.seeds = (0, 1, 2, 3, 4)
    config.arms = ConfigDict(
        {
            "parallel": {},
            # As many frames in an update, and as many updates, by one actor.
            "one_actor": {
                "env.num_envs": 1,
                "agent.rollout_steps": 80,
                "optimizer.learning_rate": 1e-2,
            },
            # As long a rollout, and so sixteen times the updates of a sixteenth of the frames.
            "single": {"env.num_envs": 1, "steps_per_call": 2_000, "log_every_steps": 2_000},
        },
        convert_dict=False,
    )
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; every part at a tiny size."""
    common.keep_arms(config, "parallel")
    config.env.update(num_envs=8, normalize_observations=True)
    config.total_frames = 8 * 5 * 60
    config.eval.episodes = 8
    config.steps_per_call = config.log_every_steps = 10
    config.checkpoint_every_steps = 20
    config.arms = ConfigDict(
        {
            "parallel": {},
            "single": {"env.num_envs": 1, "total_frames": 300},
        },
        convert_dict=False,
    )
    config.seeds = (0,)
    config.check_claims = False


def images(config: ConfigDict) -> None:
    """One trunk for policy and value, and the published learning rate."""
    config.model.shared = True
    config.optimizer.learning_rate = 7e-4


def minatar(config: ConfigDict) -> None:
    """Breakout-MinAtar, images; others by --config.env.name."""
    common.single(config)
    images(config)
    config.model.variant = "minatar"
    config.env.update(name="Breakout-MinAtar", num_envs=64)
    config.total_frames = 2_000_000


def paper(config: ConfigDict) -> None:
    """Atari, Breakout; the paper's network, OpenAI Baselines' settings; 320M frames."""
    atari(config, "breakout")
    config.published_as = "2016"


def atari(config: ConfigDict, game: str) -> None:
    """An Atari game as in the paper."""
    common.single(config)
    images(config)
    config.model.variant = "2016"
    config.optimizer.rmsprop_initial_scale = 1.0
    common.atari_frames(config, game, total_frames=320_000_000)


VARIANTS = {
    "smoke": smoke,
    "minatar": minatar,
    "paper": paper,
    **common.atari_games(atari),
}
