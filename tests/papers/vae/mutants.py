"""Ways to break Auto-Encoding Variational Bayes."""

from tests.mutants import Mutant

SCRIPT, DISTRIBUTIONS = "experiments/vae.py", "research/losses/distributions.py"
SCRIPT_TESTS, DISTRIBUTION_TESTS = (
    "tests/papers/vae/test_vae.py",
    "tests/losses/test_distributions.py",
)

MUTANTS = [
    Mutant(
        "divergence_is_doubled",
        DISTRIBUTIONS,
        "return 0.5 * (squares - 1 - self.log_var)",
        "return squares - 1 - self.log_var",
        f"{DISTRIBUTION_TESTS}::test_kl_is_its_integral",
    ),
    Mutant(
        "divergence_is_added",
        SCRIPT,
        "return -q.kl_to_standard().sum(-1) + self",
        "return q.kl_to_standard().sum(-1) + self",
        f"{SCRIPT_TESTS}::test_bound_is_a_sum_over_pixels_and_latents",
    ),
    Mutant(
        "likelihood_is_a_mean_over_pixels",
        DISTRIBUTIONS,
        "return jnp.sum(positive",
        "return jnp.mean(positive",
        f"{SCRIPT_TESTS}::test_bound_is_a_sum_over_pixels_and_latents",
    ),
    Mutant(
        "latents_have_no_noise",  # an ordinary auto-encoder
        DISTRIBUTIONS,
        "self.mean + jnp.exp(0.5 * self.log_var) * epsilon",
        "self.mean + 0.0 * epsilon",
        f"{DISTRIBUTION_TESTS}::test_samples_have_mean_and_variance",
    ),
    Mutant(
        "log_variance_is_taken_for_a_log_deviation",
        DISTRIBUTIONS,
        "self.mean + jnp.exp(0.5 * self.log_var) * epsilon",
        "self.mean + jnp.exp(self.log_var) * epsilon",
        f"{DISTRIBUTION_TESTS}::test_samples_have_mean_and_variance",
    ),
    Mutant(
        "no_gradient_goes_through_the_sample",
        SCRIPT,
        "z = q.sample(key, (num_samples,))  # z",
        "z = jax.lax.stop_gradient(q.sample(key, (num_samples,)))  # z",
        f"{SCRIPT_TESTS}::test_gradient_is_that_of_finite_differences",
    ),
    Mutant(
        "prior_is_on_the_encoder_too",
        SCRIPT,
        'theta = variables["params"]["decoder"]',
        'theta = variables["params"]',
        f"{SCRIPT_TESTS}::test_prior_is_on_the_decoder_alone_over_the_number_of_images",
    ),
    Mutant(
        "adagrad_begins_with_a_sum",  # optax's default
        SCRIPT,
        "initial_accumulator_value=0.0",
        "initial_accumulator_value=0.1",
        f"{SCRIPT_TESTS}::test_the_update_is_adagrads",
    ),
    Mutant(
        "score_function_without_a_signal",
        SCRIPT,
        "log_p + signal * q.log_prob(z) - kl",
        "log_p - kl",
        f"{SCRIPT_TESTS}::test_score_function_has_the_same_gradient_and_far_more_variance",
    ),
    Mutant(
        "encoder_learns_awake",
        SCRIPT,
        "wake = self.log_joint(variables, x, z).mean()",
        "wake = self.log_joint(variables, x, q.sample(keys[0], (1,))).mean()",
        f"{SCRIPT_TESTS}::test_wake_sleep_teaches_the_decoder_awake_and_the_encoder_asleep",
    ),
    Mutant(
        "chains_begin_anew",
        SCRIPT,
        'batch["image"], state.chains["z"][rows], jax',
        'batch["image"], 0 * state.chains["z"][rows], jax',
        f"{SCRIPT_TESTS}::test_chains_of_monte_carlo_em_find_the_posterior",
    ),
    Mutant(
        "proposals_are_never_rejected",
        "research/metrics/hamiltonian.py",
        "accepted = jax.random.uniform(accept_key) < acceptance",
        "accepted = acceptance >= 0",
        "tests/metrics/test_hamiltonian.py::test_chains_have_the_moments_of_their_density",
    ),
    Mutant(
        "weights_are_certain",  # of full variational Bayes
        SCRIPT,
        "m + jnp.exp(s / 2) * zeta",
        "m + 0.0 * zeta",
        f"{SCRIPT_TESTS}::test_full_variational_bayes_has_a_divergence_for_every_weight",
    ),
    Mutant(
        "reciprocal_is_not_inverted",
        "research/metrics/marginal_likelihood.py",
        "return jnp.log(len(log_q)) - jax.nn.logsumexp(log_ratios)",
        "return jax.nn.logsumexp(-log_ratios) - jnp.log(len(log_q))",
        "tests/metrics/test_marginal_likelihood.py::test_the_estimate_is_one_over_the_mean_ratio",
    ),
    Mutant(
        "one_noise_for_all_images",  # at evaluation
        SCRIPT,
        '(jax.random.fold_in, key))(rows["index"])',
        '(jax.random.fold_in, key))(0 * rows["index"])',
        f"{SCRIPT_TESTS}::test_noise_of_the_evaluation_differs_from_image_to_image_and_not_by_batch",
    ),
]
