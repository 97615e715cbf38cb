"""Ways to break AlexNet and dropout, and what notices each."""

from tests.mutants import Mutant

MODEL = "research/models/alexnet.py"
SCRIPT = "experiments/alexnet.py"
CONFIG = "configs/alexnet.py"
NETWORK = "tests/models/test_alexnet.py"
CONVOLUTIONS = f"{NETWORK}::test_convolutions_are_written_out[2012]"
STARTS = f"{NETWORK}::test_initial_values[2012]"
HEAD = f"{NETWORK}::test_fully_connected_layers_are_written_out"
TABLE = "tests/papers/alexnet/test_paper_table.py"
UPDATE = f"{TABLE}::test_an_update_is_that_of_section_5"
DROPOUT_SGD = "tests/papers/alexnet/test_dropout_sgd.py::test_is_the_appendix_word_for_word"

MUTANTS = [
    Mutant(
        "pool_norm_relu_in_layer_2",
        MODEL,
        'Layer(256, 5, ("activation", "norm", "pool"), groups=2, bias=1.0)',
        'Layer(256, 5, ("pool", "norm", "activation"), groups=2, bias=1.0)',
        CONVOLUTIONS,
    ),
    Mutant(
        "no_bias_of_one_in_layer_2",
        MODEL,
        'Layer(256, 5, ("activation", "norm", "pool"), groups=2, bias=1.0)',
        'Layer(256, 5, ("activation", "norm", "pool"), groups=2)',
        STARTS,
    ),
    Mutant(
        "no_bias_of_one_in_layer_4",
        MODEL,
        "Layer(384, 3, groups=2, bias=1.0)",
        "Layer(384, 3, groups=2)",
        STARTS,
    ),
    Mutant(
        "kernels_start_ten_times_larger",
        MODEL,
        "    std: float = 0.01\n    bias: float = 0.0\n",
        "    std: float = 0.1\n    bias: float = 0.0\n",
        STARTS,
    ),
    Mutant(
        "the_last_convolution_sees_both_towers",
        MODEL,
        'Layer(256, 3, ("activation", "pool"), groups=2, bias=1.0)',
        'Layer(256, 3, ("activation", "pool"), bias=1.0)',
        f"{NETWORK}::test_published_sizes",
    ),
    Mutant(
        "the_norm_sees_both_towers",
        MODEL,
        "groups=arch.towers // self.shards, **self.norm",
        "groups=1, **self.norm",
        CONVOLUTIONS,
    ),
    Mutant("tanh_for_relu", MODEL, '"relu": nn.relu', '"relu": jnp.tanh', CONVOLUTIONS),
    Mutant(
        "outputs_are_not_halved_in_testing",
        MODEL,
        "return jnp.full((1, width), 1 - share)",
        "return jnp.full((1, width), 1.0)",
        HEAD,
    ),
    Mutant(
        "the_first_hidden_layer_is_not_dropped",
        MODEL,
        '            x = dense(x, width, arch.bias, f"fc{len(arch.layers) + i + 1}")\n'
        "            x = ACTIVATIONS[self.activation](x)\n"
        "            if self.dropout:",
        '            x = dense(x, width, arch.bias, f"fc{len(arch.layers) + i + 1}")\n'
        "            x = ACTIVATIONS[self.activation](x)\n"
        "            if self.dropout and i:",
        HEAD,
    ),
    Mutant(
        "square_crops_are_not_coloured",
        "research/data/images/images.py",
        "        image = augment.jitter_colour(augment.mirror(image, rng), rng, self.colours)\n"
        "        return image / np.float32(127.5)",
        "        return augment.mirror(image, rng) / np.float32(127.5)",
        "tests/data/images/test_images.py"
        "::test_coloured_crops_are_what_the_papers_say[square_crop]",
    ),
    Mutant(
        "biases_decay",
        "research/optim/momentum.py",
        '"bias": group(bias_learning_rate, 0.0)',
        '"bias": group(bias_learning_rate, weight_decay)',
        UPDATE,
    ),
    Mutant(
        "biases_learn_like_weights",
        SCRIPT,
        "momentum_sgd(learning_rate, bias_rate * learning_rate,",
        "momentum_sgd(learning_rate, learning_rate,",
        UPDATE,
    ),
    Mutant(
        "pooling_does_not_overlap",
        CONFIG,
        '"pool_window": 3',
        '"pool_window": 2',
        f"{TABLE}::test_settings[paper-2012]",
    ),
    Mutant(
        "a_tenth_of_the_decay",
        CONFIG,
        '"weight_decay": 5e-4',
        '"weight_decay": 5e-5',
        f"{TABLE}::test_settings[paper-2012]",
    ),
    Mutant(
        "momentum_does_not_weigh_the_gradient",
        "research/papers/alexnet/dropout_sgd.py",
        "(1 - momentum) * learning_rate",
        "learning_rate",
        DROPOUT_SGD,
    ),
    Mutant(
        "units_may_have_long_weights",
        CONFIG,
        '"max_squared_norm": 15.0',
        '"max_squared_norm": 150.0',
        f"{TABLE}::test_settings_of_dropout",
    ),
]
