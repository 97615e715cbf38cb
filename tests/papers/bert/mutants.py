"""Ways to break BERT, and what notices each."""

from tests.mutants import Mutant

SCRIPT, NETWORK, NAMES = (
    "experiments/bert.py",
    "research/models/bert.py",
    "research/models/released/bert_names.py",
)
MASKS, PAIRS, ANSWERS = (
    f"research/data/text/{name}.py" for name in ("masked_words", "segment_pairs", "answer_spans")
)
OWN = "tests/papers/bert/test_bert.py"
NETWORK_TESTS = "tests/models/test_bert.py"
RELEASED = (
    "tests/models/released/test_bert_names.py::test_all_layers_and_both_heads_are_the_released_ones"
)
SHARES = "tests/data/text/test_masked_words.py::test_shares_over_many_tokens"
PAIR_TESTS = "tests/data/text/test_segment_pairs.py"
ANSWER_TESTS = "tests/data/text/test_answer_spans.py"
LOSSES = f"{OWN}::test_losses_of_the_tasks"

MUTANTS = [
    Mutant(
        "reads_from_left_to_right",
        NETWORK,
        "causal=self.causal,",
        "causal=True,",
        f"{NETWORK_TESTS}::test_what_a_position_sees[False]",
    ),
    Mutant(
        "sees_the_padding",
        NETWORK,
        "mask = padding_mask(jnp.arange(tokens.shape[1]) < length[:, None])",
        "mask = padding_mask(jnp.arange(tokens.shape[1]) < 99 + length[:, None])",
        f"{NETWORK_TESTS}::test_what_a_position_sees[False]",
    ),
    Mutant(
        "segments_are_not_told_apart",
        NETWORK,
        "x = self.embedding_norm(x + jnp.take(kinds, segments, axis=0))",
        "x = self.embedding_norm(x)",
        RELEASED,
    ),
    Mutant(
        "gelu_is_the_tanh_form",
        NETWORK,
        "functools.partial(nn.gelu, approximate=False)",
        "functools.partial(nn.gelu, approximate=True)",
        RELEASED,
    ),
    Mutant(
        "norms_come_first",
        NETWORK,
        "pre_norm=False,",
        "pre_norm=True,",
        RELEASED,
    ),
    Mutant(
        "released_kernels_are_not_turned",
        NAMES,
        "return array.T if array.ndim == 2 and not is_table else array",
        "return array",
        RELEASED,
    ),
    Mutant(
        "chosen_words_are_always_masked",
        MASKS,
        "masked = chance < self.masked_share",
        "masked = chance < 1.0",
        SHARES,
    ),
    Mutant(
        "special_tokens_are_chosen",
        MASKS,
        "ordinary = np.flatnonzero(self.is_ordinary[tokens])\n        count",
        "ordinary = np.arange(len(tokens))\n        count",
        SHARES,
    ),
    Mutant(
        "the_second_segment_always_follows",
        PAIRS,
        "other = random_share > 0 and (not rest or rng.random() < random_share)",
        "other = random_share > 0 and not rest",
        f"{PAIR_TESTS}::test_pairs_over_many_documents",
    ),
    Mutant(
        "a_random_segment_may_be_of_the_same_document",
        PAIRS,
        "if chosen != index:",
        "if chosen:",
        f"{PAIR_TESTS}::test_pairs_over_many_documents",
    ),
    Mutant(
        "sentences_that_were_replaced_are_lost",
        PAIRS,
        "            i -= len(rest)\n",
        "",
        f"{PAIR_TESTS}::test_sentences_that_a_random_segment_replaces_are_used_next",
    ),
    Mutant(
        "the_last_lengths_never_come",
        PAIRS,
        'if phase != at["phase"]:',
        "if phase != phase:",
        f"{PAIR_TESTS}::test_lengths_come_one_after_the_other_and_a_stream_resumes",
    ),
    Mutant(
        "each_micro_batch_divides_by_its_own_words",
        SCRIPT,
        'word_loss = jnp.sum(nats * batch["weights"]) / batch["words"][0]',
        'word_loss = jnp.sum(nats * batch["weights"]) / jnp.sum(batch["weights"])',
        f"{OWN}::test_words_are_counted_over_the_whole_batch",
    ),
    Mutant(
        "places_without_a_word_count",
        SCRIPT,
        'word_loss = jnp.sum(nats * batch["weights"]) / batch["words"][0]',
        'word_loss = jnp.sum(nats) / batch["words"][0]',
        f"{OWN}::test_the_loss_is_that_of_hidden_words_plus_that_of_the_next_sentence",
    ),
    Mutant(
        "the_next_sentence_is_not_learned",
        SCRIPT,
        "loss = word_loss + self.config.pretraining.next_sentence_weight * next_loss",
        "loss = word_loss",
        f"{OWN}::test_the_loss_is_that_of_hidden_words_plus_that_of_the_next_sentence",
    ),
    Mutant(
        "averages_are_corrected",
        SCRIPT,
        "bias_correction=False",
        "bias_correction=True",
        f"{OWN}::test_the_optimizer_is_adam_without_correction_and_with_decay",
    ),
    Mutant(
        "everything_decays",
        SCRIPT,
        "optax.add_decayed_weights(-decay, mask=bert.decayed)",
        "optax.add_decayed_weights(-decay)",
        f"{OWN}::test_the_optimizer_is_adam_without_correction_and_with_decay",
    ),
    Mutant(
        "the_left_reader_sees_the_word_itself",
        "research/papers/bert/held_out.py",
        'places = positions - 1 if way == "left" else positions',
        "places = positions",
        f"{OWN}::test_the_rival_reads_from_the_left_and_is_asked_for_the_same_words",
    ),
    Mutant(
        "fine_tuning_begins_from_nothing",
        NETWORK,
        'return {**params, "encoder": pretrained["encoder"]}',
        "return {**params}",
        f"{OWN}::test_fine_tuning_begins_with_the_encoder_and_a_fresh_layer",
    ),
    Mutant(
        "spans_are_a_softmax_over_two_outputs",
        SCRIPT,
        "nats = smoothed_cross_entropy(jnp.swapaxes(logits, 1, 2), label)",
        "nats = smoothed_cross_entropy(logits[:, :2], label % 2)",
        f"{LOSSES}[span_task-stories/questions]",
    ),
    Mutant(
        "every_piece_has_a_tag",
        "research/papers/bert/tasks.py",
        "labels, at = np.full(self.length, UNTAGGED, np.int32), 1",
        "labels, at = np.zeros(self.length, np.int32), 1",
        f"{LOSSES}[text_task-stories/tags]",
    ),
    Mutant(
        "answers_may_start_at_the_edge_of_a_window",
        ANSWERS,
        "if example.scored[i]]",
        "if True]",
        f"{ANSWER_TESTS}::test_a_piece_with_more_context_elsewhere_starts_no_answer",
    ),
    Mutant(
        "answers_end_before_they_start",
        ANSWERS,
        "last[(last >= i) & (last < i + max_pieces)]",
        "last[last < i + max_pieces]",
        f"{ANSWER_TESTS}::test_the_best_span_is_that_of_all_spans[30]",
    ),
    Mutant(
        "the_demo_fills_from_left_to_right",
        "research/papers/bert/fill_demo.py",
        "surest, word = np.unravel_index(np.argmax(probabilities), probabilities.shape)",
        "surest, word = 0, int(np.argmax(probabilities[0]))",
        f"{OWN}::test_masks_are_filled_with_what_is_surest_first",
    ),
]
