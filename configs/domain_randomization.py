"""Domain randomisation: the position of an object on a table, from one image.

    python experiments/domain_randomization.py --config configs/domain_randomization.py
    python experiments/domain_randomization.py --config configs/domain_randomization.py:ablation

The first checks the claim at 32x32 pixels, three seeds of two arms: 15 minutes on a crowded core.
The second takes what is random away part by part.

Paper, from memory and not verified: 1.5 cm on photographs; 224x224 pixels, Adam with 1e-4, 20,000
samples in its ablations, up to ten distractors, the camera within 10 x 5 x 10 cm and 0.1 rad.
"""

from ml_collections import ConfigDict

from configs import common
from research.models.sizes import VGG16

UNLIMITED = 2**23
ARMS = {"randomized": {}, "one_texture": {"randomization.textures": 1}}
ABLATION = {
    "randomized": {},
    "no_camera": {"randomization.camera": False},
    "no_distractors": {"randomization.distractors": 0},
    "no_noise": {"randomization.noise": 0.0},
    **{f"textures_{n}": {"randomization.textures": n} for n in (1, 10, 100, 1_000)},
}


def claim_check() -> ConfigDict:
    """The default: random textures against one, at 32x32 pixels."""
    config = common.base()
    config.scene = ConfigDict(
        {
            "shape": "cube",  # of the object: another of papers.domain_randomization.polyhedra
            "radius": 0.12,  # of the circle around its base, in metres
            "distractor_radius": (0.04, 0.07),
        }
    )
    config.randomization = ConfigDict(
        {
            "textures": UNLIMITED,  # different ones of each surface
            "distractors": 3,  # at most
            "camera": True,
            "noise": 0.05,  # at most, of colours in 0..1
        }
    )
    config.data.update({"image_size": 32, "training_samples": UNLIMITED})
    config.model = ConfigDict(
        {
            "stages": ((16,), (32,), (64, 64)),  # channels of the convolutions
            "hidden": (256, 64),
        }
    )
    config.batch_size = 32
    config.accumulate_steps = 1  # micro-batches in one optimizer step
    config.learning_rate = 3e-3
    config.max_grad_norm = 0.5
    config.rate_end = 0.02  # share of it that is left in the end; 1: constant
    config.num_steps = 6_000
    config.log_every_steps = 100
    config.eval_every_steps = 1_000
    config.eval = ConfigDict({"images": 512, "batch_size": 64, "distractors": 3, "shown": 16})
    config.seeds = (0, 1, 2)
    config.arms = ConfigDict(ARMS, convert_dict=False)
    return config


def smoke(config: ConfigDict) -> None:
    """Seconds: every part at a tiny size."""
    config.randomization.distractors = 1
    config.data.image_size = 8
    config.model.update(stages=((4,), (4,)), hidden=(8,))
    config.batch_size = 8
    config.num_steps = 8
    config.log_every_steps = 2
    config.eval_every_steps = 4
    config.checkpoint_every_steps = 2
    config.eval.update(images=8, batch_size=8, distractors=1, shown=2)
    config.seeds = (0,)
    config.arms = ConfigDict({"randomized": {}}, convert_dict=False)
    config.check_claims = False


def ablation(config: ConfigDict) -> None:
    """Without random camera, distractors or noise; fewer textures."""
    config.arms = ConfigDict(ABLATION, convert_dict=False)
    config.check_claims = False


def paper(config: ConfigDict) -> None:
    """224x224 pixels, VGG-16, up to ten distractors."""
    config.randomization.distractors = 10
    config.data.update(image_size=224, training_samples=20_000)
    config.scene.update(radius=0.035, distractor_radius=(0.025, 0.045))
    config.model.stages = VGG16
    config.published_as = "vgg16"
    config.learning_rate, config.rate_end, config.max_grad_norm = 1e-4, 1.0, 0.0
    config.num_steps = 100_000
    config.log_every_steps = 100
    config.eval_every_steps = 10_000
    config.checkpoint_every_steps = 5_000
    config.eval.update(images=1_024, batch_size=32, distractors=10)
    config.arms = ConfigDict({**ABLATION, **ARMS}, convert_dict=False)
    config.check_claims = False


VARIANTS = {"smoke": smoke, "ablation": ablation, "paper": paper}


def get_config(variant: str = "") -> ConfigDict:
    return common.choose(claim_check(), VARIANTS, variant)
