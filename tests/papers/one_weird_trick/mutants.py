"""Ways to break the hybrid of data and model parallelism, and what notices each."""

from tests.mutants import Mutant

MODEL = "research/models/alexnet.py"
SCRIPT = "experiments/one_weird_trick.py"
CONFIG = "configs/one_weird_trick.py"
HYBRID = "research/papers/one_weird_trick/hybrid_parallel.py"
OWN = "tests/papers/one_weird_trick/test_one_weird_trick.py"
STEP = f"{OWN}::test_a_step_with_a_variable_batch_is_written_out"
SETTINGS = "tests/papers/one_weird_trick/test_paper_table.py::test_settings[paper-softmax]"
NETWORK = "tests/models/test_alexnet.py"
CONVOLUTIONS = f"{NETWORK}::test_convolutions_are_written_out[2014]"

MUTANTS = [
    Mutant(
        "convolutions_move_once_for_every_update",
        SCRIPT,
        "backward(gradient / self.updates)",
        "backward(gradient)",
        f"{STEP}[c]",
    ),
    Mutant(
        "new_weights_are_not_passed_on",
        SCRIPT,
        "loss, head.params, activations",
        "loss, state.head.params, activations",
        f"{STEP}[b]",
    ),
    Mutant(
        "every_update_sees_the_same_images",
        SCRIPT,
        'batch["label"], gradient, update\n',
        'batch["label"], gradient, 0 * update\n',
        f"{STEP}[c]",
    ),
    Mutant(
        "gradients_return_to_other_images",
        HYBRID,
        "_every(gradient, rounds).at[:, r].set(own)",
        "_every(gradient, rounds).at[:, 0].set(own)",
        f"{STEP}[c]",
    ),
    Mutant(
        "rates_follow_the_root_of_the_batch",
        "research/optim/momentum.py",
        '{"linear": ratio,',
        '{"linear": math.sqrt(ratio),',
        f"{OWN}::test_rates_follow_the_batch_of_a_layer",
    ),
    Mutant(
        "fully_connected_layers_learn_at_the_rate_of_the_whole_batch",
        SCRIPT,
        "            config.fc_batch_size,\n        )",
        "            config.batch_size,\n        )",
        f"{OWN}::test_rates_follow_the_batch_of_a_layer",
    ),
    Mutant(
        "relu_before_the_norm_of_layer_1",
        MODEL,
        'Layer(64, 11, ("norm", "pool", "activation"), stride=4)',
        'Layer(64, 11, ("activation", "norm", "pool"), stride=4)',
        CONVOLUTIONS,
    ),
    Mutant(
        "outputs_start_at_even_chances",
        MODEL,
        "output_bias=-7.0",
        "output_bias=0.0",
        f"{NETWORK}::test_initial_values[2014]",
    ),
    Mutant(
        "the_footnotes_384_filters",
        MODEL,
        "Layer(256, 3, std=0.03, bias=1.0)",
        "Layer(384, 3, std=0.03, bias=1.0)",
        f"{NETWORK}::test_published_sizes",
    ),
    Mutant(
        "the_norms_alpha_is_not_divided",
        CONFIG,
        "config.model.norm.divide_alpha = True",
        "config.model.norm.divide_alpha = False",
        SETTINGS,
    ),
    Mutant(
        "the_rate_drops_by_ten_each_time",
        CONFIG,
        '"drop_factor": 250 ** (1 / 3)',
        '"drop_factor": 10.0',
        SETTINGS,
    ),
    Mutant(
        "logistic_units_forget_the_other_classes",
        "research/papers/one_weird_trick/class_parallel.py",
        "return _sum(jax.nn.softplus(logits).sum(-1), axis) - label_logit(",
        "return _sum(jax.nn.softplus(logits).max(-1), axis) - label_logit(",
        "tests/papers/one_weird_trick/test_class_parallel.py"
        "::test_logistic_is_a_cross_entropy_for_each_class",
    ),
]
