"""One weird trick for parallelizing convolutional neural networks (Krizhevsky, 2014).

    python experiments/one_weird_trick.py
    python experiments/one_weird_trick.py --config configs/one_weird_trick.py:mnist
    JAX_NUM_CPU_DEVICES=4 python experiments/one_weird_trick.py

The default trains a small network on scikit-learn's digits, 60 steps of 1,024 images, nothing
downloaded: 220 CPU seconds for three seeds, with the comparison of gradients and of communication
on eight simulated devices. The last is exact. On so few digits small fully-connected batches mend a
part only of what a large batch costs; `:mnist` (three epochs of 20,000 images, 660 CPU seconds) has
enough.

Paper: top-1 error 42.33 (one GPU), 43.28 (eight, 1024 and 1024), 42.86 (eight, 1024 and 128).
"""

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.simulated_devices = 8  # where the CPU is the only device
    config.arms.small = {"scheme": "a", "batch_size": 128}
    config.arms.large = {"scheme": "a", "fc_batch_size": 1024}
    config.arms.variable = {"check_programs": True}
    config.seeds = (0,)
    config.log_every_steps = 10

    config.scheme = "c"  # "a", "b" or "c"; "data" for data parallelism throughout
    config.batch_size = 1024  # of the convolutions
    config.fc_batch_size = 128  # of the fully-connected layers, which are updated as often
    config.total_images = 1024 * 60
    config.loss = "softmax"  # or "logistic"
    config.check_programs = False  # compare the schemes' gradients and communication
    config.communication = ConfigDict(
        {  # the sizes at which it is counted: the paper's
            "variant": "2014",
            "image_size": 224,
            "num_classes": 1000,
            "images_per_worker": 128,
        }
    )
    config.model = ConfigDict(
        {
            "variant": "small",
            "dropout": 0.0,
            "outputs_multiple": 8,  # classes are filled up to it, to divide over the workers
            # Of pixels in units of 127.5, less their mean; to 16 in digits.
            "input_scale": 127.5 / 16,
            "norm": {"size": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75, "divide_alpha": False},
        }
    )
    config.optimizer = ConfigDict(
        {
            "learning_rate": 0.02,  # for 128 images
            "bias_learning_rate": 0.02,
            "scaling": "linear",  # with the batch of a layer; or "sqrt"
            "momentum": 0.9,
            "weight_decay": 0.0,
            "drops_at": (),  # shares of the run after which the rate is divided
            "drop_factor": 1.0,
            "bias_drops_at": (),
            "bias_drop_factor": 1.0,
        }
    )
    config.data.update(
        {
            "name": "digits",  # or a name for data.load, or "proc_shapes"
            "train_split": "train",
            "test_split": "test",
            "num_classes": 10,
            "image_size": 8,
            "channels": 1,
            "augmentation": "none",
            "statistics_images": 1437,  # that the per-pixel mean is computed from
        }
    )
    config.test = ConfigDict({"batch_size": 200, "short_sides": (), "crops": "one"})
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.check_claims = False
    config.simulated_devices = 1
    del config.arms.small
    config.arms.large = {"scheme": "b", "fc_batch_size": 64}
    config.batch_size = 64
    config.fc_batch_size = 16
    config.total_images = 64 * 12
    config.log_every_steps = 4
    config.checkpoint_every_steps = 4
    config.communication.update(
        {"variant": "small", "image_size": 8, "num_classes": 10, "images_per_worker": 16}
    )
    config.model.dropout = 0.5
    config.optimizer.update({"drops_at": (0.5,), "drop_factor": 10.0})
    config.data.update(
        {
            "train_split": "train[:128]",
            "test_split": "test[:64]",
            "statistics_images": 128,
            "image_size": 8,
        }
    )
    config.test.batch_size = 32


def mnist(config: ConfigDict) -> None:
    """The claim on 20,000 images of MNIST, three epochs."""
    config.model.input_scale = 1.0
    config.data.update(
        {
            "name": "mnist",
            "train_split": "train[:20000]",
            "image_size": 28,
            "statistics_images": 6400,
        }
    )
    config.total_images = 60_000


def paper(config: ConfigDict) -> None:
    """ImageNet, 90 epochs, 1024 images (8 workers), fully-connected layers 128 at a time."""
    common.single(config)
    config.simulated_devices = 1
    config.published_as = "one_tower"
    config.total_images = 90 * 1_281_167
    config.model.update({"variant": "2014", "dropout": 0.5, "input_scale": 127.5})
    # As the author's code reads the configuration of this network: 1e-4, divided by 5.
    config.model.norm.divide_alpha = True
    config.optimizer.update(
        {
            "learning_rate": 0.01,
            "weight_decay": 5e-4,
            "drops_at": (0.25, 0.5, 0.75),
            "drop_factor": 250 ** (1 / 3),
            "bias_drops_at": (0.5,),
            "bias_drop_factor": 10.0,
        }
    )
    config.data.update(
        {
            "name": "imagenet2012",
            "train_split": "train",
            "test_split": "validation",
            "num_classes": 1000,
            "image_size": 224,
            "channels": 3,
            "augmentation": "square_crop",
            "statistics_images": 10_000,
        }
    )
    config.test.update({"short_sides": (256,)})
    config.log_every_steps = 100
    config.checkpoint_every_steps = 2000


def paper_logistic(config: ConfigDict) -> None:
    """The same with a logistic unit for each class in place of the softmax."""
    paper(config)
    config.loss = "logistic"


VARIANTS = {
    "smoke": smoke,
    "mnist": mnist,
    "paper": paper,
    "paper_logistic": paper_logistic,
}
