"""gsm8k-mini: grade-school word problems in GSM8K's own schema, small enough for a model of two
million parameters.

The stories are hand-written templates (`tasks/templates/`), each in English and Spanish, with
numbers, names, things and wordings left open. `ood` holds what training never sees: half of it
whole stories (`templates.HELD_OUT`), half of it known stories with larger numbers. The name says
mini: its figures are never GSM8K's.
"""

import random
from dataclasses import replace
from fractions import Fraction
from typing import Any

from minilrm.tasks import answers
from minilrm.tasks.base import PlanMarks, Problem, Task, split_of
from minilrm.tasks.templates import HELD_OUT, TRAINING
from minilrm.tasks.templates.template import Template, draw_numbers, fill, solve, substitute

OPPOSITE = {"+": "-", "-": "+", "*": "/", "/": "*"}
PHRASES = {
    "en": {"plan": "Plan", "check": "Check", "ok": "ok"},
    "es": {"plan": "Plan", "check": "Prueba", "ok": "bien"},
}
SHIPPED_WITH = {"spanish": 0.25, "distractors": 0.2}  # the options of the shipped files


class GSM8KMini(Task):
    """Word problems of 2 to 5 steps.

    spanish: share of the problems that are told in Spanish. distractors: share with a number that
    does not matter.
    """

    name = "gsm8k-mini"
    max_new_tokens = 224  # the longest planned and checked solution takes 217
    base = "gsm8k-mini-base"
    corpus = "web"
    shipped = {"test": SHIPPED_WITH, "ood": SHIPPED_WITH}
    translated = False  # whether problems hold their solution in the other language, too

    def __init__(
        self,
        spanish: float = SHIPPED_WITH["spanish"],
        distractors: float = SHIPPED_WITH["distractors"],
    ):
        self.spanish, self.distractors = spanish, distractors
        self.templates = {t.name: t for t in (*TRAINING, *HELD_OUT)}

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        larger = split == "ood" and rng.random() < 0.5
        stories = HELD_OUT if split == "ood" and not larger else TRAINING
        template = rng.choice(stories)
        while True:
            numbers = draw_numbers(template, rng, larger)
            key = problem_key(template, numbers)
            if split == "ood" or split_of(key) == split:
                break
        language = "es" if rng.random() < self.spanish else "en"
        problem = fill(
            template,
            rng,
            language,
            numbers=numbers,
            task=self.name,
            distractor=rng.random() < self.distractors,
            translated=self.translated,
        )
        if split == "ood":
            problem.meta["ood"] = "larger numbers" if larger else "new story"
        return problem

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        return write_solution(problem, rng, style)

    def plan_marks(self, problem: Problem) -> PlanMarks:
        return plan_marks(problem)

    def step_labels(self, problem: Problem, completion: str) -> list[bool]:
        return chain_labels(problem, completion)

    def reword(self, problem: Problem, rng: random.Random) -> Problem:
        meta = problem.meta
        return fill(
            self.templates[meta["template"]],
            rng,
            meta["language"],
            numbers=meta["numbers"],
            task=self.name,
            distractor=meta["distractor"],
        )

    def to_record(self, problem: Problem) -> dict[str, Any]:
        """A line in GSM8K's schema. Of `meta` stays what `from_record` cannot find out."""
        found_out = ("expressions", "sentences")
        return {
            "question": problem.prompt,
            "answer": write_chain(problem, right_chain(problem)).removeprefix("\n"),
            "key": problem.key,
            "difficulty": problem.difficulty,
            "meta": {name: it for name, it in problem.meta.items() if name not in found_out},
        }

    def from_record(self, record: dict[str, Any]) -> Problem:
        """The problem with all of its `meta`: the sentences are the lines of its solution."""
        template = self.templates[record["meta"]["template"]]
        [answer] = answers.extract(record["answer"])
        meta = {**record["meta"], "expressions": list(template.steps)}
        bare = Problem(
            self.name, record["question"], answer, record["key"], record["difficulty"], meta
        )
        sentences = [
            line.replace(f"<<{e}={v}>>{v}", "{calc}")
            for line, (e, v) in zip(record["answer"].split("\n"), right_chain(bare), strict=False)
        ]
        return replace(bare, meta={**meta, "sentences": sentences})


def problem_key(template: Template, numbers: dict[str, int]) -> str:
    """The sum behind a story: the template and its numbers; names, wording and language do not
    count."""
    return template.name + ":" + "-".join(str(numbers[v]) for v in template.numbers)


def worked_steps(problem: Problem) -> list[tuple[str, int | Fraction]]:
    """The right chain: (expression with its numbers written in, result) for each step."""
    steps, numbers = problem.meta["expressions"], problem.meta["numbers"]
    values = solve(steps, numbers)
    return [(substitute(step, values), values[f"s{i}"]) for i, step in enumerate(steps, 1)]


def right_chain(problem: Problem) -> list[tuple[str, str]]:
    """The right chain as it is written: (expression, result) for each step."""
    return [(expression, str(result)) for expression, result in worked_steps(problem)]


