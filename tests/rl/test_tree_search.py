"""The batched search against a recursive one in NumPy, visit for visit, and against mctx."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.rl.envs.board_games import connect_four, tic_tac_toe
from research.rl.envs.go import Go
from research.rl.tree_search import (
    Evaluation,
    Noise,
    TreeSearch,
    legal_policy,
    visit_policy,
)

GO = Go(3, 0.5, max_plies=12, history=1)
GAMES = {"go": GO, "tic-tac-toe": tic_tac_toe()}


def weights(game, seed=0):
    return jax.random.normal(jax.random.key(seed), (game.points, game.num_actions + 1)) / 2


def evaluate(w, states, key):
    """A linear network from the mover's side."""
    out = (states.board * states.player[:, None]).astype(jnp.float32) @ w
    # Half a board is not symmetric: values differ, and so do the priors of an empty one.
    return Evaluation(out[:, :-1] + jnp.arange(out.shape[1] - 1) / 50, jnp.tanh(out[:, -1]))


def positions(game, count, plies, seed=0):
    """Different games after so many random moves."""
    rng = np.random.default_rng(seed)
    states = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), game.init())
    play = jax.jit(jax.vmap(game.play))
    for _ in range(plies):
        drawn = np.asarray(states.legal) * rng.random((count, game.num_actions))
        states = play(states, jnp.array(drawn.argmax(axis=1)))
    return states


class Node:
    """One node of the recursive search."""

    def __init__(self, search, state):
        self.search, self.state = search, state
        policy, self.value = search.look(state)
        self.prior = policy
        self.visits = np.zeros(len(policy), np.float32)
        self.total = np.zeros(len(policy), np.float32)
        self.child = {}

    def simulate(self):
        """One simulation below this node; returns its value for the player to move here."""
        if self.state.over:
            return self.value
        parent = np.float32(1 + self.visits.sum())
        c = 1.25 + np.log((1 + parent + 19652) / 19652)
        u = np.float32(c) * self.prior * np.sqrt(parent) / (1 + self.visits)
        scores = self.total / np.maximum(self.visits, 1) + u
        action = int(np.where(self.state.legal, scores, -1e9).argmax())
        if action in self.child:
            value = -self.child[action].simulate()
        else:
            new = Node(self.search, self.search.play(self.state, action))
            value = -new.value
            if self.visits[action] >= self.search.threshold:
                self.child[action] = new
        self.visits[action] += 1
        self.total[action] += value
        return value


class Recursive:
    def __init__(self, game, w, threshold=0):
        self.game, self.w, self.threshold = game, w, threshold
        self._play, self._look = compiled(game)

    def play(self, state, action):
        return jax.device_get(self._play(state, jnp.int32(action)))

    def look(self, state):
        policy, value = jax.device_get(self._look(self.w, state))
        return policy[0], float(state.outcome * state.player) if state.over else value[0]


@functools.cache
def compiled(game):
    def look(w, state):
        states = jax.tree.map(lambda x: x[None], state)
        evaluation = evaluate(w, states, None)
        return legal_policy(evaluation.logits, states.legal), evaluation.value

    return jax.jit(game.play), jax.jit(look)


@functools.cache
def compiled_search(name, noise=None, **settings):
    search = TreeSearch(GAMES[name], evaluate, **settings)
    run = jax.jit(lambda w, states, key: search(w, search.init(states), key, noise))
    return search, run


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("threshold", [0, 2])
def test_visits_are_those_of_a_recursive_search(name, threshold):
    game, w = GAMES[name], weights(GAMES[name])
    _, run = compiled_search(name, simulations=40, threshold=threshold)
    states = positions(game, 6, 8 if name == "go" else 4)
    tree = jax.device_get(run(w, states, jax.random.key(0)))
    recursive = Recursive(game, w, threshold)
    ended = 0
    for i in range(6):
        root = Node(recursive, jax.device_get(jax.tree.map(lambda x, i=i: x[i], states)))
        for _ in range(40):
            root.simulate()
        np.testing.assert_array_equal(tree.visits[i, 0], root.visits)
        np.testing.assert_allclose(tree.total[i, 0], root.total, atol=1e-4)
        for action, node in root.child.items():
            where = tree.child[i, 0, action]
            np.testing.assert_array_equal(tree.visits[i, where], node.visits)
        ended += tree.states.over[i, : tree.count[i]].sum()
        expected = (root.value + root.total.sum()) / 41
        np.testing.assert_allclose(tree.root_value[i], expected, atol=1e-4)
    assert ended > 3  # leaves at which a game is over were among them


