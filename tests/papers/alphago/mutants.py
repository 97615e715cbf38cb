"""Ways to break AlphaGo, its rules and its search."""

from tests.mutants import Mutant

SCRIPT = "experiments/alphago.py"
SEARCH = "research/rl/tree_search.py"
MEMORY = "research/rl/self_play.py"
GO = "research/rl/envs/go.py"
SEARCH_TESTS = "tests/rl/test_tree_search.py"
PAPER_TESTS = "tests/papers/alphago/test_alphago.py"

MUTANTS = [
    Mutant(
        "value_is_not_turned_on_the_way_back",
        SEARCH,
        "signed = jnp.where(plies % 2 == 1, -value[:, None], value[:, None])",
        "signed = jnp.where(plies % 2 == 1, value[:, None], -value[:, None])",
        f"{SEARCH_TESTS}::test_a_move_that_wins_gets_the_visits",
    ),
    Mutant(
        "first_visit_ignores_the_prior",
        SEARCH,
        "parent = 1 + visits.sum(axis=-1, keepdims=True)",
        "parent = visits.sum(axis=-1, keepdims=True)",
        f"{SEARCH_TESTS}::test_visits_are_those_of_a_recursive_search",
    ),
    Mutant(
        "noise_on_illegal_moves",
        SEARCH,
        "return tree.prior.at[:, 0].set(jnp.where(legal, mixed, 0.0))",
        "return tree.prior.at[:, 0].set(mixed + 0.01)",
        f"{SEARCH_TESTS}::test_noise_is_on_legal_moves_of_the_root_alone",
    ),
    Mutant(
        "a_kept_tree_forgets_its_visits",
        SEARCH,
        "moved = jax.tree.map(move, tree.replace(count=kept)).replace(child=child, count=count)",
        "moved = jax.tree.map(move, tree.replace(count=kept)).replace(child=child, count=count)\n"
        "        moved = moved.replace(visits=0 * moved.visits)",
        f"{SEARCH_TESTS}::test_what_lies_below_the_move_played_is_kept",
    ),
    Mutant(
        "outcome_of_black_for_both",
        MEMORY,
        "outcome=(outcome[row] * player).astype(jnp.float32)",
        "outcome=outcome[row].astype(jnp.float32)",
        "tests/rl/test_self_play.py::test_drawn_positions_are_those_of_finished_games",
    ),
    Mutant(
        "unfinished_games_are_drawn",
        MEMORY,
        "key, (games, rows_per_game), minimum_age, jnp.maximum(oldest, minimum_age) + 1",
        "key, (games, rows_per_game), 0, jnp.maximum(oldest, minimum_age) + 1",
        "tests/rl/test_self_play.py::test_drawn_positions_are_those_of_finished_games",
    ),
    Mutant(
        "history_of_another_game",
        MEMORY,
        "history = jnp.where((back <= at_ply[:, None])[..., None], history, 0)",
        "history = history + 0",
        "tests/rl/test_self_play.py::test_drawn_positions_are_those_of_finished_games",
    ),
    Mutant(
        "no_superko",
        GO,
        "return jnp.append(possible & ~seen.any(axis=1), True)",
        "return jnp.append(possible, True)",
        "tests/rl/envs/test_go.py::test_ko_may_not_be_taken_back_at_once",
    ),
    Mutant(
        "suicide_is_allowed",
        GO,
        "possible = (board == 0) & (free | connects | captures.any(axis=1))",
        "possible = board == 0",
        "tests/rl/envs/test_go.py::test_suicide_is_forbidden_and_capture_is_not_suicide",
    ),
    Mutant(
        "weight_decay_by_half",
        SCRIPT,
        "loss += self.config.optimizer.l2 * squares",
        "loss += 0.5 * self.config.optimizer.l2 * squares",
        f"{PAPER_TESTS}::test_the_loss_is_equation_1",
    ),
    Mutant(
        "moves_after_the_end_are_reinforced",
        SCRIPT,
        "gain = jnp.where(moves.alive, log_p * (moves.outcome - baseline), 0.0)",
        "gain = log_p * (moves.outcome - baseline)",
        f"{PAPER_TESTS}::test_an_update_of_reinforce_raises_what_won",
    ),
    Mutant(
        "value_positions_before_the_random_move",
        "research/papers/alphago/pipeline.py",
        "rows = jnp.minimum(u, go.max_plies - 1), jnp.arange(count)",
        "rows = jnp.minimum(u + 99, go.max_plies - 1), jnp.arange(count)",
        f"{PAPER_TESTS}::test_one_position_a_game_is_the_one_after_the_random_move",
    ),
]
