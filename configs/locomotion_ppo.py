"""Locomotion over obstacles: a planar walker, a quadruped or a humanoid.

    python experiments/locomotion_ppo.py --config configs/locomotion_ppo.py
    python experiments/locomotion_ppo.py --config configs/locomotion_ppo.py:blind
    python experiments/locomotion_ppo.py --config configs/locomotion_ppo.py:quadruped

The first checks the claims on the planar walker, five seeds of three arms: 25 CPU seconds a seed,
six minutes in all. After training on obstacles that grow the walker comes farther over such tracks
than after training on flat ground or on hard terrain, as in the paper's figures. On tracks that are
hard all along expect the opposite; that row is shown and not judged. The second asks whether sight
pays within as many frames. The third needs `pip install landmarks[locomotion]`, and is for an
accelerator; with 64 environments, `rollout_steps` 64 and 8 minibatches a million frames take eight
CPU minutes. `:paper` has not been run.
`walker.gif` in the folder of a run shows the body on test tracks.
"""

from ml_collections import ConfigDict

from configs import common
from research.schema import any_number

ALLOWED = {"model.log_std": any_number}

OBSTACLES = ("hurdles", "gaps", "platforms")


def smoke(config: ConfigDict) -> None:
    """Seconds: every part at a tiny size."""
    config.model.update(hidden=(8,), trunk=(8,))
    config.env.update(num_envs=8, horizon=20)
    config.terrain.update(tracks=8, length=12.0)
    config.agent.update(rollout_steps=8, return_steps=4, epochs=2, minibatches=2)
    config.total_frames = 8 * 8 * 30
    config.eval.tracks = 2
    config.eval_every_steps = 0
    config.log_every_steps = 5
    config.checkpoint_every_steps = 10
    config.seeds = (0,)
    config.arms = ConfigDict({"curriculum": {}}, convert_dict=False)
    config.check_claims = False


def blind(config: ConfigDict) -> None:
    """The walker with and without sight of the ground."""
    config.arms = ConfigDict({"curriculum": {}, "blind": {"env.blind": True}}, convert_dict=False)


def paper(config: ConfigDict) -> None:
    """The planar walker at the paper's scale."""
    common.single(config)
    config.seeds = (0,)
    config.env.update(num_envs=1024, horizon=1000)
    config.terrain.update(tracks=4096, length=100.0)
    config.agent.update(rollout_steps=128, return_steps=32, minibatches=32)
    config.model.update(hidden=(256, 128), trunk=(128,))
    config.total_frames = 500_000_000
    config.checkpoint_every_steps = 100


def mujoco(config: ConfigDict, body: str) -> None:
    paper(config)
    config.env.name = body
    config.optimizer.learning_rate = 5e-4  # the quadruped hardly learns at the walker's 2e-3
    config.terrain.update(kinds=(*OBSTACLES, "walls", "slalom"), tracks=256)


def quadruped(config: ConfigDict) -> None:
    """Twelve torques, in MuJoCo; walls and slaloms as well."""
    mujoco(config, "quadruped")


def humanoid(config: ConfigDict) -> None:
    """28 coordinates and 21 torques, in MuJoCo; walls and slaloms as well."""
    mujoco(config, "humanoid")


VARIANTS = {
    "smoke": smoke,
    "blind": blind,
    "quadruped": quadruped,
    "humanoid": humanoid,
    "paper": paper,
}


def training_terrain() -> ConfigDict:
    """The tracks that a body trains on."""
    return ConfigDict(
        {
            "kinds": OBSTACLES,  # () for flat ground
            "difficulty": (0.0, 1.0),  # at a track's start and its end
            "seed": 0,  # that tracks are drawn from
            "tracks": 256,  # that an episode's is drawn from
            "length": 60.0,  # in metres, as is the next
            "width": 4.0,  # for bodies that can leave the plane
        }
    )


def test_terrain() -> ConfigDict:
    """The tracks that it is tested on."""
    return ConfigDict(
        {
            "tracks": 64,  # of each terrain
            "seed": 2_000_002,  # that they are drawn from
            "terrains": ConfigDict(
                {  # kinds of obstacles, difficulty at start and end
                    "flat": ((), (0.0, 0.0)),
                    "unseen": (OBSTACLES, (0.0, 1.0)),
                    "hard": (OBSTACLES, (1.0, 1.0)),
                    "steps": (("steps",), (0.0, 1.0)),  # a kind that no arm trains on
                },
                convert_dict=False,
            ),
        }
    )


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.model = ConfigDict(
        {
            "hidden": (64,),  # units of an encoder's layers
            "trunk": (64,),  # of those after both encoders
            "log_std": -0.5,  # of the policy at the start
        }
    )
    config.env = ConfigDict(
        {
            "name": "planar_walker",
            "num_envs": 64,  # split over the mesh's data axis
            "horizon": 400,  # most steps of an episode
            "blind": False,  # without heights of the ground
            "normalize_observations": True,
            "normalize_rewards": True,
        }
    )
    config.terrain = training_terrain()
    config.agent = ConfigDict(
        {
            "rollout_steps": 64,  # steps of each environment
            "return_steps": 32,  # K
            "gamma": 0.99,
            "epochs": 5,
            "minibatches": 4,  # in an epoch
            "kl_penalty": 1.0,  # its coefficient at the start
            "kl_target": 0.04,  # nats
            "limit_weight": 100.0,  # of the squared divergence beyond twice the target
            "value_weight": 0.5,
        }
    )
    config.optimizer = ConfigDict(
        {
            "learning_rate": 2e-3,
            "adam_epsilon": 1e-5,
            "anneal": True,  # to 0 over the run
        }
    )
    config.max_grad_norm = 0.5
    config.total_frames = 1_000_000  # steps of all environments
    config.eval = test_terrain()
    config.log_every_steps = 20
    config.eval_every_steps = 61
    config.best_metric, config.best_mode = "distance/unseen", "max"
    config.seeds = (0, 1, 2, 3, 4)
    config.arms = ConfigDict(
        {
            "curriculum": {},
            "stationary": {"terrain.difficulty": (1.0, 1.0)},
            "flat": {"terrain.kinds": ()},
        },
        convert_dict=False,
    )
    return common.choose(config, VARIANTS, variant)
