r"""Answers to questions about programs: what is asked, how a solution is written, how it is judged.

    What is x at the end?              #### 12, #### None, #### [3, 5]
    Which line crashes, and why?       #### line 4, zero
    Which line made the zero?          #### line 2

A solution has a line for each step of the run (`interpreter.Step`), so it can be judged line by
line: the program allows one next step, and no other.
"""

import ast
import random
import re

from minilrm.tasks import answers
from minilrm.tasks.problem import Grade
from minilrm.tasks.program.interpreter import Run, execute
from minilrm.tasks.program.language import ProgramError, functions_of, show

QUESTIONS = ("value", "crash", "blame")
REASONS = {
    "none": "TypeError", "zero": "ZeroDivisionError", "index": "IndexError", "key": "KeyError",
}  # fmt: skip
CALLED = {"none": "None", "zero": "zero", "index": "index", "key": "key"}
STEP = re.compile(r"\s*[0-9]{1,3}:")
NUMBER = r"-?[0-9]{1,20}"
VALUE = re.compile(rf"{NUMBER}|None|\[(?:(?:{NUMBER}|None)(?:,(?:{NUMBER}|None)){{0,49}})?\]")
PLACE = re.compile(r"(?:line)?([0-9]{1,3})(?:,(none|zero|index|key))?", re.IGNORECASE)
LONGEST_ANSWER = 200  # characters that are read
LONGEST_TRACE = 230  # characters, of a careless one too: a slip may let a loop turn longer
OFFS = (-10, -2, -1, -1, 1, 1, 2, 10)


# -- what is asked, and the answer -----------------------------------------------------------------


def answer_of(question: str, run: Run, name: str) -> str | None:
    """The answer to a question about a run; None if it has none."""
    if question == "value":
        known = run.crash is None and name in run.names
        return show(run.names[name]) if known else None
    if run.crash is None or (question == "blame" and run.crash.made is None):
        return None
    if question == "crash":
        return f"line {run.crash.line}, {run.crash.reason}"
    return f"line {run.crash.made}"


def traceback(run: Run) -> str:
    """The stack of an error, the outermost call first, as a question shows it:
    `Traceback: line 9 in main, line 2 in half, ZeroDivisionError`."""
    assert run.crash is not None
    calls = ", ".join(f"line {line} in {function}" for line, function in run.crash.stack)
    return f"Traceback: {calls}, {REASONS[run.crash.reason]}"


def canonical(text: str) -> str | None:
    """An answer in one form, whichever question it answers; None for what is none.

    >>> [canonical(text) for text in (" 12 ", "[3,5]", "None", "Line 4: Zero", "4, zero", "line 2")]
    ['12', '[3, 5]', 'None', 'line 4, zero', 'line 4, zero', 'line 2']
    >>> [canonical(text) for text in ("twelve", "3 or 4", "[3", "012", "")]
    [None, None, None, '12', None]
    """
    if len(text) > LONGEST_ANSWER or re.search(r"[0-9]\s+[0-9]", text):
        return None
    text = re.sub(r"\s+", "", text).removesuffix(".")
    if VALUE.fullmatch(text):
        return re.sub(NUMBER, lambda found: str(int(found[0])), text).replace(",", ", ")
    place = PLACE.fullmatch(text.replace(":", ","))
    if place is None:
        return None
    return f"line {int(place[1])}" + (f", {place[2].lower()}" if place[2] else "")


def grade(answer: str, completion: str) -> Grade:
    r"""Judge by the one answer behind `####`.

    >>> [grade("line 4, zero", f"\n#### {text}").reason for text in ("line 4, zero", "line 4", "?")]
    ['right', 'wrong answer', 'unreadable answer']
    >>> grade("12", "\n1: x = 12\n#### 12\n#### 13").reason
    'two answers'
    """
    return answers.grade_one(completion, lambda text: same_kind(answer, text), answer)


def same_kind(answer: str, text: str) -> str | None:
    """The canonical form of a text. Where a line is asked for, a bare number is one: `4` is
    `line 4`."""
    said = canonical(text)
    if said and answer.startswith("line") and said.isdecimal():
        return f"line {said}"
    return said


# -- solutions -------------------------------------------------------------------------------------


def write_solution(
    tree: ast.Module, question: str, name: str, rng: random.Random, style: str
) -> str:
    """A solution in one of SOLUTION_STYLES: its lines, and the answer behind `####`."""
    run = execute(tree)
    answer = answer_of(question, run, name)
    if answer is None:
        raise ValueError(f"this program has no answer to the question {question!r}")
    if style == "reflex":
        return f" {answers.MARK} {answer}"
    if style == "careless":
        run, answer = slip(tree, question, name, run, answer, rng)
    lines = [trace(run)]
    if style == "plan_verify":
        lines = [plan(tree, question, name), *lines, check(run, question, name)]
    return "\n" + "\n".join(lines) + f"\n{answers.MARK} {answer}"