def chain_labels(problem: Problem, completion: str) -> list[bool]:
    """For each line of a solution: is all so far as the right chain has it, in any order?

    A sum counts if the right chain has it, its operands in either order where that does not matter;
    the check of a planned solution may undo any of them.
    """
    right = right_chain(problem)
    undone = [tuple(check_last(e, v)[2:].split(">>")[0].split("=")) for e, v in right]
    wanted = {in_order(e, v) for e, v in (*right, *undone)}
    alive, labels = True, []
    for line in completion.splitlines():
        alive = alive and all(in_order(e, v) in wanted for e, v in answers.equations(line))
        alive = alive and all(said == problem.answer for said in answers.extract(line))
        labels.append(alive)
    return labels


def in_order(expression: str, result: str) -> tuple[str, str]:
    """A sum with the operands of + and * in one order: ("12+3", "15") and ("3+12", "15") are
    alike."""
    for op in "+*":
        if op in expression:
            expression = op.join(sorted(expression.split(op)))
    return expression, result


def slip(problem: Problem, rng: random.Random) -> list[tuple[str, str]]:
    """A careless chain: one step goes wrong, the rest is carried out faithfully on the wrong
    result.

    Either the sum is slightly off, or a wrong operation is used. The final answer is always wrong.
    """
    right = worked_steps(problem)
    for attempt in range(60):
        # A slip early on can make a later division come out uneven; then another one is tried, at
        # last the last step.
        at = rng.randrange(len(right)) if attempt < 40 else len(right) - 1
        chain = _carry_on(problem, at, *_wrong_step(right[at][0], right[at][1], rng))
        if chain and chain[-1][1] != problem.answer:
            return chain
    expression, result = right[-1]
    return [(e, str(v)) for e, v in right[:-1]] + [(expression, str(result + 1))]


def _wrong_step(
    expression: str, result: int | Fraction, rng: random.Random
) -> tuple[str, int | Fraction]:
    if rng.random() < 0.3 and any(op in expression for op in "+-"):
        swapped = expression.translate(str.maketrans("+-", "-+"))
        left, right = (int(x) for x in swapped.replace("-", "+").split("+"))
        return swapped, left + right if "+" in swapped else left - right
    return expression, result + rng.choice((-10, -2, -1, -1, 1, 1, 2, 10))


def _carry_on(
    problem: Problem, at: int, expression: str, result: int | Fraction
) -> list[tuple[str, str]] | None:
    """The chain with step `at` replaced; None if a later step does not come out whole and
    positive."""
    values: dict[str, int | Fraction] = dict(problem.meta["numbers"])
    chain = []
    for i, step in enumerate(problem.meta["expressions"]):
        if i == at:
            text, value = expression, result
        else:
            text = substitute(step, values)
            value = solve((text,), {})["s1"]
        if not isinstance(value, int) or value <= 0:
            return None
        values[f"s{i + 1}"] = value
        chain.append((text, str(value)))
    return chain


def write_solution(problem: Problem, rng: random.Random, style: str) -> str:
    """A solution in one of the styles, for a problem whose `meta` has numbers, expressions and
    sentences."""
    if style == "reflex":
        return f" #### {problem.answer}"
    if style == "careless":
        return scribble(slip(problem, rng))
    return write_chain(problem, right_chain(problem), planned=style == "plan_verify")


def plan_marks(problem: Problem) -> PlanMarks:
    """What `write_chain` writes with `planned`."""
    phrases = PHRASES[problem.meta["language"]]
    return PlanMarks(f"\n{phrases['plan']}:", "\n1.", f"{phrases['check']}:")


def write_chain(problem: Problem, chain: list[tuple[str, str]], planned: bool = False) -> str:
    """The chain in words, with GSM8K's calculator annotations and its `#### answer` line.

    `planned` puts a plan before, numbers the steps, and checks the last one by the opposite
    operation.
    """
    language = problem.meta["language"]
    lines = [
        sentence.replace("{calc}", f"<<{e}={v}>>{v}")
        for sentence, (e, v) in zip(problem.meta["sentences"], chain, strict=True)
    ]
    if planned:
        phrases = PHRASES[language]
        lines = [f"{i}. {line}" for i, line in enumerate(lines, 1)]
        lines.insert(0, f"{phrases['plan']}: " + ", ".join(problem.meta["plan"]) + ".")
        lines.append(f"{phrases['check']}: {check_last(*chain[-1])}, {phrases['ok']}.")
    return "\n" + "\n".join(lines) + f"\n#### {chain[-1][1]}"


def scribble(chain: list[tuple[str, str]]) -> str:
    """The chain without words, on one line, as anyone in a hurry jots it down."""
    return "\n" + ", ".join(f"<<{e}={v}>>{v}" for e, v in chain) + f"\n#### {chain[-1][1]}"


def check_last(expression: str, result: str) -> str:
    """Undo the last step: for `50-24 = 26` the check is `<<26+24=50>>50`."""
    op = next(c for c in expression if c in OPPOSITE)
    left, right = expression.split(op)
    return f"<<{result}{OPPOSITE[op]}{right}={left}>>{left}"
