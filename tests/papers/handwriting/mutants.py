"""Ways to break handwriting by a recurrent network."""

from tests.mutants import Mutant

SCRIPT = "experiments/handwriting.py"
NETWORK = "research/papers/handwriting/network.py"
WINDOW = "research/nn/soft_window.py"
MIXTURE = "research/losses/mixture_density.py"
NOISE = "research/losses/weight_noise.py"
CELL = "research/nn/peephole_lstm.py"
OF_SCRIPT = "tests/papers/handwriting/test_handwriting.py"
OF_NETWORK = "tests/papers/handwriting/test_network.py"
OF_WINDOW = "tests/nn/test_soft_window.py"
OF_MIXTURE = "tests/losses/test_mixture_density.py"
OF_NOISE = "tests/losses/test_weight_noise.py"
OF_CELL = "tests/nn/test_peephole_lstm.py"

MUTANTS = [
    Mutant(
        "kappa_is_not_cumulative",
        WINDOW,
        "kappa = kappa + forward",
        "kappa = forward",
        f"{OF_WINDOW}::test_equals_numpy_over_several_steps",
    ),
    Mutant(
        "phi_is_normalised",
        WINDOW,
        "phi = jnp.sum(alpha[..., None] * bumps, axis=1)",
        "phi = jax.nn.softmax(jnp.log(jnp.sum(alpha[..., None] * bumps, axis=1)))",
        f"{OF_WINDOW}::test_equals_numpy_over_several_steps",
    ),
    Mutant(
        "a_line_ends_on_its_last_letter",
        WINDOW,
        "jnp.take_along_axis(weights, lengths[:, None], axis=1)",
        "jnp.take_along_axis(weights, lengths[:, None] - 1, axis=1)",
        f"{OF_WINDOW}::test_a_line_ends_where_the_window_is_after_its_own_text_more_than_on_any_letter",
    ),
    Mutant(
        "a_line_never_ends",
        SCRIPT,
        "after = ended | has_left(weights",
        "after = ended & has_left(weights",
        f"{OF_SCRIPT}::test_a_line_ends_when_the_window_leaves_its_text",
    ),
    Mutant(
        "the_first_layer_sees_nothing_through_the_window",
        NETWORK,
        "given + seen @ self.from_window",
        "given + 0.0 * seen @ self.from_window",
        f"{OF_NETWORK}::test_the_synthesis_network_is_the_papers",
    ),
    Mutant(
        "upper_layers_do_not_read_the_point",  # no skip connections
        NETWORK,
        "read = [x, hidden[-1]] + ",
        "read = [0.0 * x, hidden[-1]] + ",
        f"{OF_NETWORK}::test_the_synthesis_network_is_the_papers",
    ),
    Mutant(
        "the_output_reads_the_last_layer_alone",
        NETWORK,
        "self.output(jnp.concatenate(hidden, axis=-1))",
        "self.output(jnp.concatenate([*(0.0 * h for h in hidden[:-1]), h], axis=-1))",
        f"{OF_NETWORK}::test_the_synthesis_network_is_the_papers",
    ),
    Mutant(
        "padding_moves_the_window",
        NETWORK,
        "lambda a, b: jnp.where(valid[:, None], a, b), after, carry",
        "lambda a, b: a, after, carry",
        f"{OF_NETWORK}::test_a_line_read_in_two_pieces_is_the_line_read_whole",
    ),
    Mutant(
        "the_output_gate_sees_the_old_cell",
        CELL,
        "read + read_peep * cell, self",
        "read + read_peep * carry[0], self",
        f"{OF_CELL}::test_equals_numpy",
    ),
    Mutant(
        "derivatives_of_the_gates_are_not_clipped",
        CELL,
        "new = clip_gradient(new, self.gradient_clip)",
        "new = clip_gradient(new, 0.0)",
        f"{OF_CELL}::test_derivatives_by_what_goes_into_the_gates_stay_in_the_range",
    ),
    Mutant(
        "derivatives_of_the_outputs_are_not_clipped",
        NETWORK,
        "axis=-1)), self.output_clip)",
        "axis=-1)), 0.0)",
        f"{OF_NETWORK}::test_derivatives_of_the_outputs_are_clipped",
    ),
    Mutant(
        "bounds_are_of_the_mean_line",
        SCRIPT,
        "model.pop(name) / config.batch_size",
        "model.pop(name)",
        f"{OF_SCRIPT}::test_bounds_of_derivatives_are_of_a_lines_loss",
    ),
    Mutant(
        "rho_has_the_wrong_sign",
        MIXTURE,
        "(z[..., 1] - jnp.tanh(",
        "(z[..., 1] + jnp.tanh(",
        f"{OF_MIXTURE}::test_log_density_is_scipys",
    ),
    Mutant(
        "samples_have_the_wrong_sign_of_rho",
        MIXTURE,
        "second = jnp.tanh(atanh_rho) * along",
        "second = -jnp.tanh(atanh_rho) * along",
        f"{OF_MIXTURE}::test_samples_have_the_moments_of_the_mixture",
    ),
    Mutant(
        "densities_are_not_normalised",  # 1 / (2 pi s_1 s_2) is missing
        MIXTURE,
        " - jnp.log(2 * jnp.pi) - log_scale",
        " + log_cosh",
        f"{OF_MIXTURE}::test_log_density_is_scipys",
    ),
    Mutant(
        "bias_is_of_the_weights_alone",
        MIXTURE,
        "log_std=self.log_std - b[..., None, None]",
        "log_std=self.log_std - 0.0 * b[..., None, None]",
        f"{OF_SCRIPT}::test_without_a_bias_the_sampler_is_the_unbiased_one_bit_for_bit",
    ),
    Mutant(
        "the_pen_is_lifted_where_it_should_not",
        SCRIPT,
        "Bernoulli(-outputs[..., :1])",
        "Bernoulli(outputs[..., :1])",
        f"{OF_SCRIPT}::test_the_loss_is_the_papers",
    ),
    Mutant(
        "a_point_is_predicted_from_itself",
        SCRIPT,
        "inputs = jnp.concatenate([jnp.zeros_like(points[:, :1]), points[:, :-1]], axis=1)",
        "inputs = points",
        f"{OF_SCRIPT}::test_the_loss_is_the_papers",
    ),
    Mutant(
        "priming_forgets_the_state",
        SCRIPT,
        "jnp.concatenate([offset, end], axis=-1)\n"
        "            found = self.run_network(variables, point[:, None], text, state)",
        "jnp.concatenate([offset, end], axis=-1)\n"
        "            state = jax.tree.map(lambda x: jnp.where(t == 0, 0 * x, x), state)\n"
        "            found = self.run_network(variables, point[:, None], text, state)",
        f"{OF_SCRIPT}::test_writing_is_sampling_point_by_point",
    ),
    Mutant(
        "a_sample_has_the_strokes_of_its_prime",
        SCRIPT,
        "points[1:] if primed and len(points) > 1 else points",
        "points",
        f"{OF_SCRIPT}::test_the_strokes_of_a_prime_are_not_those_of_the_sample",
    ),
    Mutant(
        "rmsprop_has_no_momentum",
        SCRIPT,
        "optax.trace(0.9)",
        "optax.trace(0.0)",
        f"{OF_SCRIPT}::test_updates_are_the_papers_rmsprop",
    ),
    Mutant(
        "weights_have_no_description_length",
        SCRIPT,
        "return nats + weights, aux",
        "return nats, aux",
        f"{OF_SCRIPT}::test_weight_noise_begins_at_the_trained_network_and_has_the_description_length",
    ),
    Mutant(
        "weight_noise_begins_anew",
        SCRIPT,
        'params={**learner.params, "mean": before}',
        "params=learner.params",
        f"{OF_SCRIPT}::test_weight_noise_begins_at_the_trained_network_and_has_the_description_length",
    ),
    Mutant(
        "the_prior_of_the_weights_is_not_fitted",
        NOISE,
        "_, variance = self.fitted_prior()",
        "variance = 1.0",
        f"{OF_NOISE}::test_divergence_is_that_of_every_weight_and_the_prior_has_the_least",
    ),
    Mutant(
        "offsets_are_not_normalised",
        "research/papers/handwriting/lines.py",
        "(offsets[:, :2] - mean) / std",
        "offsets[:, :2]",
        "tests/papers/handwriting/test_lines.py::"
        "test_offsets_of_the_training_lines_have_mean_0_and_deviation_1",
    ),
]
