"""Ways to break WGAN-GP; the specification's own, and what notices each."""

from tests.mutants import Mutant

LOSSES = "research/losses/gan.py"
LOSS_TESTS = "tests/losses/test_gan.py"
TESTS = "tests/papers/wgan_gp/test_wgan_gp.py"

MUTANTS = [
    Mutant(
        "one_place_for_the_whole_batch",
        LOSSES,
        "jax.random.uniform(key, (len(real), *[1]",
        "jax.random.uniform(key, (1, *[1]",
        f"{LOSS_TESTS}::test_penalty_is_taken_between_data_and_samples",
    ),
    Mutant(
        "norm_over_the_batch",
        LOSSES,
        "gradient.reshape(len(gradient), -1), _MIN_SLOPE, axis=-1",
        "gradient.reshape(1, -1), _MIN_SLOPE, axis=-1",
        f"{LOSS_TESTS}::test_penalty_of_a_linear_critic_is_known",
    ),
    Mutant(
        "root_without_a_floor",
        LOSSES,
        "optax.safe_norm(gradient.reshape(len(gradient), -1), _MIN_SLOPE, axis=-1)",
        "jnp.sqrt((gradient.reshape(len(gradient), -1) ** 2).sum(-1))",
        f"{LOSS_TESTS}::test_penalty_of_a_flat_critic_is_finite_with_a_finite_gradient",
    ),
    Mutant(
        "one_sided_penalty",
        LOSSES,
        "jnp.mean((length - slope) ** 2)",
        "jnp.mean(jnp.maximum(length - slope, 0) ** 2)",
        f"{LOSS_TESTS}::test_penalty_of_a_flat_critic_is_finite_with_a_finite_gradient",
    ),
    Mutant(
        "penalty_does_not_reach_the_critic",
        LOSSES,
        "jax.grad(lambda x: critic(x).sum())(between)",
        "jax.lax.stop_gradient(jax.grad(lambda x: critic(x).sum())(between))",
        f"{LOSS_TESTS}::test_gradient_of_the_penalty_equals_finite_differences",
    ),
    Mutant(
        "batch_norm_in_the_critic",
        "experiments/wgan_gp.py",
        'critic_norm="layer" if config.method == "penalty" else "batch"',
        'critic_norm="batch"',
        f"{TESTS}::test_every_architecture_makes_images_and_its_critic_sees_each_alone",
    ),
    Mutant(
        "losses_the_wrong_way_round",
        "experiments/wgan_gp.py",
        "loss = self.critic_objective(on_real, on_fake)",
        "loss = self.critic_objective(on_fake, on_real)",
        f"{TESTS}::test_the_critics_loss_is_equation_3",
    ),
    Mutant(
        "critic_sees_the_same_rows_again",
        "research/models/adversarial.py",
        "rows = jax.tree.map(lambda x, i=i: x[i], parts)",
        "rows = jax.tree.map(lambda x: x[0], parts)",
        "tests/models/test_adversarial_game.py::test_critic_learns_from_every_row_once_then_the_generator[True]",
    ),
    Mutant(
        "classes_of_samples_are_those_of_no_data",
        "experiments/wgan_gp.py",
        "z = jnp.concatenate([z[:, : z.shape[1] - label.shape[1]], label], -1)",
        "label = z[:, z.shape[1] - label.shape[1] :]",
        f"{TESTS}::test_samples_have_the_classes_of_the_data_and_the_critic_learns_them_from_data_alone",
    ),
    Mutant(
        "biases_are_not_clipped",
        "research/optim/weight_clipping.py",
        "lambda p, u: jnp.clip(p + u, -bound, bound) - p",
        "lambda p, u: u if p.ndim < 2 else jnp.clip(p + u, -bound, bound) - p",
        "tests/optim/test_weight_clipping.py::test_all_parameters_are_clipped_after_the_update",
    ),
]
