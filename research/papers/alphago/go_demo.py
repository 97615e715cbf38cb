"""A game of Go against a finished run, and games of two networks, in text and as SGF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from research.core import UserError
from research.papers.alphago.board_picture import draw_board
from research.papers.alphago.players import BoardPlayers, Contestant
from research.report.demo import Choice, Demo, Image, Number, Text
from research.rl.envs import sgf
from research.rl.envs.go import Go


def make_demo(players: BoardPlayers, variables: Any) -> Demo:
    """A game against the search with some variables, move by move."""
    go, usual = players.game, players.search.simulations
    if not isinstance(go, Go):
        raise UserError(f"the demo plays Go, not {go.name}")
    variables = jax.device_get(variables)
    counts = sorted({usual, 8 * usual})

    def run(moves: str = "", komi: float = go.komi, simulations: str = str(usual)) -> dict:
        rules = Go(go.size, komi, max_plies=go.max_plies, history=go.history)
        position, actions = read_position(rules, moves)
        if position.over:
            result = result_of(rules, position.board)
            return board_outputs(rules, position, actions, f"the game is over: {result}")
        searcher = players.with_game(rules, int(simulations))
        states = jax.tree.map(lambda x: x[None], position)
        search = jax.jit(lambda v, s, key: searcher.search(v, searcher.search.init(s), key))
        tree = jax.device_get(search(variables, states, jax.random.key(len(actions))))
        visits = tree.root_visits[0]
        reply, value = int(visits.argmax()), float(tree.root_value[0])
        after = rules.play(position, jnp.int32(reply))
        colour = "black" if len(actions) % 2 == 0 else "white"
        text = f"{colour} {rules.move_name(reply)}, which wins {50 + 50 * value:.0f} % by its value"
        shares = visits[:-1].reshape(rules.shape) / visits.sum()
        return board_outputs(rules, after, [*actions, reply], text, shares)

    return Demo(
        title=f"Play Go on {go.size}x{go.size}",
        says="Say the moves so far, black's first, such as «C3 B3»: the network answers. Shown are "
        "the board after its move, and what part of its simulations it spent on each other point.",
        inputs={
            "moves": Text("Moves so far, or a game as SGF", "", lines=3),
            "komi": Number("Komi, points for white", go.komi, -go.points, go.points, 0.5),
            "simulations": Choice(
                "Simulations a move", [str(count) for count in counts], str(usual)
            ),
        },
        outputs={
            "board": Image("Board"),
            "reply": Text("Reply"),
            "moves": Text("Moves, to go on with", lines=3),
            "sgf": Text("The game as SGF", lines=5),
        },
        run=run,
        examples=[{"moves": "C3"}, {"moves": "C3 C2 D2"}],
    )


def read_position(go: Go, text: str) -> tuple[Any, list[int]]:
    """The position after moves such as "C3 pass", or after a game's as SGF, and the moves.

    Raises:
      UserError: there is no such move, it is against the rules, or the SGF is damaged or of a board
        of another size.
    """
    if text.lstrip().startswith("("):
        record = sgf.read(text)
        if record.size != go.size or record.black_stones:
            board = f"{record.size}x{record.size}" + ", handicap" * bool(record.black_stones)
            raise UserError(f"the network plays {go.name} from an empty board, not {board}")
        actions = list(record.moves)
    else:
        actions = [go.read_move(word) for word in text.replace(",", " ").split()]
    play, state = jax.jit(go.play), go.init()
    for number, action in enumerate(actions, 1):
        check_move(go, state, action, number)
        state = play(state, jnp.int32(action))
    return state, actions


def check_move(go: Go, state: Any, action: int, number: int) -> None:
    """Asks that a move, the game's `number`-th, is legal.

    Raises:
      UserError: it is not; the message says which rule it breaks.
    """
    name = f"move {number}, {go.move_name(action)},"
    if state.over:
        raise UserError(f"{name} comes after the end of the game")
    if not state.legal[action]:
        raise UserError(f"{name} is not legal: {why_illegal(go, state, action)}")


def why_illegal(go: Go, state: Any, action: int) -> str:
    """Which rule a move breaks."""
    if state.board[action]:
        return "there is a stone"
    board, chain, _ = go._place(state, jnp.int32(action))
    if go.count_liberties(board, chain)[action] == 0:
        return "it would be suicide"
    return "the board was there before (superko)"


def board_outputs(
    go: Go, state: Any, actions: list[int], reply: str, shares: np.ndarray | None = None
) -> dict[str, Any]:
    """What the demo shows of a position."""
    last = actions[-1] if actions and actions[-1] != go.passing else None
    board = np.asarray(state.board).reshape(go.shape)
    result = result_of(go, state.board) if state.over else ""
    return {
        "board": draw_board(board, shares, last, reply),
        "reply": reply
        + (f"; the game is over: {result}" if result and "over" not in reply else ""),
        "moves": " ".join(go.move_name(action) for action in actions),
        "sgf": sgf.write(sgf.Record(go.size, go.komi, actions, result)),
    }


def result_of(go: Go, board: jax.Array) -> str:
    """A finished game's result as it is written, such as "B+2.5"."""
    score = float(go.score(board))
    return f"{'B' if score > 0 else 'W'}+{abs(score):g}" if score else "0"


def watch(players: BoardPlayers, first: Contestant, second: Contestant, path: Path) -> None:
    """Lets two networks play a game of Go and keeps it as SGF; black is the first."""
    go = players.game
    if not isinstance(go, Go):
        return
    choose, play = jax.jit(players.choose), jax.jit(jax.vmap(go.play))
    state = jax.tree.map(lambda x: x[None], go.init())
    sides = [jax.device_put(jax.device_get(player)) for player in (first, second)]
    moves: list[int] = []
    while not state.over[0]:
        key = jax.random.key(len(moves))
        action = choose(sides[len(moves) % 2], state, key)
        state = play(state, action)
        moves.append(int(action[0]))
    record = sgf.Record(go.size, go.komi, moves, result_of(go, state.board[0]))
    path.write_text(sgf.write(record), encoding="utf-8")
