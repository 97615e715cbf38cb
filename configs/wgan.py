"""Wasserstein GAN (Arjovsky et al., 2017).

    python experiments/wgan.py
    python experiments/wgan.py --config configs/wgan.py:mnist --config.data.dir=DIR

The default needs no download: parallel lines whose distance is known, by a critic with clipped
weights and by a discriminator, and procedural faces of 16 px by the critic; minutes on two cores.
The paper has no table of scores: its claims are curves of the loss and pictures.
"""

from ml_collections import ConfigDict

from configs import common

GAN = {"method": "gan", "optimizer.name": "adam", "optimizer.learning_rate": 1e-3}


def lines() -> ConfigDict:
    """The default: lines that stay, a line that is drawn to another, and images."""
    config = common.base()
    config.seeds = (0, 1, 2)
    config.arms.lines_wasserstein = {}
    config.arms.lines_gan = GAN
    moving = {"task": "moving_line", "schedule.usual": 20, "batch_size": 64}
    config.arms.move_wasserstein = moving
    config.arms.move_gan = {**moving, **GAN}
    images = {
        "task": "images",
        "batch_size": 32,
        "generator_steps": 400,
        "schedule.many": 20,
        "eval_every_steps": 160,
        "steps_per_call": 10,
    }
    config.arms.images_wasserstein = images

    config.task = "lines"  # "moving_line", "images"
    config.method = "wasserstein"  # "gan"
    config.saturating = True  # of a discriminator: G minimises log(1 - D), whose value is JS
    config.clip = 0.1  # bound of every parameter of the critic
    # Updates of the critic before one of the generator; `many` for the generator's `first` ones,
    # and for each whose number divides by `every`.
    config.schedule = ConfigDict({"usual": 5, "many": 100, "first": 25, "every": 500})
    config.critic_steps = 4000  # of lines that stay where they are
    config.generator_steps = 400
    config.batch_size = 128
    config.optimizer = ConfigDict({"name": "rmsprop", "learning_rate": 5e-4, "b1": 0.5})
    config.optimizer.theta_rate = 0.03  # of gradient descent on theta
    config.steps_per_call = 20
    config.log_every_steps = 100
    config.model = ConfigDict({"width": 64, "latent_size": 32, "dense_width": 128})
    config.model.update(generator="dense", critic="dense")  # or "dcgan"; G: "constant_width"

    config.data.name = "proc_faces/street"
    config.data.train_split, config.data.test_split = "train[:6000]", "test[:1000]"
    config.data.image_size, config.data.channels = 16, 3
    # The feature network of sample metrics, trained on the labels; 0 steps where there are none.
    config.classifier = ConfigDict({"width": 8, "num_steps": 400, "batch_size": 64})
    config.eval = ConfigDict({"num_images": 1000})
    return config


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.seeds = (0,)
    config.check_claims = False
    common.keep_arms(config, "lines_wasserstein", "move_wasserstein", "images_wasserstein")
    short: dict = {"generator_steps": 6, "batch_size": 8, "eval_every_steps": 10}
    # Batch norm, too, is tried.
    short |= {"schedule.many": 5, "steps_per_call": 5, "model.width": 4, "model.critic": "dcgan"}
    config.arms.images_wasserstein = {**config.arms.images_wasserstein, **short}
    config.schedule.update(usual=2, many=5, first=2, every=4)
    config.critic_steps = 20
    config.generator_steps = 20
    config.model.update(width=8, dense_width=16, latent_size=8)
    config.steps_per_call = 5
    config.log_every_steps, config.checkpoint_every_steps = 5, 5
    config.data.train_split, config.data.test_split = "train[:200]", "test[:100]"
    config.classifier = ConfigDict({"width": 2, "num_steps": 20, "batch_size": 16})
    config.eval.num_images = 100


def images(config: ConfigDict, name: str, channels: int) -> None:
    """A data set by both methods, at the paper's settings."""
    gan = {**GAN, "optimizer.learning_rate": 2e-4, "schedule.many": 1, "schedule.usual": 1}
    config.arms = ConfigDict(convert_dict=False)
    config.arms.images_wasserstein = {}
    config.arms.images_gan = gan
    config.seeds = (0,)
    config.task = "images"
    config.saturating = False
    config.clip = 0.01
    config.model.update(critic="dcgan", dense_width=512, latent_size=100)
    config.batch_size = 64
    config.optimizer.learning_rate = 5e-5
    config.data.name, config.data.channels = name, channels
    config.steps_per_call = 1
    config.checkpoint_every_steps = 2000


def mnist(config: ConfigDict) -> None:
    """The loss against quality on digits at 16 px, a dense generator; minutes on two cores."""
    images(config, "mnist", 1)
    config.data.train_split, config.data.test_split = "train[:20000]", "test"
    config.batch_size = 32
    config.clip = 0.02
    config.optimizer.learning_rate = 5e-4
    config.model.width = 16
    config.generator_steps = 1000
    config.eval_every_steps = 500
    config.eval.num_images = 2000


def cifar10(config: ConfigDict) -> None:
    """The same on CIFAR-10 at 32 px, at the paper's rate."""
    images(config, "cifar10", 3)
    config.data.image_size = 32
    config.generator_steps = 100_000
    config.eval_every_steps = 20_000
    config.eval.num_images = 5000


def lsun(config: ConfigDict) -> None:
    """LSUN bedrooms at 64 px with the released DCGAN networks: 200,000 steps of the generator."""
    images(config, "lsun/bedroom", 3)
    common.single(config)
    config.data.image_size = 64
    # It has no test images, and 300 for validation: 2,000 of its own are held out.
    config.data.train_split, config.data.test_split = "train[2000:]", "train[:2000]"
    config.model.update(generator="dcgan", critic="dcgan", width=64)
    config.generator_steps = 200_000
    config.classifier.num_steps = 0
    config.eval.num_images = 2000
    config.published_as = "lsun"


def constant_width(config: ConfigDict) -> None:
    """Figure 6: G without batch norm, all its maps of one width."""
    lsun(config)
    config.model.generator = "constant_width"
    config.published_as = ""


def dense(config: ConfigDict) -> None:
    """Figure 7: G of four dense layers of 512 units."""
    lsun(config)
    config.model.generator = "dense"
    config.published_as = ""


VARIANTS = {
    "smoke": smoke,
    "mnist": mnist,
    "cifar10": cifar10,
    "lsun": lsun,
    "constant_width": constant_width,
    "dense": dense,
    "paper": lsun,
}


def get_config(variant: str = "") -> ConfigDict:
    return common.choose(lines(), VARIANTS, variant)
