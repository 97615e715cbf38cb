"""Hindsight Experience Replay with DQN on bit flipping, and with DDPG in the plane. All lengths are
in frames: steps of the environment.

    python experiments/her.py --config configs/her.py
    python experiments/her.py --config configs/her.py:bits
    python experiments/her.py --config configs/her.py:push

The first checks the claim with 20 bits, under a minute on two cores: the paper flips 40 bits and
more with goals in hindsight, and no more than about 13 without (figure 1). The second shows both
over the number of bits. The third, which learns to push where it does not without, takes a quarter
of a minute a seed of an arm. A cycle of the paper is one step here.
"""

from ml_collections import ConfigDict

from configs import common

BITS = (5, 10, 15, 30, 40)
EPISODES_PER_CYCLE = 16


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
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
            "episodes_per_cycle": EPISODES_PER_CYCLE,
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
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds: every part at a tiny size."""
    common.keep_arms(config, "her")
    config.env.num_bits = 5
    config.replay.capacity_frames = 400
    config.agent.updates_per_cycle = 5
    config.total_frames = 20 * EPISODES_PER_CYCLE * 5
    config.eval.episodes = 8
    config.steps_per_call = 2
    config.log_every_steps = 4
    config.eval_every_steps = 10
    config.checkpoint_every_steps = 5
    config.check_claims = False


def bits(config: ConfigDict) -> None:
    """Success with and without goals in hindsight, over the number of bits."""
    cycles = 1_000
    arms = {}
    for n in BITS:
        length = {"env.num_bits": n, "total_frames": cycles * EPISODES_PER_CYCLE * n}
        arms[f"her_{n}"] = length
        arms[f"no_her_{n}"] = {**length, "replay.k": 0}
    config.arms = ConfigDict(arms, convert_dict=False)
    config.check_claims = False  # few bits are solved by chance


def reach(config: ConfigDict) -> None:
    """DDPG, reaching in the plane."""
    _plane(config, "reach")
    config.total_frames = 160_000
    config.check_claims = False  # reaching is learned without


def push(config: ConfigDict) -> None:
    """DDPG, pushing a puck in the plane."""
    _plane(config, "push")
    config.total_frames = 640_000


def paper(config: ConfigDict) -> None:
    """Networks, buffer, batches and schedule of the paper's robot, pushing in the plane."""
    _plane(config, "push")
    workers = 8
    config.agent.batch_size = workers * 128
    config.agent.episodes_per_cycle = workers * 16
    config.total_frames = 200 * 50 * workers * 16 * 50  # epochs, cycles, workers, episodes, steps
    config.check_claims = False


def _plane(config: ConfigDict, task: str) -> None:
    config.env.name = task
    config.model.hidden = (64, 64, 64)
    config.replay.capacity_frames = 1_000_000
    config.agent.batch_size = 256
    config.arms = _arms(task)
    config.best_metric = "eval/success_at_end"


def _arms(name: str) -> ConfigDict:
    return ConfigDict({name: {}, f"no_{name}": {"replay.k": 0}}, convert_dict=False)


VARIANTS = {"smoke": smoke, "bits": bits, "reach": reach, "push": push, "paper": paper}
