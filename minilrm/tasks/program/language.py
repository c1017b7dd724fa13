r"""The small language: which of Python's statements a program may hold, and what its shape is.

    program    = { function } { statement }
    statement  = name "=" value | name ("+=" | "-=" | "*=") atom | name "[" atom "]" "=" atom
               | name ".append(" atom ")" | "return" value
               | "if" test | "while" test | "for" name "in" ("range(" atom ")" | name)
    value      = atom | atom ("+" | "-" | "*" | "//" | "%") atom | call | "[...]" | "{...}"
    atom       = number | string | "None" | name | name "[" atom "]" | "len(" name ")"
               | name ".get(" atom ")"
    test       = value ("<" | ">" | "<=" | ">=" | "==" | "!=") atom | name "is" ["not"] "None"

The text is cut up by Python's own parser, `ast.parse`, which builds a tree and runs nothing; what
stands in the tree is run by `interpreter.py`, which knows these nodes and no others.
"""

import ast
import re

MOST_CHARACTERS = 2000  # of a program, a user's own included
DEEPEST = 40  # nodes of the tree inside each other
NUMBERED = re.compile(r"^ ?[0-9]{1,2}[ :]", re.MULTILINE)

ALLOWED: tuple[type[ast.AST], ...] = (
    ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign,
    ast.Expr, ast.If, ast.For, ast.While, ast.Name, ast.Load, ast.Store, ast.Constant, ast.List,
    ast.Dict, ast.Subscript, ast.Attribute, ast.Call, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Add,
    ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.USub, ast.Lt, ast.Gt, ast.LtE, ast.GtE, ast.Eq,
    ast.NotEq, ast.Is, ast.IsNot,
)  # fmt: skip


SIGNS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "//", ast.Mod: "%", ast.Lt: "<",
    ast.Gt: ">", ast.LtE: "<=", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.Is: "is",
    ast.IsNot: "is not",
}  # fmt: skip


def show(value: object) -> str:
    """A value as Python prints it: `show({"red": 3})` is `{'red': 3}`."""
    return repr(value)


def shown_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else type(node).__name__


class ProgramError(ValueError):
    """The text is no program of the small language."""


def parse(text: str) -> ast.Module:
    """The tree of a program.

    >>> [type(statement).__name__ for statement in parse("x = 3\\nx += 4").body]
    ['Assign', 'AugAssign']
    >>> parse("import os")
    Traceback (most recent call last):
    minilrm.tasks.program.language.ProgramError: line 1: Import is not in the small language
    """
    if len(text) > MOST_CHARACTERS:
        raise ProgramError(f"a program of more than {MOST_CHARACTERS} characters")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f"line {error.lineno}: " if isinstance(error, SyntaxError) else ""
        raise ProgramError(f"{where}no program") from error
    # No recursion here: how deep a text goes is not ours to say.
    line, waiting = 1, list[tuple[ast.AST, int]]([(tree, 0)])
    while waiting:
        node, deep = waiting.pop()
        waiting += [(child, deep + 1) for child in ast.iter_child_nodes(node)]
        line = getattr(node, "lineno", line)
        if deep > DEEPEST:
            raise ProgramError(f"line {line}: nested deeper than {DEEPEST}")
        if not isinstance(node, ALLOWED):
            raise ProgramError(f"line {line}: {type(node).__name__} is not in the small language")
        if isinstance(node, ast.Constant) and not is_constant(node.value):
            raise ProgramError(f"line {line}: {node.value!r:.30} is not in the small language")
    if not tree.body:
        raise ProgramError("no statement")
    return tree


def is_constant(value: object) -> bool:
    """Whole numbers of at most six digits, short strings (keys of dicts), None."""
    if type(value) is int:
        return abs(value) < 10**6
    return value is None or (type(value) is str and len(value) <= 20)


def number_lines(text: str) -> str:
    """The program as a question shows it: each line with its number before it.

    >>> print(number_lines("if x > 2:\\n    x = 5"))
    1 if x > 2:
    2     x = 5
    """
    return "\n".join(f"{i} {line}" for i, line in enumerate(text.split("\n"), 1))


