"""Adam (Kingma and Ba, 2014).

    python experiments/adam.py
    python experiments/adam.py --config configs/adam.py:mnist --config.data.dir=DIR
    python experiments/adam.py --config configs/adam.py:imdb --config.data.dir=DIR

The default needs no download. On scikit-learn's digits: softmax regression (experiment 1), a
network with dropout (experiment 2), and the variational auto-encoder with bias correction and
without (experiment 4). On the source of Python's own library, as bags of words: which package a
piece of code is from (experiment 1, sparse). Every optimizer has the best of several rates, which
`:tune` finds on a seed that is not reported. Variants on real data have all rates in each run: an
arm trains them side by side, and counts by the one that is best on validation examples.

Paper: curves alone. Adam is as fast as Nesterov's momentum on dense gradients and as AdaGrad on
sparse ones (figure 1), faster than all in a network with dropout (figure 2), as fast as Nesterov's
momentum in a convolutional one (figure 3), and better with bias correction than without where b2 is
near 1 (figure 4).

`:paper` and its kin are the paper's sizes by Adam at its default rate.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from configs import common
from research.schema import between, non_negative, one_of, positive, share

ALLOWED = {
    "problem": one_of("logistic", "words", "multilayer", "convolutional", "vae"),
    "optimizer.name": one_of("adam", "adamax", "nesterov", "adagrad", "rmsprop", "adadelta"),
    "vae.activation": one_of("tanh", "softplus", "relu"),
    "grid.learning_rate": positive,
    "grid.power": share,
    "grid.corrected": between(0, 1),
    "optimizer.rho": share,
    "model.widths": positive,
    "model.channels": positive,
    "eval.highest": positive,
    "data.whitening": non_negative,
}

# Rates of each optimizer's grid: of linear models, and of networks.
LINEAR_RATES = {
    "adam": (0.01, 0.03, 0.1, 0.3, 1.0),
    "adamax": (0.03, 0.1, 0.3, 1.0, 3.0),
    "nesterov": (0.1, 0.3, 1.0, 3.0, 10.0),
    "adagrad": (0.03, 0.1, 0.3, 1.0, 3.0),
    "rmsprop": (0.0003, 0.001, 0.003, 0.01, 0.03),
}
NETWORK_RATES = {
    "adam": (0.0003, 0.001, 0.003, 0.01, 0.03),
    "adamax": (0.001, 0.003, 0.01, 0.03, 0.1),
    "nesterov": (0.01, 0.03, 0.1, 0.3, 1.0),
    "adagrad": (0.01, 0.03, 0.1, 0.3, 1.0),
    "rmsprop": (0.0001, 0.0003, 0.001, 0.003, 0.01),
    "adadelta": (0.3, 1.0, 3.0, 10.0, 30.0),
}
BOTH = (0.0, 0.5)  # constant rates, and rates that fall as 1 / sqrt(t) as in experiment 1

# What each problem sets.
LOGISTIC: dict[str, Any] = {
    "problem": "logistic",
    "grid.power": BOTH,
    "model.widths": (),
    "num_epochs": 10,
    "average_decay": 0.99,
}
MULTILAYER: dict[str, Any] = {
    "problem": "multilayer",
    "model.dropout": 0.5,
    "l2_penalty": 0.0,
    "num_epochs": 150,
    "eval_every_steps": 150,
}
WORDS: dict[str, Any] = {
    "problem": "words",
    "grid.power": BOTH,
    "model.widths": (),
    "model.input_dropout": 0.5,
    "num_epochs": 5,
}
PYTHON_PACKAGES: dict[str, Any] = {
    "data.name": "python_packages",
    "data.train_split": "train[:3000]",
    "data.validation_split": "train[3000:3600]",
    "data.test_split": "test[:500]",
    "data.num_train": 3000,
    "data.num_classes": 9,
    "eval_every_steps": 46,
}
VAE: dict[str, Any] = {
    "problem": "vae",
    "grid.learning_rate": (0.0001, 0.001, 0.01, 0.1),
    "grid.b1": (0.0, 0.9),
    "grid.b2": (0.99, 0.999, 0.9999),
    "grid.corrected": (0, 1),
    "batch_size": 100,
    "num_epochs": 50,
    "eval_every_steps": 140,
}
# Images of 8x8 pixels hold too little for latents to tell.
ENLARGED: dict[str, Any] = {
    "data.enlarge": 2,
    "data.image_size": 16,
    "data.train_split": "train[:1400]",
    "data.num_train": 1400,
}

# The rate of each optimizer with the lowest training cost on seed 10, of those of `:tune`. Constant
# rates are better than falling ones for every one of them.
BEST = {
    "logistic": {"adam": 0.3, "nesterov": 1.0, "adagrad": 1.0, "adamax": 0.3},
    "words": {"adam": 0.03, "adagrad": 0.1, "nesterov": 1.0},
    "multilayer": {
        "adam": 0.003,
        "nesterov": 0.1,
        "adagrad": 0.03,
        "rmsprop": 0.0003,
        "adadelta": 3.0,
    },
}

# Costs on training examples at rates that are constant, or fall as 1 / sqrt(t), on seed 10.
TRIED = {
    "logistic_adam": "constant 0.01: 0.463; 0.03: 0.186; 0.1: 0.0982; 0.3: 0.0882; 1: 0.323; "
    "falling 0.01: 1.45; 0.03: 0.699; 0.1: 0.256; 0.3: 0.14; 1: 0.168",
    "logistic_nesterov": "constant 0.1: 0.264; 0.3: 0.138; 1: 0.0865; 3: 0.266; 10: 1.59; "
    "falling 0.1: 0.91; 0.3: 0.41; 1: 0.184; 3: 0.127; 10: 0.595",
    "logistic_adagrad": "constant 0.03: 0.738; 0.1: 0.305; 0.3: 0.175; 1: 0.113; 3: 0.317; "
    "falling 0.03: 1.53; 0.1: 0.782; 0.3: 0.37; 1: 0.186; 3: 0.373",
    "logistic_adamax": "constant 0.03: 0.344; 0.1: 0.173; 0.3: 0.114; 1: 0.198; 3: 0.856; "
    "falling 0.03: 1.05; 0.1: 0.482; 0.3: 0.242; 1: 0.19; 3: 0.667",
    "words_adam": "constant 0.01: 0.136; 0.03: 0.117; 0.1: 0.318; 0.3: 1.56; 1: 10; "
    "falling 0.01: 0.741; 0.03: 0.238; 0.1: 0.128; 0.3: 0.26; 1: 1.16",
    "words_adagrad": "constant 0.03: 0.261; 0.1: 0.117; 0.3: 0.149; 1: 0.558; 3: 2.04; "
    "falling 0.03: 0.965; 0.1: 0.331; 0.3: 0.16; 1: 0.368; 3: 1.63",
    "words_nesterov": "constant 0.1: 0.312; 0.3: 0.13; 1: 0.0886; 3: 0.389; 10: 2.78; "
    "falling 0.1: 1.05; 0.3: 0.549; 1: 0.217; 3: 0.0944; 10: 0.365",
    "multilayer_adam": "0.0003: 0.0855; 0.001: 0.0095; 0.003: 0.0007; 0.01: 0.0031; 0.03: 0.022",
    "multilayer_nesterov": "0.01: 0.0271; 0.03: 0.00308; 0.1: 0.00062; 0.3: 0.0213; 1: 2.31",
    "multilayer_adagrad": "0.01: 0.0284; 0.03: 0.00240; 0.1: 0.00704; 0.3: 0.197; 1: 2",
    "multilayer_rmsprop": "0.0001: 0.0066; 0.0003: 0.0005; 0.001: 0.0008; 0.003: 0.022; 0.01: 0.51",
    "multilayer_adadelta": "0.3: 0.0182; 1: 0.00132; 3: 0.00082; 10: 0.00800; 30: 1.4",
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.arms.vae = {**VAE, **ENLARGED}
    for problem in (LOGISTIC, {**WORDS, **PYTHON_PACKAGES}, MULTILAYER):
        name = problem["problem"]
        for optimizer, rate in BEST[name].items():
            config.arms[f"{name}_{optimizer}"] = {
                **problem,
                "optimizer.name": optimizer,
                "grid.learning_rate": (rate,),
                "grid.power": (0.0,),
            }
    config.seeds = (0, 1, 2)
    config.problem = "multilayer"  # "logistic", "words", "convolutional", "vae"
    config.batch_size = 128
    config.num_epochs = 20
    config.l2_penalty = 1e-4
    config.average_decay = 0.0  # of temporal averages of the parameters; 0: none
    config.optimizer = ConfigDict(
        {
            "name": "adam",
            "eps": 1e-8,
            "b1_decay": 1.0,  # lambda, with which b1 falls; 1 - 1e-8 in the paper's theory
            "momentum": 0.9,  # of "nesterov" and "rmsprop"
            "rms_decay": 0.9,  # of "rmsprop"
            "rho": 0.95,  # of "adadelta"
        }
    )
    # Every combination is trained, side by side.
    config.grid = ConfigDict(
        {
            "learning_rate": (0.001,),
            "power": (0.0,),  # alpha_t = alpha / t^power
            "b1": (0.9,),
            "b2": (0.999,),
            "corrected": (1,),  # 0: Adam's averages are not corrected for their start at 0
        }
    )
    config.model = ConfigDict(
        {
            "widths": (100, 100),  # hidden layers of ReLU
            "channels": (64, 64, 128),  # of "convolutional"
            "dropout": 0.0,
            "input_dropout": 0.0,
        }
    )
    config.vae = ConfigDict(
        {"latent_size": 5, "hidden": 50, "activation": "softplus", "init_std": 0.1}
    )
    config.data.update(
        {
            "name": "digits",  # or "python_packages", or a name for data.load
            "train_split": "train[:1150]",
            "validation_split": "train[1150:]",
            "test_split": "test",
            "num_train": 1150,
            "num_classes": 10,
            "num_words": 10_000,  # of "words"
            "image_size": 8,
            "channels": 1,
            "scale": 127.5 / 16,  # of pixels in units of 127.5, to 0 to 1
            "whitening": 0.0,  # what is added to variances; 0: images as they are
            "enlarge": 1,  # images of "vae" are made larger by it
        }
    )
    config.eval = ConfigDict(
        {
            "batch_size": 500,
            "num_images": 1000,  # of the training ones that "vae" is judged by
            "highest": 160.0,  # upper edge of figure 4, nats
        }
    )
    config.log_every_steps = 50
    config.eval_every_steps = 40
    return common.choose(config, VARIANTS, variant)


def add_arms(config: ConfigDict, problem: Mapping[str, Any], *optimizers: str) -> None:
    """An arm for each optimizer on a problem, at all of its rates."""
    is_linear = problem["problem"] in ("logistic", "words")
    rates = LINEAR_RATES if is_linear else NETWORK_RATES
    for optimizer in optimizers:
        config.arms[f"{problem['problem']}_{optimizer}"] = {
            **problem,
            "optimizer.name": optimizer,
            "grid.learning_rate": rates[optimizer],
        }


def tune(config: ConfigDict) -> None:
    """The default's problems at all rates, on a seed that is not reported."""
    config.check_claims = False
    config.seeds = (10,)
    config.arms = ConfigDict(convert_dict=False)
    add_arms(config, LOGISTIC, "adam", "nesterov", "adagrad", "adamax")
    add_arms(config, {**WORDS, **PYTHON_PACKAGES}, "adam", "nesterov", "adagrad")
    add_arms(config, MULTILAYER, *NETWORK_RATES)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.check_claims = False
    config.arms = ConfigDict(convert_dict=False)
    config.arms.vae = {
        "problem": "vae",
        "grid.learning_rate": (0.01,),
        "grid.b1": (0.0, 0.9),
        "grid.b2": (0.99, 0.9999),
        "grid.corrected": (0, 1),
    }
    config.arms.multilayer_adam = {
        "grid.learning_rate": (0.003, 0.03),
        "grid.power": BOTH,
        "model.dropout": 0.5,
        "average_decay": 0.9,
    }
    config.seeds = (0,)
    config.data.update({"train_split": "train[:160]", "num_train": 160})
    config.data.update({"validation_split": "train[160:200]", "test_split": "test[:40]"})
    config.model.widths = (16,)
    config.vae.update({"hidden": 8, "latent_size": 2})
    config.batch_size = 16
    config.num_epochs = 2
    config.log_every_steps = 5
    config.eval_every_steps = 5
    config.checkpoint_every_steps = 10
    config.eval.update({"batch_size": 40, "num_images": 40})


