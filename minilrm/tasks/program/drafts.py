"""Draw a program: statement by statement, each of which uses only names that have a value.

A draft is not yet a problem: whether it runs to its end, how long that takes and how large its
numbers grow is seen by running it. `task.py` draws until a draft does what is wanted.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """The names that programs are written with, of one kind each."""

    numbers: tuple[str, ...]
    loops: tuple[str, ...]
    lists: tuple[str, ...]
    dicts: tuple[str, ...]
    keys: tuple[str, ...]
    texts: tuple[str, ...]
    functions: tuple[str, ...]
    parameters: tuple[str, ...]


SEEN = Names(
    numbers=("x", "y", "z", "n", "total", "count", "left", "price", "boxes", "best"),
    loops=("i", "j", "k"),
    lists=("a", "b", "items", "row", "rest"),
    dicts=("d", "shop", "stock"),
    keys=("red", "blue", "pen", "cup", "ana", "ben"),
    texts=("key", "name", "what"),
    functions=("f", "g", "add", "half", "pick"),
    parameters=("p", "q", "r"),
)
UNSEEN = Names(
    numbers=("u", "v", "w", "speed", "amount", "age", "weight", "score", "days", "cost"),
    loops=("s", "t", "m"),
    lists=("c", "e", "queue", "line", "bag"),
    dicts=("h", "menu", "team"),
    keys=("green", "tea", "hat", "leo", "mia", "book"),
    texts=("label", "who", "word"),
    functions=("calc", "step", "make", "move", "find"),
    parameters=("given", "other"),
)


@dataclass(frozen=True)
class Kind:
    """What a draft is to be like.

    statements: how many (`language.count_statements`). deepest: blocks inside each other. numbers:
    bounds of the constants. turns: bounds of how often a loop turns. calls_in_loops: whether a loop
    calls a function (`chain`: a function calls another). danger: an error that the draft courts.
    """

    statements: int = 7
    deepest: int = 2
    numbers: tuple[int, int] = (1, 20)
    turns: tuple[int, int] = (2, 3)  # SHORT
    names: Names = SEEN
    calls_in_loops: bool = False
    chain: bool = False
    functions_last: bool = False
    danger: str = ""


SHORT = (2, 3)  # turns of the loops of training
TESTS = ("<", ">", "<=", ">=")


class Draft:
    """A program in the making. `text` is what has been written."""

    def __init__(self, rng: random.Random, kind: Kind):
        self.rng, self.kind = rng, kind
        self.lines: list[str] = []
        self.numbers: list[str] = []  # names of numbers that have a value
        self.loops: list[str] = []  # of the loops that are open: read, never set
        self.lists: list[str] = []
        self.dicts: list[str] = []
        self.texts: list[str] = []
        self.functions: dict[str, int] = {}  # name -> how many arguments
        self.left = kind.statements
        self.levels = 0

    # -- the whole ---------------------------------------------------------------------------------

    def write(self) -> str:
        """The text of a program."""
        rng, kind = self.rng, self.kind
        wanted = kind.calls_in_loops or kind.functions_last
        likely = 1.0 if wanted else 0.7 if kind.danger == "none" else 0.35
        if kind.chain or rng.random() < likely:
            self.write_functions(2 if kind.chain else 1)
        heads, self.lines = self.lines, []
        for _ in range(rng.choice((1, 2, 2))):
            self.new_number()
        if kind.danger == "index" or rng.random() < 0.3:
            self.new_list()
        source = kind.danger == "none" and not self.functions  # where a None may come from
        if kind.danger == "key" or rng.random() < (0.9 if source else 0.2):
            self.new_dict()
        firsts = len(self.lines)
        if kind.turns > SHORT or (kind.calls_in_loops and self.functions):
            self.loop()
        elif kind.chain:
            self.call()
        while self.left > 0:
            uncalled = self.functions and not any(f"{self.last()}(" in it for it in self.lines)
            if uncalled and (self.left <= 2 or rng.random() < 0.3) and not kind.calls_in_loops:
                self.call()
            else:
                self.one()
        if kind.functions_last:  # what the program starts with, then its functions
            return "\n".join([*self.lines[:firsts], *heads, *self.lines[firsts:]])
        return "\n".join([*heads, *self.lines])

    def write_functions(self, count: int) -> None:
        """Functions of one or two arguments; the second one calls the first."""
        for name in self.rng.sample(self.kind.names.functions, count):
            inner = dict(self.functions)
            arguments = self.rng.choice((1, 2))
            given = list(self.kind.names.parameters[:arguments])
            self.emit(f"def {name}({', '.join(given)}):")
            self.levels, outer, self.numbers = 1, self.numbers, given
            if inner and self.kind.chain:
                self.call()
            elif self.rng.random() < (0 if self.kind.chain else 0.4):
                self.change()
            early = self.rng.random() < (0.8 if self.kind.danger == "none" else 0.4)
            if early:
                self.emit(f"if {self.test()}:")
                self.levels = 2
                self.emit(f"return {self.operation()}")
                self.levels = 1
            # Without this last line, a call may give None.
            if not early or self.rng.random() > (0.7 if self.kind.danger == "none" else 0.1):
                either = (self.operation(), self.rng.choice(self.numbers))
                self.emit(f"return {self.rng.choice(either)}")
            self.levels, self.numbers = 0, outer
            self.functions[name] = arguments

    def emit(self, line: str) -> None:
        self.lines.append("    " * self.levels + line)
        self.left -= 1

    # -- statements --------------------------------------------------------------------------------

    def one(self) -> None:
        """One statement, a compound one with all that stands in it."""
        danger, depth = self.kind.danger, self.levels
        menu: list[tuple[float, Callable[[], None]]] = [(3, self.change)]
        if depth == 0:
            menu += [(1.2, self.new_number)]
            if len(self.lists) < 1:
                menu += [(0.5, self.new_list)]
            if len(self.texts) < 1 and self.dicts:
                menu += [(1, self.new_text)]
        if depth < self.kind.deepest and self.left >= 2:
            more = 4 if self.kind.deepest > 2 else 1
            menu += [(2.0 * more, self.branch), (1.6 * more, self.loop), (0.7, self.repeat)]
        if self.lists:
            risky = 4 if danger == "index" else 1
            menu += [(1, self.append), (0.6, self.put), (risky, self.read_list), (0.6, self.length)]
        if self.dicts:
            menu += [(0.5, self.put_dict), (4 if danger == "key" else 0.8, self.read_dict)]
            menu += [(6 if danger == "none" else 0.3, self.get)]
        if self.functions and (depth == 0 or not self.inside_loop() or self.kind.calls_in_loops):
            menu += [(3, self.call)]
        if danger == "zero":
            menu += [(4, self.divide)]
        self.rng.choices([it for _, it in menu], [weight for weight, _ in menu])[0]()

    def body(self, more: Callable[[], None] | None = None) -> None:
        """One or two statements, one level deeper; one alone where loops turn for long."""
        self.levels += 1
        if more:
            more()
        else:
            self.one()
        if self.left > 1 and self.kind.turns == SHORT and self.rng.random() < 0.45:
            self.one()
        self.levels -= 1

    def branch(self) -> None:
        self.emit(f"if {self.test()}:")
        self.body()
        if self.left > 0 and self.rng.random() < 0.45:
            self.lines.append("    " * self.levels + "else:")
            self.body()

    def loop(self) -> None:
        name = next(name for name in self.kind.names.loops if name not in self.loops)
        over = self.rng.choice(self.lists) if self.lists and self.rng.random() < 0.5 else ""
        self.emit(f"for {name} in {over or f'range({self.rng.randint(*self.kind.turns)})'}:")
        self.loops.append(name)
        calls = self.kind.calls_in_loops and self.functions and self.rng.random() < 0.8
        self.body(self.call if calls else None)
        self.loops.pop()

    def repeat(self) -> None:
        """A `while` that comes to its end: its number grows in each turn."""
        name, step = self.rng.choice(self.numbers), self.rng.randint(2, 6)
        bound = self.constant() + step * self.rng.randint(*self.kind.turns)
        self.emit(f"while {name} < {bound}:")
        self.loops.append("")  # a loop without a name of its own
        self.body(lambda: self.emit(f"{name} += {step}"))
        self.loops.pop()

    def inside_loop(self) -> bool:
        return bool(self.loops)

    def new_number(self) -> None:
        name = self.fresh(self.kind.names.numbers, self.numbers)
        if self.numbers and self.rng.random() < 0.4:
            self.emit(f"{name} = {self.operation()}")
        elif self.numbers and self.rng.random() < 0.1:
            self.emit(f"{name} = {self.rng.choice(self.numbers)}")
        else:
            zero = self.kind.danger == "zero" and self.rng.random() < 0.3
            self.emit(f"{name} = {0 if zero else self.constant()}")
        self.numbers += [name] if name not in self.numbers else []

    def new_list(self) -> None:
        name = self.fresh(self.kind.names.lists, self.lists)
        items = [str(self.constant()) for _ in range(self.rng.randint(*self.kind.turns))]
        self.emit(f"{name} = [{', '.join(items)}]")
        self.lists += [name] if name not in self.lists else []

    def new_dict(self) -> None:
        name = self.fresh(self.kind.names.dicts, self.dicts)
        keys = self.rng.sample(self.kind.names.keys[:4], 2)
        self.emit(f"{name} = {{{', '.join(f'{key!r}: {self.constant()}' for key in keys)}}}")
        self.dicts += [name] if name not in self.dicts else []

    def new_text(self) -> None:
        name = self.fresh(self.kind.names.texts, self.texts)
        self.emit(f"{name} = {self.key()}")
        self.texts.append(name)

    def change(self) -> None:
        """A number that is there already gets another value."""
        name = self.rng.choice(self.numbers)
        if self.rng.random() < 0.35:
            self.emit(f"{name} {self.rng.choice(('+=', '-='))} {self.atom()}")
        else:
            self.emit(f"{name} = {self.operation()}")

    def divide(self) -> None:
        name, divisor = self.rng.choice(self.numbers), self.rng.choice(self.readable())
        divided = self.atom(but=divisor)
        self.emit(f"{name} = {divided} {self.rng.choice(('//', '%'))} {divisor}")

    def append(self) -> None:
        self.emit(f"{self.rng.choice(self.lists)}.append({self.atom()})")

    def put(self) -> None:
        self.emit(f"{self.rng.choice(self.lists)}[{self.index()}] = {self.atom()}")

    def read_list(self) -> None:
        name = self.rng.choice(self.numbers)
        self.emit(f"{name} = {self.rng.choice(self.lists)}[{self.index()}]")

    def length(self) -> None:
        self.emit(f"{self.rng.choice(self.numbers)} = len({self.rng.choice(self.lists)})")

    def put_dict(self) -> None:
        self.emit(f"{self.rng.choice(self.dicts)}[{self.key_or_text()}] = {self.atom()}")

    def read_dict(self) -> None:
        name = self.rng.choice(self.numbers)
        self.emit(f"{name} = {self.rng.choice(self.dicts)}[{self.key_or_text()}]")

    def get(self) -> None:
        name = self.rng.choice(self.numbers)
        self.emit(f"{name} = {self.rng.choice(self.dicts)}.get({self.key_or_text()})")
        self.use(name)

    def call(self) -> None:
        function = self.last()
        given = [self.atom() for _ in range(self.functions[function])]
        name = self.rng.choice(self.numbers)
        self.emit(f"{name} = {function}({', '.join(given)})")
        self.use(name)

    def last(self) -> str:
        """The function that the main program calls."""
        return list(self.functions)[-1]

    def use(self, name: str) -> None:
        """Where None is courted: take the name that may hold it, at once or through another."""
        if self.kind.danger != "none" or self.left <= 0 or self.rng.random() < 0.3:
            return
        other = self.rng.choice(self.numbers)
        if other != name and self.left > 1 and self.rng.random() < 0.3:
            self.emit(f"{other} = {name}")
            name = other
        self.emit(f"{self.rng.choice(self.numbers)} = {name} + {self.atom()}")

    # -- what stands in them -----------------------------------------------------------------------

    def fresh(self, names: tuple[str, ...], taken: list[str]) -> str:
        free = [name for name in names if name not in taken]
        return self.rng.choice(free or names)

    def constant(self) -> int:
        return self.rng.randint(*self.kind.numbers)

    def readable(self) -> list[str]:
        return [*self.numbers, *(name for name in self.loops if name)]

    def atom(self, but: str = "") -> str:
        """A name, seldom `but`, or a constant."""
        names = [name for name in self.readable() if name != but]
        if names and self.rng.random() < 0.6:
            return self.rng.choice(names)
        return but if but and self.rng.random() < 0.1 else str(self.constant())

    def operation(self) -> str:
        """One operation, on a name at least; factors and divisors are small."""
        left = self.rng.choice(self.readable())
        sign = self.rng.choices(("+", "-", "*", "//", "%"), (5, 4, 2, 1, 0.7))[0]
        if sign in "+-":
            return f"{left} {sign} {self.atom(but=left)}"
        small = self.loops[-1:] if sign == "*" and self.loops and self.loops[-1] else []
        return f"{left} {sign} {self.rng.choice([*small, str(self.rng.randint(2, 5))])}"

    def test(self) -> str:
        name = self.rng.choice(self.readable())
        if self.rng.random() < 0.15:
            return f"{name} % {self.rng.choice((2, 2, 3))} == {self.rng.randint(0, 1)}"
        other = self.atom(but=name)
        if other == name:
            other = str(self.constant())
        return f"{name} {self.rng.choice(TESTS)} {other}"

    def index(self) -> str:
        if self.rng.random() < (0.7 if self.kind.danger == "index" else 0.35):
            return self.rng.choice(self.readable())
        return str(self.rng.choice((0, 1, 1, 2, -1)))

    def key(self) -> str:
        return repr(self.rng.choice(self.kind.names.keys[:4]))

    def key_or_text(self) -> str:
        return self.rng.choice(self.texts) if self.texts and self.rng.random() < 0.7 else self.key()