def test_visits_are_those_of_mctx():
    mctx = pytest.importorskip("mctx", exc_type=ImportError)
    game, w = GO, weights(GO)
    states = positions(game, 8, 3)
    _, run = compiled_search("go", simulations=32)
    ours = run(w, states, jax.random.key(0)).root_visits

    def recurrent(w, key, action, embedding):
        after = jax.vmap(game.play)(embedding, action)
        evaluation = evaluate(w, after, key)
        logits = jnp.where(after.legal, evaluation.logits, -1e9)
        # A game that is over pays its outcome, and nothing comes after it.
        reward = jnp.where(after.over, -after.outcome * after.player, 0).astype(jnp.float32)
        discount = jnp.where(after.over, 0.0, -1.0)
        return mctx.RecurrentFnOutput(
            reward=reward, discount=discount, prior_logits=logits, value=evaluation.value
        ), after

    def plain_q(tree, node):
        legal = tree.embeddings.legal[node]
        return jnp.where(legal, tree.qvalues(node), -1e9)

    evaluation = evaluate(w, states, None)
    logits = jnp.where(states.legal, evaluation.logits, -1e9)
    root = mctx.RootFnOutput(prior_logits=logits, value=evaluation.value, embedding=states)
    theirs = jax.jit(
        lambda: mctx.muzero_policy(
            w,
            jax.random.key(0),
            root,
            recurrent,
            32,
            invalid_actions=~states.legal,
            qtransform=plain_q,
            dirichlet_fraction=0.0,
        )
    )()
    visits = theirs.search_tree.summary().visit_counts
    np.testing.assert_array_equal(ours, visits)


@pytest.mark.parametrize(("leaves", "virtual_loss"), [(1, 1.0), (4, 3.0)])
def test_visits_sum_to_the_simulations_and_values_are_bounded(leaves, virtual_loss):
    game = GO
    _, run = compiled_search("go", simulations=24, leaves=leaves, virtual_loss=virtual_loss)
    tree = jax.device_get(run(weights(game), positions(game, 8, 2), jax.random.key(0)))
    np.testing.assert_array_equal(tree.root_visits.sum(axis=1), 24)
    assert (tree.visits >= 0).all()
    assert (np.abs(tree.total) <= tree.visits + 1e-4).all()
    # A node has been visited once to be made, and once for each visit of its moves.
    for game_index in range(8):
        for node in range(tree.count[game_index]):
            for action in np.flatnonzero(tree.child[game_index, node] >= 0):
                below = tree.visits[game_index, tree.child[game_index, node, action]].sum()
                assert tree.visits[game_index, node, action] >= 1 + below
    illegal = ~tree.states.legal
    assert not tree.visits[illegal].any()


def winning_position():
    """Black to move; the middle of the upper row wins at once."""
    game = GAMES["tic-tac-toe"]
    state = game.init()
    for action in (0, 3, 2, 7):
        state = game.play(state, action)
    return game, jax.tree.map(lambda x: x[None], state)


def test_a_move_that_wins_gets_the_visits():
    game, states = winning_position()
    _, run = compiled_search("tic-tac-toe", simulations=64)
    tree = run(jnp.zeros((9, 10)), states, jax.random.key(0))
    share = tree.root_visits[0] / 64
    assert share[1] > 0.9 and tree.root_value[0] > 0.8


@pytest.mark.slow
def test_search_without_a_network_never_loses_at_tic_tac_toe():
    """Against every reply: the value of unfinished games is unknown, 0, and priors are equal."""
    game, room = GAMES["tic-tac-toe"], 64
    search = TreeSearch(game, knows_nothing, simulations=1600)
    best = jax.jit(lambda s: search(None, search.init(s), jax.random.key(0)).root_visits.argmax(1))
    play = jax.jit(jax.vmap(game.play))

    def in_parts(states, function):
        """A function of at most `room` states at a time, always of as many."""
        count, parts = len(states.over), []
        for start in range(0, count, room):
            where = np.minimum(np.arange(start, start + room), count - 1)
            part = function(jax.tree.map(lambda x, w=where: np.asarray(x)[w], states), where)
            parts.append(jax.tree.map(lambda x, n=count - start: np.asarray(x)[:n], part))
        return jax.tree.map(lambda *xs: np.concatenate(xs), *parts)

    for ours in (1, -1):
        states, met = jax.tree.map(lambda x: x[None], game.init()), 0
        for ply in range(9):
            if (1 if ply % 2 == 0 else -1) == ours:
                states = in_parts(states, lambda s, _: play(s, best(s)))
            else:  # every reply in every game
                games, replies = np.nonzero(np.asarray(states.legal))
                states = jax.tree.map(lambda x, g=games: np.asarray(x)[g], states)
                states = in_parts(states, lambda s, w, r=replies: play(s, jnp.array(r[w])))
            assert not (states.over & (states.outcome == -ours)).any()
            alive = np.flatnonzero(~states.over)
            if not len(alive):
                break
            _, first = np.unique(states.board[alive], axis=0, return_index=True)
            states = jax.tree.map(lambda x, k=alive[first]: x[k], states)
            met += len(first)
        assert met > 20


def knows_nothing(variables, states, key):
    return Evaluation(jnp.zeros(states.legal.shape), jnp.zeros(len(states.over)))


