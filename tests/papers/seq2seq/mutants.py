"""Ways to break the sequence-to-sequence script."""

from tests.mutants import Mutant

MODEL = "research/models/seq2seq.py"
SCRIPT = "experiments/seq2seq.py"
TRANSLATE = "research/decoding/translate.py"
READ = "return self.encoder(jnp.take(self.source_table, source, axis=0), lengths=lengths).carry"
READ_FIRST = READ.replace("return", "carry =") + "\n        return "
OWN = "tests/papers/seq2seq/test_seq2seq.py"
NETWORK = "tests/models/test_seq2seq.py"

MUTANTS = [
    Mutant(
        "padding_is_reversed_with_the_words",
        MODEL,
        "jnp.where(places <= last, last - places, places)",
        "places[::-1] + 0 * last",
        f"{NETWORK}::test_words_are_reversed_and_padding_is_not",
    ),
    Mutant(
        "the_top_layer_alone_hands_over",
        MODEL,
        READ,
        READ_FIRST + "(*jax.tree.map(jnp.zeros_like, carry[:-1]), carry[-1])",
        f"{NETWORK}::test_every_layer_hands_over_its_cells_and_outputs",
    ),
    Mutant(
        "cells_are_reset_between_the_networks",
        MODEL,
        READ,
        READ_FIRST + "tuple(((0 * c, h),) for ((c, h),) in carry)",
        f"{NETWORK}::test_network_is_two_deep_lstms_that_share_their_last_states",
    ),
    Mutant(
        "the_target_is_not_shifted",
        MODEL,
        "shifted = jnp.pad(target[:, :-1], ((0, 0), (1, 0)), constant_values=self.bos_id)",
        "shifted = target",
        f"{NETWORK}::test_step_by_step_is_the_same_as_at_once",
    ),
    Mutant(
        "the_loss_is_a_mean_over_words",
        SCRIPT,
        "return -jnp.mean(log_p), Aux(",
        "return -jnp.sum(log_p) / jnp.sum(mask), Aux(",
        f"{OWN}::test_one_update_is_that_of_section_3_4",
    ),
    Mutant(
        "the_rate_is_halved_once",
        "research/optim/schedules.py",
        "return rate * 0.5 ** jnp.maximum(times, 0.0)",
        "return rate * 0.5 ** jnp.clip(times, 0.0, 1.0)",
        f"{OWN}::test_paper_schedule_halves_each_half_epoch_after_five",
    ),
    Mutant(
        "an_ensemble_averages_logits",
        TRANSLATE,
        "log_probs = [jax.nn.log_softmax(logits.astype(jnp.float32)) for _, logits in found]",
        "log_probs = [logits for _, logits in found]",
        "tests/decoding/test_translate.py::test_an_ensemble_averages_log_probabilities",
    ),
    Mutant(
        "rescoring_ignores_the_other_system",
        TRANSLATE,
        "(hypotheses.scores + scores) / 2",
        "hypotheses.scores",
        f"{OWN}::test_rescoring_takes_what_both_scores_prefer",
    ),
]
