"""Ways to break WaveNet."""

from tests.mutants import Mutant

SCRIPT, MODEL = "experiments/wavenet.py", "research/models/wavenet.py"
QUEUES, CLIPS = "research/decoding/queues.py", "research/data/audio/clips.py"
SCRIPT_TESTS = "tests/papers/wavenet/test_wavenet.py"
MODEL_TESTS = "tests/models/test_wavenet.py"
QUEUE_TESTS = "tests/decoding/test_queues.py"
CLIP_TESTS = "tests/data/audio/test_clips.py"
SAME = f"{QUEUE_TESTS}::test_queues_are_bit_for_bit_the_whole_network"
FORMULA = f"{MODEL_TESTS}::test_the_network_is_its_formula"
CONDITIONS = f"{MODEL_TESTS}::test_conditions_are_inside_both_gates_of_every_layer"
FIELD = f"{MODEL_TESTS}::test_the_receptive_field_is_the_formula_and_what_gradients_reach"

MUTANTS = [
    Mutant(
        "samples_are_predicted_from_themselves",  # no shift: the leak
        MODEL,
        "self.input(taps_of(delayed(samples, 1, fill), self.input_taps, 1, fill))",
        "self.input(taps_of(samples, self.input_taps, 1, fill))",
        FIELD,
    ),
    Mutant(
        "samples_are_shifted_twice",
        MODEL,
        "self.input(taps_of(delayed(samples, 1, fill), self.input_taps, 1, fill))",
        "self.input(taps_of(delayed(samples, 2, fill), self.input_taps, 1, fill))",
        FIELD,
    ),
    Mutant(
        "filters_look_ahead",  # centred, as an ordinary convolution
        MODEL,
        "return [delayed(x, (taps - 1 - tap) * dilation, fill) for tap in range(taps)]",
        "return [jnp.roll(x, -tap * dilation, 1) for tap in range(taps)]",
        FIELD,
    ),
    Mutant(
        "dilations_are_all_one",
        MODEL,
        "x, skip = layer(taps_of(x, self.taps, layer.dilation), offset, condition)",
        "x, skip = layer(taps_of(x, self.taps, 1), offset, condition)",
        FORMULA,
    ),
    Mutant(
        "the_gate_is_not_multiplied",
        MODEL,
        "z = jnp.tanh(filtered) * nn.sigmoid(gated)",
        "z = jnp.tanh(filtered) + 0.0 * nn.sigmoid(gated)",
        FORMULA,
    ),
    Mutant(
        "no_residual_connection",
        MODEL,
        "(x if self.last else x + self.to_residual(z))",
        "(x if self.last else self.to_residual(z))",
        FORMULA,
    ),
    Mutant(
        "the_speaker_is_not_heard",
        MODEL,
        "return self.bias + speaker @ self.global_kernel",
        "return self.bias + 0.0 * speaker @ self.global_kernel",
        CONDITIONS,
    ),
    Mutant(
        "frames_begin_a_sample_late",
        MODEL,
        "x = flat[:, margin : margin + x.shape[1] * stride]",
        "x = flat[:, margin - 1 : margin - 1 + x.shape[1] * stride]",
        f"{MODEL_TESTS}::test_upsampling_begins_as_copies_of_the_nearest_frame",
    ),
    Mutant(
        "frames_are_cut_elsewhere_than_samples",
        CLIPS,
        '"local": np.pad(clip["local"][part], ((0, spare), (0, 0))),',
        '"local": np.pad(clip["local"][:frames], ((0, spare), (0, 0))),',
        f"{CLIP_TESTS}::test_a_crop_is_a_part_of_its_clip_and_of_its_frames",
    ),
    Mutant(
        "queues_are_one_off",
        MODEL,
        "return [*(self.values[:, (t - lag) % size] for lag in lags), now]",
        "return [*(self.values[:, (t - lag + 1) % size] for lag in lags), now]",
        SAME,
    ),
    Mutant(
        "queues_begin_with_what_silence_makes",  # and not with the zeros of training
        MODEL,
        "Queue(jnp.zeros((batch, (self.taps - 1) * d, self.residual), self.dtype))",
        "Queue(jnp.ones((batch, (self.taps - 1) * d, self.residual), self.dtype))",
        SAME,
    ),
    Mutant(
        "nothing_is_taken_for_the_first_bin",
        MODEL,
        "return kernel[jnp.maximum(x, 0)] * heard",
        "return kernel[jnp.maximum(x, 0)]",
        FORMULA,
    ),
    Mutant(
        "samples_that_are_given_are_drawn_again",
        QUEUES,
        "return jnp.where(forced == DRAWN, drawn, forced).astype(jnp.int32)",
        "return drawn.astype(jnp.int32)",
        f"{QUEUE_TESTS}::test_what_is_given_is_kept_and_goes_on",
    ),
    Mutant(
        "the_context_hears_its_own_block",
        MODEL,
        "before = delayed(nn.relu(total), 1)",
        "before = nn.relu(total)",
        f"{MODEL_TESTS}::test_a_context_stack_hears_whole_blocks_that_are_over",
    ),
    Mutant(
        "bins_decode_to_their_edge",
        "research/data/audio/mu_law.py",
        "y = 2 * (np.asarray(q, np.float64) + 0.5) / bins - 1",
        "y = 2 * np.asarray(q, np.float64) / bins - 1",
        "tests/data/audio/test_mu_law.py::test_a_bin_decodes_to_its_middle",
    ),
    Mutant(
        "what_fills_up_a_crop_is_predicted",
        SCRIPT,
        'nats = heard * _cross_entropy(logits, batch["samples"])',
        'nats = _cross_entropy(logits, batch["samples"])',
        f"{SCRIPT_TESTS}::test_the_loss_is_the_mean_over_samples_and_over_frames",
    ),
    Mutant(
        "frames_classes_are_not_learned",
        SCRIPT,
        "loss = loss + self.config.class_weight * of_frames",
        "loss = loss + 0.0 * of_frames",
        f"{SCRIPT_TESTS}::test_the_loss_is_the_mean_over_samples_and_over_frames",
    ),
    Mutant(
        "the_skip_of_each_layer_is_wanted_at_all_times",  # which would flatter the queues
        "research/papers/wavenet/costs.py",
        "needed += to_skip + len(times) * (gates + (0 if last else to_residual))",
        "needed += len(times) * (to_skip + gates + (0 if last else to_residual))",
        "tests/papers/wavenet/test_bounds_and_costs.py"
        "::test_without_queues_a_block_is_a_binary_tree",
    ),
    Mutant(
        "speakers_are_shuffled",  # from clip to clip
        CLIPS,
        'speaker = record["speaker"]',
        'speaker = len(record["audio"]) // 80 % 6',
        f"{CLIP_TESTS}::test_a_clip_is_its_sound_in_bins_with_its_phones",
    ),
]