def trace(run: Run) -> str:
    """The steps of a run, a line each."""
    return "\n".join(map(str, run.steps))


def plan(tree: ast.Module, question: str, name: str) -> str:
    """Where to look: the lines that set a name, or those that can stop a program."""
    lines = lines_that_set(tree, name) if question == "value" else risky_lines(tree)
    told = ", ".join(map(str, lines)) or "all"
    what = f"{name} is set in" if question == "value" else "watch"
    return f"Plan: {what} line{'s' if len(lines) != 1 else ''} {told}."


def check(run: Run, question: str, name: str) -> str:
    """What was found, once more, from the other end."""
    if question == "value":
        last = next(step for step in reversed(run.steps) if step.text.startswith(f"{name} = "))
        return f"Check: line {last.line} set {name} last, ok."
    assert run.crash is not None
    made = f"made in line {run.crash.made}, " if run.crash.made else ""
    return f"Check: {made}stops in line {run.crash.line}, ok."


def lines_that_set(tree: ast.Module, name: str) -> list[int]:
    """The lines of the main program that give a name another value, or what it names."""
    found = set()
    for top in tree.body:
        if isinstance(top, ast.FunctionDef):
            continue  # its names are its own
        for node in ast.walk(top):
            if isinstance(node, ast.Assign):
                target = node.targets[0]
            elif isinstance(node, (ast.AugAssign, ast.For)):
                target = node.target
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                target = node.value.func
            else:
                continue
            if isinstance(target, (ast.Subscript, ast.Attribute)):
                target = target.value
            if isinstance(target, ast.Name) and target.id == name:
                found.add(node.lineno)
    return sorted(found)


def risky_lines(tree: ast.Module) -> list[int]:
    """The lines that divide by a name, look something up, or take what may be None."""
    own = functions_of(tree)
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.BinOp(op=ast.FloorDiv() | ast.Mod(), right=ast.Name()):
                found.add(node.lineno)
            case ast.Subscript() | ast.Call(func=ast.Attribute(attr="get")):
                found.add(node.lineno)
            case ast.Call(func=ast.Name(id=name)) if name in own:
                found.add(node.lineno)
    return sorted(found)


def slip(
    tree: ast.Module, question: str, name: str, right: Run, answer: str, rng: random.Random
) -> tuple[Run, str]:
    """A careless run: one result comes out wrong, the rest is worked faithfully on it, and the
    answer is wrong. Where no such run answers the question, the last line alone is wrong."""
    for at in rng.sample(range(right.computed), right.computed):
        try:
            run = execute(tree, at, rng.choice(OFFS))
        except ProgramError:
            continue  # a loop that does not end any more
        said = answer_of(question, run, name)
        if said not in (None, answer) and len(trace(run)) <= LONGEST_TRACE:
            return run, str(said)
    return right, wrong_answer(question, right, answer, rng)


def wrong_answer(question: str, run: Run, answer: str, rng: random.Random) -> str:
    """Another answer to the same question."""
    if question == "value":
        return str(int(answer) + rng.choice(OFFS)) if answer.lstrip("-").isdecimal() else "0"
    lines = sorted({step.line for step in run.steps})
    others = [f"line {line}" for line in lines if line != int(re.findall("[0-9]+", answer)[0])]
    if question == "blame":
        return rng.choice(others or ["line 99"])
    place, _, reason = answer.partition(", ")
    if others and rng.random() < 0.5:
        return f"{rng.choice(others)}, {reason}"
    return f"{place}, {rng.choice([other for other in REASONS if other != reason])}"


# -- judging single lines --------------------------------------------------------------------------


def step_labels(tree: ast.Module, answer: str, completion: str) -> list[bool]:
    r"""For each line: is all so far what the program does, step after step? A line that is no step
    (a plan, a check, an empty line) changes nothing; an answer is right or not.

    >>> from minilrm.tasks.program.language import parse
    >>> tree = parse("x = 3\nx += 4")
    >>> step_labels(tree, "7", "\n1: x = 3\n2: x = <<3+4=8>>8\n#### 7")
    [True, True, False, False]
    >>> step_labels(tree, "7", "\n1: x = 3\n2: x = <<3+4=7>>7\n#### 7")
    [True, True, True, True]
    """
    steps = iter(execute(tree).steps)
    alive, labels = True, []
    for line in re.findall(r"[^\n]*\n|[^\n]+\Z", completion):
        if STEP.match(line):
            expected = str(next(steps, ""))
            alive = alive and squeezed(line) == squeezed(expected)
        for said in answers.extract(line):
            alive = alive and same_kind(answer, said) == answer
        labels.append(alive)
    return labels


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)
