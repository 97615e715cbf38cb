"""Locomotion over obstacles.

    python experiments/locomotion_ppo.py --config configs/locomotion_ppo.py
"""

from ml_collections import ConfigDict

from research.training.config import run_config

VARIANTS = {
    "smoke": "seconds: every part at a tiny size",
    "paper": "the paper's sizes, on the planar walker",
}


def get_config(variant: str = "") -> ConfigDict:
    config = run_config()
    config.model = ConfigDict({
        "hidden": (64,),  # units of an encoder's layers
        "trunk": (64,),  # of those after both encoders
        "log_std": -0.5,  # of the policy at the start
    })
    config.env = ConfigDict({
        "name": "planar_walker",
        "num_envs": 64,
        "horizon": 400,
        "blind": False,
        "normalize_observations": True,
        "normalize_rewards": True,
    })
    config.terrain = ConfigDict({
        "kinds": ("hurdles", "gaps", "platforms"),
        "difficulty": (0.0, 1.0),
        "tracks": 256,
        "length": 60.0,
        "width": 4.0,
    })
    config.agent = ConfigDict({
        "rollout_steps": 64,
        "return_steps": 32,
        "gamma": 0.99,
        "epochs": 10,
        "minibatches": 4,
        "kl_penalty": 1.0,
        "kl_target": 0.02,
        "limit_weight": 100.0,
        "value_weight": 0.5,
    })
    config.optimizer = ConfigDict({"learning_rate": 1e-3, "adam_epsilon": 1e-5, "anneal": True})
    config.max_grad_norm = 0.5
    config.total_frames = 2_000_000
    config.eval = ConfigDict({
        "tracks": 64,
        "seed": 1_000_001,
        "terrains": ConfigDict({
            "flat": ((), (0.0, 0.0)),
            "unseen": (("hurdles", "gaps", "platforms"), (0.0, 1.0)),
            "hard": (("hurdles", "gaps", "platforms"), (0.7, 0.7)),
            "steps": (("steps",), (0.0, 1.0)),
        }, convert_dict=False),
    })
    config.log_every_steps = 20
    config.eval_every_steps = 100
    config.best_metric, config.best_mode = "distance/unseen", "max"
    config.seeds = (0, 1, 2)
    config.arms = ConfigDict({
        "curriculum": {},
        "flat": {"terrain.kinds": ()},
        "stationary": {"terrain.difficulty": (0.7, 0.7)},
        "blind": {"env.blind": True},
    }, convert_dict=False)
    return config
