"""ACKTR on classic control, MinAtar and Atari. All lengths but `rollout_steps` are in frames of the
game: agent steps times action repeat.

    python experiments/acktr.py --config configs/acktr.py
    python experiments/acktr.py --config configs/acktr.py:pong

The first checks the claim on Pendulum, five seeds of three arms, in a minute on two cores. The
second expects days on a CPU.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.model = ConfigDict(
        {
            "variant": "mlp",  # or for images "minatar", "2015" (Baselines), "2016" (the paper)
            "shared": False,  # one trunk for policy and value
        }
    )
    config.env = common.rl_env("Pendulum-v1", num_envs=16, normalize_rewards=True)
    config.agent = ConfigDict(
        {
            "rollout_steps": 50,  # agent steps of each environment: n of the n-step returns
            "gamma": 0.95,
            "gae_lambda": 0.95,  # 1: n-step returns
            "value_weight": 0.5,  # of the squared error
            "entropy_weight": 0.0,
        }
    )
    config.optimizer = ConfigDict(
        {
            "name": "kfac",  # "rmsprop"
            "kfac_learning_rate": 1.0,  # the longest step; both rates go to 0 over the run
            "trust_region": 0.001,  # delta, nats
            "value_trust_region": 0.1,  # the same of a value that shares no layer with the policy
            "damping": 0.01,
            "factor_decay": 0.99,
            "momentum": 0.9,
            "inverse_every_steps": 1,
            "rmsprop_learning_rate": 3e-3,
            "rmsprop_decay": 0.99,
            "rmsprop_epsilon": 1e-5,
            "rmsprop_initial_scale": 0.0,  # of the second moment; in Baselines, TensorFlow's: 1
        }
    )
    config.total_frames = 150_000
    config.eval = common.rl_eval()
    config.steps_per_call = 5
    config.log_every_steps = 5
    config.best_metric, config.best_mode = "eval/return", "max"
    config.seeds = (0, 1, 2, 3, 4)
    config.arms = ConfigDict(
        {
            "acktr": {},
            # A2C with n = 5 as it is published, thus ten updates for each of ACKTR's; and with
            # nothing but the optimizer exchanged. Each with the best learning rate of those tried.
            "a2c": {
                "optimizer.name": "rmsprop",
                "max_grad_norm": 0.5,
                "agent.rollout_steps": 5,
                "steps_per_call": 50,
                "log_every_steps": 50,
            },
            "a2c_50": {
                "optimizer.name": "rmsprop",
                "max_grad_norm": 0.5,
                "optimizer.rmsprop_learning_rate": 1e-2,
            },
        },
        convert_dict=False,
    )
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; every part at a tiny size."""
    common.keep_arms(config, "acktr", "a2c")
    config.env.update(num_envs=8, normalize_observations=True)
    config.agent.rollout_steps = 8
    config.total_frames = 8 * 8 * 40
    config.eval.episodes = 8
    config.steps_per_call = config.log_every_steps = 10
    config.checkpoint_every_steps = 20
    config.seeds = (0,)
    config.check_claims = False


def images(config: ConfigDict) -> None:
    """What MinAtar and Atari have in common: one trunk, n-step returns, Baselines' rates."""
    common.single(config)
    config.model.shared = True
    config.env.normalize_rewards = False
    config.agent.update(rollout_steps=20, gamma=0.99, gae_lambda=1.0, entropy_weight=0.01)
    config.optimizer.update(kfac_learning_rate=0.25, trust_region=0.001, rmsprop_learning_rate=7e-4)


def minatar(config: ConfigDict) -> None:
    """Breakout-MinAtar, images; others by --config.env.name."""
    images(config)
    config.model.variant = "minatar"
    config.env.update(name="Breakout-MinAtar", num_envs=64)
    config.total_frames = 2_000_000


def paper(config: ConfigDict) -> None:
    """Atari, Breakout; OpenAI Baselines' settings; 40M frames."""
    atari(config, "breakout")
    config.published_as = "2015"


def atari(config: ConfigDict, game: str) -> None:
    """An Atari game with Baselines' settings."""
    images(config)
    config.model.variant = "2015"
    config.optimizer.rmsprop_initial_scale = 1.0
    common.atari_frames(config, game, total_frames=40_000_000)
    config.env.num_envs = 32


VARIANTS = {
    "smoke": smoke,
    "minatar": minatar,
    "paper": paper,
    **common.atari_games(atari),
}
