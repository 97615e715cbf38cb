"""Ways to break a classifier of texts, and what notices each."""

from tests.mutants import Mutant

SCRIPT, CONFIG = "experiments/sentiment_lstm.py", "configs/sentiment_lstm.py"
NETWORK, CELLS = "research/models/recurrent_classifier.py", "research/nn/recurrent.py"
OWN = "tests/papers/sentiment_lstm/test_sentiment_lstm.py"
TABLE = "tests/papers/sentiment_lstm/test_paper_table.py"
NETWORK_TESTS = "tests/models/test_recurrent_classifier.py"
PADS = f"{NETWORK_TESTS}::test_thirty_pads_more_change_no_logit"
FIRST = f"{OWN}::test_the_first_phase_is_the_mean_over_all_targets"
UPDATE = """optimizer.learning_rate),
            accumulate=config.accumulate_steps,
            max_grad_norm={},"""
REVIEWS = "tests/data/test_reviews.py::test_labels_follow_from_the_words"

MUTANTS = [
    Mutant(
        "the_last_state_is_that_at_the_padded_end",
        NETWORK,
        "return network(x, lengths=lengths, train=train)",
        "return network(x, train=train)",
        PADS,
    ),
    Mutant(
        "padding_is_pooled",
        "research/nn/sequence_pooling.py",
        "valid = jnp.arange(outputs.shape[1]) < lengths[:, None]",
        "valid = jnp.arange(outputs.shape[1]) < 1000 + lengths[:, None]",
        "tests/nn/test_sequence_pooling.py::test_a_row_is_pooled_over_its_own_steps",
    ),
    Mutant(
        "forget_gates_start_half_closed",
        CONFIG,
        '"forget_bias": 1.0',
        '"forget_bias": 0.0',
        f"{TABLE}::test_forget_gates_begin_open",
    ),
    Mutant(
        "truncated_texts_are_evaluated",
        SCRIPT,
        'return [{"tokens": w, "label": y} for w, y',
        'return [{"tokens": w[-self.config.data.lengths[-1] :], "label": y} for w, y',
        f"{OWN}::test_training_reads_the_last_words_and_evaluation_all",
    ),
    Mutant(
        "training_reads_the_first_words",
        SCRIPT,
        '{"tokens": words[i][-longest:]',
        '{"tokens": words[i][:longest]',
        f"{OWN}::test_training_reads_the_last_words_and_evaluation_all",
    ),
    Mutant(
        "tuned_and_tested_on_one_split",
        SCRIPT,
        '(("valid", "validation"), ("test", "test"))',
        '(("valid", "test"), ("test", "validation"))',
        f"{OWN}::test_training_reads_the_last_words_and_evaluation_all",
    ),
    Mutant(
        "words_are_dropped_number_by_number",
        NETWORK,
        "nn.Dropout(self.word_dropout, broadcast_dims=(2,))",
        "nn.Dropout(self.word_dropout)",
        f"{NETWORK_TESTS}::test_word_dropout_leaves_out_whole_words_in_training_alone",
    ),
    Mutant(
        "no_dropout_before_the_classifier",
        NETWORK,
        "x = self.drop(vectors, deterministic=not train)",
        "x = vectors",
        f"{NETWORK_TESTS}::test_dropout_before_the_classifier_is_for_training_alone",
    ),
    Mutant(
        "the_classifier_starts_from_nothing",
        SCRIPT,
        'params={**learner.params, "reader": before}',
        "params=learner.params",
        f"{OWN}::test_the_classifier_starts_from_the_word_vectors_and_the_lstm",
    ),
    Mutant(
        "the_autoencoder_is_a_language_model",
        SCRIPT,
        '"target": np.array([*nothing, *words, EOS])',
        '"target": np.array([*words[1:], EOS, *words, EOS])',
        f"{OWN}::test_an_autoencoder_reads_a_text_and_its_end_and_then_writes_both",
    ),
    Mutant(
        "the_autoencoder_is_given_what_it_writes",
        SCRIPT,
        '"tokens": np.array([*words, EOS, *words])',
        '"tokens": np.array([*words, *words, EOS])',
        f"{OWN}::test_an_autoencoder_reads_a_text_and_its_end_and_then_writes_both",
    ),
    Mutant(
        "padding_is_predicted",
        SCRIPT,
        'masked_mean(nats, batch["target"] != PAD)',
        'masked_mean(nats, batch["target"] >= 0)',
        FIRST,
    ),
    Mutant(
        "linear_gain_is_flat",
        "research/losses/linear_gain.py",
        "steps / jnp.maximum(lengths[:, None] - 1, 1)",
        "steps * 0 + 1.0",
        "tests/losses/test_linear_gain.py::test_weights_grow_from_zero_to_one_over_each_text",
    ),
    Mutant(
        "linear_gain_is_not_used",
        SCRIPT,
        "if not self.config.linear_gain:\n            logits",
        "if True:\n            logits",
        f"{OWN}::test_linear_gain_asks_after_every_word",
    ),
    Mutant(
        "gradients_are_not_clipped",
        SCRIPT,
        UPDATE.format("config.max_grad_norm"),
        UPDATE.format("0.0"),
        f"{OWN}::test_an_update_is_adam_of_the_clipped_gradient",
    ),
    Mutant(
        "gradients_go_back_without_end",
        CELLS,
        "jnp.where(cut[:, None], jax.lax.stop_gradient(part), part)",
        "jnp.where(cut[:, None], part, part)",
        "tests/nn/test_recurrent.py::test_truncation_ends_the_gradient_and_changes_no_value",
    ),
    Mutant(
        "truncation_is_counted_from_the_padded_end",
        CELLS,
        "left = (jnp.full(batch, steps) if lengths is None else lengths) - times",
        "left = jnp.full(batch, steps) - times",
        "tests/nn/test_recurrent.py::test_truncation_ends_the_gradient_and_changes_no_value",
    ),
    Mutant(
        "counts_have_all_labels",
        SCRIPT,
        "chosen = self.labelled()\n        numbers: dict[str, float] = {}",
        "chosen = np.arange(len(train.labels))\n        numbers: dict[str, float] = {}",
        f"{OWN}::test_counts_are_of_the_same_labels_as_the_network",
    ),
    Mutant(
        "but_turns_nothing",
        "research/data/procedural/reviews.py",
        'positive ^= conjunction == "but"',
        'positive ^= conjunction == "or"',
        "tests/data/test_reviews.py::test_the_ground_truth_has_the_places_of_the_words",
    ),
    Mutant(
        "negations_turn_nothing",
        "research/data/procedural/reviews.py",
        "POSITIVE if positive != negated else NEGATIVE",
        "POSITIVE if positive else NEGATIVE",
        REVIEWS,
    ),
]
