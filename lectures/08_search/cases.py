"""Models for checks.py: tables of ways on, a writer with a budget, a player of countdown."""

import random

from minilrm.tasks import get_task, reach


def first(scores):
    return scores[0]


def mean(scores):
    return sum(scores) / len(scores)


def minus_the_sum(scores):
    return -sum(scores)


class Model:
    """Ways on by a table, always the same; keeps what it was asked for."""

    def __init__(self, table):
        self.table, self.asked = table, []

    def __call__(self, state, k):
        self.asked.append((state, k))
        return list(self.table.get(state, ()))[:k]


# state -> candidates (state, score, tokens, end)
WIDE = {
    "": [
        ("a", 0.9, 5, "open"),
        ("b", 0.8, 5, "open"),
        ("c", 0.7, 5, "open"),
        ("d", 0.6, 5, "open"),
    ],
    "a": [("aa", 0.9, 5, "open"), ("ab", 0.8, 5, "open"), ("ac", 0.7, 5, "open")],
    "b": [("ba", 0.7, 5, "open"), ("bb", 0.6, 5, "open")],
    "c": [("ca", 0.5, 5, "open")],
    "aa": [("aaa", 0.9, 5, "done")],
    "ab": [("aba", 0.8, 5, "done")],
    "ba": [("baa", 0.7, 5, "done")],
}
FINISHES = {
    "": [
        ("a", 0.9, 5, "done"),
        ("b", 0.8, 5, "open"),
        ("c", 0.7, 5, "open"),
        ("d", 0.6, 6, "done"),
    ],
    "b": [("e", 0.5, 5, "open"), ("f", 0.4, 6, "open")],
    "c": [("c1", 0.95, 5, "done")],
    "e": [("g", 0.3, 5, "done"), ("h", 0.2, 5, "done")],
    "a": [("a1", 0.1, 5, "done")],
}
CUTS = {
    "": [("a", 0.9, 8, "cut"), ("b", 0.5, 5, "open"), ("c", 0.4, 5, "open"), ("d", 0.3, 5, "open")],
    "b": [("b1", 0.9, 9, "cut"), ("b2", 0.2, 5, "done")],
    "a": [("a1", 0.9, 5, "done")],
}
EQUAL = {
    "": [("a", 0.5, 5, "open"), ("b", 0.5, 5, "open")],
    "a": [("a1", 0.5, 5, "done"), ("a2", 0.5, 5, "done")],
    "b": [("b1", 0.5, 5, "done"), ("b2", 0.5, 5, "done")],
}
PATHS = {
    "": [("a", 0.2, 5, "open"), ("b", 0.6, 5, "open"), ("c", 0.5, 5, "open")],
    "a": [("a1", 0.9, 5, "done"), ("a2", 0.1, 5, "done")],
    "b": [("b1", 0.6, 5, "done"), ("b2", 0.55, 5, "done")],
    "c": [("c1", 0.8, 5, "done"), ("c2", 0.7, 5, "done")],
}
LATE = {
    "": [("a", 0.2, 5, "open"), ("b", 0.6, 5, "open"), ("c", 0.1, 5, "open")],
    "a": [("a1", 0.9, 5, "open")],
    "b": [("b1", 0.6, 5, "open"), ("b2", 0.5, 5, "open")],
    "b1": [("b11", 0.5, 5, "done")],
    "b2": [("b21", 0.5, 5, "done")],
    "a1": [("a11", 0.5, 5, "done")],
}
AHEAD = {
    "": [("a", 0.9, 5, "open"), ("b", 0.5, 5, "open")],
    "a": [("a1", 0.3, 5, "done"), ("a2", 0.2, 5, "done")],
    "b": [("b1", 0.3, 5, "done"), ("b2", 0.4, 5, "done")],
}
BEHIND = {
    "": [("a", 0.2, 5, "open"), ("b", 0.9, 5, "open")],
    "a": [("a1", 0.5, 5, "done")],
    "b": [("b1", 0.8, 5, "done")],
}


def random_tree(seed, depth=4, ways=3):
    """A tree in which some answers finish early and some texts are cut off; no two scores are
    equal."""
    rng = random.Random(seed)
    table, open_ = {}, [""]
    while open_:
        state = open_.pop()
        rows = []
        for i in range(ways):
            child = state + "abc"[i]
            end = "done" if len(child) == depth else rng.choices(
                ("open", "done", "cut"), (0.7, 0.2, 0.1)
            )[0]  # fmt: skip
            rows.append((child, rng.random() * 0.9, rng.randint(1, 9), end))
            if end == "open":
                open_.append(child)
        table[state] = rows
    return table


