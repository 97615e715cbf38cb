"""Ways to break Highway Networks."""

from tests.mutants import Mutant

LAYER, NETWORK = "research/nn/highway.py", "research/models/highway.py"
LAYER_TESTS = "tests/nn/test_highway.py"
SCRIPT_TESTS = "tests/papers/highway_networks/test_highway_networks.py"

MUTANTS = [
    Mutant(
        "carry_and_transform_exchanged",
        LAYER,
        "h * gate + x * (1 - gate)",
        "x * gate + h * (1 - gate)",
        f"{LAYER_TESTS}::test_layer_is_its_equation",
    ),
    Mutant(
        "gates_start_half_open",
        LAYER,
        "initializers.constant(self.transform_bias)",
        "initializers.zeros_init()",
        f"{LAYER_TESTS}::test_gate_starts_closed_by_its_bias",
    ),
    Mutant(
        "carry_is_whole",  # a residual layer
        LAYER,
        "x * (1 - gate), gate",
        "x, gate",
        f"{LAYER_TESTS}::test_layer_is_its_equation",
    ),
    Mutant(
        "plain_layers_have_fewer_parameters",
        "configs/highway_networks.py",
        '"plain": 71,',
        '"plain": 50,',
        f"{SCRIPT_TESTS}::test_gated_and_plain_layers_have_as_many_parameters",
    ),
    Mutant(
        "all_layers_start_alike",
        NETWORK,
        'split_rngs={"params": True}',
        'split_rngs={"params": False}',
        "tests/models/test_highway.py::test_layers_start_apart",
    ),
    Mutant(
        "rate_does_not_fall",
        "experiments/highway_networks.py",
        "self.epoch_steps, optimizer.decay, staircase=True",
        "self.epoch_steps, 1.0, staircase=True",
        f"{SCRIPT_TESTS}::test_the_optimizer_is_momentum_whose_rate_falls_after_each_epoch",
    ),
    Mutant(
        "lesions_remove_nothing",
        LAYER,
        "gate = jnp.where(removed, 0.0, gate)",
        "gate = jnp.where(False, 0.0, gate)",
        f"{SCRIPT_TESTS}::test_lesions_are_what_a_network_without_the_layer_says",
    ),
]
