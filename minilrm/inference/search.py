"""Search over steps: the verifier reads every step, and what looks lost is left.

    beam           the best `width` of all ways to go on, step after step        (2408.03314)
    dvts           as many beams of width 1 as fit, apart from each other, then the best of them
    tree           best first: go on wherever the score is best, and come back when it falls
    mcts           Monte-Carlo tree search with PUCT                             (2405.03553)

A finished answer is never thrown away, and never replaced by another: it leaves the search and
waits for the end. What was pruned has been paid for.
"""

import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from minilrm.inference.requests import Method, Piece, Run

GOOD_ENOUGH = 0.95  # a finished answer with this score ends a search


@dataclass
class Node:
    """A place in a search: the answer so far.

    score: of its last step. state: "open", "explored", "pruned", "finished" or "chosen". visits,
    opened, total: what the searches count.
    """

    piece: Piece | None
    parent: "Node | None" = None
    score: float = 1.0
    state: str = "open"
    children: list["Node"] = field(default_factory=list)
    visits: int = 0
    opened: int = 0  # how often ways on were drawn here
    total: float = 0.0

    @property
    def ids(self) -> tuple[int, ...]:
        return self.piece.ids if self.piece else ()

    @property
    def mean(self) -> float:
        """Mean of the values that were found below."""
        return self.total / self.visits if self.visits else self.score


def grow(run: Run, node: Node, pieces: Sequence[Piece]) -> list[Node]:
    """Hang new pieces under a node, equal ones once. Returns the children that are worth going on
    with; finished ones keep their score, and what the model itself rejects is pruned at once."""
    known = {child.ids for child in node.children}
    grown = []
    for piece in pieces:
        if piece.ids in known or piece.finish == "budget":
            continue
        known.add(piece.ids)
        child = Node(piece, node, piece.scores[-1] if piece.scores else 0.0)
        if piece.finish == "length" or run.task.gives_up(piece.text):
            child.state = "pruned"
        elif piece.ended:
            child.state = "finished" if run.vote_key(piece) is not None else "pruned"
        node.children.append(child)
        grown.append(child)
    node.state = "explored"
    return grown


def choose(root: Node) -> Piece | None:
    """The finished answer with the best score in the whole tree, marked as chosen."""
    finished = [node for node in walk(root) if node.state == "finished"]
    best = max(finished, key=lambda node: node.score, default=None)
    if best is None:
        return None
    best.state = "chosen"
    return best.piece


def walk(root: Node) -> list[Node]:
    """All nodes, parents before their children."""
    return [root, *itertools.chain.from_iterable(map(walk, root.children))]


def beam(run: Run, width: int = 2, ways: int = 4) -> Method:
    """Keep the best `width` answers so far; each that is unfinished goes on in `ways` ways.

    An answer that finishes leaves the beam, which is narrower from then on: its place is not filled
    with one that was worse. When no place is left, or nothing goes on, the beam starts anew with
    other draws, while the budget lasts.
    """
    root, alive, places = Node(None), list[Node](), width
    while run.left > 0 and (alive or not settled(root)):
        if not alive:
            alive, places = [root], width
        grown: list[Node] = []
        for node in alive:
            n = width * ways if node is root else ways
            pieces = yield run.step(node.ids, n, judge=True)
            grown += grow(run, node, pieces)
        ranked = sorted((n for n in grown if n.state != "pruned"), key=lambda n: -n.score)
        alive = [node for node in ranked[:places] if node.state == "open"]
        for node in ranked[places:]:
            node.state = "pruned" if node.state == "open" else node.state
        places = len(alive)
    return run.answer(choose(root), [root])


def dvts(run: Run, ways: int = 4) -> Method:
    """Beams of width 1, one after the other and blind to each other, so that one score that is too
    high cannot draw all of them to one place."""
    root = Node(None)
    while run.left > 0 and not settled(root):
        node: Node | None = root
        while node is not None and run.left > 0:
            pieces = yield run.step(node.ids, ways, judge=True)
            going = sorted((n for n in grow(run, node, pieces) if n.state == "open"),
                           key=lambda n: -n.score)  # fmt: skip
            for other in going[1:]:
                other.state = "pruned"
            node = going[0] if going else None
    return run.answer(choose(root), [root])


def tree(run: Run, ways: int = 1, patience: float = 0.3) -> Method:
    """Best-first search with backtracking: always go on from the best open place, wherever it is.

    Where all ways on from a place look worse than a place that was left before, the search goes
    back to that one. It ends at a finished answer that is good enough, or better than all that is
    open. A place that has been tried waits again for other draws, with `patience` times its score:
    so one draw at a time is enough, and nothing is drawn beside a good one (with the exact checker
    and the tokens of two samples, one way solves 58 % of countdown and four ways none: LOG.md).
    """
    root, order = Node(None), itertools.count()
    heap = [(-1.0, next(order), root)]
    while run.left > 0 and heap and not settled(root):
        _, _, node = heapq.heappop(heap)
        pieces = yield run.step(node.ids, ways, judge=True)
        for child in grow(run, node, pieces):
            if child.state == "open":
                heapq.heappush(heap, (-child.score, next(order), child))
        # once more, after all that looks better: what was drawn is not all ways on
        node.visits += 1
        heapq.heappush(heap, (-node.score * patience**node.visits, next(order), node))
    return run.answer(choose(root), [root])


def settled(root: Node) -> bool:
    """Whether a finished answer is good enough to stop."""
    return any(n.state == "finished" and n.score >= GOOD_ENOUGH for n in walk(root))


def mcts(run: Run, ways: int = 4, curiosity: float = 0.5) -> Method:
    """Monte-Carlo tree search: from the root down along

        mean value + curiosity * sqrt(visits of the parent) / (1 + visits)    (PUCT, equal priors)

    to a leaf, which is opened; the best score of its children is the value of the leaf and goes
    into the mean of all above it. Curiosity falls with the budget that is left: at the end the
    search goes where the values are best. A place that has been passed n times has been opened
    sqrt(n) times (progressive widening, Coulom 2007): the first ways on are not all there are.
    """
    root = Node(None)
    while run.left > 0 and not settled(root):
        share, node = run.left / run.budget, root
        while node.opened >= math.isqrt(node.visits) and (going := open_children(node)):
            node = max(going, key=lambda child: puct(child, share * curiosity))
        pieces = yield run.step(node.ids, ways, judge=True)
        node.opened += 1
        grown = grow(run, node, pieces)
        value = max((child.score for child in grown if child.state != "pruned"), default=0.0)
        above: Node | None = node
        while above is not None:
            above.visits += 1
            above.total += value
            above = above.parent
    return run.answer(choose(root), [root])


def open_children(node: Node) -> list[Node]:
    """The children from which the search can go on."""
    return [child for child in node.children if child.state not in ("pruned", "finished")]


def puct(node: Node, curiosity: float) -> float:
    assert node.parent is not None
    return node.mean + curiosity * math.sqrt(node.parent.visits) / (1 + node.visits)
