"""Ways to break character models."""

from tests.mutants import Mutant

SCRIPT, STREAMS = "experiments/char_rnn.py", "research/data/text/streams.py"
NETWORK, CELLS = "research/models/char_rnn.py", "research/nn/recurrent.py"
OWN = "tests/papers/char_rnn/test_char_rnn.py"
CARRIED = (
    f"{OWN}::test_the_state_is_carried_from_each_batch_to_the_next_and_not_into_the_next_epoch"
)
UPDATES = f"{OWN}::test_two_updates_are_rmsprop_of_clamped_sums_over_time"
STREAM_TESTS = "tests/data/text/test_streams.py"
NETWORK_TESTS = "tests/models/test_char_rnn.py"

MUTANTS = [
    Mutant(
        "the_state_is_not_carried",
        SCRIPT,
        'return {"learner": learner, "carry": carry}, metrics',
        'return {"learner": learner, "carry": state["carry"]}, metrics',
        CARRIED,
    ),
    Mutant(
        "the_state_goes_over_into_the_next_epoch",
        SCRIPT,
        "jnp.where(first, 0.0, part)",
        "jnp.where(first & False, 0.0, part)",
        CARRIED,
    ),
    Mutant(
        "pieces_are_evaluated_from_zeros",
        SCRIPT,
        'after["carry"] if carried else carry',
        "carry",
        f"{OWN}::test_pieces_do_not_matter_where_the_state_is_carried",
    ),
    Mutant(
        "targets_are_the_inputs",  # the shift is off by one
        SCRIPT,
        "smoothed_cross_entropy(logits, tokens[:, 1:])",
        "smoothed_cross_entropy(logits, tokens[:, :-1])",
        CARRIED,
    ),
    Mutant(
        "a_character_is_left_out_between_batches",
        STREAMS,
        "begin = column * self.length",
        "begin = column * (self.length + 1) - column // 2 * 2",
        f"{STREAM_TESTS}::test_each_batch_goes_on_where_the_one_before_ended",
    ),
    Mutant(
        "streams_do_not_follow_each_other",
        STREAMS,
        "starts = size * np.arange(rows)",
        "starts = size * np.arange(rows)[::-1]",
        f"{STREAM_TESTS}::test_streams_are_the_text_and_what_follows",
    ),
    Mutant(
        "a_resumed_run_begins_the_text_again",
        STREAMS,
        'self.step = state["step"]',
        "self.step = 0",
        f"{STREAM_TESTS}::test_a_source_that_is_set_to_a_place_goes_on_from_there",
    ),
    Mutant(
        "forget_gates_start_closed",
        NETWORK,
        "forget_gate_bias(uniform, self.forget_bias)",
        "forget_gate_bias(uniform, -3.0)",
        f"{NETWORK_TESTS}::test_forget_gates_start_at_their_bias_and_all_else_is_uniform",
    ),
    Mutant(
        "the_bias_is_of_another_gate",
        NETWORK,
        ".at[units : 2 * units].set(value)",
        ".at[2 * units : 3 * units].set(value)",
        f"{NETWORK_TESTS}::test_forget_gates_start_at_their_bias_and_all_else_is_uniform",
    ),
    Mutant(
        "no_dropout_before_the_decoder",
        NETWORK,
        "self.drop(found.outputs, deterministic=not train)",
        "found.outputs",
        f"{NETWORK_TESTS}::test_dropout_is_between_layers_and_before_the_decoder_alone",
    ),
    Mutant(
        "the_mean_over_time_is_clamped",
        SCRIPT,
        "optax.scale(data.length)",
        "optax.scale(1.0)",
        UPDATES,
    ),
    Mutant(
        "the_norm_is_clipped",
        SCRIPT,
        "optax.clip(optimizer.clip)",
        "optax.clip_by_global_norm(optimizer.clip)",
        UPDATES,
    ),
    Mutant(
        "the_rate_falls_an_epoch_late",
        SCRIPT,
        "finished - optimizer.decay_after_epochs + 1",
        "finished - optimizer.decay_after_epochs",
        f"{OWN}::test_the_rate_falls_after_each_epoch_from_the_tenth_on",
    ),
    Mutant(
        "counts_are_of_the_characters_before",
        SCRIPT,
        "found[order] = np.append(np.full(order - 2, np.nan), nats)",
        "found[order] = np.append(nats, np.full(order - 2, np.nan))",
        f"{OWN}::test_counts_are_of_the_same_characters_as_the_network",
    ),
    Mutant(
        "cells_are_judged_by_what_they_were_chosen_by",
        "research/papers/char_rnn/cells.py",
        "of_part(slice(half, None))[layer, unit]",
        "of_part(slice(half))[layer, unit]",
        "tests/papers/char_rnn/test_marks_and_cells.py"
        "::test_a_cell_is_chosen_on_one_half_and_measured_on_the_other",
    ),
    Mutant(
        "padding_in_front_is_read",
        NETWORK,
        "first = steps == prompt.shape[1] - lengths[:, None]",
        "first = steps == -lengths[:, None]",
        f"{NETWORK_TESTS}::test_prompts_filled_up_in_front_go_on_as_alone",
    ),
]