def on_mnist(config: ConfigDict) -> None:
    config.data.update(
        {
            "name": "mnist",
            "train_split": "train[:50000]",
            "validation_split": "train[50000:]",
            "num_train": 50_000,
            "image_size": 28,
            "scale": 0.5,
        }
    )
    config.log_every_steps = 100
    config.eval_every_steps = 390
    config.eval.batch_size = 1000


def mnist(config: ConfigDict) -> None:
    """Experiments 1 and 2 on 10,000 images of MNIST."""
    on_mnist(config)
    config.arms = ConfigDict(convert_dict=False)
    add_arms(config, LOGISTIC, "adam", "nesterov", "adagrad")
    add_arms(config, {**MULTILAYER, "num_epochs": 10}, *NETWORK_RATES)
    config.seeds = (0,)
    config.data.update(
        {
            "train_split": "train[:10000]",
            "validation_split": "train[50000:52000]",
            "test_split": "test[:2000]",
            "num_train": 10_000,
        }
    )
    config.eval_every_steps = 156


def mnist_vae(config: ConfigDict) -> None:
    """Experiment 4 at half size: 10,000 images of MNIST, 200 units, 20 latents, five epochs."""
    on_mnist(config)
    config.arms = ConfigDict(convert_dict=False)
    config.arms.vae = {**VAE, "num_epochs": 5, "eval_every_steps": 100}
    config.seeds = (0,)
    config.vae.update({"hidden": 200, "latent_size": 20})
    config.data.update({"train_split": "train[:10000]", "num_train": 10_000})
    config.eval.update({"num_images": 2000, "highest": 300.0})


