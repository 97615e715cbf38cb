"""Highway networks (Srivastava, Greff, Schmidhuber, 2015).

    python experiments/highway_networks.py
    python experiments/highway_networks.py --config configs/highway_networks.py:mnist

The default trains plain and highway networks of 10 and 100 layers on scikit-learn's digits, with
nothing downloaded, and another cure of degradation beside them: 100 plain layers of tanh whose
kernels start orthogonal. The rate of each arm is the best for it of those in `TRIED`. Gates start
with a bias of -2 at 10 layers and -4 at 100.

Paper: MNIST, training loss of 10, 20, 50 and 100 layers (figure 1); CIFAR-10 accuracy 92.24 % with
19 layers and 2.3M parameters.
"""

from ml_collections import ConfigDict

from configs import common
from research.schema import at_least, between, one_of

ALLOWED = {
    "model.transform_bias": between(-20, 20),
    "model.depth": at_least(2),
    "model.block": one_of("plain", "highway"),
    "model.activation": one_of("relu", "tanh"),
    "model.initializer": one_of("he", "orthogonal", "orthogonal_relu"),
}

# FitNet's layouts, in stages that end in pooling.
FITNET_19 = ((32, 32, 32, 48, 48), (80,) * 6, (128,) * 6)

# Rates of each arm, by training loss on seeds 10 and 11.
TRIED = {
    "plain_10": "0.003: 0.02, 0.03; 0.01: 0.001; 0.03: 0.000; 0.1: 2.30, not finite",
    "highway_10": "0.003: 1.49, 1.67; 0.01: 0.12, 0.18; 0.03: 0.004, 0.012; 0.1: 0.001",
    "plain_100": "0.001: 0.99, 1.55; 0.003: 0.90, 1.75; 0.01: 2.01, 2.30",
    "highway_100": "0.03: 0.31, 0.26; 0.05: 0.07, 0.05; 0.1: not finite",
    "careful_100": "0.003: 0.07, 0.06; 0.01: 0.01, 0.01; with ReLU 0.001: 1.30, 1.54",
}

WIDTH = {"plain": 71, "highway": 50, "careful": 71}  # equal parameters a layer


def network(kind: str, depth: int, learning_rate: float) -> dict:
    """Overrides of an arm."""
    careful = kind == "careful"
    return {
        "model.block": "plain" if careful else kind,
        "model.activation": "tanh" if careful else "relu",
        "model.initializer": "orthogonal" if careful else "he",
        "model.depth": depth,
        "model.width": WIDTH[kind],
        "model.transform_bias": -4.0 if depth >= 50 else -2.0,  # more negative for deeper
        "optimizer.learning_rate": learning_rate,
    }


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.arms.plain_10 = network("plain", 10, 0.03)
    config.arms.highway_10 = network("highway", 10, 0.1)
    config.arms.plain_100 = network("plain", 100, 0.001)
    config.arms.highway_100 = network("highway", 100, 0.05)
    config.arms.careful_100 = network("careful", 100, 0.01)
    config.seeds = (0, 1, 2)
    config.log_every_steps = 28
    config.model = ConfigDict(
        {
            "depth": 100,  # hidden layers, the first plain one included
            "width": 50,
            "stages": (),  # () for fully connected; else widths of convolutions by stage
            "block": "highway",
            "activation": "relu",
            "initializer": "he",
            "transform_bias": -4.0,
            "dropout": 0.0,  # after each stage of convolutions
        }
    )
    config.data.update(
        {
            "name": "digits",  # or a name for data.load, or "proc_shapes"
            "train_split": "train",
            "test_split": "test",
            "num_train": 1437,
            "num_classes": 10,
            "image_size": 8,
            "channels": 1,
            "scale": 16.0,  # of the network's input: these digits go to 16 where others go to 255
            "augmentation": "none",
            "statistics_images": 1437,
        }
    )
    config.batch_size = 100
    config.accumulate_steps = 1
    config.num_epochs = 40
    config.test_batch_size = 360
    config.lesion_images = 1437  # of the training set
    config.optimizer = ConfigDict(
        {"learning_rate": 0.03, "momentum": 0.9, "decay": 0.96, "l2_penalty": 0.0}
    )
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.check_claims = False
    config.arms = ConfigDict(convert_dict=False)
    config.arms.plain_8 = network("plain", 8, 0.01)
    config.arms.highway_8 = network("highway", 8, 0.03)
    config.model.update({"depth": 8, "transform_bias": -2.0})
    config.seeds = (0,)
    config.data.update({"train_split": "train[:128]", "num_train": 128, "statistics_images": 128})
    config.batch_size = 16
    config.num_epochs = 2
    config.log_every_steps = 4
    config.checkpoint_every_steps = 8
    config.lesion_images = 64


def mnist(config: ConfigDict) -> None:
    """The claim on 20,000 images of MNIST, six epochs."""
    on_mnist(config)
    config.data.update({"train_split": "train[:20000]", "num_train": 20_000})
    config.num_epochs = 6
    config.optimizer.decay = 0.9


def paper(config: ConfigDict) -> None:
    """Section 3.1: MNIST, 100 layers, 400 epochs."""
    common.single(config)
    on_mnist(config)
    config.model.update({"depth": 100, "transform_bias": -4.0})
    config.published_as = "mnist100"
    config.num_epochs = 400
    config.optimizer.decay = 0.99  # one of those that the random search draws


def paper_plain(config: ConfigDict) -> None:
    """Section 3.1: the plain network of 100 layers, with as many parameters a layer."""
    paper(config)
    config.model.update({"block": "plain", "width": WIDTH["plain"]})
    config.published_as = "mnist100_plain"


def depth900(config: ConfigDict) -> None:
    """900 layers, which the paper says can still be trained: MNIST, 20,000 images."""
    common.single(config)
    mnist(config)
    config.model.update({"depth": 900, "transform_bias": -6.0})


def cifar10(config: ConfigDict) -> None:
    """Section 3.2: CIFAR-10, 19 layers of convolutions in FitNet's layout, 2.3M parameters."""
    common.single(config)
    config.model.update({"stages": FITNET_19, "transform_bias": -2.0, "dropout": 0.2})
    config.published_as = "cifar19"
    config.data.update(
        {
            "name": "cifar10",
            "num_train": 50_000,
            "image_size": 32,
            "channels": 3,
            "scale": 1.0,
            "augmentation": "pad_crop",
            "statistics_images": 50_000,
        }
    )
    config.log_every_steps = 100
    config.num_epochs = 400
    config.optimizer.decay = 0.99


def on_mnist(config: ConfigDict) -> None:
    config.data.update(
        {
            "name": "mnist",
            "num_train": 60_000,
            "image_size": 28,
            "scale": 1.0,
            "statistics_images": 10_000,
        }
    )
    config.log_every_steps = 100
    config.test_batch_size = 1000


VARIANTS = {
    "smoke": smoke,
    "mnist": mnist,
    "depth900": depth900,
    "cifar10": cifar10,
    "paper": paper,
    "paper_plain": paper_plain,
}
