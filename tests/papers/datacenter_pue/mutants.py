"""Ways to break the network of a data center's efficiency, and what notices each."""

from tests.mutants import Mutant

SCRIPT, TABLES = "experiments/datacenter_pue.py", "research/data/tables.py"
PLANT = "research/data/procedural/data_center.py"
SCRIPT_TESTS = "tests/papers/datacenter_pue/test_datacenter_pue.py"
TABLE_TESTS, PLANT_TESTS = "tests/data/test_tables.py", "tests/data/test_data_center.py"

MUTANTS = [
    Mutant(
        "units_are_relu",
        SCRIPT,
        "z = nn.sigmoid(",
        "z = nn.relu(",
        f"{SCRIPT_TESTS}::test_five_layers_of_sigmoids_and_a_line",
    ),
    Mutant(
        "weights_begin_small",
        SCRIPT,
        "jax.random.uniform(key, shape, dtype, -1, 1)",
        "jax.random.uniform(key, shape, dtype, -0.1, 0.1)",
        f"{SCRIPT_TESTS}::test_weights_begin_uniform_from_minus_one_to_one",
    ),
    Mutant(
        "all_networks_begin_alike",
        SCRIPT,
        "jax.vmap(member)(jax.random.split(key, self.config.num_members))",
        "jax.vmap(member)(jax.numpy.stack([key] * self.config.num_members))",
        f"{SCRIPT_TESTS}::test_weights_begin_uniform_from_minus_one_to_one",
    ),
    Mutant(
        "biases_decay_too",
        SCRIPT,
        "if leaf.ndim > 1",
        "if leaf.ndim > 0",
        f"{SCRIPT_TESTS}::test_the_cost_is_half_the_squares_and_the_weights_without_biases",
    ),
    Mutant(
        "decay_is_not_over_the_rows",
        SCRIPT,
        "self.config.weight_decay / (2 * self.m) * squares",
        "self.config.weight_decay / 2 * squares",
        f"{SCRIPT_TESTS}::test_the_cost_is_half_the_squares_and_the_weights_without_biases",
    ),
    Mutant(
        "test_rows_are_scaled_with",  # the scaling has seen what is tested
        TABLES,
        "rows = self.table.inputs[train]",
        "rows = self.table.inputs",
        f"{TABLE_TESTS}::test_nothing_of_the_test_rows_is_in_the_scaling",
    ),
    Mutant(
        "scaled_by_the_deviation",
        TABLES,
        "span = np.ptp(rows, axis=0)",
        "span = np.std(rows, axis=0)",
        f"{TABLE_TESTS}::test_scaling_is_by_mean_and_range_of_the_training_rows",
    ),
    Mutant(
        "the_time_after_is_shuffled",
        TABLES,
        'if how == "shuffled":',
        "if how in SPLITS:",
        f"{TABLE_TESTS}::test_splits_are_all_rows_once",
    ),
    Mutant(
        "one_set_point_moves",
        SCRIPT,
        "for name in records.SET_POINTS:\n            moved",
        "for name in records.SET_POINTS[:1]:\n            moved",
        f"{SCRIPT_TESTS}::test_set_points_move_together_and_alone",
    ),
    Mutant(
        "the_worst_set_point_is_chosen",
        SCRIPT,
        "best = sure.argmax(0)",
        "best = sure.argmin(0)",
        f"{SCRIPT_TESTS}::test_the_chosen_set_point_is_the_one_that_saves_most",
    ),
    Mutant(
        "disagreement_moves_set_points",
        SCRIPT,
        "sure = saving.mean(1) - saving.std(1)",
        "sure = saving.max(1)",
        f"{SCRIPT_TESTS}::test_networks_that_do_not_agree_move_nothing",
    ),
    Mutant(
        "alarms_are_one_sided",
        SCRIPT,
        "alarmed = np.abs(read - prediction) > alarm.sigmas * sigma",
        "alarmed = prediction - read > alarm.sigmas * sigma",
        f"{SCRIPT_TESTS}::test_alarms_are_residuals_of_more_than_four_deviations",
    ),
    Mutant(
        "networks_are_sure",  # the interval leaves out that they differ
        SCRIPT,
        "1.96 * np.sqrt(deviation**2 + sigma**2)",
        "1.96 * sigma",
        f"{SCRIPT_TESTS}::test_an_interval_holds_95_percent_of_gaussian_errors",
    ),
    Mutant(
        "fans_take_power_with_the_square",
        PLANT,
        "np.clip(airflow, 0.2, 1.15) ** 3",
        "np.clip(airflow, 0.2, 1.15) ** 2",
        f"{PLANT_TESTS}::test_the_power_of_a_hot_moment_by_hand",
    ),
]
