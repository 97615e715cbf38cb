"""Ways to break the first GAN; the shortcuts of toy versions among them."""

from tests.mutants import Mutant

SCRIPT, TESTS = "experiments/gan.py", "tests/papers/gan/test_gan.py"
MODELS, MODEL_TESTS = "research/models/maxout_gan.py", "tests/models/test_maxout_gan.py"
PARZEN, PARZEN_TESTS = "research/metrics/parzen.py", "tests/metrics/test_parzen.py"
THEORY = "research/metrics/optimal_discriminator.py"
THEORY_TESTS = "tests/metrics/test_optimal_discriminator.py"
IMAGES = "research/papers/gan/images.py"

STEP = f"{TESTS}::test_a_step_moves_both_from_the_same_point_with_the_same_samples_and_masks"
LOSSES = f"{TESTS}::test_losses_are_equation_1_halved_and_log_d"

MUTANTS = [
    Mutant(
        "the_generator_saturates",
        SCRIPT,
        'saturating = self.config.generator_loss == "saturating"',
        "saturating = True",
        LOSSES,
    ),
    Mutant(
        "the_discriminators_loss_is_not_halved",
        SCRIPT,
        "loss = 0.5 * gan.bce_discriminator_loss(on_real, on_fake)\n        shown",
        "loss = gan.bce_discriminator_loss(on_real, on_fake)\n        shown",
        STEP,
    ),
    Mutant(
        "labels_are_swapped",
        SCRIPT,
        "loss = 0.5 * gan.bce_discriminator_loss(on_real, on_fake)\n        shown",
        "loss = 0.5 * gan.bce_discriminator_loss(on_fake, on_real)\n        shown",
        LOSSES,
    ),
    Mutant("players_move_in_turn", SCRIPT, "simultaneous=True", "simultaneous=False", STEP),
    Mutant(
        "the_generator_has_masks_of_its_own",
        SCRIPT,
        "logits = self.logits(discriminator, fake, Keys.of(key).fake_masks)",
        "logits = self.logits(discriminator, fake, Keys.of(key).real_masks)",
        STEP,
    ),
    Mutant(
        "the_generator_has_samples_of_its_own",
        SCRIPT,
        "lambda key: self.latents(Keys.of(key).z, config.batch_size)",
        "lambda key: self.latents(key, config.batch_size)",
        STEP,
    ),
    Mutant(
        "there_is_no_dropout",
        SCRIPT,
        'x, train=True, rngs={"dropout": masks})[0]',
        "x, train=False)[0]",
        LOSSES,
    ),
    Mutant(
        "the_image_is_not_dropped_out",
        MODELS,
        'x = ScaledDropout(self.input_dropout, name="input_dropout")(x, train=train)',
        'x = ScaledDropout(0.0, name="input_dropout")(x, train=train)',
        f"{MODEL_TESTS}::test_every_layer_gets_scaled_dropout",
    ),
    Mutant(
        "dropout_is_not_scaled",
        "research/nn/maxout.py",
        "scale = 1 / (1 - self.rate) if",
        "scale = 1.0 if",
        f"{MODEL_TESTS}::test_every_layer_gets_scaled_dropout",
    ),
    Mutant(
        "a_channel_is_the_largest_of_others_maps",
        "research/nn/maxout.py",
        "pieces.reshape(*pieces.shape[:-1], self.channels, self.pieces).max(-1)",
        "pieces.reshape(*pieces.shape[:-1], self.pieces, self.channels).max(-2)",
        "tests/nn/test_maxout.py::test_a_channel_is_the_largest_of_its_own_maps",
    ),
    Mutant(
        "output_bias_begins_at_zero",
        SCRIPT,
        'out = {**params["out"], "bias": jnp.asarray(before)}',
        'out = {**params["out"]}',
        f"{TESTS}::test_untrained_samples_are_near_the_mean_image",
    ),
    Mutant(
        "output_bias_is_the_mean_itself",
        IMAGES,
        "(np.log(mean) - np.log1p(-mean)).astype(np.float32)",
        "mean.astype(np.float32)",
        f"{TESTS}::test_marginal_logits_are_finite_where_no_image_has_ink",
    ),
    Mutant(
        "momentum_does_not_rise",
        SCRIPT,
        "momentum_end=settings.last_momentum",
        "momentum_end=settings.momentum",
        STEP,
    ),
    Mutant("the_rate_does_not_fall", SCRIPT, "settings.rate_divisor", "1.0", STEP),
    Mutant(
        "sigma_is_chosen_on_the_test_data",
        PARZEN,
        "tried = log_likelihoods(validation, samples, sigmas).mean(1)",
        "tried = log_likelihoods(test, samples, sigmas).mean(1)",
        f"{PARZEN_TESTS}::test_sigma_is_chosen_on_validation_data_and_the_test_data_is_judged",
    ),
    Mutant(
        "the_window_is_a_sum",
        PARZEN,
        "np.exp(a - highest[:, None]).mean(1)",
        "np.exp(a - highest[:, None]).sum(1)",
        f"{PARZEN_TESTS}::test_log_likelihoods_are_those_of_the_mixture",
    ),
    Mutant(
        "the_window_underflows",
        PARZEN,
        "return highest + np.log(np.exp(a - highest[:, None]).mean(1))",
        "return np.log(np.exp(a).mean(1)) + 0 * highest",
        f"{PARZEN_TESTS}::test_far_samples_do_not_underflow_and_float32_is_widened",
    ),
    Mutant(
        "the_divergence_is_not_halved",
        THEORY,
        "return 0.5 * jnp.trapezoid(divergences",
        "return jnp.trapezoid(divergences",
        f"{THEORY_TESTS}::test_the_divergence_is_scipys_integral",
    ),
    Mutant(
        "the_optimum_is_of_samples",
        THEORY,
        "jax.nn.sigmoid(log_p - log_q)",
        "jax.nn.sigmoid(log_q - log_p)",
        f"{THEORY_TESTS}::test_the_optimum_is_the_largest_value_at_each_point",
    ),
]
