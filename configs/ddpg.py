"""DDPG on continuous control. All lengths are in frames, steps of one environment, unless they say
otherwise.

    python experiments/ddpg.py --config configs/ddpg.py
    python experiments/ddpg.py --config configs/ddpg.py:ablation
    python experiments/ddpg.py --config configs/ddpg.py:paper

The first checks the claim on Pendulum, about a minute on two cores: the paper comes near a
planner's score (table 1), and learns poorly without target networks (figure 2). The second adds
batch normalization, as in that figure.
"""

from ml_collections import ConfigDict

from configs import common

NO_TARGET = {"agent.tau": 1.0}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.env = ConfigDict(
        {
            "name": "Pendulum-v1",  # or "MountainCarContinuous-v0"
            "num_envs": 1,
        }
    )
    config.model = ConfigDict(
        {
            "hidden": (128, 128),
            "normalization": "none",  # "batch", "layer"
        }
    )
    config.replay = ConfigDict({"capacity_frames": 100_000, "learning_starts_frames": 1_000})
    config.agent = ConfigDict(
        {
            "gamma": 0.99,
            "batch_size": 64,
            "updates_per_step": 1,  # of all environments together
            "tau": 0.005,  # of the target networks, once an update; 1: none
        }
    )
    config.optimizer = ConfigDict(
        {
            "actor_learning_rate": 1e-4,
            "critic_learning_rate": 1e-3,
            "critic_weight_decay": 0.0,
        }
    )
    config.exploration = ConfigDict(
        {
            "name": "ornstein_uhlenbeck",  # "gaussian", "parameters"
            "theta": 0.15,
            "sigma": 0.3,  # with "parameters", distance that the actions are kept at
            "parameters_kept_steps": 50,
        }
    )
    config.total_frames = 15_000
    config.eval = ConfigDict({"episodes": 64})
    config.steps_per_call = 500
    config.log_every_steps = 500
    config.eval_every_steps = 1_000
    config.checkpoint_every_steps = 10_000
    config.best_metric, config.best_mode = "eval/return", "max"
    config.arms = ConfigDict({"full": {}, "no_target": NO_TARGET}, convert_dict=False)
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds: every part at a tiny size."""
    common.keep_arms(config, "full")
    config.env.num_envs = 8
    config.model.hidden = (16, 16)
    config.replay.update(capacity_frames=800, learning_starts_frames=80)
    config.total_frames = 8 * 160
    config.eval.episodes = 4
    config.steps_per_call = 10
    config.log_every_steps = 20
    config.eval_every_steps = 0
    config.checkpoint_every_steps = 30
    config.check_claims = False


def ablation(config: ConfigDict) -> None:
    """Target networks and batch normalization, with and without."""
    batch_norm = {"model.normalization": "batch"}
    config.arms = ConfigDict(
        {
            "full": {},
            "no_target": NO_TARGET,
            "full_batch_norm": batch_norm,
            "no_target_batch_norm": {**NO_TARGET, **batch_norm},
        },
        convert_dict=False,
    )


def parameter_noise(config: ConfigDict) -> None:
    """Noise on the actor's parameters in place of its actions, layer norm."""
    config.model.normalization = "layer"
    config.exploration.name = "parameters"
    config.check_claims = False


def paper(config: ConfigDict) -> None:
    """The paper's networks and settings, on Pendulum; 1M frames."""
    config.model.update(hidden=(400, 300), normalization="batch")
    config.replay.capacity_frames = 1_000_000
    config.agent.tau = 1e-3
    config.exploration.sigma = 0.2
    config.optimizer.critic_weight_decay = 1e-2
    config.total_frames = 1_000_000
    config.eval_every_steps = config.checkpoint_every_steps = 50_000
    config.published_as = "pendulum"
    config.check_claims = False  # its margins are the small network's


VARIANTS = {
    "smoke": smoke,
    "ablation": ablation,
    "parameter_noise": parameter_noise,
    "paper": paper,
}
