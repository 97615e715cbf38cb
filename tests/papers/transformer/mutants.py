"""Ways to break the Transformer, and what notices each."""

from tests.mutants import Mutant

MODEL = "research/models/transformer.py"
BLOCK = "research/nn/transformer_block.py"
SCRIPT = "experiments/transformer.py"
CONFIG = "configs/transformer.py"
FORWARD = "tests/models/test_transformer.py::test_equals_numpy[testing]"
DROPPED = "tests/models/test_transformer.py::test_equals_numpy[training]"
TABLE = "tests/papers/transformer/test_paper_table.py"
RUN = "tests/papers/transformer/test_transformer.py"
ADAM = f"{TABLE}::test_the_optimizer_is_adam_at_the_rate_of_equation_3"

MUTANTS = [
    Mutant(
        "source_embeddings_are_not_dropped",
        MODEL,
        "        x = self.source_positions(self._embed(source))\n"
        "        x = self.drop(x, deterministic=not train)\n",
        "        x = self.source_positions(self._embed(source))\n",
        DROPPED,
    ),
    Mutant(
        "dropout_falls_on_the_sum",
        BLOCK,
        'x = x + self.drop(constrain(y, BATCH, "model", None), deterministic=not train)',
        'x = self.drop(x + constrain(y, BATCH, "model", None), deterministic=not train)',
        DROPPED,
    ),
    Mutant(
        "adam_has_other_betas",
        SCRIPT,
        "b1=0.9, b2=0.98, eps=1e-9",
        "b1=0.5, b2=0.9999, eps=1e-3",
        ADAM,
    ),
    Mutant("beta2_is_adams_own", SCRIPT, "b2=0.98", "b2=0.999", ADAM),
    Mutant(
        "the_rate_does_not_warm_up",
        "research/optim/schedules.py",
        "jnp.minimum(step**-0.5, step * warmup_steps**-1.5)",
        "step**-0.5",
        ADAM,
    ),
    Mutant(
        "embeddings_are_not_scaled",
        MODEL,
        "jnp.take(self.table, tokens, axis=0) * self.dim**0.5",
        "jnp.take(self.table, tokens, axis=0)",
        FORWARD,
    ),
    Mutant(
        "embeddings_start_sqrt_dim_times_larger",
        MODEL,
        "nn.initializers.normal(self.dim**-0.5)",
        "nn.initializers.normal(1.0)",
        "tests/models/test_transformer.py::test_initial_values",
    ),
    Mutant("gelu_for_relu", MODEL, "activation=nn.relu", "activation=nn.gelu", FORWARD),
    Mutant(
        "positions_reach_the_source_alone",
        MODEL,
        "x = self.target_positions(self._embed(shifted))",
        "x = self._embed(shifted)",
        FORWARD,
    ),
    Mutant(
        "the_norm_comes_before_and_after",
        BLOCK,
        "return norm(x) if self.pre_norm else x",
        "return norm(x)",
        FORWARD,
    ),
    Mutant(
        "the_future_is_seen",
        MODEL,
        "causal_mask(target.shape[1]) & padding_mask(visible)",
        "padding_mask(visible)",
        FORWARD,
    ),
    Mutant(
        "labels_are_not_smoothed",
        SCRIPT,
        "smoothed_cross_entropy(logits, target, self.label_smoothing)",
        "smoothed_cross_entropy(logits, target)",
        f"{TABLE}::test_the_loss_is_smoothed_and_counts_tokens",
    ),
    Mutant(
        "padding_is_learned",
        SCRIPT,
        "masked_mean(losses, target != PAD)",
        "masked_mean(losses, target >= PAD)",
        f"{TABLE}::test_the_loss_is_smoothed_and_counts_tokens",
    ),
    Mutant(
        "big_drops_like_base",
        "research/models/sizes.py",
        "hidden=4096, dropout=0.3",
        "hidden=4096, dropout=0.1",
        f"{TABLE}::test_settings",
    ),
    Mutant(
        "the_rival_has_fewer_parameters",
        CONFIG,
        '"units": 160,',
        '"units": 96,',
        f"{RUN}::test_the_rival_is_no_smaller_and_sees_the_same_batches[]",
    ),
    Mutant(
        "the_rival_learns_at_the_transformers_rate",
        SCRIPT,
        "warmup_cosine(recurrent.learning_rate, recurrent.warmup_steps, config.num_steps)",
        "noam(config.model.dim, config.warmup_steps, config.learning_rate_factor)",
        f"{RUN}::test_the_rivals_update_is_adam_at_its_own_rate",
    ),
    Mutant(
        "loops_count_as_one_turn",
        "research/papers/transformer/sequential_operations.py",
        'inner * equation.params["length"] if name == "scan" else inner',
        "inner",
        f"{RUN}::test_only_a_recurrent_network_takes_more_turns_for_longer_sentences",
    ),
]
