"""countdown: exact where it judges, total where it reads, and no multiset of numbers on two sides
of a split.

Its traces are tested in test_countdown_traces.py.
"""

import ast
import doctest
import importlib
import importlib.util
import itertools
import json
import operator
import random
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilrm import machine
from minilrm.errors import UserError
from minilrm.tasks import countdown, expressions, get_task, reach, split_of
from minilrm.tasks.base import Problem
from minilrm.tasks.countdown import Countdown, make_problem
from studies.census import census

repeatable = settings(derandomize=True, deadline=None, max_examples=100)
ROOT = Path(__file__).resolve().parent.parent
TASK, HARD = Countdown(), Countdown(4, 13)
P = make_problem([4, 7, 25], 53)


def answered(expression: str) -> str:
    return f"\n<answer>{expression}</answer>"


def drawn(n: int, split: str = "train", task: Countdown = TASK, seed: int = 7) -> list[Problem]:
    rng = random.Random(seed)
    return [task.sample(rng, split) for _ in range(n)]


# ---- two other ways of doing the same: Python's own parser for expressions, and all orders and
# operators for reach

OPS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def oracle(text: str) -> tuple[Fraction | None, list[int]] | None:
    """(value, numbers) of an expression by Python's grammar, narrowed to ours; None if it is
    none. A minus sign may stand before a number or bracket only where a sum begins."""
    text = text.strip()
    if not re.fullmatch(r"[0-9+*/() -]*", text) or re.search(r"[-+*/] *-", text):
        return None
    try:
        body = ast.parse(text, mode="eval").body
    except SyntaxError:  # leading zeros among them
        return None
    numbers: list[int] = []

    def walk(node):
        if isinstance(node, ast.Constant):
            numbers.append(node.value)
            return Fraction(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = walk(node.operand)
            return None if inner is None else -inner
        if not isinstance(node, ast.BinOp) or type(node.op) not in OPS:
            raise KeyError("a plus sign, ** or //, a call")
        a, b = walk(node.left), walk(node.right)
        return (
            None
            if a is None or b is None or (isinstance(node.op, ast.Div) and b == 0)
            else OPS[type(node.op)](a, b)
        )

    try:
        return walk(body), numbers
    except KeyError:
        return None


def brute_force(numbers) -> set[tuple[tuple, int]]:
    """(set of steps, end) of all series of whole, non-negative steps: any two of the pool at a
    time, any operator."""
    ends = set()

    def go(pool, steps):
        if len(pool) == 1:
            ends.add((tuple(sorted(steps)), pool[0]))
        for i, j in itertools.permutations(range(len(pool)), 2):
            a, b, rest = pool[i], pool[j], [n for k, n in enumerate(pool) if k not in (i, j)]
            for op, result in (
                ("+", a + b),
                ("-", a - b),
                ("*", a * b),
                ("/", a // b if b and a % b == 0 else -1),
            ):
                if result >= 0:
                    x, y = (max(a, b), min(a, b)) if op in "+*" else (a, b)
                    go([*rest, result], [*steps, f"{x}{op}{y}={result}"])

    go(list(numbers), [])
    return ends


@pytest.mark.parametrize(
    "numbers",
    [(2, 6), (1, 1), (4, 7, 25), (3, 3, 3), (1, 2, 24), (2, 2, 4, 5), (1, 3, 4, 6)],
    ids=str,
)
def test_the_solver_finds_what_trying_everything_finds(numbers):
    """Caught: a split of the numbers left out, a quotient that does not come out even, 0/7
    forgotten, doubles."""
    ends = brute_force(numbers)
    assert reach.reachable(numbers) == {end for _, end in ends}
    for target in {end for _, end in ends} | {-1, 1000}:
        found = [
            tuple(sorted(map(str, tidy(expressions.steps(tree)))))
            for tree in reach.trees(numbers, target)
        ]
        assert sorted(found) == sorted(steps for steps, end in ends if end == target)
        for text in reach.solve(numbers, target):
            value, used = oracle(text)
            assert value == target and sorted(used) == list(numbers)


def tidy(steps):
    return [s._replace(a=max(s.a, s.b), b=min(s.a, s.b)) if s.op in "+*" else s for s in steps]


def test_a_way_that_is_found_backwards_makes_the_target_and_is_found_wherever_there_is_one():
    rng = random.Random(0)
    for _ in range(60):
        numbers = tuple(sorted(rng.randint(1, 13) for _ in range(rng.choice((2, 3, 4)))))
        target = rng.randint(0, 60)
        found = reach.random_way(numbers, target, rng)
        assert (found is not None) == (target in reach.reachable(numbers))
        if found is not None:
            assert expressions.value(found) == target
            assert Counter(expressions.leaves(found)) == Counter(numbers)
            assert all(map(expressions.is_true, expressions.steps(found)))


def test_partners_are_the_values_from_which_one_step_makes_the_target():
    for target, b in itertools.product(range(13), range(13)):
        expected = [a for a in range(200) if any(s.result == target for s in reach.moves(a, b))]
        assert reach.partners(target, b, range(200)) == expected


def test_five_numbers_are_solved_too():
    problem = make_problem([99, 98, 97, 96, 95], 97)
    assert oracle(problem.answer)[0] == 97 and TASK.grade(problem, answered(problem.answer)).correct


# ---- expressions

trees = st.recursive(
    st.integers(0, 99), lambda t: st.tuples(st.sampled_from("+-*/"), t, t), max_leaves=8
)
with_leading_minus = st.recursive(
    st.integers(0, 99),
    lambda t: st.one_of(st.tuples(st.sampled_from("+-*/"), t, t), st.tuples(st.just("-"), t)),
    max_leaves=8,
).filter(lambda tree: len(expressions.write(tree)) <= expressions.MAX_LENGTH)


@repeatable
@given(st.one_of(trees, with_leading_minus))
def test_expressions_are_written_and_read_without_loss(tree):
    """Caught: a bracket too few on the right of - and /, and a normal form that changes the
    value."""
    text, normal = expressions.write(tree), expressions.normal(tree)
    value, numbers = oracle(text)
    assert numbers == expressions.leaves(tree) and value == expressions.value(tree)
    again = expressions.parse(text)
    assert (
        expressions.value(again) == value
        and expressions.write(again) == text
        and expressions.normal(again) == normal
    )
    if value is not None and oracle(normal)[0] is not None:  # 1/(1/0) has no value, 1*0/1 has
        assert oracle(normal)[0] == value
    assert sorted(oracle(normal)[1]) == sorted(numbers)


@repeatable
@given(trees, st.randoms(use_true_random=False))
def test_order_does_not_change_the_vote(tree, rng):
    assert expressions.normal(reach.shuffled(tree, rng)) == expressions.normal(tree)


def test_votes():
    assert len({TASK.vote_key(P, t) for t in ("4*7+25", "25+7*4", "25 + (4*7)", "((7*4)+25)")}) == 1
    assert TASK.vote_key(P, "25*4-7") != TASK.vote_key(P, "25*(7-4)") != TASK.vote_key(P, "25*7-4")
    assert [TASK.vote_key(P, t) for t in (None, "", "4**7", "about 53")] == [None] * 4


# ---- the grader

HOLES = {
    "power": answered("4**7"),
    "tower that hangs": answered("9**9**9**9"),
    "whole division": answered("25//4+7"),
    "glued decimals": answered("2.5"),
    "decimals": answered("25.0+4*7"),
    "glued numbers": answered("2 5+4*7"),
    "leading zero": answered("025+4*7"),
    "minus behind an operator": answered("25--4*7"),
    "two leading minuses": answered("--4*7+25"),
    "leading minus, other value": answered("-4*7+25"),
    "plus sign": answered("+25+4*7"),
    "underscore": answered("2_5+4*7"),
    "hexadecimal": answered("0x19+4*7"),
    "letter x": answered("4x7+25"),
    "times sign": answered("4×7+25"),
    "equals": answered("4*7+25=53"),
    "Arabic-Indic digits": answered("٤*٧+٢٥"),
    "fullwidth digits": answered("４*７+２５"),
    "superscripts": answered("4*7+2⁵"),
    "unicode minus": answered("25−7+4"),
    "no-break space": answered("25\u00a0+4*7"),
    "line break inside": answered("25\n+4*7"),
    "empty": answered(""),
    "blank": answered("  "),
    "the target": answered("53"),
    "no number": answered("()"),
    "a call": answered("__import__('os')"),
    "half an emoji": answered("\ud83d"),
    "null": answered("4*7+25\0"),
    "two answers": answered("4*7+25") * 2,
    "two, one wrong": answered("4+7+25") + answered("4*7+25"),
    "opened twice": "<answer><answer>4*7+25</answer>",
    "closed twice": "<answer>4*7+25</answer></answer>",
    "not closed": "\n<answer>4*7+25",
    "not opened": "4*7+25</answer>",
    "closed first": "</answer>4*7+25<answer>",
    "other tag": "<Answer>4*7+25</Answer>",
    "no tag": "4*7+25",
    "nothing": "",
    "a number twice": answered("25+4*7+4-4"),
    "a number twice, led by a minus": answered("-7+7+4*7+25"),
    "a number missing": answered("25+7"),
    "another number": answered("28+25"),
    "digits rearranged": answered("52+7/4"),
    "not closed bracket": answered("(4*7+25"),
    "closed bracket": answered("4*7+25)"),
    "huge number": answered("9" * 100_000),
    "many numbers": answered("+".join(["1"] * 50_000)),
    "deep": answered("(" * 50_000 + "4" + ")" * 50_000),
    "deep, short": answered("(" * 45 + "4*7+25" + ")" * 45),
    "many answers": answered("4*7+25") * 20_000,
    "only signs": answered("*" * 90),
    "by zero": answered("25/(7-7)+4"),
}


@pytest.mark.parametrize("completion", HOLES.values(), ids=HOLES.keys())
def test_a_hole_is_worth_nothing(completion):
    grade = TASK.grade(P, completion)
    assert not grade.correct and grade.reason != "right"
    TASK.parse_trace(completion), TASK.thinks(completion), TASK.vote_key(P, grade.answer)


@pytest.mark.parametrize(
    "completion, correct, formatted, answer, reason",
    [
        (answered("4*7+25"), True, True, "4*7+25", "right"),
        (" <answer> (7 * 4) + 25 </answer>\n ", True, True, "(7 * 4) + 25", "right"),
        ("<think>\n28+25\n</think>\n<answer>4*7+25\n</answer>", True, True, "4*7+25", "right"),
        ("<answer>\n\t4*7+25\r\n</answer>\n", True, True, "4*7+25", "right"),
        (answered("4*7+25") + "\nThere!", True, False, "4*7+25", "text after the answer"),
        (answered("4+7+25") + "\nThere!", False, False, "4+7+25", "wrong value"),
        (answered("25*4-7"), False, True, "25*4-7", "wrong value"),
        (answered("25+7"), False, True, "25+7", "numbers not used once each"),
        (answered("4/(25-25)*7"), False, True, "4/(25-25)*7", "numbers not used once each"),
        (answered("4*7+25=53"), False, False, None, "unreadable answer"),
        (answered(" "), False, False, None, "empty answer"),
        (answered("4*7+25") * 2, False, False, None, "two answers"),
        ("4*7+25", False, False, None, "no answer"),
        ("\n<answer>4*7+25", False, False, None, "answer not closed"),
    ],
)
def test_verdicts(completion, correct, formatted, answer, reason):
    grade = TASK.grade(P, completion)
    assert (grade.correct, grade.formatted, grade.answer, grade.reason) == (
        correct,
        formatted,
        answer,
        reason,
    )


def test_the_way_to_the_value_is_free():
    """Caught: a grader that rounds, or demands whole numbers on the way as the corpus does."""
    fractions = Problem("countdown", "", "", "", 3, {"numbers": [3, 3, 8, 8], "target": 24})
    assert TASK.grade(fractions, answered("8/(3-8/3)")).correct
    assert not TASK.grade(fractions, answered("8*3*3/8")).correct
    below_zero = Problem("countdown", "", "", "", 2, {"numbers": [2, 5, 9], "target": 6})
    assert TASK.grade(below_zero, answered("2-5+9")).correct
    by_zero = Problem("countdown", "", "", "", 2, {"numbers": [5, 5, 9], "target": 0})
    assert TASK.grade(by_zero, answered("9/(5-5)")).reason == "division by zero"


@pytest.mark.parametrize(
    "numbers, target, expression",
    [
        ([7, 7, 34, 74, 80], 120, "-34+7*(74+80)/7"),
        ([4, 7, 25], 53, "-(-25-4*7)"),
        ([4, 7, 25], 72, "-4*(7-25)"),
        ([4, 7, 40], 12, "(- 7)*4 + 40"),
        ([4, 7, 25], 22, " -7+25+4\n"),
    ],
)
def test_a_leading_minus_is_taken_where_the_value_is_right(numbers, target, expression):
    """As larger models write it. Each number must still be used once."""
    problem = Problem("countdown", "", "", "", 3, {"numbers": numbers, "target": target})
    assert TASK.grade(problem, answered(expression)).reason == "right"
    other = Problem("countdown", "", "", "", 3, {"numbers": numbers, "target": target + 1})
    assert TASK.grade(other, answered(expression)).reason == "wrong value"
    fewer = Problem("countdown", "", "", "", 3, {"numbers": numbers[1:], "target": target})
    assert TASK.grade(fewer, answered(expression)).reason == "numbers not used once each"


PIECES = "4 7 25 2 5 + - * / ( ) ** // 53 . = <answer> </answer>".split() + [" ", "\n", "٣"]
pieces = st.lists(st.sampled_from(PIECES), max_size=14)


@repeatable
@given(
    st.one_of(st.text(max_size=60), pieces.map("".join), pieces.map(lambda p: answered("".join(p))))
)
def test_the_grader_is_total_and_sound(text):
    grade = TASK.grade(P, text)
    found = re.findall(r"<answer>(.*?)</answer>", text, re.DOTALL)
    if len(found) == 1 and text.count("<answer>") == text.count("</answer>") == 1:
        read = oracle(found[0]) if found[0].strip() else None
        assert grade.correct == (
            read is not None and read[0] == 53 and sorted(read[1]) == [4, 7, 25]
        )
        assert (grade.answer is None) == (read is None)
    else:
        assert not grade.correct and not grade.formatted and grade.answer is None


@repeatable
@given(
    st.permutations([4, 7, 25]),
    st.lists(st.sampled_from("+-*/"), min_size=2, max_size=2),
    st.booleans(),
)
def test_expressions_of_the_right_numbers_are_right_if_their_value_is(numbers, ops, left):
    """The random texts above are hardly ever nearly right; these are."""
    (a, b, c), (o, p) = numbers, ops
    text = f"({a}{o}{b}){p}{c}" if left else f"{a}{o}({b}{p}{c})"
    assert TASK.grade(P, answered(text)).correct == (oracle(text)[0] == 53)


# ---- problems and splits


def test_the_problems_are_those_that_are_counted():
    """The sizes that the docstring states, by another way than `census`."""
    found = Counter()
    for numbers in itertools.combinations_with_replacement(range(1, 26), 3):
        found[split_of("countdown:" + "-".join(map(str, numbers)))] += len(
            countdown.targets(numbers)
        )
    assert (
        dict(found) == {"train": 21_926, "validation": 2_794, "test": 2_559}
        and found.total() == 27_279
    )
    small = census(3, 5)
    assert sum(sets for split, (sets, _) in small.items() if split != "ood") == 35 and small[
        "ood"
    ] == (1820, 88_597)


@pytest.mark.parametrize("task", [TASK, Countdown(2, 30), HARD])
def test_no_multiset_is_in_two_splits(task):
    """Caught: a split by the whole key, which would put two targets of one multiset on two
    sides."""
    splits = ("train", "validation", "test", *(["ood"] if task.numbers != 4 else []))
    seen = [{tuple(sorted(p.meta["numbers"])) for p in drawn(250, split, task)} for split in splits]
    for one, other in itertools.combinations(seen, 2):
        assert one and other and not one & other


def test_problems_are_well_made():
    for split, count, largest in (("train", 3, 25), ("test", 3, 25), ("ood", 4, 13)):
        for p in drawn(60, split):
            numbers, target = p.meta["numbers"], p.meta["target"]
            assert (
                len(numbers) == count
                and all(1 <= n <= largest for n in numbers)
                and 1 <= target <= 99
            )
            assert (
                p.key == f"countdown:{'-'.join(map(str, sorted(numbers)))}={target}"
                and p.difficulty == count - 1
            )
            assert (
                p.prompt == f"Make {target} with {', '.join(map(str, numbers))}."
                and p.task == "countdown"
            )
            assert (
                oracle(p.answer)[0] == target
                and TASK.grade(p, answered(p.answer)).reason == "right"
            )
            other = TASK.reword(p, random.Random(1))
            assert (other.key, other.answer) == (p.key, p.answer) and sorted(
                other.meta["numbers"]
            ) == sorted(numbers)
            assert TASK.render(other) == f"Question: {other.prompt}\nAnswer:"
    assert any(p.meta["numbers"] != sorted(p.meta["numbers"]) for p in drawn(20))


def test_same_seed_same_problems():
    for split in ("train", "test", "ood"):
        assert drawn(10, split) == drawn(10, split) and TASK.problems(
            split, 10, seed=3
        ) == TASK.problems(split, 10, seed=3)
    assert drawn(10, seed=1) != drawn(10, seed=2)
    assert len({p.key for p in TASK.problems("validation", 300)}) == 300


@pytest.mark.parametrize(
    "options",
    [
        {"numbers": 1},
        {"numbers": 6},
        {"numbers": 3.0},
        {"numbers": True},
        {"largest": 4},
        {"largest": 100},
        {"largest": "25"},
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(
        UserError, match=rf"countdown: {next(iter(options))} must be a whole number from \d to \d"
    ):
        get_task("countdown", **options)


@pytest.mark.parametrize(
    "numbers, target, says",
    [
        ([4, 7, 25], 54, r"54 cannot be reached from 4, 7, 25 .*nearest target is 53"),
        ([1, 1, 1], 10**10, "nearest target is 3"),
        ([4], 4, "2 to 5"),
        ([1] * 6, 6, "2 to 5"),
        ([0, 7], 7, "1 to 99"),
        ([4, 100], 104, "1 to 99"),
        ([4, "7"], 11, "whole numbers"),
        ([4, 2.5], 10, "whole numbers"),
        ([4, True], 5, "whole"),
        ([4, 7], -3, "whole number from 0"),
        ([4, 7], 10**5000, "whole number from 0"),
        ([4, 7], "11", "whole number from 0"),
    ],
    ids=range(12),
)
def test_problems_that_cannot_be_are_refused(numbers, target, says):
    with pytest.raises(UserError, match=says) as error:
        make_problem(numbers, target)
    assert "\n" not in str(error.value)


def test_splits_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="no split 'tset'"):
        TASK.sample(random.Random(0), "tset")
    for ask in (lambda: HARD.sample(random.Random(0), "ood"), lambda: HARD.problems("ood", 3)):
        with pytest.raises(UserError, match="use 'test'"):
            ask()
    with pytest.raises(UserError, match="finds only .* different test problems"):
        Countdown(2, 9).make("test", 100)


def test_no_options_leave_a_split_empty():
    """`sample` looks until it finds. Larger numbers come on top of these, so it is enough to look
    at the smallest."""
    for count in (2, 3, 4, 5):
        found = {
            countdown.split_of_numbers(numbers)
            for numbers in itertools.combinations_with_replacement(range(1, 6), count)
            if countdown.targets(numbers)
        }
        assert found == {"train", "validation", "test"}


# ---- the shipped files

FOLDER = ROOT / "data" / "countdown"


@pytest.fixture(scope="module")
def make_data():
    spec = importlib.util.spec_from_file_location("make_data", ROOT / "scripts" / "make_data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("split", ["test", "ood"])
def test_the_files_can_be_made_again(make_data, split):
    """If this fails because the task has changed: python scripts/make_data.py, and measure
    everything again."""
    text = (FOLDER / f"{split}.jsonl").read_text(encoding="utf-8")
    assert len(text) < 150_000 and text.count("\n") == 1000
    assert text.splitlines()[:60] == make_data.lines("countdown", split, 60)


@pytest.mark.parametrize("split", ["test", "ood"])
def test_what_is_shipped_is_right_and_in_its_split(split):
    problems = TASK.problems(split, 1000)
    assert problems[:30] == TASK.make(split, 30)
    assert len({p.key for p in problems}) == 1000
    for p in problems:
        assert TASK.grade(p, answered(p.answer)).reason == "right"
        assert split == "ood" or countdown.split_of_numbers(p.meta["numbers"]) == "test"


def test_other_options_another_seed_or_more_problems_are_made_anew():
    """Caught: the shipped three numbers for a task of four."""
    assert all(len(p.meta["numbers"]) == 4 for p in HARD.problems("test", 20))
    assert Countdown(3, 9).problems("test", 20) == Countdown(3, 9).make("test", 20)
    assert (
        TASK.problems("test", 20, seed=1)
        == TASK.make("test", 20, seed=1)
        != TASK.problems("test", 20)
    )
    assert Countdown(2, 9).problems("ood", 20) == TASK.problems("ood", 20)
    assert len(TASK.problems("ood", 1001)) == 1001


def test_a_damaged_file_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "countdown").mkdir()
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    # no file: made anew
    assert machine.data_folder() == tmp_path and TASK.problems("test", 5) == TASK.make("test", 5)
    good = json.dumps(TASK.to_record(P))
    for line in (
        '{"numbers": [4, 7',
        good.replace("53", "54"),
        good.replace("25+4*7", "4**7"),
        '{"target": 53}',
        "[]",
        "12",
    ):
        (tmp_path / "countdown" / "test.jsonl").write_text(f"{good}\n{line}\n")
        with pytest.raises(UserError, match="line 2: .*make_data"):
            TASK.problems("test", 1)


@pytest.mark.parametrize("name", ["countdown", "expressions", "reach"])
def test_the_examples_in_the_docstrings(name):
    failed, run = doctest.testmod(importlib.import_module(f"minilrm.tasks.{name}"))
    assert run and not failed
