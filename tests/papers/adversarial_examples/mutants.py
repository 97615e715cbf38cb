"""Ways to break Explaining and Harnessing Adversarial Examples; most are how toys err."""

from tests.mutants import Mutant

ATTACKS, SCRIPT = "research/losses/attacks.py", "experiments/adversarial_examples.py"
CONFIG = "configs/adversarial_examples.py"
ATTACK_TESTS = "tests/losses/test_attacks.py"
TESTS = "tests/papers/adversarial_examples/test_adversarial_examples.py"
TABLE = "tests/papers/adversarial_examples/test_paper_table.py"
OBJECTIVE = (
    f"{TESTS}::test_the_objective_is_both_losses_weighed_and_its_gradient_that_of_fixed_inputs"
)

MUTANTS = [
    Mutant(
        "descends",
        ATTACKS,
        "direction = -jnp.sign(gradient) if towards else jnp.sign(gradient)",
        "direction = -jnp.sign(gradient)",
        f"{ATTACK_TESTS}::test_fgsm_on_logistic_regression_is_the_papers_closed_form",
    ),
    Mutant(
        "no_sign",
        ATTACKS,
        "direction = -jnp.sign(gradient) if towards else jnp.sign(gradient)",
        "direction = -gradient if towards else gradient",
        f"{ATTACK_TESTS}::test_fgsm_is_the_sign_of_each_rows_own_gradient",
    ),
    Mutant(
        "pgd_leaves_the_ball",
        ATTACKS,
        "return project(z + step_size * jnp.sign(gradient), x, epsilon, box)",
        "return project(z + step_size * jnp.sign(gradient), z, epsilon, box)",
        f"{ATTACK_TESTS}::test_every_attack_stays_in_the_ball_and_in_the_box",
    ),
    Mutant(
        "pixels_are_not_clipped",
        ATTACKS,
        "return x if box is None else jnp.clip(x, *box)",
        "return x",
        f"{ATTACK_TESTS}::test_every_attack_stays_in_the_ball_and_in_the_box",
    ),
    Mutant(
        "the_last_restart_counts",
        ATTACKS,
        "is_worse = (new[1] & ~best[1]) | ((new[1] == best[1]) & (new[2] > best[2]))",
        "is_worse = new[1] | ~new[1]",
        f"{ATTACK_TESTS}::test_restarts_keep_the_worst_of_each_row",
    ),
    Mutant(
        "gradient_flows_into_the_attack",
        ATTACKS,
        "return jax.lax.stop_gradient(project(x + epsilon * direction, x, epsilon, box))",
        "return project(x + epsilon * gradient / jnp.abs(gradient).max(), x, epsilon, box)",
        f"{ATTACK_TESTS}::test_an_attack_has_no_gradient_of_its_own",
    ),
    Mutant(
        "margin_to_the_label_itself",
        ATTACKS,
        "jnp.where(is_label, -jnp.inf, logits).max(-1) - own",
        "logits.max(-1) - own",
        f"{ATTACK_TESTS}::test_margins_are_the_best_other_logit_less_the_labels",
    ),
    Mutant(
        "labels_leak",
        SCRIPT,
        "return attacks.fgsm(model, x, y, epsilon, box=box, losses=self.losses)",
        "return attacks.fgsm(model, x, model(x).argmax(-1), epsilon, box=box, losses=self.losses)",
        f"{TESTS}::test_the_attack_in_training_is_without_dropout_and_on_the_true_label",
    ),
    Mutant(
        "weights_of_the_losses_exchanged",
        SCRIPT,
        "loss = train.alpha * plain + (1 - train.alpha) * loss",
        "loss = (1 - train.alpha) * plain + train.alpha * loss",
        f"{OBJECTIVE}[0.25-True]",
    ),
    Mutant(
        "perturbed_inputs_are_not_used",
        SCRIPT,
        "logits, updated = self.train_logits(variables, x_perturbed, key)",
        "logits, updated = self.train_logits(variables, x, key)",
        f"{OBJECTIVE}[0.5-False]",
    ),
    Mutant(
        "attack_is_made_with_dropout",
        SCRIPT,
        "train, model = self.config.train, functools.partial(self.logits, variables)",
        "train = self.config.train\n"
        "        model = lambda x: self.train_logits(variables, x, key)[0]",
        f"{TESTS}::test_the_attack_in_training_is_without_dropout_and_on_the_true_label",
    ),
    Mutant(
        "epsilon_is_in_other_units",
        SCRIPT,
        "return jnp.clip(images * self.config.data.scale, *BOX)",
        "return images",
        f"{OBJECTIVE}[0.5-False]",
    ),
    Mutant(
        "a_unit_is_the_largest_of_others_pieces",
        "research/nn/maxout.py",
        "pieces.reshape(*x.shape[:-1], self.units, self.pieces).max(-1)",
        "pieces.reshape(*x.shape[:-1], self.pieces, self.units).max(-2)",
        "tests/nn/test_maxout.py::test_a_unit_is_the_largest_of_its_own_pieces",
    ),
    Mutant(
        "momentum_does_not_rise",
        "research/optim/momentum.py",
        "share = (step // epoch_steps) / max(momentum_epochs - 1, 1)",
        "share = 0 * step",
        "tests/optim/test_momentum.py::test_the_training_of_maxout_networks_is_pylearn2s",
    ),
    Mutant(
        "attack_stays_on_the_source",
        "research/papers/adversarial_examples/battery.py",
        '"transfer": model(on_source)',
        '"transfer": source(on_source)',
        f"{TESTS}::test_transferred_attacks_are_made_on_one_network_and_shown_to_another",
    ),
    Mutant(
        "fewer_steps_than_published",
        CONFIG,
        '"step_size": 0.01, "attack_steps": 40}',
        '"step_size": 0.01, "attack_steps": 4}',
        f"{TABLE}::test_settings[madry_mnist]",
    ),
]
