"""x

    python experiments/human_preferences.py --config configs/human_preferences.py
"""

from ml_collections import ConfigDict

from research.rl import on_policy, trpo
from research.rl.ale import ATARI_57
from research.training.config import run_config

VARIANTS = {
    "smoke": "seconds: every part at a tiny size",
    "paper": "Atari",
    **{game: "the same on this Atari game" for game in ATARI_57},
}


def get_config(variant: str = "") -> ConfigDict:
    config = run_config()
    config.model = ConfigDict({"variant": "mlp", "shared": False})
    config.env = on_policy.env_config("Pendulum-v1", num_envs=16, normalize_rewards=True)
    config.agent = trpo.agent_config()
    config.agent.update(ConfigDict({
        "algorithm": "trpo",
        "reward": "predicted",
        "entropy_weight": 0.01,
        "value_weight": 0.5,
        "anneal": True,
    }))
    config.optimizer = ConfigDict({
        "learning_rate": 1e-3, "adam_epsilon": 1e-5,
        "rmsprop_decay": 0.99, "rmsprop_epsilon": 1e-5,
    })
    config.reward = ConfigDict({
        "variant": "mlp",
        "members": 3,
        "dropout": 0.0,
        "learning_rate": 1e-3,
        "batch_size": 64,
        "updates": 50,
        "initial_updates": 200,
        "error_rate": 0.1,
        "l2": 1e-4,
        "l2_rate": 0.05,
        "validation_ratio": (1.1, 1.5),
        "check_size": 256,
        "std": 1.0,
        "moments_decay": 0.0,
    })
    config.queries = ConfigDict({
        "labeller": "oracle",
        "selection": "variance",
        "total_labels": 700,
        "initial_fraction": 0.25,
        "initial_steps": 3,
        "annealing_frames": 200_000,
        "clip_steps": 25,
        "candidates": 10,
        "history_steps": 200,
        "memory": 700,
    })
    config.total_frames = 200_000
    config.eval = on_policy.eval_config()
    config.log_every_steps = 1
    config.best_metric, config.best_mode = "eval/return", "max"
    config.seeds = (0, 1, 2)
    config.arms = ConfigDict({
        "true_reward": {"agent.reward": "true"},
        "preferences": {},
        "random_queries": {"queries.selection": "random"},
        "offline": {"queries.initial_fraction": 1.0},
        "no_labels": {"queries.total_labels": 0},
    }, convert_dict=False)
    return config
