"""Generative Adversarial Nets (Goodfellow et al., 2014).

    python experiments/gan.py
    python experiments/gan.py --config configs/gan.py:mnist --config.data.dir=DIR

The default needs no download: densities on the line, the choice of the generator's loss, and digits
of 8 x 8; minutes on two cores. The paper's log-likelihood on MNIST is 225 +- 2 nats.
"""

from ml_collections import ConfigDict

from configs import common


def digits() -> ConfigDict:
    """The default: theory, the choice of losses, and scikit-learn's digits."""
    config = common.base()
    config.seeds = (0, 1, 2)
    config.arms.densities = {
        "task": "densities",
        "batch_size": 512,
        "num_steps": 3000,
        "optimizer.learning_rate": 3e-3,
        "model.discriminator_width": 64,
    }
    config.arms.loss_choice = {"task": "loss_choice", "num_steps": 300}
    config.arms.images = {}

    config.task = "images"  # "densities", "loss_choice"
    config.saturating = False  # True: G minimises log(1 - D(G(z))) in place of -log D(G(z))
    config.num_steps = 8000
    config.batch_size = 100
    # Rate and momentum as released: the rate is divided by `decay_factor` after every update.
    config.optimizer = ConfigDict({"learning_rate": 0.1, "decay_factor": 1.000004})
    config.optimizer.update(least_rate=1e-6, momentum=0.5, last_momentum=0.7, rising_epochs=250)
    config.optimizer.steps_per_epoch = 12
    config.steps_per_call = 20
    config.log_every_steps = 1000

    config.model = ConfigDict({"architecture": "dense", "latent_size": 100})
    config.model.update(generator_width=256, discriminator_width=64, pieces=5)
    config.data.name = "digits"
    config.data.train_split, config.data.validation_split = "train[:1237]", "train[1237:]"
    config.data.test_split = "test"
    config.data.image_size, config.data.channels = 8, 1
    config.data.contrast = 0.0  # length of an image less its mean; 0 for pixels in 0 to 1
    config.eval = ConfigDict({"num_samples": 5000})
    return config


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.seeds = (0,)
    config.check_claims = False
    config.arms.densities = {**config.arms.densities, "num_steps": 20, "batch_size": 64}
    config.arms.densities = {**config.arms.densities, "model.discriminator_width": 8}
    config.arms.loss_choice = {"task": "loss_choice", "num_steps": 20}
    config.num_steps = 20
    config.batch_size = 20
    config.steps_per_call, config.log_every_steps, config.checkpoint_every_steps = 5, 5, 5
    config.model.update(generator_width=16, discriminator_width=8, latent_size=10)
    config.eval.num_samples = 200


def mnist(config: ConfigDict) -> None:
    """MNIST with the released networks: 250 epochs of 500 steps."""
    config.arms = ConfigDict({"images": {}}, convert_dict=False)
    config.seeds = (0,)
    config.data.name = "mnist"
    config.data.train_split, config.data.validation_split = "train[:50000]", "train[50000:]"
    config.data.image_size = 28
    config.model.update(generator_width=1200, discriminator_width=240)
    config.optimizer.steps_per_epoch = 500
    config.num_steps = 250 * 500
    config.steps_per_call = 1
    config.checkpoint_every_steps = 5000
    config.eval.num_samples = 10_000


def paper(config: ConfigDict) -> None:
    """The same: the released configuration, its exact sizes and schedule."""
    mnist(config)
    config.published_as = "mnist"


def cifar10(config: ConfigDict) -> None:
    """CIFAR-10 with the convolutional networks, 250 epochs of batches of 128."""
    mnist(config)
    common.single(config)
    config.data.name = "cifar10"
    config.data.train_split, config.data.validation_split = "train[:40000]", "train[40000:]"
    config.data.image_size, config.data.channels = 32, 3
    config.data.contrast = 55.0
    config.model.update(architecture="convolutional", generator_width=8000, discriminator_width=32)
    config.batch_size = 128
    config.optimizer.update(learning_rate=0.004, steps_per_epoch=312)
    config.num_steps = 250 * 312


VARIANTS = {"smoke": smoke, "mnist": mnist, "cifar10": cifar10, "paper": paper}


def get_config(variant: str = "") -> ConfigDict:
    return common.choose(digits(), VARIANTS, variant)
