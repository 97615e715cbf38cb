"""Ways to break Wasserstein GAN; the specification's own, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/wgan.py"
TESTS = "tests/papers/wgan/test_wgan.py"

MUTANTS = [
    Mutant(
        "no_clipping",
        SCRIPT,
        "critic_tx = optax.chain(critic_tx, clip_weights(config.clip))",
        "pass",
        f"{TESTS}::test_every_parameter_of_the_critic_is_clipped_batch_norm_too",
    ),
    Mutant(
        "sigmoid_on_the_critic",
        SCRIPT,
        "return on_real.mean() - on_fake.mean()",
        "return jax.nn.sigmoid(on_real).mean() - jax.nn.sigmoid(on_fake).mean()",
        f"{TESTS}::test_estimates_are_of_the_distance_and_of_jensen_and_shannon",
    ),
    Mutant(
        "no_hundred_updates",
        "research/papers/wgan/schedule.py",
        "return self.many if waits else self.usual",
        "return self.usual",
        "tests/papers/wgan/test_schedule.py::test_the_papers_schedule",
    ),
    Mutant(
        "generator_moves_with_every_update",
        SCRIPT,
        "self.schedule.generator_moves(t),",
        "t >= 0,",
        f"{TESTS}::test_the_generator_moves_on_schedule_and_the_critic_always",
    ),
    Mutant(
        "optax_rmsprop",
        SCRIPT,
        "decay=0.99, eps=1e-8, eps_in_sqrt=False",
        "decay=0.9",
        f"{TESTS}::test_one_update_of_a_critic_in_numpy",
    ),
    Mutant(
        "losses_the_wrong_way_round",
        SCRIPT,
        "loss = gan.wasserstein_critic_loss(on_real, on_fake)",
        "loss = gan.wasserstein_critic_loss(on_fake, on_real)",
        f"{TESTS}::test_one_update_of_a_critic_in_numpy",
    ),
    Mutant(
        "biases_are_not_clipped",
        "research/optim/weight_clipping.py",
        "lambda p, u: jnp.clip(p + u, -bound, bound) - p",
        "lambda p, u: u if p.ndim < 2 else jnp.clip(p + u, -bound, bound) - p",
        f"{TESTS}::test_every_parameter_of_the_critic_is_clipped_batch_norm_too",
    ),
]