def imdb(config: ConfigDict) -> None:
    """Experiment 1 on reviews of films, the 10,000 commonest words, with 50 % dropout."""
    config.arms = ConfigDict(convert_dict=False)
    add_arms(config, WORDS, "adam", "nesterov", "adagrad", "rmsprop")
    config.seeds = (0,)
    on_imdb(config)


def imdb_no_dropout(config: ConfigDict) -> None:
    """The same without dropout."""
    imdb(config)
    config.arms = ConfigDict(convert_dict=False)
    add_arms(
        config, {**WORDS, "model.input_dropout": 0.0}, "adam", "nesterov", "adagrad", "rmsprop"
    )


def on_imdb(config: ConfigDict) -> None:
    config.data.update(
        {
            "name": "imdb_reviews",
            "train_split": "train[:20000]",
            "validation_split": "train[20000:]",
            "test_split": "test[:5000]",
            "num_train": 20_000,
            "num_classes": 2,
            "num_words": 10_000,
        }
    )
    config.log_every_steps = 100
    config.eval_every_steps = 156


def cifar10(config: ConfigDict) -> None:
    """Experiment 3: CIFAR-10, whitened, c64-c64-c128-1000, 45 epochs; for an accelerator."""
    config.arms = ConfigDict(convert_dict=False)
    on_cifar10(config)
    convolutional = {"problem": "convolutional", "num_epochs": 45}
    add_arms(config, convolutional, "adam", "nesterov", "adagrad")


