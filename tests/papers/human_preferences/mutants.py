"""Ways to break learning from preferences, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/human_preferences.py"
ENSEMBLE = "research/papers/human_preferences/reward_ensemble.py"
CLIPS = "research/papers/human_preferences/clips.py"
HERE = "tests/papers/human_preferences"
FIT = f"{HERE}/test_update.py::test_a_fit_is_the_papers"

MUTANTS = [
    Mutant(
        "ensemble_of_one",
        SCRIPT,
        "num_members=reward.members,",
        "num_members=1,",
        f"{HERE}/test_paper_table.py::test_the_experiment_has_three_predictors_that_err_in_a_tenth",
    ),
    Mutant(
        "answers_are_never_wrong",
        SCRIPT,
        "return jnp.logaddexp(meant, jnp.log(error_rate / 2))",
        "return jax.nn.log_sigmoid(gain) + 0 * meant",
        FIT,
    ),
    Mutant(
        "l2_is_off",
        ENSEMBLE,
        "return loss + l2 * squares, Aux(variables=updated)",
        "return loss + 0 * squares, Aux(variables=updated)",
        FIT,
    ),
    Mutant(
        "l2_is_not_adapted",
        ENSEMBLE,
        "l2 = state.l2 * self._l2_factor(train, validation)",
        "l2 = state.l2 + 0 * self._l2_factor(train, validation)",
        FIT,
    ),
    Mutant(
        "validation_is_on_what_was_learned",
        ENSEMBLE,
        "(comparisons.copies == 0)",
        "(comparisons.copies > 0)",
        FIT,
    ),
    Mutant(
        "members_have_one_sample",
        ENSEMBLE,
        "sample = jnp.where(comparisons.filled[:, None], comparisons.copies, 0).T",
        "sample = jnp.where(comparisons.filled[:, None], comparisons.copies[:, :1], 0).T\n"
        "        sample = jnp.tile(sample, (self.num_members, 1))",
        FIT,
    ),
    Mutant(
        "the_other_clip_is_preferred",
        CLIPS,
        "return (1 + jnp.sign(left - right)) / 2",
        "return (1 + jnp.sign(right - left)) / 2",
        f"{HERE}/test_clips.py::test_oracle_prefers_the_larger_sum",
    ),
    Mutant(
        "queries_are_the_surest",
        CLIPS,
        ".var(axis=0)",
        ".mean(axis=0)",
        f"{HERE}/test_clips.py::test_the_pairs_that_members_disagree_about_most_are_asked[True]",
    ),
    Mutant(
        "predictions_are_not_normalized",
        ENSEMBLE,
        "return self.std * scaled.mean(axis=0)",
        "return self.std * rewards.mean(axis=0)",
        f"{HERE}/test_update.py"
        "::test_predicted_rewards_take_the_place_of_the_true_ones_and_ends_are_hidden",
    ),
    Mutant(
        "the_policy_sees_the_true_reward",
        SCRIPT,
        "trajectory = trajectory._replace(reward=reward)",
        "trajectory = trajectory._replace(reward=trajectory.reward)",
        f"{HERE}/test_update.py"
        "::test_predicted_rewards_take_the_place_of_the_true_ones_and_ends_are_hidden",
    ),
    Mutant(
        "labels_are_not_annealed",
        CLIPS,
        "later = np.log1p(np.arange(1, num_steps - initial_steps + 1) * frames / annealing_frames)",
        "later = 1.0 * np.arange(1, num_steps - initial_steps + 1) * frames / annealing_frames",
        f"{HERE}/test_clips.py::test_label_schedule",
    ),
    Mutant(
        "paper_has_one_deviation_for_all",
        "configs/human_preferences.py",
        "std=0.05,",
        "std=1.0,",
        f"{HERE}/test_paper_table.py::test_settings[paper-table1]",
    ),
]
