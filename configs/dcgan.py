"""DCGAN (Radford, Metz, Chintala, 2015).

    python experiments/dcgan.py
    python experiments/dcgan.py --config configs/dcgan.py:mnist --config.data.dir=DIR

The default trains on procedural faces of 32 px, with nothing downloaded: on a street for features
(800 steps of 64) and in a studio for latent arithmetic (1,400), each with two seeds; minutes on two
cores. The paper's features reach 82.8 % on CIFAR-10; its samples and arithmetic are judged by eye.
"""

from ml_collections import ConfigDict

from configs import common
from research.schema import non_negative, one_of

ALLOWED = {
    "classifier.num_steps": non_negative,  # 0: there are no labels to learn
    "model.first_norm": one_of("channel", "unit"),
}


def faces() -> ConfigDict:
    """The default: two arms on procedural faces."""
    config = common.base()
    config.seeds = (0, 1)
    # As in the paper, features and latents are judged on different data: features need images that
    # vary, latents a generator that has learnt its data within a minute.
    config.arms.street = {"concepts": False, "learning_rate": 5e-4}
    config.arms.studio = {
        "data.name": "proc_faces/studio",
        "probe.num_labels": (),
        "total_images": 64 * 1400,
    }
    config.concepts = True  # arithmetic, turning and removal; needs data with known factors
    config.data.name = "proc_faces/street"
    config.data.train_split = "train"
    config.data.test_split = "test"
    config.data.image_size = 32
    config.data.channels = 3
    config.deduplicate_steps = 0  # of the autoencoder that finds near-duplicates; 0: keep all

    config.model = ConfigDict({"width": 16, "kernel": 5, "latent_size": 100})
    config.model.first_norm = "channel"  # "unit": a scale for each unit of the first map
    config.batch_size = 64
    config.accumulate_steps = 1  # micro-batches in one optimizer step
    config.total_images = 64 * 800
    # The paper's 2e-4 suits a width of 128; Adam's steps have to grow as the fan-in shrinks. On the
    # street 1e-3 is too much: the contrast of samples overshoots.
    config.learning_rate = 1e-3
    config.adam_b1 = 0.5
    config.l2_penalty = 1e-5

    # The feature network of sample metrics, trained on the labels; 0 steps where there are none.
    config.classifier = ConfigDict({"width": 16, "num_steps": 1000, "batch_size": 64})
    # "inception_2015" and "vgg16" are those of published numbers, and need their released weights.
    config.eval = ConfigDict({"num_images": 2000, "network": "project_cnn"})
    config.probe = ConfigDict({"data": "proc_faces/street", "num_draws": 3})
    config.probe.train_split = "people[:2000]"
    config.probe.test_split = "people[2000:]"
    config.probe.num_labels = (100,)
    return config


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.seeds = (0,)
    config.check_claims = False
    config.arms.studio = {**config.arms.studio, "total_images": 16 * 30}
    config.data.train_split = "train[:600]"
    config.data.test_split = "test[:300]"
    config.data.image_size = 16
    config.model.width = 4
    config.batch_size = 16
    config.total_images = 16 * 30
    config.log_every_steps = 10
    config.checkpoint_every_steps = 10
    config.deduplicate_steps = 10
    config.classifier = ConfigDict({"width": 2, "num_steps": 20, "batch_size": 16})
    config.eval.num_images = 300
    config.probe.train_split = "people[:200]"
    config.probe.test_split = "people[200:400]"
    config.probe.num_draws = 1


def labelled(config: ConfigDict, name: str, channels: int, num_steps: int) -> None:
    """The claim on a labelled data set: one arm, with claims."""
    config.arms = ConfigDict(convert_dict=False)
    config.concepts = False
    config.data.name = config.probe.data = name
    config.data.train_split = "train[:20000]"
    config.data.channels = channels
    config.learning_rate = 5e-4  # as on the street
    config.model.latent_size = 64
    config.probe.train_split = "train[20000:30000]"
    config.probe.test_split = "test[:2000]"
    config.probe.num_labels = (100, 300, 1000)
    config.total_images = 64 * num_steps


def lsun(config: ConfigDict) -> None:
    """The paper's network on LSUN bedrooms at 64 px, de-duplicated, five epochs."""
    common.single(config)
    config.concepts = False
    config.seeds = (0,)
    config.batch_size = 128
    config.learning_rate = 2e-4
    config.data.image_size = 64
    config.data.name = "lsun/bedroom"
    # It has no test images, and 300 for validation: 2,000 of its own are held out.
    config.data.train_split, config.data.test_split = "train[2000:]", "train[:2000]"
    config.total_images = 5 * (3_033_042 - 2000)
    config.deduplicate_steps = 20_000
    config.model.width = 128
    config.published_as = "paper"
    config.classifier.num_steps = 0
    config.probe.num_labels = ()
    config.checkpoint_every_steps = 2000


def torch(config: ConfigDict) -> None:
    """The torch port's sizes (kernel 4, width 64) on LSUN bedrooms."""
    lsun(config)
    config.model.update(width=64, kernel=4)
    config.published_as = "torch"


def celeb_a(config: ConfigDict) -> None:
    """The released Theano model of faces, counts included, on aligned CelebA at 64 px."""
    lsun(config)
    config.data.name = "celeb_a"
    config.data.train_split, config.data.test_split = "train", "test"
    config.deduplicate_steps = 0
    config.total_images = 25 * 162_770
    config.model.first_norm = "unit"
    config.published_as = "theano_faces"


def imagenet(config: ConfigDict) -> None:
    """Section 5.1: D of width 256 on ImageNet at 32 px, its 28,672 features on CIFAR-10."""
    lsun(config)
    config.data.name = "imagenet_resized/32x32"
    config.data.train_split, config.data.test_split = "train", "validation"
    config.data.image_size = 32
    config.total_images = 10 * 1_281_167
    config.model.width = 256
    config.published_as = ""
    config.deduplicate_steps = 0
    config.probe.data = "cifar10"
    config.probe.train_split = "train"
    config.probe.test_split = "test"
    config.probe.num_labels = (4000, 50_000)


def svhn(config: ConfigDict) -> None:
    """The same D, its features on SVHN with 1,000 labels, as many of every digit."""
    imagenet(config)
    # The paper chose C for SVHN on 10,000 other images; here it is cross-validation too.
    config.probe.data = "svhn_cropped"
    config.probe.num_labels = (1000,)


VARIANTS = {
    "smoke": smoke,
    "mnist": common.described(
        "The claim on digits, features probed with 100, 300 and 1,000 labels.",
        labelled,
        name="mnist",
        channels=1,
        num_steps=800,
    ),
    "cifar10": common.described(
        "The same on CIFAR-10 at 32 px.", labelled, name="cifar10", channels=3, num_steps=3000
    ),
    "imagenet": imagenet,
    "celeb_a": celeb_a,
    "torch": torch,
    "svhn": svhn,
    "lsun": lsun,
    "paper": lsun,
}


def get_config(variant: str = "") -> ConfigDict:
    return common.choose(faces(), VARIANTS, variant)
