"""Ways to break the residual networks and their training, and what notices each."""

from tests.mutants import Mutant

MODEL = "research/models/resnet.py"
SCRIPT = "experiments/resnet.py"
CONFIG = "configs/resnet.py"
IMAGES = "research/data/images/images.py"
FORWARD = "tests/models/test_resnet.py::test_equals_numpy"
BOTTLENECKS = "tests/models/test_resnet.py::test_bottlenecks_equal_numpy"
START = "tests/models/test_resnet.py::test_convolutions_start_with_the_deviation_of_he"
COLOURED = "tests/data/images/test_images.py::test_coloured_crops_are_what_the_papers_say"
TABLE = "tests/papers/resnet/test_paper_table.py"
SGD = (
    "tests/papers/resnet/test_resnet.py"
    "::test_the_optimizer_is_momentum_with_a_coupled_penalty_on_everything"
)

MUTANTS = [
    Mutant(
        "scaled_crops_are_not_coloured",
        IMAGES,
        "rng, self.size)\n"
        "        image = augment.jitter_colour(augment.mirror(image, rng), rng, self.colours)\n"
        "        return self._normalized(image)",
        "rng, self.size)\n        return self._normalized(augment.mirror(image, rng))",
        f"{COLOURED}[scale_crop]",
    ),
    Mutant(
        "the_rate_drops_at_the_end",
        CONFIG,
        "config.schedule.lower_at_steps = (32_000, 48_000)",
        "config.schedule.lower_at_steps = (60_000, 63_000)",
        f"{TABLE}::test_cifar[20]",
    ),
    Mutant(
        "no_penalty",
        CONFIG,
        '"l2_penalty": 1e-4',
        '"l2_penalty": 0.0',
        f"{TABLE}::test_imagenet[50]",
    ),
    Mutant(
        "convolutions_start_with_a_variance_100_times_too_small",
        MODEL,
        'variance_scaling(2.0, self.conv_fan, "normal")',
        'variance_scaling(0.02, self.conv_fan, "normal")',
        f"{START}[fan_in]",
    ),
    Mutant(
        "convolutions_start_by_the_other_fan",
        MODEL,
        'variance_scaling(2.0, self.conv_fan, "normal")',
        'variance_scaling(2.0, "fan_out", "normal")',
        f"{START}[fan_in]",
    ),
    Mutant(
        "shortcuts_are_dropped",
        MODEL,
        "            y = y + x\n",
        "            y = y + 0 * x\n",
        f"{FORWARD}[True-A]",
    ),
    Mutant(
        "relu_comes_before_the_addition",
        MODEL,
        "            y = y + x\n        return nn.relu(y)",
        "            return nn.relu(y) + x\n        return nn.relu(y)",
        f"{FORWARD}[True-B]",
    ),
    Mutant(
        "no_relu_inside_a_block",
        MODEL,
        'y = nn.relu(layer(f"{name}_1", x, width, 3, strides=stride))',
        'y = layer(f"{name}_1", x, width, 3, strides=stride)',
        f"{FORWARD}[False-A]",
    ),
    Mutant(
        "no_relu_inside_a_bottleneck",
        MODEL,
        'y = nn.relu(layer(f"{name}_2", y, width, 3, strides=second))',
        'y = layer(f"{name}_2", y, width, 3, strides=second)',
        f"{BOTTLENECKS}[1x1]",
    ),
    Mutant(
        "the_stride_is_in_the_other_layer",
        MODEL,
        'first, second = (stride, 1) if self.stride_in == "1x1" else (1, stride)',
        'first, second = (stride, 1) if self.stride_in == "3x3" else (1, stride)',
        f"{BOTTLENECKS}[1x1]",
    ),
    Mutant(
        "projections_everywhere_for_option_b",
        MODEL,
        'self.shortcut == "C" or (self.shortcut == "B" and changes)',
        'self.shortcut in "BC"',
        "tests/models/test_resnet.py::test_projections_everywhere_add_the_square_ones",
    ),
    Mutant(
        "half_the_momentum",
        SCRIPT,
        "learning_rate=config.schedule.learning_rate,\n"
        "                    momentum=config.optimizer.momentum,\n",
        "learning_rate=config.schedule.learning_rate,\n"
        "                    momentum=0.5 * config.optimizer.momentum,\n",
        SGD,
    ),
    Mutant(
        "statistics_are_of_the_whole_batch",
        CONFIG,
        '"width": 0, "norm_group": 32}',
        '"width": 0, "norm_group": 0}',
        f"{TABLE}::test_imagenet[50]",
    ),
    Mutant(
        "the_deepest_begins_at_the_full_rate",
        CONFIG,
        "if depth < 110:",
        "if depth < 1202:",
        f"{TABLE}::test_cifar[110]",
    ),
]
