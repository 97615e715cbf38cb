"""Ways to break generative adversarial nets; the specification's own, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/gan.py"
TESTS = "tests/papers/gan/test_gan.py"
ONE_STEP = f"{TESTS}::test_both_players_move_from_one_point_with_the_same_samples_and_masks"

MUTANTS = [
    Mutant(
        "players_move_in_turn",
        SCRIPT,
        "            simultaneous=True,\n",
        "",
        ONE_STEP,
    ),
    Mutant(
        "no_half",
        SCRIPT,
        "loss = gan.bce_discriminator_loss(on_real, on_fake) / 2",
        "loss = gan.bce_discriminator_loss(on_real, on_fake)",
        ONE_STEP,
    ),
    Mutant(
        "masks_of_its_own",
        SCRIPT,
        "logits = self.discriminate(discriminator, fake, self.keys(key)[2])",
        "logits = self.discriminate(discriminator, fake, self.keys(key)[1])",
        ONE_STEP,
    ),
    Mutant(
        "labels_swapped",
        "research/losses/gan.py",
        "return jnp.mean(jax.nn.softplus(-real_logits)) + jnp.mean(jax.nn.softplus(fake_logits))",
        "return jnp.mean(jax.nn.softplus(real_logits)) + jnp.mean(jax.nn.softplus(-fake_logits))",
        ONE_STEP,
    ),
    Mutant(
        "saturating_loss",
        SCRIPT,
        "return gan.bce_generator_loss(logits, saturating=self.config.saturating), Aux({})",
        "return gan.bce_generator_loss(logits, saturating=True), Aux({})",
        ONE_STEP,
    ),
    Mutant(
        "constant_momentum",
        SCRIPT,
        "return config.momentum + share * (config.last_momentum - config.momentum)",
        "return config.momentum + 0 * share",
        f"{TESTS}::test_rate_and_momentum_follow_the_released_schedules",
    ),
    Mutant(
        "first_samples_know_nothing_of_the_data",
        SCRIPT,
        '"bias": jnp.log(mean) - jnp.log1p(-mean)',
        '"bias": 0 * mean',
        f"{TESTS}::test_first_samples_have_the_brightness_of_the_data",
    ),
    Mutant(
        "mean_of_pieces",
        "research/nn/maxout.py",
        "return x.reshape(*x.shape[:-1], -1, pieces).max(-1)",
        "return x.reshape(*x.shape[:-1], -1, pieces).mean(-1)",
        "tests/nn/test_maxout.py::test_a_unit_is_the_largest_of_its_own_pieces",
    ),
    Mutant(
        "window_of_one_width",
        "research/metrics/parzen.py",
        "sigma = sigmas[int(np.argmax(means))]",
        "sigma = sigmas[0]",
        "tests/metrics/test_parzen.py::test_width_is_chosen_on_validation_data_and_the_error_is_of_the_mean",
    ),
]
