r"""Run a program of the small language, and write down what each line did.

    >>> from minilrm.tasks.program.language import parse
    >>> run = execute(parse("x = 3\ny = x + 4\nif y > 5:\n    x = y // 0"))
    >>> for step in run.steps:
    ...     print(step)
    1: x = 3
    2: y = <<3+4=7>>7
    3: 7 > 5 True
    4: error zero
    >>> run.crash.reason, run.crash.line, run.names
    ('zero', 4, {'x': 3, 'y': 7})

Nothing is handed to Python: a node has a rule here, or it is refused. Steps and the size of numbers
are bounded, so that every run ends.

Each value knows the line that made it. A name, an argument and a returned name hand a value on and
make none, so "which line made the None?" has one answer.
"""

import ast
from dataclasses import dataclass
from typing import Any, NamedTuple

from minilrm.tasks.program.language import SIGNS, ProgramError, show, shown_name

MOST_STEPS = 200  # of any run
LARGEST_VALUE = 10**6
LONGEST_VALUE = 50  # elements of a list or a dict
DEEPEST_CALL = 10

Value = Any  # int, None, str, list, dict: what the small language has


class Made(NamedTuple):
    """A value, and the line that made it."""

    value: Value
    line: int


@dataclass(frozen=True)
class Step:
    """What one line did, as a solution writes it."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.line}: {self.text}"


@dataclass(frozen=True)
class Crash:
    """line: where. reason: none, index, zero or key. made: the line that made the value which is
    None, zero, the index or the key, where that value stands behind a name; else None. stack: the
    calls that led there, the outermost first, as pairs of line and function."""

    line: int
    reason: str
    made: int | None
    stack: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Run:
    """All steps; the names of the main program at the end; the error, if one ended it. computed:
    how many results a careless reader could get wrong. turns: of the loop that turned most. nested:
    how many calls of functions were open at once."""

    steps: tuple[Step, ...]
    names: dict[str, Value]
    crash: Crash | None
    computed: int
    turns: int
    nested: int


class TooLong(ProgramError):
    """The program takes too many steps, or its numbers grow too large."""


class Stop(Exception):
    """An error of the program itself."""

    def __init__(self, reason: str, line: int, side: ast.expr, made: Made):
        named = isinstance(side, ast.Name)
        self.reason, self.line = reason, line
        self.made = made.line if named else None
        self.text = f"error {reason}" + (f", {shown_name(side)}" if named else "")


def execute(tree: ast.Module, slip: int | None = None, off: int = 1) -> Run:
    """Run a program from its tree.

    slip: the number of a result that comes out wrong, by `off` (a test: the other way round); what
    follows is worked faithfully on it. ProgramError for what the language does not have.
    """
    machine = Machine(slip, off)
    try:
        machine.block(tree.body)
        crash = None
    except Stop as stop:
        # The innermost place is the line of the error; the others are lines of calls.
        lines = [line for line, _ in machine.calls] + [stop.line]
        functions = ["main", *(function for _, function in machine.calls)]
        stack = tuple(zip(lines, functions, strict=True))
        crash = Crash(stop.line, stop.reason, stop.made, stack)
        machine.note(stop.line, stop.text)
    names = {name: made.value for name, made in machine.outermost.items()}
    return Run(tuple(machine.steps), names, crash, machine.computed, machine.turns, machine.nested)


class Machine:
    """The state of a run: the names of each call, the calls that are open, the steps so far."""

    def __init__(self, slip: int | None, off: int):
        self.slip, self.off, self.computed = slip, off, 0
        self.turns = self.nested = 0
        self.steps: list[Step] = []
        self.outermost: dict[str, Made] = {}
        self.names = self.outermost  # of the call that is running
        self.functions: dict[str, ast.FunctionDef] = {}
        self.calls: list[tuple[int, str]] = []

    def note(self, line: int, text: str) -> None:
        if len(self.steps) >= MOST_STEPS:
            raise TooLong(f"more than {MOST_STEPS} steps")
        self.steps.append(Step(line, text))

    # -- statements --------------------------------------------------------------------------------

    def block(self, body: list[ast.stmt]) -> Made | None:
        """Run statements in order; what was returned, if one returned."""
        for node in body:
            returned = self.statement(node)
            if returned is not None:
                return returned
        return None

    def statement(self, node: ast.stmt) -> Made | None:
        match node:
            case ast.FunctionDef():
                self.functions[node.name] = node
            case ast.Return():
                made, text = self.value(node.value or ast.Constant(None, lineno=node.lineno))
                self.note(node.lineno, f"return {text}")
                return made
            case ast.Assign(targets=[ast.Name(id=name)]):
                self.names[name], text = self.value(node.value)
                self.note(node.lineno, f"{name} = {text}")
            case ast.Assign(targets=[ast.Subscript() as target]):
                self.put(target, self.atom(node.value))
            case ast.AugAssign(target=ast.Name(id=name)):
                left, right = self.name(node.target), self.atom(node.value)
                made, text = self.sum(node, left, right, node.target, node.value)
                self.names[name] = made
                self.note(node.lineno, f"{name} = {text}")
            case ast.If():
                return self.block(node.body if self.test(node.test) else node.orelse)
            case ast.While() if not node.orelse:
                turns = 0
                while self.test(node.test):
                    turns += 1
                    self.turns = max(self.turns, turns)
                    if (returned := self.block(node.body)) is not None:
                        return returned
            case ast.For(target=ast.Name()) if not node.orelse:
                return self.loop(node)
            case ast.Expr(value=ast.Call() as call):
                self.append(call)
            case _:
                raise refused(node)
        return None

    def put(self, target: ast.Subscript, made: Made) -> None:
        """`a[i] = x`."""
        holder, key = self.atom(target.value), self.atom(target.slice)
        line = target.lineno
        if isinstance(holder.value, dict) and isinstance(key.value, (str, int)):
            holder.value[key.value] = made.value
        else:
            self.look_up(target, holder, key)  # the same errors as reading has
            holder.value[key.value] = made.value
        self.check_size(holder.value)
        self.note(line, f"{shown_name(target.value)} = {show(holder.value)}")

    def append(self, call: ast.Call) -> None:
        """`a.append(x)`."""
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name) as holder, attr="append")):
                made = self.holder(holder, call.lineno)
                if not isinstance(made.value, list) or len(call.args) != 1:
                    raise refused(call)
                made.value.append(self.atom(call.args[0]).value)
                self.check_size(made.value)
                self.note(call.lineno, f"{name} = {show(made.value)}")
            case _:
                raise refused(call)

    def loop(self, node: ast.For) -> Made | None:
        match node.iter:
            case ast.Call(func=ast.Name(id="range"), args=[bound]):
                made = self.atom(bound)
                if made.value is None:
                    raise Stop("none", node.lineno, bound, made)
                if type(made.value) is not int:
                    raise refused(node)
                values: Any = range(min(made.value, MOST_STEPS))
            case ast.Name():
                made = self.holder(node.iter, node.lineno)
                if not isinstance(made.value, list):
                    raise refused(node)
                values = made.value  # a list that grows in its own loop runs into the bound
            case _:
                raise refused(node)
        name = shown_name(node.target)
        for turn, value in enumerate(values, 1):
            self.turns = max(self.turns, turn)
            self.names[name] = Made(value, node.lineno)
            self.note(node.lineno, f"{name} = {show(value)}")
            if (returned := self.block(node.body)) is not None:
                return returned
        self.note(node.lineno, "end")
        return None

    # -- values ------------------------------------------------------------------------------------

    def value(self, node: ast.expr) -> tuple[Made, str]:
        """What stands behind `=` or `return`, and how a step shows it."""
        match node:
            case ast.BinOp():
                left, right = self.atom(node.left), self.atom(node.right)
                return self.sum(node, left, right, node.left, node.right)
            case ast.Call(func=ast.Name(id=name)) if name in self.functions:
                made = self.call(node, self.functions[name])
            case ast.List():
                made = Made([self.atom(item).value for item in node.elts], node.lineno)
            case ast.Dict():
                keys = [self.atom(key).value for key in node.keys if key]
                items = [self.atom(item).value for item in node.values]
                if len(keys) < len(items) or not all(isinstance(key, (str, int)) for key in keys):
                    raise refused(node)
                made = Made(dict(zip(keys, items, strict=True)), node.lineno)
            case _:
                made = self.atom(node)
        self.check_size(made.value)
        return made, show(made.value)

    def atom(self, node: ast.expr) -> Made:
        line = node.lineno
        match node:
            case ast.Constant():
                return Made(node.value, line)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
                return Made(-number, line)
            case ast.Name():
                return self.name(node)
            case ast.Subscript():
                return self.look_up(node, self.atom(node.value), self.atom(node.slice))
            case ast.Call(func=ast.Name(id="len"), args=[ast.Name() as holder]):
                made = self.holder(holder, line)
                if isinstance(made.value, int):
                    raise refused(node)
                return Made(len(made.value), line)
            case ast.Call(func=ast.Attribute(value=ast.Name() as holder, attr="get"), args=[key]):
                made = self.holder(holder, line)
                if not isinstance(made.value, dict):
                    raise refused(node)
                return Made(made.value.get(self.atom(key).value), line)
        raise refused(node)

    def name(self, node: ast.expr) -> Made:
        if not isinstance(node, ast.Name) or node.id not in self.names:
            raise ProgramError(f"line {node.lineno}: {shown_name(node)} has no value there")
        return self.names[node.id]

    def holder(self, node: ast.expr, line: int) -> Made:
        """What a name holds that something is asked of; None has nothing."""
        made = self.name(node)
        if made.value is None:
            raise Stop("none", line, node, made)
        return made

    def look_up(self, node: ast.Subscript, holder: Made, key: Made) -> Made:
        """`a[i]`. A list and a dict are not made anew by being looked into; a number is."""
        line = node.lineno
        if holder.value is None:
            raise Stop("none", line, node.value, holder)
        if isinstance(holder.value, dict):
            if key.value not in holder.value:
                raise Stop("key", line, node.slice, key)
        elif isinstance(holder.value, list) and key.value is None:
            raise Stop("none", line, node.slice, key)
        elif not isinstance(holder.value, list) or type(key.value) is not int:
            raise refused(node)
        elif not -len(holder.value) <= key.value < len(holder.value):
            raise Stop("index", line, node.slice, key)
        return Made(holder.value[key.value], line)

    def sum(
        self, node: ast.BinOp | ast.AugAssign, left: Made, right: Made, *sides: ast.expr
    ) -> tuple[Made, str]:
        """One operation, and how a step shows it. None is an error, and a divisor of zero."""
        line = node.lineno
        for side, made in zip(sides, (left, right), strict=True):
            if made.value is None:
                raise Stop("none", line, side, made)
            if type(made.value) is not int:
                raise refused(node)
        a, b = left.value, right.value
        sign = SIGNS[type(node.op)]
        if sign in ("//", "%") and b == 0:
            raise Stop("zero", line, sides[1], right)
        exact = {"+": a + b, "-": a - b, "*": a * b}
        result = exact[sign] if sign in exact else a // b if sign == "//" else a % b
        result = self.careless(result, result + self.off)
        self.check_size(result)
        return Made(result, line), f"<<{a}{sign}{b}={result}>>{result}"

    def test(self, node: ast.expr) -> bool:
        """The outcome of a test, which is a step of its own."""
        if not isinstance(node, ast.Compare) or len(node.ops) != 1:
            raise refused(node)
        (left, told), right = self.value(node.left), self.atom(node.comparators[0])
        sign, a, b = SIGNS[type(node.ops[0])], left.value, right.value
        if sign in ("is", "is not"):
            if b is not None:
                raise refused(node)
            outcome = (a is None) == (sign == "is")
        elif sign in ("==", "!="):
            outcome = (a == b) == (sign == "==")
        else:
            for side, made in ((node.left, left), (node.comparators[0], right)):
                if made.value is None:
                    raise Stop("none", node.lineno, side, made)
                if type(made.value) is not int:
                    raise refused(node)
            outcome = {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[sign]
        outcome = self.careless(outcome, not outcome)
        self.note(node.lineno, f"{told} {sign} {show(b)} {outcome}")
        return outcome

    def call(self, node: ast.Call, function: ast.FunctionDef) -> Made:
        """A call of a function of the program. One that ends without `return` gives None, which the
        line of the call has made."""
        given = [self.atom(argument) for argument in node.args]
        names = [argument.arg for argument in function.args.args]
        if len(given) != len(names) or node.keywords:
            raise refused(node)
        if len(self.calls) >= DEEPEST_CALL:
            raise TooLong(f"calls deeper than {DEEPEST_CALL}")
        told = ", ".join(show(made.value) for made in given)
        self.note(node.lineno, f"{function.name}({told})")
        outer = self.names
        self.names = dict(zip(names, given, strict=True))
        self.calls.append((node.lineno, function.name))
        self.nested = max(self.nested, len(self.calls))
        returned = self.block(function.body)
        self.calls.pop()  # not where an error ends the run: the stack is what is left
        self.names = outer
        return Made(None, node.lineno) if returned is None else returned

    # -- small things ------------------------------------------------------------------------------

    def careless(self, right: Any, wrong: Any) -> Any:
        """The result, or the wrong one where the slip happens."""
        self.computed += 1
        return wrong if self.computed - 1 == self.slip else right

    def check_size(self, value: Value) -> None:
        if isinstance(value, int) and abs(value) > LARGEST_VALUE:
            raise TooLong(f"a number beyond {LARGEST_VALUE:,}")
        if isinstance(value, (list, dict)):
            if len(value) > LONGEST_VALUE:
                raise TooLong(f"more than {LONGEST_VALUE} elements")
            inside = value.values() if isinstance(value, dict) else value
            if any(isinstance(item, (list, dict)) for item in inside):
                raise ProgramError("a list or a dict inside another is not in the small language")


def refused(node: ast.AST) -> ProgramError:
    line = getattr(node, "lineno", "?")
    return ProgramError(f"line {line}: this is not in the small language")