def test_search_without_a_network_wins_and_blocks_at_connect_four():
    """Wherever a move wins, one such is played; else one after which no reply wins, if there is."""
    game, count = connect_four(), 32
    search = TreeSearch(game, knows_nothing, simulations=400)
    states = positions(game, count, 14)
    best = jax.jit(lambda s: search(None, search.init(s), jax.random.key(0)).root_visits.argmax(1))
    chosen = np.asarray(best(states))

    every = jnp.arange(game.num_actions)
    replies = jax.jit(jax.vmap(jax.vmap(game.play, (None, 0)), (0, None)))
    first = replies(states, every)  # [N, 7]
    legal, going = np.asarray(states.legal), ~np.asarray(states.over)
    player = np.asarray(states.player)
    wins = legal & (np.asarray(first.outcome) == player[:, None])
    second = replies(jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), first), every)
    beaten = np.asarray(second.outcome).reshape(count, 7, 7) == -player[:, None, None]
    beaten &= np.asarray(first.legal)
    safe = legal & ~beaten.any(axis=2)

    won = blocked = 0
    for i in np.flatnonzero(going):
        if wins[i].any():
            assert wins[i, chosen[i]]
            won += 1
        elif safe[i].any():
            assert safe[i, chosen[i]]
            blocked += not safe[i][legal[i]].all()
    assert won > 2 and blocked > 2


def test_noise_is_on_legal_moves_of_the_root_alone():
    noise = Noise(alpha=0.3, share=0.25)
    _, plain = compiled_search("go", simulations=24)
    _, noisy = compiled_search("go", noise, simulations=24)
    w, states = weights(GO), positions(GO, 8, 3)
    a, b = (jax.device_get(run(w, states, jax.random.key(1))) for run in (plain, noisy))
    legal = np.asarray(states.legal)
    np.testing.assert_allclose(b.prior[:, 0].sum(axis=1), 1, atol=1e-5)
    assert not b.prior[:, 0][~legal].any()
    assert np.abs(a.prior[:, 0] - b.prior[:, 0]).max() > 0.05
    # Below, wherever both trees hold the same board, they hold the same prior.
    found = 0
    for i in range(8):
        by_board = {a.states.hashes[i, n].tobytes(): a.prior[i, n] for n in range(1, a.count[i])}
        for n in range(1, b.count[i]):
            prior = by_board.get(b.states.hashes[i, n].tobytes())
            if prior is not None:
                found += 1
                np.testing.assert_allclose(prior, b.prior[i, n], atol=1e-6)
    assert found > 20
    drawn = (b.prior[:, 0] - 0.75 * a.prior[:, 0]) / 0.25
    np.testing.assert_allclose(drawn.sum(axis=1), 1, atol=1e-4)


def test_what_lies_below_the_move_played_is_kept():
    search, run = compiled_search("go", simulations=24, capacity=80)
    w, states = weights(GO), positions(GO, 6, 2)
    tree = run(w, states, jax.random.key(0))
    action = tree.root_visits.argmax(axis=1)
    after = jax.device_get(jax.jit(search.advance)(tree, action))
    tree = jax.device_get(tree)
    for i in range(6):
        child = tree.child[i, 0, action[i]]
        np.testing.assert_array_equal(after.visits[i, 0], tree.visits[i, child])
        np.testing.assert_array_equal(after.total[i, 0], tree.total[i, child])
        np.testing.assert_array_equal(after.states.board[i, 0], tree.states.board[i, child])
        assert after.count[i] == 1 + tree.visits[i, child].sum()
        # The whole subtree hangs together, boards and all.
        todo = [(0, child)]
        while todo:
            new, old = todo.pop()
            np.testing.assert_array_equal(after.states.board[i, new], tree.states.board[i, old])
            np.testing.assert_array_equal(after.visits[i, new], tree.visits[i, old])
            for a in np.flatnonzero(tree.child[i, old] >= 0):
                todo.append((after.child[i, new, a], tree.child[i, old, a]))
    again = search(w, jax.tree.map(jnp.asarray, after), jax.random.key(1))
    expected = after.visits[:, 0].sum(axis=1) + 24
    np.testing.assert_array_equal(again.root_visits.sum(axis=1), expected)
    # A move without a node begins a tree anew.
    unvisited = (tree.root_visits + 1000.0 * ~tree.states.legal[:, 0]).argmin(axis=1)
    fresh = search.advance(jax.tree.map(jnp.asarray, tree), unvisited)
    assert (fresh.count == 1).all() and not fresh.root_visits.any()


def test_temperatures():
    visits = jnp.array([[1.0, 3.0, 0.0, 6.0]])
    np.testing.assert_allclose(visit_policy(visits, 1.0)[0], [0.1, 0.3, 0, 0.6], atol=1e-6)
    np.testing.assert_allclose(
        visit_policy(visits, 0.5)[0], [1 / 46, 9 / 46, 0, 36 / 46], atol=1e-6
    )
    np.testing.assert_array_equal(visit_policy(visits, 0.0)[0], [0, 0, 0, 1])


def test_impossible_searches_are_refused():
    with pytest.raises(UserError, match="do not divide"):
        TreeSearch(GO, evaluate, simulations=10, leaves=4)
    with pytest.raises(UserError, match="no room"):
        TreeSearch(GO, evaluate, simulations=10, capacity=10)
