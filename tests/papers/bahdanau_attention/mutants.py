"""Ways to break the script of Bahdanau et al."""

from tests.mutants import Mutant

MODEL = "research/models/gru_encoder_decoder.py"
OWN = "tests/papers/bahdanau_attention/test_bahdanau_attention.py"
EQUATIONS = "tests/models/test_gru_encoder_decoder.py::test_network_is_its_equations[search]"

MUTANTS = [
    Mutant(
        "padding_is_looked_at",
        MODEL,
        "a = masked_softmax(scores[..., 0], mask, axis=-1)",
        "a = masked_softmax(scores[..., 0], mask | True, axis=-1)",
        EQUATIONS,
    ),
    Mutant(
        "annotations_of_another_sentence",
        MODEL,
        'c = jnp.einsum("bs,bsd->bd", a, annotations)',
        'c = jnp.einsum("bs,bsd->bd", a, annotations[::-1])',
        EQUATIONS,
    ),
    Mutant(
        "the_context_is_not_in_the_output",
        MODEL,
        "t = self.from_state(s) + self.from_word(word) + self.from_context(c)",
        "t = self.from_state(s) + self.from_word(word) + 0 * self.from_context(c)",
        EQUATIONS,
    ),
    Mutant(
        "the_context_is_in_the_candidate_alone",
        MODEL,
        "new, _ = self.cell.step(cell, s, given + c @ context_kernel)",
        "only = jnp.arange(3 * self.units) >= 2 * self.units\n"
        "        new, _ = self.cell.step(cell, s, given + only * (c @ context_kernel))",
        EQUATIONS,
    ),
    Mutant(
        "the_output_sees_the_new_state",
        MODEL,
        "return new, (s, c, a)",
        "return new, (new, c, a)",
        EQUATIONS,
    ),
    Mutant(
        "the_first_state_is_the_forward_end",
        MODEL,
        "backward = found.carry[0][1]",
        "backward = found.carry[0][0]",
        EQUATIONS,
    ),
    Mutant(
        "one_orthogonal_matrix_for_all_gates",
        MODEL,
        "orthogonal = side_by_side(nn.initializers.orthogonal(), 3)",
        "orthogonal = nn.initializers.orthogonal()",
        "tests/models/test_gru_encoder_decoder.py::test_parameters_start_as_appendix_b_says",
    ),
    Mutant(
        "sums_and_not_maxima",
        MODEL,
        "t = jnp.max(t.reshape",
        "t = jnp.sum(t.reshape",
        EQUATIONS,
    ),
    Mutant(
        "adadelta_of_another_decay",
        "research/optim/named.py",
        "rho=0.95",
        "rho=0.9",
        f"{OWN}::test_two_updates_are_adadelta_of_clipped_gradients",
    ),
    Mutant(
        "batches_are_not_sorted",
        "research/data/text/pairs.py",
        "groups = np.take_along_axis(groups, by_length, axis=1)",
        "groups = groups[:, by_length[0] * 0 + np.arange(groups.shape[1])]",
        f"{OWN}::test_batches_are_sorted_by_length_twenty_at_a_time",
    ),
]