def greedy_path(table):
    """(the states from which greedy goes on, the tokens that are written meanwhile)."""
    path, spent, state, end = [], 0, "", "open"
    while end == "open":
        path.append(state)
        spent += sum(row[2] for row in table[state])
        able = [row for row in table[state] if row[3] != "cut"]
        if not able:
            break
        state, _, _, end = max(able, key=lambda row: row[1])
    return path, spent


def best_leaf(table, combine, state="", scores=()):
    """(the best finished answer below a state, the tokens of all states below it)."""
    found, spent = leaves(table, state, scores)
    best = max(found, key=lambda leaf: combine(leaf[1]), default=(None, ()))
    return best[0], spent


def leaves(table, state, scores):
    found, spent = [], 0
    for child, score, tokens, end in table.get(state, ()):
        spent += tokens
        if end == "done":
            found.append((child, [*scores, score]))
        elif end == "open":
            below, more = leaves(table, child, [*scores, score])
            found, spent = found + below, spent + more
    return found, spent


class Writer:
    """Ways on by a table, each call the next row of ways where there are several; stops where it is
    told to, and keeps account."""

    def __init__(self, table, budget):
        self.table, self.budget = table, budget
        self.spent, self.states = 0, []
        self.late, self.wrong = False, []

    def candidates(self, state):
        rows = self.table[state]
        if isinstance(rows[0], list):
            return rows[min(self.states.count(state), len(rows)) - 1]
        return rows

    def __call__(self, state, most):
        left = self.budget - self.spent
        self.late |= left <= 0
        if most != left:
            self.wrong.append((left, most))
        self.states.append(state)
        found = []
        for child, score, tokens, end in self.candidates(state):
            if tokens > most:
                if most > 0:
                    found.append((child, score, most, "cut"))
                    self.spent += most
                break
            found.append((child, score, tokens, end))
            most, self.spent = most - tokens, self.spent + tokens
        if len(self.states) > 2000:
            raise RuntimeError("2,000 calls, and no end")
        return found


MISLEADING = {
    "": [("a", 0.8, 2, "open"), ("b", 0.6, 2, "open")],
    "a": [("a1", 0.05, 2, "open"), ("a2", 0.04, 2, "open")],
    "b": [("b1", 0.97, 2, "done")],
    "a1": [("a11", 0.01, 2, "done")],
    "a2": [("a21", 0.01, 2, "done")],
}
POOR = {
    "": [("x", 0.3, 1, "open"), ("y", 0.2, 1, "open")],
    "x": [("x1", 0.1, 1, "open")],
    "y": [("y1", 0.05, 1, "open")],
    "x1": [("x11", 0.01, 1, "open")],
    "y1": [("y11", 0.01, 1, "open")],
    "x11": [("z", 0.01, 1, "done")],
    "y11": [("z", 0.01, 1, "done")],
}
ANSWERS = {
    "": [
        [("p", 0.01, 2, "open")],
        [("a", 0.6, 2, "done")],
        [("p", 0.01, 2, "open")],
        [("b", 0.8, 2, "done")],
        [("c", 0.9, 2, "done")],
        [("d", 0.7, 2, "done")],
    ],
    "p": [("p1", 0.001, 2, "done")],
}


# -- countdown -------------------------------------------------------------------------------------


def puzzles(count):
    """(numbers, target) of the validation split."""
    problems = get_task("countdown").problems("validation", count)
    return [(tuple(p.meta["numbers"]), p.meta["target"]) for p in problems]


class Player(Writer):
    """Combines two of the numbers that are left, blindly; an exact judge knows whether the target
    can still be reached. A state is (the numbers that are left, the steps so far)."""

    def __init__(self, problem, seed, budget=800):
        super().__init__({}, budget)
        numbers, self.target = problem
        self.start, self.seed = (tuple(sorted(numbers)), ""), seed

    def candidates(self, state):
        numbers, steps = state
        rng = random.Random(f"{self.seed} {steps} {self.states.count(state)}")
        rows = []
        for _ in range(2):
            i, j = rng.sample(range(len(numbers)), 2)
            step = rng.choice(reach.moves(numbers[i], numbers[j]))
            left = [n for k, n in enumerate(numbers) if k not in (i, j)]
            left = tuple(sorted([*left, step.result]))
            score = float(self.target in reach.reachable(left))
            end = "done" if len(left) == 1 else "open"
            rows.append(((left, f"{steps} {step},"), score, 4, end))
        return rows
