"""Ways to break WGAN; the specification's own, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/wgan.py"
TESTS = "tests/papers/wgan/test_wgan.py"
SCHEDULE = "research/papers/wgan/schedule.py"
SCHEDULE_TESTS = "tests/papers/wgan/test_schedule.py"

MUTANTS = [
    Mutant(
        "weights_are_not_clipped",
        SCRIPT,
        'if self.config.method == "wgan":\n            tx =',
        'if self.config.method == "none":\n            tx =',
        f"{TESTS}::test_an_update_of_the_critic_is_algorithm_1",
    ),
    Mutant(
        "only_kernels_are_clipped",
        "research/optim/weight_clipping.py",
        "jnp.clip(p + u, -bound, bound) - p, params",
        "jnp.clip(p + u, -bound, bound) - p if p.ndim > 1 else u, params",
        f"{TESTS}::test_of_a_wgan_all_of_the_critic_stays_in_its_box_and_nothing_else",
    ),
    Mutant(
        "the_generator_is_clipped_too",
        SCRIPT,
        "            optimizer(config.generator_optimizer),\n            max_grad_norm",
        "            optax.chain(optimizer(config.generator_optimizer), clip_weights(0.01)),\n"
        "            max_grad_norm",
        f"{TESTS}::test_of_a_wgan_all_of_the_critic_stays_in_its_box_and_nothing_else",
    ),
    Mutant(
        "a_sigmoid_on_the_critic",
        SCRIPT,
        "loss = self.critic_objective(on_real, on_fake)\n        return loss, Aux",
        "loss = self.critic_objective(jax.nn.sigmoid(on_real), jax.nn.sigmoid(on_fake))\n"
        "        return loss, Aux",
        f"{TESTS}::test_losses_are_the_papers[wgan]",
    ),
    Mutant(
        "critic_and_generator_want_the_same",
        "research/losses/gan.py",
        "return -jnp.mean(fake_scores)",
        "return jnp.mean(fake_scores)",
        f"{TESTS}::test_losses_are_the_papers[wgan]",
    ),
    Mutant(
        "rmsprop_forgets_as_optax_has_it",
        SCRIPT,
        "decay=0.99",
        "decay=0.9",
        f"{TESTS}::test_an_update_of_the_critic_is_algorithm_1",
    ),
    Mutant(
        "epsilon_under_the_root",
        SCRIPT,
        "eps_in_sqrt=False",
        "eps_in_sqrt=True",
        f"{TESTS}::test_a_published_network_moves_as_the_paper_has_it",
    ),
    Mutant(
        "no_long_runs_of_the_critic",
        SCHEDULE,
        "return jnp.where(after < 0, (t + 1) % self.many == 0, moves)",
        "return (t + 1) % self.few == 0",
        f"{SCHEDULE_TESTS}::test_the_generator_moves_when_a_loop_says_so",
    ),
    Mutant(
        "no_long_run_later_on",
        SCHEDULE,
        "moves = jnp.where(after < self._to_next, moves, later)",
        "moves = jnp.where(after < self._to_next, moves, moves)",
        f"{SCHEDULE_TESTS}::test_the_generator_moves_when_a_loop_says_so",
    ),
    Mutant(
        "the_generator_moves_every_time",
        SCRIPT,
        "self.schedule.moves(t),",
        "t >= 0,",
        f"{TESTS}::test_the_generator_moves_only_when_it_is_due",
    ),
    Mutant(
        "the_divergence_is_twice_as_large",
        SCRIPT,
        "math.log(2) - loss / 2",
        "2 * math.log(2) - loss",
        f"{TESTS}::test_a_discriminators_estimate_is_the_divergence_where_it_is_known",
    ),
]
