"""Monte Carlo tree search with a network's priors (PUCT), many games side by side.

The search of AlphaGo (2016), AlphaGo Zero (2017) and AlphaZero (2017) as pure functions of arrays:
every game of a batch has a tree of a fixed number of nodes, and all games make their simulations
together, one at a time each. A simulation goes down from the root by

    a = argmax_a Q(s, a) + c(s) P(s, a) sqrt(N(s)) / (1 + N(s, a))
    c(s) = c_init + log((1 + N(s) + c_base) / c_base)        c_init alone where c_base is 0

to a move that has no node yet, plays it, has the new position evaluated, and adds the value along
the way back, its sign changing from ply to ply. N(s) = 1 + sum_b N(s, b) counts the parent's own
evaluation, so that the first move below a node follows its prior. Q of an unvisited move is 0. A
finished game is worth its outcome and has no moves. The papers' threads, with their virtual loss,
are several leaves a step (`leaves`), which are then evaluated together.

    evaluate(variables, states, key) -> Evaluation
    search = TreeSearch(game, evaluate, simulations=24)
    tree = search(variables, search.init(states), key)
    tree.root_visits, tree.root_value
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from research.core.errors import UserError
from research.rl.envs.board_games import BoardGame, BoardState

ILLEGAL = -1e9  # logits of what must not be done


class Evaluation(NamedTuple):
    """What is thought of positions.

    Attributes:
      logits: `[B, A]`, of the moves; those of illegal ones are of no account.
      value: `[B]`, of the outcome for the player to move, -1 to 1.
    """

    logits: jax.Array
    value: jax.Array


Evaluate = Callable[[Any, Any, jax.Array], Evaluation]


class Tree(flax.struct.PyTreeNode):
    """The trees of B games, with room for M nodes each; node 0 is the root.

    Attributes:
      states: positions of the nodes, `[B, M, ...]`.
      prior: `[B, M, A]`, P(s, a), 0 on illegal moves.
      visits: `[B, M, A]`, N(s, a).
      total: `[B, M, A]`, W(s, a), from the side of the player to move at the node.
      value: `[B, M]`, the node's own evaluation, for the player to move there.
      child: int32 `[B, M, A]`, the node that a move leads to, -1 where there is none.
      count: int32 `[B]`, nodes in use.
    """

    states: Any
    prior: jax.Array
    visits: jax.Array
    total: jax.Array
    value: jax.Array
    child: jax.Array
    count: jax.Array

    @property
    def root_states(self) -> BoardState:
        return jax.tree.map(lambda x: x[:, 0], self.states)

    @property
    def root_visits(self) -> jax.Array:
        """N `[B, A]` of the moves at the root."""
        return self.visits[:, 0]

    @property
    def root_q(self) -> jax.Array:
        """Q `[B, A]` of the moves at the root, 0 where unvisited."""
        return self.total[:, 0] / jnp.maximum(self.visits[:, 0], 1)

    @property
    def root_value(self) -> jax.Array:
        """Value `[B]` of the root, the mean of its own evaluation and of all simulations."""
        visits = self.visits[:, 0].sum(axis=1)
        return (self.value[:, 0] + self.total[:, 0].sum(axis=1)) / (1 + visits)


class Noise(NamedTuple):
    """Noise on the root's prior: (1 - share) P + share Dir(alpha), over legal moves alone.

    Attributes:
      alpha: of the Dirichlet distribution; small ones favour few moves.
      share: epsilon of the papers; 0 for none.
    """

    alpha: float
    share: float


class TreeSearch:
    """The search of a batch of games.

    Args:
      game: whose moves are searched.
      evaluate: `(variables, states [B], key) -> Evaluation`, of leaves and of roots.
      simulations: in one search, beside the evaluation of the root.
      c_init: weight of the prior.
      c_base: by how many visits that weight begins to grow; 0 for never.
      leaves: leaves that are found one after the other and evaluated together; simulations are a
        multiple of them.
      virtual_loss: games that a move counts as lost while one of its leaves is being evaluated.
      threshold: visits after which a move gets a node; before, each visit evaluates the position
        that it leads to anew, as with rollouts (n_thr in AlphaGo).
      capacity: nodes of a tree; 0 for as many as one search makes. More of them keep what is below
        the move that is played (`advance`).
    """

    def __init__(
        self,
        game: BoardGame,
        evaluate: Evaluate,
        *,
        simulations: int,
        c_init: float = 1.25,
        c_base: float = 19652.0,
        leaves: int = 1,
        virtual_loss: float = 1.0,
        threshold: int = 0,
        capacity: int = 0,
    ):
        if simulations < 1 or simulations % leaves:
            raise UserError(
                f"search: {leaves} leaves a step do not divide {simulations} simulations"
            )
        if capacity and capacity <= simulations:
            raise UserError(f"a tree of {capacity} nodes has no room for {simulations} simulations")
        self.game, self.evaluate = game, evaluate
        self.simulations, self.leaves, self.virtual_loss = simulations, leaves, virtual_loss
        self.c_init, self.c_base, self.threshold = c_init, c_base, threshold
        self.capacity = capacity or simulations + 1

    def init(self, states: Any) -> Tree:
        """Trees with nothing but their roots, at positions `[B, ...]`."""
        batch, nodes, actions = len(states.over), self.capacity, self.game.num_actions

        def room(x: jax.Array) -> jax.Array:
            return jnp.zeros((batch, nodes, *x.shape[1:]), x.dtype).at[:, 0].set(x)

        edges = jnp.zeros((batch, nodes, actions))
        return Tree(
            states=jax.tree.map(room, states),
            prior=edges,
            visits=edges,
            total=edges,
            value=jnp.zeros((batch, nodes)),
            child=jnp.full((batch, nodes, actions), -1, jnp.int32),
            count=jnp.ones(batch, jnp.int32),
        )

    def __call__(
        self, variables: Any, tree: Tree, key: jax.Array, noise: Noise | None = None
    ) -> Tree:
        """The trees after so many simulations more, from their roots.

        Args:
          variables: what `evaluate` is given.
          tree: of `init` or of `advance`.
          key: of the noise and of the evaluations.
          noise: on the roots' priors, for this search; None for none.
        """
        root_key, noise_key, key = jax.random.split(key, 3)
        tree = self._evaluate_roots(variables, tree, root_key)
        if noise is not None and noise.share > 0:
            tree = tree.replace(prior=with_noise(tree, noise, noise_key))

        def simulate(i: jax.Array, tree: Tree) -> Tree:
            return self._simulate(variables, tree, jax.random.fold_in(key, i))

        return jax.lax.fori_loop(0, self.simulations // self.leaves, simulate, tree)

    def _evaluate_roots(self, variables: Any, tree: Tree, key: jax.Array) -> Tree:
        states = tree.root_states
        evaluation = self.evaluate(variables, states, key)
        return tree.replace(
            prior=tree.prior.at[:, 0].set(legal_policy(evaluation.logits, states.legal)),
            value=tree.value.at[:, 0].set(value_of(states, evaluation.value)),
        )

    def _simulate(self, variables: Any, tree: Tree, key: jax.Array) -> Tree:
        """One leaf of every game, or several: down, evaluation, and back up."""
        held, paths = tree, []
        for _ in range(self.leaves):
            path = self._descend(held)
            paths.append(path)
            if self.leaves > 1:  # the next leaf keeps away from this one
                held = held.replace(
                    visits=_along(held.visits, path, self.virtual_loss),
                    total=_along(held.total, path, -self.virtual_loss),
                )
        rows = jnp.arange(len(tree.count))
        parents = [jax.tree.map(lambda x, p=p: x[rows, p.node], tree.states) for p in paths]
        together = jax.tree.map(lambda *xs: jnp.concatenate(xs), *parents)
        action = jnp.concatenate([path.action for path in paths])
        states = jax.vmap(self.game.play)(together, action)
        evaluation = self.evaluate(variables, states, key)
        policy = legal_policy(evaluation.logits, states.legal)
        value = value_of(states, evaluation.value)
        for i, path in enumerate(paths):
            part = slice(i * len(rows), (i + 1) * len(rows))
            leaf = jax.tree.map(lambda x, part=part: x[part], states)
            tree = self._expand(tree, path, leaf, policy[part], value[part])
            tree = self._back_up(tree, path, value[part])
        return tree

    def _scores(self, prior: jax.Array, visits: jax.Array, total: jax.Array) -> jax.Array:
        """Q + U `[B, A]` of the moves of a node."""
        parent = 1 + visits.sum(axis=-1, keepdims=True)
        c = jnp.float32(self.c_init)
        if self.c_base:
            c += jnp.log((1 + parent + self.c_base) / self.c_base)
        u = c * prior * jnp.sqrt(parent) / (1 + visits)
        return total / jnp.maximum(visits, 1) + u

    def _descend(self, tree: Tree) -> Path:
        """From the roots to a move without a node, or to a game that is over."""
        rows = jnp.arange(len(tree.count))
        legal = tree.states.legal

        def select(node: jax.Array) -> jax.Array:
            at = rows, node
            scores = self._scores(tree.prior[at], tree.visits[at], tree.total[at])
            return jnp.where(legal[at], scores, ILLEGAL).argmax(axis=1).astype(jnp.int32)

        def goes_on(carry: tuple[Path, jax.Array]) -> jax.Array:
            return carry[1].any()

        def down(carry: tuple[Path, jax.Array]) -> tuple[Path, jax.Array]:
            path, inside = carry
            child = tree.child[rows, path.node, path.action]
            node = jnp.where(inside, child, path.node)
            action = jnp.where(inside, select(node), path.action)
            depth = path.depth + inside
            at = rows, jnp.where(inside, depth, 0)  # who has arrived writes the root once more
            nodes = path.nodes.at[at].set(jnp.where(inside, node, path.nodes[:, 0]))
            actions = path.actions.at[at].set(jnp.where(inside, action, path.actions[:, 0]))
            path = Path(nodes, actions, depth, node, action)
            return path, self._goes_below(tree, path)

        root = jnp.zeros_like(tree.count)
        first = select(root)
        room = jnp.zeros((len(rows), self._longest), jnp.int32)
        path = Path(room, room.at[:, 0].set(first), root, root, first)
        path, _ = jax.lax.while_loop(goes_on, down, (path, self._goes_below(tree, path)))
        return path

    @property
    def _longest(self) -> int:
        """Moves that a way down can have."""
        return min(self.capacity, self.game.max_plies)

    def _goes_below(self, tree: Tree, path: Path) -> jax.Array:
        """Whether the last move of a path leads to a node whose game goes on, `[B]`."""
        rows = jnp.arange(len(tree.count))
        child = tree.child[rows, path.node, path.action]
        return (child >= 0) & ~tree.states.over[rows, child]

    def _expand(
        self, tree: Tree, path: Path, states: Any, policy: jax.Array, value: jax.Array
    ) -> Tree:
        """Gives the last move of each path a node, where it has been visited often enough."""
        rows = jnp.arange(len(tree.count))
        edge = rows, path.node, path.action
        new = (tree.child[edge] < 0) & (tree.visits[edge] >= self.threshold)
        # An unused slot takes what is not to be kept; a full tree has none, and stays as it is.
        at = rows, jnp.where(new, tree.count, self.capacity)
        put = lambda all_, one: all_.at[at].set(one, mode="drop")  # noqa: E731
        return tree.replace(
            states=jax.tree.map(put, tree.states, states),
            prior=put(tree.prior, policy),
            value=put(tree.value, value),
            child=tree.child.at[edge].set(jnp.where(new, tree.count, tree.child[edge])),
            count=tree.count + new,
        )

    def _back_up(self, tree: Tree, path: Path, value: jax.Array) -> Tree:
        """Adds a leaf's value to every move on the way to it, for the player who made the move."""
        plies = path.depth[:, None] + 1 - jnp.arange(path.nodes.shape[1])
        signed = jnp.where(plies % 2 == 1, -value[:, None], value[:, None])
        return tree.replace(
            visits=_along(tree.visits, path, 1.0),
            total=_along(tree.total, path, signed),
        )

    def advance(self, tree: Tree, action: jax.Array) -> Tree:
        """The trees after a move: what lies below it is kept, with its visits, and moves up.

        Nodes that another move leads to are dropped. Where the move has no node, or too little room
        would be left for a search, a tree begins anew.

        Args:
          tree: of B games.
          action: `[B]`, what is played at the roots.
        """
        states = jax.vmap(self.game.play)(tree.root_states, action)
        return jax.vmap(self._advance)(tree, action, self.init(states))

    def restart(self, tree: Tree, ended: jax.Array, states: Any) -> Tree:
        """The trees, with a new one at its position of `states` `[B]` where a game has `ended`."""

        def pick(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(ended.reshape(-1, *[1] * (old.ndim - 1)), new, old)

        return jax.tree.map(pick, self.init(states), tree)

    def _advance(self, tree: Tree, action: jax.Array, fresh: Tree) -> Tree:
        nodes = self.capacity
        start = tree.child[0, action]
        parent = (
            jnp.full(nodes, nodes)
            .at[tree.child.reshape(-1)]
            .set(
                jnp.repeat(jnp.arange(nodes), tree.child.shape[1]),
                mode="drop",
                wrap_negative_indices=False,
            )
        )

        def grow(i: jax.Array, kept: jax.Array) -> jax.Array:
            # A child has a larger number than its parent, whose fate is therefore known.
            return kept.at[i].set(kept[i] | jnp.append(kept, False)[parent[i]])

        kept = jnp.arange(nodes) == start
        kept = jax.lax.fori_loop(0, nodes, grow, kept) & (start >= 0)
        number = jnp.where(kept, jnp.cumsum(kept) - 1, -1)  # in their order: the root comes first
        source = jnp.nonzero(kept, size=nodes, fill_value=nodes)[0]

        def move(x: jax.Array, blank: int = 0) -> jax.Array:
            return x.at[source].get(mode="fill", fill_value=blank)

        child = move(jnp.where(tree.child >= 0, number[tree.child], -1), -1)
        count = kept.sum(dtype=jnp.int32)
        moved = jax.tree.map(move, tree.replace(count=kept)).replace(child=child, count=count)
        usable = (count > 0) & (count + self.simulations <= nodes)
        return jax.tree.map(lambda x, y: jnp.where(usable, x, y), moved, fresh)


class Path(NamedTuple):
    """Ways from the roots down to leaves.

    Attributes:
      nodes, actions: `[B, D]`, node by node and the move taken there; zeros behind their ends.
      depth: `[B]`, the place of the last move.
      node, action: `[B]`, that move.
    """

    nodes: jax.Array
    actions: jax.Array
    depth: jax.Array
    node: jax.Array
    action: jax.Array


def _along(edges: jax.Array, path: Path, amount: jax.Array | float) -> jax.Array:
    """Adds an amount, or `[B, D]` amounts, to the moves on the paths, in one scatter."""
    rows = jnp.arange(len(path.depth))[:, None]
    on_path = jnp.arange(path.nodes.shape[1]) <= path.depth[:, None]
    return edges.at[rows, path.nodes, path.actions].add(jnp.where(on_path, amount, 0.0))


def legal_policy(logits: jax.Array, legal: jax.Array) -> jax.Array:
    """Probabilities `[B, A]` of legal moves, 0 on the others."""
    return jnp.where(legal, jax.nn.softmax(jnp.where(legal, logits, ILLEGAL)), 0.0)


def value_of(states: BoardState, value: jax.Array) -> jax.Array:
    """`value`, or where a game is over its outcome for the player whose turn it would be."""
    outcome = states.outcome * states.player
    return jnp.where(states.over, outcome.astype(value.dtype), value)


def with_noise(tree: Tree, noise: Noise, key: jax.Array) -> jax.Array:
    """The trees' priors with Dirichlet noise on the legal moves of the roots."""
    legal = tree.states.legal[:, 0]
    # Normalized gammas of the legal moves are a Dirichlet over those; in logarithms, for a small
    # alpha makes most of them too small for a float.
    log_gamma = jax.random.loggamma(key, noise.alpha, legal.shape)
    drawn = jax.nn.softmax(jnp.where(legal, log_gamma, ILLEGAL))
    mixed = (1 - noise.share) * tree.prior[:, 0] + noise.share * drawn
    return tree.prior.at[:, 0].set(jnp.where(legal, mixed, 0.0))


def visit_policy(visits: jax.Array, temperature: jax.Array | float) -> jax.Array:
    """pi `[B, A]`, proportional to N^(1 / temperature); 0 is the limit, the most visited move.

    Args:
      visits: `[B, A]`.
      temperature: tau, one number or `[B]`.
    """
    tau = jnp.broadcast_to(temperature, visits.shape[:1])[:, None]
    # Shares of the largest count, so that a power of them is finite.
    share = visits / jnp.maximum(visits.max(axis=1, keepdims=True), 1)
    powers = jnp.where(share > 0, share ** (1 / jnp.maximum(tau, 1e-3)), 0.0)
    best = jax.nn.one_hot(visits.argmax(axis=1), visits.shape[1])
    return jnp.where(tau > 0, powers / powers.sum(axis=1, keepdims=True), best)
