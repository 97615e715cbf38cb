"""Ways to break GPT, and what notices each."""

from tests.mutants import Mutant

MODEL = "research/models/gpt.py"
SCRIPT = "experiments/gpt.py"
CONFIG = "configs/gpt.py"
FORWARD = "tests/models/test_gpt.py::test_equals_numpy"
TABLE = "tests/papers/gpt/test_paper_table.py"
ADAM = f"{TABLE}::test_the_optimizer_is_adam_with_decoupled_decay_of_kernels"
START = "tests/models/test_gpt.py::test_kernels_start_with_the_published_deviations"

MUTANTS = [
    Mutant(
        "relu_for_gelu",
        MODEL,
        "            causal=True,\n",
        "            causal=True,\n            activation=nn.relu,\n",
        f"{FORWARD}[gpt2-testing]",
    ),
    Mutant(
        "blocks_have_relu_by_default",
        "research/nn/transformer_block.py",
        "activation: Callable[[jax.Array], jax.Array] = nn.gelu",
        "activation: Callable[[jax.Array], jax.Array] = nn.relu",
        f"{FORWARD}[gpt2-testing]",
    ),
    Mutant(
        "beta2_is_adams_own",
        CONFIG,
        '"b2": 0.95,',
        '"b2": 0.999,',
        f"{TABLE}::test_settings[gpt3_small]",
    ),
    Mutant("beta2_is_not_the_configurations", SCRIPT, "b2=optimizer.b2", "b2=0.999", ADAM),
    Mutant("everything_decays", SCRIPT, "            mask=gpt.decayed,\n", "", ADAM),
    Mutant(
        "the_rate_follows_steps",
        SCRIPT,
        "self.ramp.tokens_before(count + 1)",
        '(count + 1) * self.per_step["tokens"]',
        ADAM,
    ),
    Mutant(
        "residual_projections_start_as_large_as_others",
        MODEL,
        "nn.initializers.normal(self.init_std * shrink)",
        "nn.initializers.normal(self.init_std)",
        START,
    ),
    Mutant(
        "all_layers_are_banded",
        MODEL,
        "windows = (0, self.window)[: self._period]",
        "windows = (self.window, self.window)[: self._period]",
        f"{FORWARD}[gpt3-testing]",
    ),
    Mutant(
        "no_norm_at_the_end",
        MODEL,
        'hidden = self.norm(x) if self.pre_norm else x\n        return hidden, {"embedded"',
        'hidden = x\n        return hidden, {"embedded"',
        "tests/models/test_gpt.py::test_post_norm_is_the_norm_of_the_sum_and_has_no_final_norm",
    ),
    Mutant(
        "embeddings_are_not_dropped",
        MODEL,
        "self.groups(self.drop(embedded, deterministic=not train), None, train)",
        "self.groups(embedded, None, train)",
        f"{FORWARD}[gpt1-training]",
    ),
    Mutant(
        "attention_weights_are_not_dropped",
        MODEL,
        "            attention_dropout=self.attention_dropout,\n            epsilon",
        "            epsilon",
        f"{FORWARD}[gpt1-training]",
    ),
    Mutant(
        "xl_learns_at_larges_rate",
        CONFIG,
        '"gpt3_xl": (2.0e-4,',
        '"gpt3_xl": (2.5e-4,',
        f"{TABLE}::test_settings[gpt3_xl]",
    ),
    Mutant(
        "the_rate_decays_to_nothing",
        CONFIG,
        "decay_tokens=260 * _B, end_factor=0.1",
        "decay_tokens=260 * _B, end_factor=0.0",
        f"{TABLE}::test_settings[gpt3_small]",
    ),
]
