"""Does a file show the answer to an exercise? Code is compared as a syntax tree, so that other
names, another layout, a docstring or a place within another function hide nothing."""

import ast
import copy
from collections.abc import Iterator

FEWEST_NODES = 20  # of a syntax tree; below that a body is one call, `return f(x, y, ready=True)`
Body = list[ast.stmt]


def answers_shown(text: str, solutions: str) -> list[str]:
    """The exercises of a solutions.py whose bodies stand in another file's text.

    >>> shown = "def g(a, n):\\n    b = a * a\\n    return [b + n * a, n, a]"
    >>> answers_shown(shown, "def f(x, y):\\n    z = x * x\\n    return [z + y * x, y, x]")
    ['f']
    """
    blocks = [block for node in ast.walk(ast.parse(text)) for block in blocks_of(node)]
    found = []
    for name, body in answers(solutions):
        wanted, n = shape(body), len(body)
        parts = (block[i : i + n] for block in blocks for i in range(len(block) - n + 1))
        kinds = [type(statement) for statement in body[:-1]]  # compared first, for they are cheap
        alike = (part for part in parts if [type(s) for s in part[:-1]] == kinds)
        if any(shape(part) == wanted for part in alike):
            found.append(name)
    return found


def answers(solutions: str) -> Iterator[tuple[str, Body]]:
    """The functions of a solutions.py that are long enough to be told apart, without
    docstrings."""
    for node in ast.parse(solutions).body:
        if isinstance(node, ast.FunctionDef):
            body = without_docstring(node)
            if size(body) >= FEWEST_NODES:
                yield node.name, body


def without_docstring(node: ast.FunctionDef) -> Body:
    """What a function does."""
    return node.body[1:] if ast.get_docstring(node) is not None else node.body


def size(body: Body) -> int:
    """Nodes of the syntax tree."""
    return sum(1 for statement in body for _ in ast.walk(statement))


def blocks_of(node: ast.AST) -> Iterator[Body]:
    """The sequences of statements in a node: its body, its else, ..."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block


def shape(body: Body) -> str:
    """Statements without the names of variables. Whether the last one returns its value or gives it
    a name makes no difference."""
    body = [copy.deepcopy(statement) for statement in body]
    if isinstance(body[-1], (ast.Return, ast.Assign)) and body[-1].value is not None:
        body[-1] = ast.Expr(body[-1].value)
    names = Names()
    return "\n".join(ast.dump(names.visit(statement)) for statement in body)


class Names(ast.NodeTransformer):
    """Gives variables numbers, in the order in which they appear, and drops annotations."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def number(self, name: str) -> str:
        return self.seen.setdefault(name, f"v{len(self.seen)}")

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self.number(node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self.number(node.arg))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name, node.returns = self.number(node.name), None
        return self.generic_visit(node)
