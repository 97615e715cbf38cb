"""Ways to break progressive resizing, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/imagenet_18min.py"
CONFIG = "configs/imagenet_18min.py"
OWN = "tests/papers/imagenet_18min/test_imagenet_18min.py"
TABLE = "tests/papers/imagenet_18min/test_paper_table.py"
PHASES = f"{TABLE}::test_every_phase_reads_trains_and_tests_as_the_table_says"
UPDATE = f"{TABLE}::test_an_update_is_that_of_momentum_with_a_penalty_on_all_but_norms"
GOES_ON = f"{TABLE}::test_a_phase_goes_on_with_weights_and_momentum_and_counts_anew"
RECTANGLES = "tests/papers/imagenet_18min/test_rectangular.py"

MUTANTS = [
    Mutant(
        "nearly_whole_images_in_every_phase",
        SCRIPT,
        "min_area=phase.min_area",
        "min_area=0.9",
        f"{PHASES}[paper_16]",
    ),
    Mutant(
        "small_crops_in_the_last_phase",
        CONFIG,
        "        (37, 288, 128, 0.5, 0, True),\n",
        "        (37, 288, 128, 0.08, 0, True),\n",
        f"{PHASES}[paper_16]",
    ),
    Mutant(
        "the_last_phase_is_tested_on_squares",
        CONFIG,
        "        (28, 288, 128, 0.5, 0, True),\n",
        "        (28, 288, 128, 0.5),\n",
        f"{PHASES}[paper_4]",
    ),
    Mutant(
        "smaller_copies_are_not_read",
        SCRIPT,
        "stored_side=phase.stored_side",
        "stored_side=0",
        f"{PHASES}[paper_4]",
    ),
    Mutant(
        "statistics_are_of_all_workers_images",
        SCRIPT,
        "self._learner(phase.worker_batch_size if config.workers > 1 else 0)",
        "self._learner(0)",
        f"{PHASES}[paper_16]",
    ),
    Mutant(
        "norms_are_penalized",
        SCRIPT,
        "config.optimizer.l2_penalty, without_norms)",
        "config.optimizer.l2_penalty)",
        UPDATE,
    ),
    Mutant(
        "every_phase_has_the_rates_of_the_first",
        SCRIPT,
        "rate_by_step(rate_phases, phase.start, epoch_steps)",
        "rate_by_step(rate_phases, 0.0, epoch_steps)",
        f"{OWN}::test_the_schedule_goes_on_from_phase_to_phase",
    ),
    Mutant(
        "momentum_is_lost_between_phases",
        SCRIPT,
        "optax.tree.set(before.learner.opt_state, count=0)",
        "state.learner.opt_state",
        GOES_ON,
    ),
    Mutant(
        "the_gradients_scale_is_not_undone",
        SCRIPT,
        'scale_gradient(variables["params"], 1 / scale)',
        'scale_gradient(variables["params"], 1.0)',
        f"{OWN}::test_scaled_float16_gradients_are_those_of_float32",
    ),
    Mutant(
        "convolutions_start_by_the_fan_in",
        CONFIG,
        '"conv_fan": "fan_out"',
        '"conv_fan": "fan_in"',
        f"{TABLE}::test_settings[paper_16-128]",
    ),
    Mutant(
        "gamma_starts_at_one",
        CONFIG,
        '"last_scale": 0.0',
        '"last_scale": 1.0',
        f"{TABLE}::test_settings[paper_16-128]",
    ),
    Mutant(
        "the_rate_does_not_follow_the_batch_of_larger_images",
        CONFIG,
        "(13, 0.875 * rate),",
        "(13, rate),",
        f"{OWN}::test_released_schedules[paper_4-batches1-rates1]",
    ),
    Mutant(
        "a_batch_has_the_shape_of_its_first_image",
        "research/papers/imagenet_18min/rectangular.py",
        "crop_shape(float(aspects[chunk].mean()), size)",
        "crop_shape(float(aspects[chunk[0]]), size)",
        f"{RECTANGLES}::test_rectangular_crops",
    ),
]
