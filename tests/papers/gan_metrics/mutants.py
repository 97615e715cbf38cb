"""Ways to break the metrics that samples are judged by."""

from tests.mutants import Mutant

SCRIPT, TESTS = "experiments/gan_metrics.py", "tests/papers/gan_metrics/test_gan_metrics.py"
FID, FID_TESTS = "research/metrics/fid.py", "tests/metrics/test_fid.py"
MANIFOLD, MANIFOLD_TESTS = "research/metrics/manifold.py", "tests/metrics/test_manifold.py"
PERCEPTUAL, PERCEPTUAL_TESTS = "research/metrics/perceptual.py", "tests/metrics/test_perceptual.py"
PATHS, PATH_TESTS = "research/metrics/path_length.py", "tests/metrics/test_path_length.py"
INCEPTION = "research/models/inception_2015.py"
INCEPTION_TESTS = "tests/models/test_inception_2015.py"
NETWORKS = "research/training/feature_network.py"
NETWORK_TESTS = "tests/training/test_feature_network.py"

MUTANTS = [
    Mutant(
        "root_is_taken_entry_by_entry",
        FID,
        "    values, vectors = np.linalg.eigh(c)\n"
        "    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T",
        "    return np.sqrt(np.abs(c))",
        f"{FID_TESTS}::test_frechet_distance_equals_the_published_form",
    ),
    Mutant(
        "covariance_has_denominator_n",
        FID,
        "np.cov(features, rowvar=False)",
        "np.cov(features, rowvar=False, bias=True)",
        f"{FID_TESTS}::test_covariance_has_denominator_n_minus_one",
    ),
    Mutant(
        "means_are_left_out",
        FID,
        "float(((mean1 - mean2) ** 2).sum() + trace)",
        "float(trace)",
        f"{FID_TESTS}::test_frechet_distance_of_commuting_gaussians_in_closed_form",
    ),
    Mutant(
        "kernel_distance_is_biased",  # the diagonal counts
        FID,
        "(k.sum() - np.trace(k)) / (len(a) * (len(a) - 1))",
        "k.mean()",
        f"{FID_TESTS}::test_kernel_distance_of_one_population_averages_to_zero",
    ),
    Mutant(
        "biased_kernel_distance_fails_its_row",  # the same, seen by the claim's own number
        FID,
        "(k.sum() - np.trace(k)) / (len(a) * (len(a) - 1))",
        "k.mean()",
        f"{TESTS}::test_halves_of_one_set_have_a_bias_that_the_kernel_distance_lacks",
    ),
    Mutant(
        "splits_are_not_shuffled",
        FID,
        "np.random.default_rng(seed).permutation(probs.astype(np.float64))",
        "probs.astype(np.float64)",
        f"{FID_TESTS}::test_inception_score_does_not_depend_on_the_order",
    ),
    Mutant(
        "limit_is_the_slope",
        FID,
        "list(found.values()), 1)[1])",
        "list(found.values()), 1)[0])",
        f"{FID_TESTS}::test_infinity_takes_the_bias_out",
    ),
    Mutant(
        "line_is_over_n",  # not over 1/N
        FID,
        "np.polyfit(1 / sizes,",
        "np.polyfit(sizes,",
        f"{FID_TESTS}::test_infinity_takes_the_bias_out",
    ),
    Mutant(
        "a_point_is_its_own_neighbour",
        MANIFOLD,
        "np.partition(distances, k, axis=1)[:, k]",
        "np.partition(distances, k, axis=1)[:, k - 1]",
        f"{MANIFOLD_TESTS}::test_a_point_is_not_its_own_neighbour",
    ),
    Mutant(
        "precision_and_recall_are_exchanged",
        MANIFOLD,
        "return float(precise.mean()), float(recalled.mean())",
        "return float(recalled.mean()), float(precise.mean())",
        f"{MANIFOLD_TESTS}::test_dropped_mode_costs_recall_and_coverage_alone",
    ),
    Mutant(
        "density_is_precision",
        MANIFOLD,
        "inside += contained.sum()",
        "inside += k * contained.any(0).sum()",
        f"{MANIFOLD_TESTS}::test_an_outlier_makes_precision_forgive_and_density_not",
    ),
    Mutant(
        "realism_keeps_the_largest_balls",
        MANIFOLD,
        "kept = radii <= np.median(radii)",
        "kept = radii <= radii.max()",
        f"{MANIFOLD_TESTS}::test_realism_leaves_out_the_largest_balls",
    ),
    Mutant(
        "lpips_is_version_0_0",  # without its layer of scales
        PERCEPTUAL,
        "return (images - jnp.array(SHIFT)) / jnp.array(SCALE)",
        "return images",
        f"{PERCEPTUAL_TESTS}::test_scaling_layer_is_imagenets_normalization",
    ),
    Mutant(
        "maps_are_not_normalized",
        PERCEPTUAL,
        "return x / (jnp.sqrt((x**2).sum(-1, keepdims=True)) + eps)",
        "return x",
        f"{PERCEPTUAL_TESTS}::test_brightness_of_a_map_does_not_count",
    ),
    Mutant(
        "paths_of_z_are_straight",
        PATHS,
        '{"z": latents.slerp,',
        '{"z": latents.lerp,',
        f"{PATH_TESTS}::test_arcs_between_latents_of_length_one_have_the_angle_as_their_speed",
    ),
    Mutant(
        "step_is_squared_only_once",
        PATHS,
        "/ epsilon**2)",
        "/ epsilon)",
        f"{PATH_TESTS}::test_straight_paths_of_a_linear_generator",
    ),
    Mutant(
        "outliers_are_kept",
        PATHS,
        "values[(values >= least) & (values <= most)]",
        "values",
        f"{PATH_TESTS}::test_outliers_are_left_out",
    ),
    Mutant(
        "separability_looks_at_all_samples",
        "research/metrics/separability.py",
        'surest = np.argsort(-np.abs(prob - 0.5), kind="stable")[:num]',
        "surest = np.arange(len(prob))",
        "tests/metrics/test_separability.py::"
        "test_the_half_that_the_classifier_is_surest_of_is_looked_at",
    ),
    Mutant(
        "padding_counts_in_averages",
        INCEPTION,
        "count_include_pad=False",
        "count_include_pad=True",
        f"{INCEPTION_TESTS}::test_average_of_a_pool_does_not_count_the_padding",
    ),
    Mutant(
        "last_block_has_an_average_pool",
        INCEPTION,
        '_block_e("max", "Mixed_7c")',
        '_block_e("average", "Mixed_7c")',
        f"{INCEPTION_TESTS}::test_the_last_block_alone_has_a_max_pool",
    ),
    Mutant(
        "resize_matches_the_centres_of_pixels",
        "research/nn/legacy_bilinear.py",
        "place = jnp.arange(size, dtype=jnp.float32) * (x.shape[axis] / size)",
        "place = jnp.maximum((jnp.arange(size) + 0.5) * (x.shape[axis] / size) - 0.5, 0)",
        "tests/nn/test_legacy_bilinear.py::test_equals_the_loops_larger_and_smaller",
    ),
    Mutant(
        "another_network_stands_in",  # for one whose weights are not there
        NETWORKS,
        "        return released_network(network, config.data.dir)\n",
        "        pass\n",
        f"{NETWORK_TESTS}::test_a_network_without_its_weights_is_refused_and_never_replaced",
    ),
    Mutant(
        "reference_activation_is_not_compared",
        NETWORKS,
        "        _check_reference(network, made, arrays)\n",
        "",
        f"{NETWORK_TESTS}::test_other_weights_than_the_file_says",
    ),
    Mutant(
        "dropped_classes_are_still_shown",
        SCRIPT,
        "self.judge(self.choose(range(count)))",
        "self.judge(self.choose(range(10)))",
        f"{TESTS}::test_classes_that_are_left_are_counted_by_the_score_alone",
    ),
]
