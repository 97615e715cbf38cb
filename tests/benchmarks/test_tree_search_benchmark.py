"""Simulations a second of our tree search and of mctx, as a ratio, and moves of Go against pgx.

Run with `python -m pytest tests/benchmarks/test_tree_search_benchmark.py -s`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from research.models.alphago import PolicyValueNetwork
from research.rl.envs.go import Go
from research.rl.tree_search import Evaluation, TreeSearch
from tests.benchmarks.pairs import race

GAMES, SIMULATIONS = 128, 24
GO = Go(5, 14.5, max_plies=50, history=2)


def start():
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (GAMES, *x.shape)), GO.init())


def test_search_against_mctx():
    mctx = pytest.importorskip("mctx", exc_type=ImportError)
    network = PolicyValueNetwork(2, 16, 32, GO.num_actions)
    shape = (1, *GO.shape, GO.num_planes)
    variables = network.init(jax.random.key(0), jnp.zeros(shape), train=False)

    def evaluate(variables, states, key):
        planes = jax.vmap(GO.planes)(states.history, states.player)
        return Evaluation(*network.apply(variables, planes, train=False))

    def recurrent(variables, key, action, states):
        after = jax.vmap(GO.play)(states, action)
        found = evaluate(variables, after, key)
        reward = jnp.where(after.over, -after.outcome * after.player, 0).astype(jnp.float32)
        discount = jnp.where(after.over, 0.0, -1.0)
        logits = jnp.where(after.legal, found.logits, -1e9)
        return mctx.RecurrentFnOutput(
            reward=reward, discount=discount, prior_logits=logits, value=found.value
        ), after

    search = TreeSearch(GO, evaluate, simulations=SIMULATIONS)
    ours = jax.jit(lambda v, s: search(v, search.init(s), jax.random.key(0)).root_visits)

    def theirs_with(policy):
        def run(variables, states):
            found = evaluate(variables, states, None)
            root = mctx.RootFnOutput(prior_logits=found.logits, value=found.value, embedding=states)
            key, mask = jax.random.key(0), ~states.legal
            out = policy(variables, key, root, recurrent, SIMULATIONS, invalid_actions=mask)
            return out.action_weights

        return jax.jit(run)

    states = start()
    for name in ("muzero_policy", "gumbel_muzero_policy"):
        theirs = theirs_with(getattr(mctx, name))
        ratio, seconds = race(
            lambda: jax.block_until_ready(ours(variables, states)),
            lambda theirs=theirs: jax.block_until_ready(theirs(variables, states)),
            pairs=5,
        )
        rate = GAMES * SIMULATIONS / seconds
        print(f"\n{name} takes {ratio:.2f} times as long; ours {rate:,.0f} simulations/s")


@pytest.mark.parametrize("size", [5, 9])
def test_go_against_pgx(size):
    pgx_go = pytest.importorskip("pgx.go", exc_type=ImportError)
    ours, theirs = Go(size, 7.5, history=8), pgx_go.Go(size=size, komi=7.5)

    def playing(step, begin):
        def run(state):
            def one(state, key):
                mask = state.legal if hasattr(state, "legal") else state.legal_action_mask
                logits = jnp.where(mask, 0.0, -1e9)
                return jax.vmap(step)(state, jax.random.categorical(key, logits)), None

            return jax.lax.scan(one, state, jax.random.split(jax.random.key(1), 2 * size * size))[0]

        state, run = begin(), jax.jit(run)
        return lambda: jax.block_until_ready(run(state))

    keys = jax.random.split(jax.random.key(0), GAMES)
    begin = jax.tree.map(lambda x: jnp.broadcast_to(x, (GAMES, *x.shape)), ours.init())
    ratio, seconds = race(
        playing(ours.play, lambda: begin),
        playing(theirs.step, lambda: jax.vmap(theirs.init)(keys)),
        pairs=5,
    )
    rate = GAMES * 2 * size * size / seconds
    print(f"\npgx, {size}x{size}: {ratio:.2f} times as long; ours {rate:,.0f} moves/s")
