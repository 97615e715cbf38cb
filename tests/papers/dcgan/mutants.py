"""Ways to break the DCGAN, and what notices each."""

from tests.mutants import Mutant

MODEL = "research/models/dcgan.py"
SCRIPT = "experiments/dcgan.py"
CONFIG = "configs/dcgan.py"
NETWORK = "tests/models/test_dcgan.py"
G = f"{NETWORK}::test_the_generator_is_its_layers_written_out[running]"
D = f"{NETWORK}::test_the_discriminator_is_its_layers_written_out[running]"
TABLE = "tests/papers/dcgan/test_paper_table.py"
ADAM = f"{TABLE}::test_both_players_learn_by_adam_with_a_small_first_momentum[generator]"
LOSSES = "tests/papers/dcgan/test_dcgan.py::test_losses_are_the_papers"

MUTANTS = [
    Mutant(
        "relu_in_the_discriminator",
        MODEL,
        "return nn.leaky_relu(x, 0.2)",
        "return nn.leaky_relu(x, 0.0)",
        D,
    ),
    Mutant(
        "leaky_relu_in_the_generator",
        MODEL,
        "nonlinearity: Callable[[jax.Array], jax.Array] = nn.relu",
        "nonlinearity: Callable[[jax.Array], jax.Array] = leaky_relu",
        G,
    ),
    Mutant(
        "beta1_is_adams_own",
        CONFIG,
        "config.adam_b1 = 0.5",
        "config.adam_b1 = 0.9",
        f"{TABLE}::test_settings[paper]",
    ),
    Mutant("beta1_is_not_the_configurations", SCRIPT, "b1=config.adam_b1", "b1=0.9", ADAM),
    Mutant(
        "the_penalty_is_forgotten",
        SCRIPT,
        "optax.chain(penalty, optax.adam(",
        "optax.chain(optax.adam(",
        ADAM,
    ),
    Mutant(
        "the_generators_loss_saturates",
        SCRIPT,
        "gan.bce_generator_loss(logits)",
        "gan.bce_generator_loss(logits, saturating=True)",
        LOSSES,
    ),
    Mutant(
        "images_are_not_in_the_range_of_tanh",
        SCRIPT,
        'batch["image"] / 127.5 - 1',
        'batch["image"] / 255',
        LOSSES,
    ),
    Mutant(
        "data_and_samples_are_one_batch",
        "research/models/adversarial.py",
        "    real_logits, updated = train_mode(discriminator, variables, real)\n"
        "    fake_logits, _ = train_mode(discriminator, variables, fake)\n"
        "    return real_logits, fake_logits, updated\n",
        "    both = jnp.concatenate([real, fake])\n"
        "    logits, updated = train_mode(discriminator, variables, both)\n"
        "    return logits[: len(real)], logits[len(real) :], updated\n",
        f"{NETWORK}::test_data_and_samples_are_normalised_apart",
    ),
    Mutant(
        "samples_are_not_squashed",
        MODEL,
        "return jnp.tanh(x.astype(jnp.float32)), maps",
        "return x.astype(jnp.float32), maps",
        G,
    ),
    Mutant(
        "norm_on_the_input_of_the_discriminator",
        MODEL,
        'if level > 1 and self.norm == "batch"',
        'if level > 0 and self.norm == "batch"',
        f"{NETWORK}::test_no_norm_on_the_output_of_g_nor_on_the_input_of_d",
    ),
    Mutant(
        "weights_start_ten_times_too_large",
        MODEL,
        "_weights = nn.initializers.normal(0.02)",
        "_weights = nn.initializers.normal(0.2)",
        f"{NETWORK}::test_initial_weights_have_the_paper_distribution",
    ),
    Mutant(
        "latents_are_normal",
        MODEL,
        "return jax.random.uniform(key, (num, size), minval=-1, maxval=1)",
        "return jax.random.normal(key, (num, size))",
        f"{NETWORK}::test_latents_are_uniform",
    ),
    Mutant(
        "the_paper_has_the_ports_width",
        CONFIG,
        "config.model.width = 128",
        "config.model.width = 64",
        f"{TABLE}::test_settings[paper]",
    ),
]
