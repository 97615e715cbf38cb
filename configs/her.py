"""Hindsight Experience Replay with DQN on bit flipping, and with DDPG in the plane. All lengths are
in frames: steps of the environment.

    python experiments/her.py --config configs/her.py
    python experiments/her.py --config configs/her.py:bits
    python experiments/her.py --config configs/her.py:push

The first checks the claim with 20 bits: under a minute on two cores, 15 CPU seconds an arm; expect
a success rate of 1 with goals in hindsight, and 0 without. The second shows both over the number of
bits. The third takes a quarter of a minute a seed of an arm; expect 1, and 0 without. A cycle of
the paper is one step here.
"""

from ml_collections import ConfigDict

from research.core import UserError
from research.training.run_config import run_config

VARIANTS = {
    "smoke": "seconds: every part at a tiny size",
    "bits": "success with and without goals in hindsight, over the number of bits",
    "reach": "DDPG, reaching in the plane",
    "push": "DDPG, pushing a puck in the plane",
    "paper": "networks, buffer, batches and schedule of the paper's robot, pushing in the plane",
}
BITS = (5, 10, 15, 30, 40)


def get_config(variant: str = "") -> ConfigDict:
    config = run_config()
    config.env = ConfigDict(
        {
            "name": "bit_flipping",  # "reach", "push"
            "num_bits": 20,
        }
    )
    config.model = ConfigDict({"hidden": (256,)})
    config.replay = ConfigDict(
        {
            "capacity_frames": 200_000,
            "strategy": "future",  # "final", "episode", "random"
            "k": 4,  # goals in hindsight for each of the episode's own; 0: none
        }
    )
    config.agent = ConfigDict(
        {
            "gamma": 0.98,
            "batch_size": 128,
            "episodes_per_cycle": 16,
            "updates_per_cycle": 40,
            "tau": 0.05,  # of the target networks, once a cycle; 1: none
            "action_penalty": 1.0,  # of DDPG
        }
    )
    config.exploration = ConfigDict(
        {
            "epsilon": 0.2,  # probability of a random action
            "sigma": 0.1,  # of the noise on other actions; these lie in [-1, 1]
        }
    )
    config.learning_rate = 1e-3
    config.total_frames = 160_000
    config.eval = ConfigDict({"episodes": 256})
    config.steps_per_call = 10
    config.log_every_steps = 10
    config.eval_every_steps = 50
    config.checkpoint_every_steps = 500
    config.best_metric, config.best_mode = "eval/success", "max"
    config.arms = _arms("her")

    if variant == "smoke":
        config.env.num_bits = 5
        config.replay.capacity_frames = 400
        config.agent.updates_per_cycle = 5
        config.total_frames = 20 * 16 * 5
        config.eval.episodes = 8
        config.steps_per_call = 2
        config.log_every_steps = 4
        config.eval_every_steps = 10
        config.checkpoint_every_steps = 5
        config.check_claims = False
    elif variant == "bits":
        cycles = 1_000
        config.arms = ConfigDict(
            {
                f"{arm}_{n}": {"env.num_bits": n, "total_frames": cycles * 16 * n, **overrides}
                for n in BITS
                for arm, overrides in (("her", {}), ("no_her", {"replay.k": 0}))
            },
            convert_dict=False,
        )
        config.check_claims = False  # few bits are solved by chance
    elif variant in ("reach", "push"):
        config.env.name = variant
        config.model.hidden = (64, 64, 64)
        config.replay.capacity_frames = 1_000_000
        config.agent.batch_size = 256
        config.total_frames = 160_000 if variant == "reach" else 640_000
        config.arms = _arms(variant)
        config.best_metric = "eval/success_at_end"
        config.check_claims = variant == "push"  # reaching is learned without
    elif variant == "paper":
        config.env.name = "push"
        config.model.hidden = (64, 64, 64)
        config.replay.capacity_frames = 1_000_000
        config.agent.update(batch_size=8 * 128, episodes_per_cycle=8 * 16)
        config.arms = _arms("push")
        config.best_metric = "eval/success_at_end"
        config.total_frames = 200 * 50 * 8 * 16 * 50  # epochs, cycles, workers, episodes, steps
        config.eval_every_steps = 50
        config.check_claims = False
    elif variant:
        raise UserError(f"no variant {variant!r}; there are {', '.join(VARIANTS)}")
    return config


def _arms(name: str) -> ConfigDict:
    return ConfigDict({name: {}, f"no_{name}": {"replay.k": 0}}, convert_dict=False)
