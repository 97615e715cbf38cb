"""Go as one would write it by hand: flood fill, a set of boards seen. The reference of `go.py`."""

import numpy as np


class GoByHand:
    def __init__(self, size, komi, max_plies=0):
        self.size, self.komi = size, komi
        self.max_plies = max_plies or 2 * size * size
        self.board = np.zeros((size, size), int)
        self.player, self.plies, self.passes = 1, 0, 0
        self.seen = {self.board.tobytes()}

    @property
    def over(self):
        return self.passes >= 2 or self.plies >= self.max_plies

    def next_to(self, point):
        row, column = point
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if 0 <= r < self.size and 0 <= c < self.size:
                yield r, c

    def region(self, board, start):
        """Points of the same colour joined to one, and the points around them."""
        found, rim, todo = {start}, set(), [start]
        while todo:
            for point in self.next_to(todo.pop()):
                if board[point] != board[start]:
                    rim.add(point)
                elif point not in found:
                    found.add(point)
                    todo.append(point)
        return found, rim

    def liberties(self, board, start):
        return {p for p in self.region(board, start)[1] if board[p] == 0}

    def after(self, action):
        """The board after a move, None where it is against the rules (superko aside)."""
        if action == self.size**2:
            return self.board.copy()
        point = divmod(action, self.size)
        if self.board[point]:
            return None
        board = self.board.copy()
        board[point] = self.player
        for other in self.next_to(point):
            if board[other] == -self.player and not self.liberties(board, other):
                for stone in self.region(board, other)[0]:
                    board[stone] = 0
        return board if self.liberties(board, point) else None

    def legal(self):
        moves = []
        for action in range(self.size**2):
            board = self.after(action)
            moves.append(board is not None and board.tobytes() not in self.seen)
        return np.array([*moves, True])

    def play(self, action):
        self.board = self.after(action)
        self.seen.add(self.board.tobytes())
        self.passes = self.passes + 1 if action == self.size**2 else 0
        self.player, self.plies = -self.player, self.plies + 1

    def score(self):
        points = {1: np.sum(self.board == 1), -1: np.sum(self.board == -1)}
        done = set()
        for start in zip(*np.nonzero(self.board == 0), strict=True):
            if start in done:
                continue
            region, rim = self.region(self.board, start)
            done |= region
            colours = {int(self.board[p]) for p in rim}
            if len(colours) == 1:
                points[colours.pop()] += len(region)
        return points[1] - points[-1] - self.komi
