"""Ways to break large minibatches, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/imagenet_1hr.py"
CONFIG = "configs/imagenet_1hr.py"
MOMENTUM = "research/optim/momentum.py"
OWN = "tests/papers/imagenet_1hr/test_imagenet_1hr.py"
TABLE = "tests/papers/imagenet_1hr/test_paper_table.py"
SETTINGS = f"{TABLE}::test_settings[paper]"
UPDATES = f"{TABLE}::test_updates_are_nesterovs_with_a_penalty_on_all_but_norms"
RATES = f"{OWN}::test_rates_of_the_paper[paper-32]"
STARTS = f"{OWN}::test_blocks_start_as_their_shortcuts_and_statistics_are_the_first_groups"
GROUPS = "tests/nn/test_ghost_batch_norm.py"

MUTANTS = [
    Mutant(
        "statistics_are_of_the_whole_batch",
        CONFIG,
        '"norm_group": 32,  # images that',
        '"norm_group": 0,  # images that',
        SETTINGS,
    ),
    Mutant("gamma_starts_at_one", CONFIG, '"last_scale": 0.0', '"last_scale": 1.0', SETTINGS),
    Mutant(
        "the_stride_is_in_the_1x1",
        CONFIG,
        '"stride_in": "3x3"',
        '"stride_in": "1x1"',
        SETTINGS,
    ),
    Mutant("training_images_are_whole", CONFIG, '"crop": "resized"', '"crop": "whole"', SETTINGS),
    Mutant(
        "norms_are_penalized",
        SCRIPT,
        "config.optimizer.l2_penalty, without_norms)",
        "config.optimizer.l2_penalty)",
        UPDATES,
    ),
    Mutant(
        "momentum_is_not_nesterovs",
        MOMENTUM,
        "lambda u, g: -(new * g + momentum * u), velocity, grads",
        "lambda u, g: -u, velocity, grads",
        UPDATES,
    ),
    Mutant(
        "momentum_is_not_corrected",
        MOMENTUM,
        "keep = momentum * (new / state.rate if correct else 1.0)",
        "keep = momentum",
        UPDATES,
    ),
    Mutant(
        "rates_follow_the_root_of_the_batch",
        SCRIPT,
        '{"linear": k,',
        '{"linear": math.sqrt(k),',
        RATES,
    ),
    Mutant(
        "the_warm_up_begins_at_zero",
        SCRIPT,
        "            s.learning_rate,\n            s.warmup,\n",
        "            0.0,\n            s.warmup,\n",
        RATES,
    ),
    Mutant(
        "the_classifier_starts_like_the_convolutions",
        SCRIPT,
        "            **config.model,\n        )\n        self.learner",
        '            **{**config.model, "classifier_deviation": 0.0},\n        )\n'
        "        self.learner",
        STARTS,
    ),
    Mutant(
        "groups_share_their_statistics",
        "research/nn/ghost_batch_norm.py",
        "axes = tuple(range(1, x.ndim))",
        "axes = tuple(range(x.ndim))",
        f"{GROUPS}::test_groups_do_not_see_each_other",
    ),
    Mutant(
        "workers_take_the_mean_of_their_own",
        "research/papers/imagenet_1hr/workers.py",
        "return rows.sum() / (workers * rows.size)",
        "return rows.mean()",
        "tests/papers/imagenet_1hr/test_workers.py::test_workers_give_the_gradient_of_one_program",
    ),
]
