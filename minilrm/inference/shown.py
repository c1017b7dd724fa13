"""What a method did, for a person: the votes or the tree, and what it cost."""

from collections import Counter
from collections.abc import Iterator

from minilrm.inference.requests import Answer, Piece
from minilrm.inference.search import Node
from minilrm.tasks.base import Problem, Task

SIGNS = {"chosen": "=>", "finished": "ok", "pruned": " x", "explored": "  ", "open": " ."}
WIDEST = 12  # children of a place that are shown


def trace_lines(task: Task, problem: Problem, answer: Answer) -> list[str]:
    """Every chain with the tally of their answers, or the tree of a search."""
    if len(answer.trace) == 1 and isinstance(answer.trace[0], Node):
        return [*tree_lines(answer.trace[0])]
    chains = [piece for piece in answer.trace if isinstance(piece, Piece)]
    lines = [f"[{k}] {chain.text.strip()}" for k, chain in enumerate(chains, 1)]
    if len(chains) > 1:
        said = [
            task.vote_key(problem, task.read_answer(c.text)) if c.ended else None for c in chains
        ]
        counts = Counter(key for key in said if key is not None)
        tally = ", ".join(f"{key} x{count}" for key, count in counts.most_common(8))
        lines.append(f"votes: {tally or 'none'} (of {len(chains)})")
    return lines


def tree_lines(node: Node, depth: int = 0, before: str = "") -> Iterator[str]:
    """A line a place: its sign (=> chosen, ok finished, x pruned, . never gone on from), its score,
    and the step that leads there.

    =>  0.97   28+25=53 ok
    """
    if node.piece is not None:
        step = " ".join(node.piece.text[len(before) :].split())
        yield f"{SIGNS[node.state]} {node.score:5.2f}  {'  ' * (depth - 1)}{step}"
        before = node.piece.text
    best_first = sorted(node.children, key=lambda child: -child.score)
    for child in best_first[:WIDEST]:
        yield from tree_lines(child, depth + 1, before)
    if len(best_first) > WIDEST:
        yield f"{'':10}{'  ' * depth}... and {len(best_first) - WIDEST} more"


def cost_line(answer: Answer, parameters: int, price: float | None) -> str:
    """What an answer cost. A token costs 2 operations a parameter, written or read; price: money
    for a million tokens.

    >>> cost_line(Answer("", None, 131, 20, 4, 0.42), 820_608, price=2.0)
    'cost: 131 tokens written, 20 read by the verifier, 0.25 GFLOP, 0.42 s, 0.000302 at 2 a million'
    """
    parts = [f"{answer.tokens} tokens written"]
    if answer.verifier_tokens:
        parts.append(f"{answer.verifier_tokens} read by the verifier")
    parts.append(f"{2 * parameters * answer.cost / 1e9:.2f} GFLOP")
    parts.append(f"{answer.seconds:.2f} s")
    if price is not None:
        parts.append(f"{answer.cost * price / 1e6:.6f} at {price:g} a million")
    return "cost: " + ", ".join(parts)