def on_cifar10(config: ConfigDict) -> None:
    config.data.update(
        {
            "name": "cifar10",
            "train_split": "train[:45000]",
            "validation_split": "train[45000:]",
            "num_train": 45_000,
            "image_size": 32,
            "channels": 3,
            "scale": 0.5,
            "whitening": 0.01,
        }
    )
    config.model.update({"widths": (1000,), "dropout": 0.5, "input_dropout": 0.2})
    config.l2_penalty = 0.0
    config.log_every_steps = 100
    config.eval_every_steps = 351
    config.seeds = (0,)


def paper(config: ConfigDict) -> None:
    """Experiment 2: MNIST, two hidden layers of 1,000 with dropout, 200 epochs."""
    by_default(config, "multilayer")
    on_mnist(config)
    config.num_epochs = 200
    config.model.update({"widths": (1000, 1000), "dropout": 0.5})
    config.l2_penalty = 0.0


def paper_logistic(config: ConfigDict) -> None:
    """Experiment 1: softmax regression of MNIST's pixels, 45 epochs, alpha / sqrt(t)."""
    by_default(config, "logistic")
    on_mnist(config)
    config.num_epochs = 45
    config.grid.power = (0.5,)
    config.model.widths = ()


def paper_imdb(config: ConfigDict) -> None:
    """Experiment 1: logistic regression of 10,000 words with dropout, 160 epochs."""
    by_default(config, "words")
    on_imdb(config)
    config.num_epochs = 160
    config.grid.power = (0.5,)
    config.model.update({"widths": (), "input_dropout": 0.5})


def paper_cifar10(config: ConfigDict) -> None:
    """Experiment 3: the convolutional network, 45 epochs."""
    by_default(config, "convolutional")
    on_cifar10(config)
    config.num_epochs = 45


def paper_vae(config: ConfigDict) -> None:
    """Experiment 4: MNIST, 500 units, 50 latents, 100 epochs."""
    by_default(config, "vae")
    on_mnist(config)
    config.num_epochs = 100
    config.batch_size = 100
    config.eval_every_steps = 5000  # ten epochs
    config.vae.update({"hidden": 500, "latent_size": 50})
    config.eval.update({"num_images": 5000, "highest": 300.0})


def figure_4(config: ConfigDict) -> None:
    """Experiment 4 at all settings of figure 4, after 10 and after 100 epochs."""
    paper_vae(config)
    config.published_as = ""
    config.grid.update({"b1": (0.0, 0.9), "b2": (0.99, 0.999, 0.9999), "corrected": (0, 1)})
    config.grid.learning_rate = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


def by_default(config: ConfigDict, problem: str) -> None:
    """One run by Adam at its default setting."""
    common.single(config)
    config.seeds = (0,)
    config.problem = config.published_as = problem
    config.checkpoint_every_steps = 3900


VARIANTS = {
    "smoke": smoke,
    "tune": tune,
    "mnist": mnist,
    "mnist_vae": mnist_vae,
    "imdb": imdb,
    "imdb_no_dropout": imdb_no_dropout,
    "cifar10": cifar10,
    "paper": paper,
    "paper_logistic": paper_logistic,
    "paper_imdb": paper_imdb,
    "paper_cifar10": paper_cifar10,
    "paper_vae": paper_vae,
    "figure_4": figure_4,
}
