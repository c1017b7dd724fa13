"""Lecture 8, search: the exercises. Write the functions below, then check them:

    python -m course.grade lectures/08_search

The model and its verifier are functions that you are given. Words that all exercises share:

    state       the answer so far: whatever `expand` gives and takes. Hand it on as it is
    candidate   a tuple (state, score, tokens, end), one way to go on by one step
                score   what the verifier says of this step; higher is better
                tokens  what it cost to write the step
                end     "open": more is to come. "done": the answer is finished.
                        "cut": the text was cut off in the middle; it is no answer and cannot go on
"""

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Any

State = Any
Candidate = tuple[State, float, int, str]


def beam_search(
    start: State,
    expand: Callable[[State, int], list[Candidate]],
    n: int,
    ways: int,
    combine: Callable[[list[float]], float],
    look_ahead: Callable[[State], tuple[float, int]] | None = None,
) -> tuple[State | None, int]:
    """Beam search over steps: (the best finished answer, the tokens that were written for all that
    was tried).

    `expand(state, k)` writes k ways on from a state: a list of at most k candidates. The search
    writes about n candidates in each round, `ways` from each place of the beam. So the beam has
    n // ways places, and at least one.

    1. The first round is `expand(start, n)`, every later one `expand(state, ways)` for each state
       in the beam, best first.
    2. A candidate's *value* is `combine` of the scores of all its steps, from the first step to the
       last: `min`, `math.prod`, or the last one. Ask `combine`, whatever it is.
    3. With `look_ahead`, each *open* candidate is judged by what it leads to: `look_ahead(state)`
       gives (score, tokens), this score takes the place of the step's own, and the tokens are paid.
    4. Cut candidates are left out. Of the others, done or open, those with the highest values get
       the places of the beam (of equals the first); the rest is pruned.
    5. A done candidate that got a place leaves the beam, is kept for the end, and takes its place
       along: from then on the beam has one place less. Nothing moves up.
    6. The search ends when no open candidate is left in the beam. Of all answers that were kept, in
       whatever round, the one with the highest value is chosen (of equals the first); None if there
       is none.

    Tokens count for every candidate that `expand` gave, kept, pruned or cut, and for every look
    ahead.

    With n = ways the beam has one place, and the search is greedy. With n greater than the number
    of all states nothing is pruned, and the search is exhaustive.
    """
    ### BEGIN SOLUTION
    places, spent, order = max(1, n // ways), 0, itertools.count()
    beam: list[tuple[State, list[float]]] = [(start, [])]
    kept: list[tuple[float, int, State]] = []
    while beam:
        ranked = []
        for state, scores in beam:
            for child, score, tokens, end in expand(state, ways if scores else n):
                spent += tokens
                if end == "cut":
                    continue
                if end == "open" and look_ahead is not None:
                    score, looked = look_ahead(child)
                    spent += looked
                path = [*scores, score]
                ranked.append((-combine(path), next(order), child, path, end))
        ranked.sort(key=lambda row: row[:2])
        best, beam = ranked[:places], []
        for value, number, child, path, end in best:
            if end == "done":
                kept.append((value, number, child))
                places -= 1
            else:
                beam.append((child, path))
    return (min(kept, key=lambda row: row[:2])[2] if kept else None), spent
    ### END SOLUTION


def backtracking_search(
    start: State,
    expand: Callable[[State, int], list[Candidate]],
    budget: int,
    enough: float = 0.95,
) -> tuple[State | None, int]:
    """Best-first search with backtracking: (the best finished answer, the tokens that were
    written), never more than `budget` tokens.

    `expand(state, most)` writes some ways on from a state, at least one token, and stops where
    `most` tokens are used up: what it was writing then is a candidate with the end "cut". Another
    call with the same state gives other draws, and may give some states again.

    1. At first `start` waits, with the priority 1.
    2. Go on from the waiting state with the highest priority (of equals the one that began to wait
       first): `expand` it with the tokens that are left.
    3. Every open candidate that has not been seen before begins to wait, with its score as its
       priority. Every done candidate is kept for the end with its score. A cut one is neither.
    4. Then the state itself waits again, behind those, with half the priority that it had: the
       draws so far are not all ways on.
    5. The search ends when an answer is kept whose score is at least `enough`, or when no token is
       left. With no token left, `expand` is not called.

    Of the answers that were kept the one with the highest score is chosen (of equals the first);
    None if there is none.
    """
    ### BEGIN SOLUTION
    spent, order = 0, itertools.count()
    best, best_score = None, -math.inf
    seen: set[State] = set()
    waiting = [(-1.0, next(order), start)]
    while spent < budget and best_score < enough:
        priority, _, state = heapq.heappop(waiting)
        for child, score, tokens, end in expand(state, budget - spent):
            spent += tokens
            if end == "done" and score > best_score:
                best, best_score = child, score
            if end == "open" and child not in seen:
                seen.add(child)
                heapq.heappush(waiting, (-score, next(order), child))
        heapq.heappush(waiting, (priority / 2, next(order), state))
    return best, spent
    ### END SOLUTION


def uct_score(total: float, visits: int, parent_visits: int, curiosity: float) -> float:
    """How much a place of a search tree deserves the next visit, by UCT.

        total / visits  +  curiosity * sqrt(ln(parent_visits) / visits)

    `total` is the sum of the values that were found at this place and below it, in `visits` visits.
    A place that was never visited comes before all others: its score is `math.inf`.

    Total 3, visits 4, parent_visits 16, curiosity 0.5 give 0.75 + 0.5 * 0.832555 = 1.166277.
    """
    ### BEGIN SOLUTION
    if visits == 0:
        return math.inf
    return total / visits + curiosity * math.sqrt(math.log(parent_visits) / visits)
    ### END SOLUTION


def puct_score(
    total: float,
    visits: int,
    parent_visits: int,
    prior: float,
    guess: float,
    curiosity: float,
    left: float,
) -> float:
    """How much a place of a search tree deserves the next visit, by PUCT, within a budget.

        mean  +  left * curiosity * prior * sqrt(parent_visits) / (1 + visits)

    `mean` is `total / visits`, as in `uct_score`; of a place that was never visited it is `guess`,
    what the verifier said of the step. `prior` is how probable the model finds the step. `left` is
    the share of the budget that is left, from 1 at the beginning to 0: at the end only the mean
    counts.

    Total 3, visits 4, parent_visits 16, prior 0.5, curiosity 0.5 and left 0.5 give
    0.75 + 0.5 * 0.5 * 0.5 * 4 / 5 = 0.85. Not yet visited, with the guess 0.9: 0.9 + 0.5 = 1.4.
    """
    ### BEGIN SOLUTION
    mean = total / visits if visits else guess
    return mean + left * curiosity * prior * math.sqrt(parent_visits) / (1 + visits)
    ### END SOLUTION
