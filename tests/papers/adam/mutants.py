"""Ways to break Adam; the specification's own, and what notices each."""

from tests.mutants import Mutant

OPTIMIZER, SCRIPT = "research/optim/adam.py", "experiments/adam.py"
OPTIMIZER_TESTS, SCRIPT_TESTS = "tests/optim/test_adam.py", "tests/papers/adam/test_adam.py"

MUTANTS = [
    Mutant(
        "second_moment_is_not_corrected",
        OPTIMIZER,
        "v_correction = jnp.where(bias_correction, one_minus_power(b2, t), 1.0)",
        "v_correction = 1.0",
        f"{OPTIMIZER_TESTS}::test_the_first_step_is_the_rate_whatever_the_scale",
    ),
    Mutant(
        "first_moment_is_not_corrected",
        OPTIMIZER,
        "m_correction = jnp.where(bias_correction, one_minus_power(b1, t), 1.0)",
        "m_correction = 1.0",
        f"{OPTIMIZER_TESTS}::test_three_steps_are_algorithm_1",
    ),
    Mutant(
        "correction_cannot_be_left_out",
        SCRIPT,
        "bias_correction=setting.corrected,",
        "bias_correction=True,",
        f"{SCRIPT_TESTS}::test_correction_is_the_only_difference_of_a_pair",
    ),
    Mutant(
        "steps_count_from_zero",
        OPTIMIZER,
        "t = state.t + 1\n        b1_t",
        "t = state.t + 2\n        b1_t",
        f"{OPTIMIZER_TESTS}::test_three_steps_are_algorithm_1",
    ),
    Mutant(
        "epsilon_is_under_the_root",
        OPTIMIZER,
        "(jnp.sqrt(v_hat + eps_root) + eps)",
        "jnp.sqrt(v_hat + eps_root + eps)",
        f"{OPTIMIZER_TESTS}::test_epsilon_under_the_root",
    ),
    Mutant(
        "epsilon_is_that_of_the_faster_order",
        OPTIMIZER,
        "(jnp.sqrt(v_hat + eps_root) + eps)",
        "(jnp.sqrt(v_hat + eps_root) + eps / jnp.sqrt(v_correction))",
        f"{OPTIMIZER_TESTS}::test_the_faster_order_is_the_first_one_with_an_epsilon_that_grows",
    ),
    Mutant(
        "second_moment_is_of_the_average",
        OPTIMIZER,
        "b2 * v + (1 - b2) * g * g, state.v, grads)",
        "b2 * v + (1 - b2) * g * g, state.v, m)",
        f"{OPTIMIZER_TESTS}::test_three_steps_are_algorithm_1",
    ),
    Mutant(
        "correction_loses_digits",
        OPTIMIZER,
        "return -jnp.expm1(t * jnp.log(b))",
        "return 1 - jnp.exp(t * jnp.log(b))",
        f"{OPTIMIZER_TESTS}::test_the_correction_is_exact_for_decays_near_one",
    ),
    Mutant(
        "b1_does_not_fall",
        OPTIMIZER,
        "b1_t = b1 * jnp.asarray(b1_decay, jnp.float32) ** (t - 1)",
        "b1_t = b1",
        f"{OPTIMIZER_TESTS}::test_the_theorys_rate_and_decay_of_b1",
    ),
    Mutant(
        "rate_does_not_fall",
        OPTIMIZER,
        "** -jnp.asarray(power)",
        "** (0 * jnp.asarray(power))",
        f"{OPTIMIZER_TESTS}::test_the_theorys_rate_and_decay_of_b1",
    ),
    Mutant(
        "adamax_adds_up",
        OPTIMIZER,
        "jnp.maximum(b2 * u, jnp.abs(g))",
        "(b2 * u + jnp.abs(g))",
        f"{OPTIMIZER_TESTS}::test_three_steps_are_algorithm_2",
    ),
    Mutant(
        "adamax_is_not_corrected",
        OPTIMIZER,
        "_rate(learning_rate, state.t) / one_minus_power(b1, t)",
        "_rate(learning_rate, state.t)",
        f"{OPTIMIZER_TESTS}::test_three_steps_are_algorithm_2",
    ),
    Mutant(
        "temporal_average_is_not_corrected",
        OPTIMIZER,
        "lambda bar: bar / correction",
        "lambda bar: bar",
        f"{OPTIMIZER_TESTS}::test_temporal_averages_are_weighted_means_of_all_parameters",
    ),
    Mutant(
        "momentum_is_not_nesterovs",
        SCRIPT,
        "o.momentum, nesterov=True)",
        "o.momentum)",
        f"{SCRIPT_TESTS}::test_every_optimizer_is_its_formula_with_a_rate_that_falls",
    ),
    Mutant(
        "adagrad_begins_with_a_sum",  # optax's default
        SCRIPT,
        "initial_accumulator_value=0.0",
        "initial_accumulator_value=0.1",
        f"{SCRIPT_TESTS}::test_every_optimizer_is_its_formula_with_a_rate_that_falls",
    ),
    Mutant(
        "rates_are_chosen_by_training",
        SCRIPT,
        'best = int(found["validation"]["cost"].argmin())',
        'best = int(found["train"]["cost"].argmin())',
        f"{SCRIPT_TESTS}::test_the_setting_is_chosen_by_validation_and_not_by_training",
    ),
    Mutant(
        "penalty_is_on_biases_too",
        SCRIPT,
        "if p.ndim > 1]",
        "if p.ndim > 0]",
        f"{SCRIPT_TESTS}::test_two_steps_of_softmax_regression_at_every_setting",
    ),
    Mutant(
        "divergence_is_added",
        SCRIPT,
        "return -q.kl_to_standard().sum(-1) + p",
        "return q.kl_to_standard().sum(-1) + p",
        f"{SCRIPT_TESTS}::test_the_bound_is_a_sum_over_pixels_and_latents",
    ),
    Mutant(
        "all_settings_have_one_rate",
        SCRIPT,
        "rate = falling(setting.learning_rate, setting.power)",
        "rate = falling(0.01, setting.power)",
        f"{SCRIPT_TESTS}::test_two_steps_of_softmax_regression_at_every_setting",
    ),
]