def drop_numbers(text: str) -> str:
    """`number_lines` backwards; a text without numbers stays as it is."""
    lines = text.split("\n")
    if all(NUMBERED.match(line) for line in lines):
        return NUMBERED.sub("", text)
    return text


# -- shapes ----------------------------------------------------------------------------------------


def count_statements(tree: ast.AST) -> int:
    """How many statements the program has; the header of a function counts as one."""
    return sum(isinstance(node, ast.stmt) for node in ast.walk(tree))


def depth(body: list[ast.stmt]) -> int:
    """How deep blocks stand in each other: `x = 1` has depth 0, an `if` in a `for` has 2. The body
    of a function counts from its own first line."""
    deepest = 0
    for node in body:
        if isinstance(node, (ast.If, ast.For, ast.While)):
            deepest = max(deepest, 1 + depth(node.body), 1 + depth(node.orelse))
        elif isinstance(node, ast.FunctionDef):
            deepest = max(deepest, depth(node.body))
    return deepest


def shape(tree: ast.Module) -> str:
    """What is left of a program without its names, numbers and operators: kinds of statements and
    of what stands in them, and how they are nested.

    >>> shape(parse("x = 3\\nfor i in range(4):\\n    x = x + i"))
    'set(#) for(range(#)){set(op(n,n))}'
    >>> shape(parse("a = 9\\nfor k in range(2):\\n    b = a - k")) == _
    True
    """
    return " ".join(statement_shape(node) for node in tree.body)


def block_shape(body: list[ast.stmt]) -> str:
    return "{" + " ".join(map(statement_shape, body)) + "}"


def statement_shape(node: ast.stmt) -> str:
    match node:
        case ast.FunctionDef():
            return f"def({len(node.args.args)})" + block_shape(node.body)
        case ast.Return():
            return f"return({value_shape(node.value)})"
        case ast.Assign():
            target = "set" if isinstance(node.targets[0], ast.Name) else "put"
            return f"{target}({value_shape(node.value)})"
        case ast.AugAssign():
            return f"change({value_shape(node.value)})"
        case ast.For():
            return f"for({value_shape(node.iter)})" + block_shape(node.body)
        case ast.If() | ast.While():
            word = "if" if isinstance(node, ast.If) else "while"
            other = "else" + block_shape(node.orelse) if node.orelse else ""
            return f"{word}({value_shape(node.test)})" + block_shape(node.body) + other
        case ast.Expr():
            return value_shape(node.value)
    raise ProgramError(f"line {node.lineno}: {type(node).__name__} is not in the small language")


def value_shape(node: ast.expr | None) -> str:
    match node:
        case ast.Name():
            return "n"
        case ast.List():
            return f"list{len(node.elts)}"
        case ast.Dict():
            return f"dict{len(node.keys)}"
        case ast.Subscript():
            return f"at({value_shape(node.slice)})"
        case ast.BinOp():
            return f"op({value_shape(node.left)},{value_shape(node.right)})"
        case ast.Compare():
            inside = ",".join(map(value_shape, (node.left, *node.comparators)))
            return f"test({inside})"
        case ast.Call():
            named = node.func
            if isinstance(named, ast.Attribute):
                word = named.attr
            else:
                own = isinstance(named, ast.Name) and named.id not in ("len", "range")
                word = "call" if own else getattr(named, "id", "call")
            return f"{word}({','.join(map(value_shape, node.args))})"
    return "#"  # a number, a string, None


def functions_of(tree: ast.Module) -> set[str]:
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def calls(tree: ast.AST, names: set[str]) -> set[str]:
    """Which of these functions are called somewhere."""
    return {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    }


def calls_in_loops(tree: ast.Module) -> bool:
    """Whether a loop calls a function of the program."""
    loops = [node for node in ast.walk(tree) if isinstance(node, (ast.For, ast.While))]
    return any(calls(loop, functions_of(tree)) for loop in loops)
