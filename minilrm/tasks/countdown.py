r"""countdown: reach a target from a few numbers with + - * /, each number used exactly once.

    Question: Make 53 with 4, 7, 25.
    Answer: 25-7=18, 18+4=22 no
    wait, 4*7=28, 28+25=53 ok
    <answer>4*7+25</answer>

The puzzle cannot be worked out from left to right: somebody has to try, look at what came out, and
perhaps try again. So it shows whether a model does. A completion is written in the grammar of
`traces.py` (an attempt is its steps, comma between, then `ok` or `no`), and every attempt is judged
exactly, whatever its writer thought of it.

The problems. By default three numbers from 1..25 and a target from 1..99, within reach if all on
the way is whole and not negative: 27,279 problems (a problem is a multiset of numbers and a target)
over 2,925 multisets. The split is a hash of the numbers alone, so all targets of a multiset are on
one side, and no right answer to a test problem is one to a training problem. `ood` has four numbers
from 1..13 (88,597 problems). `python -m minilrm.tasks.countdown` counts them again.

The answer is judged by its value: fractions on the way are right too, 8/(3-8/3) makes 24 from 3, 3,
8, 8.
"""

import json
import random
import re
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path

from minilrm import machine
from minilrm.errors import UserError
from minilrm.tasks import expressions
from minilrm.tasks.answers import CLOSE, OPEN, read_tags
from minilrm.tasks.base import SOLUTION_STYLES, SPLITS, Grade, Problem, Task, problem_rng, split_of
from minilrm.tasks.expressions import Step, Tree
from minilrm.tasks.frames import render_frame
from minilrm.tasks.traces import ACCEPT, REFLECTION_WORD, REJECT, Attempt, Trace, Writer

SMALLEST_TARGET, LARGEST_TARGET = (
    1,
    99,
)  # of the problems that are drawn; `make_problem` takes any within reach
OOD = (4, 13)  # how many numbers, and up to which, the split `ood` has
MAX_TARGET = 10**10  # of a user's own problem: more than five numbers of two digits can make

# Every quantifier is bounded or ends at a character that its class excludes: no text is read twice.
STEP = re.compile(
    r"(0|[1-9][0-9]{0,11})([-+*/])(0|[1-9][0-9]{0,11})=(0|[1-9][0-9]{0,11})(?=[, \n]|\Z)"
)
VERDICT = re.compile(rf" ({ACCEPT}|{REJECT})(?![a-z0-9])")
AGAIN = f"\n{REFLECTION_WORD}, "
LEAD = re.compile(
    rf"[ ,\n]{{0,2}}({REFLECTION_WORD})?[ ,:]{{0,2}}"
)  # AGAIN, and what comes near it
ANSWER = re.compile(rf"\n{OPEN}([^<>\n]*){CLOSE}")


class Countdown(Task):
    """numbers: how many each problem has, 2 to 5. largest: they are drawn from 1 to this, 5 to 99.

    `ood` has four numbers from 1..13 whatever the options. With numbers=4 training sees such
    problems, and there is no `ood`.
    """

    name = "countdown"
    mark = OPEN
    # RL needs these (LOG.md). Low skill behind a failure makes long pages: who has read none of
    # twelve attempts writes none.
    writer = Writer(skill=0.5, skill_again=0.3, careless=0.02, longest=12)
    max_new_tokens = 384  # twelve attempts at three numbers take 320 tokens at most

    def __init__(self, numbers: int = 3, largest: int = 25):
        for option, given, low, high in (("numbers", numbers, 2, 5), ("largest", largest, 5, 99)):
            if type(given) is not int or not low <= given <= high:
                raise UserError(
                    f"countdown: {option} must be a whole number from {low} to {high}, not {given!r}"
                )
        self.numbers, self.largest = numbers, largest
        self.max_new_tokens = {4: 384, 5: 448}.get(numbers, Countdown.max_new_tokens)

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        """Numbers drawn one by one, then a target, each within reach as likely as any other."""
        count, largest = self.range_of(split)
        while True:  # not for long: even two numbers up to 5 have multisets in every split, and those up to 6 have them too
            numbers = [rng.randint(1, largest) for _ in range(count)]
            if (split == "ood" or split_of_numbers(numbers) == split) and (
                within_reach := targets(numbers)
            ):
                return puzzle(numbers, rng.choice(within_reach))

    def range_of(self, split: str) -> tuple[int, int]:
        """How many numbers the problems of a split have, and up to which."""
        if split not in SPLITS:
            raise UserError(f"countdown has no split {split!r}; there are: {', '.join(SPLITS)}")
        if split == "ood" and self.numbers == OOD[0]:
            raise UserError(
                "countdown: with numbers=4 the split 'ood' (4 numbers from 1..13) is not new; use 'test'"
            )
        return OOD if split == "ood" else (self.numbers, self.largest)

    def render(self, problem: Problem, style: str = "plain", examples: tuple = ()) -> str:
        return render_frame(problem, style, examples)

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        """reflex: the answer alone. careless: a wrong attempt, accepted. steps: a right one.
        plan_verify: a wrong one first."""
        if style not in SOLUTION_STYLES:
            raise ValueError(f"no solution style is called {style!r}")
        wrong = draw_attempt(problem, rng, right=False, tried=set())
        right = draw_attempt(problem, rng, right=True, tried=set())
        if style == "reflex":
            return answer_line(right)
        return transcript(
            {
                "careless": [(wrong, True)],
                "steps": [(right, True)],
                "plan_verify": [(wrong, False), (right, True)],
            }[style]
        )

    def write(self, problem: Problem, rng: random.Random, writer: Writer) -> str:
        """What this writer puts down. The sums are always right; it is what is tried that may be
        wrong."""
        tried: set[str] = set()
        attempts: list[tuple[Tree, bool]] = []
        while True:
            tree = draw_attempt(problem, rng, rng.random() < writer.chance(len(attempts)), tried)
            accepted = (
                expressions.value(tree) == problem.meta["target"] or rng.random() < writer.careless
            )
            attempts.append((tree, accepted))
            tried.add(content(tree))
            if accepted or not writer.reflects or len(attempts) >= writer.longest:
                return transcript(attempts)

    def parse_trace(self, text: str) -> Trace:
        return parse_trace(text)

    def attempt_right(self, problem: Problem, attempt: Attempt) -> bool:
        """Each number used once, every sum right, the last one the target."""
        series = [read_step(part) for part in attempt.content.split(", ")]
        numbers, target = problem.meta["numbers"], problem.meta["target"]
        return (
            None not in series
            and len(series) == len(numbers) - 1
            and all(map(expressions.is_true, series))
            and expressions.runs(series, Counter(numbers))
            and series[-1].result == target
        )

    def fails_check(self, problem: Problem, attempt: Attempt) -> bool:
        """What came out is compared with the target; a false sum that ends in it passes."""
        return attempt.content.rpartition("=")[2] != str(problem.meta["target"])

    def grade(self, problem: Problem, completion: str) -> Grade:
        return grade(problem, completion)

    def vote_key(self, problem: Problem, answer: str | None) -> str | None:
        """4*7+25 and 25+(7*4) are one vote. Not the value: all know the target, so such a vote
        would be a check."""
        tree = None if answer is None else expressions.parse(answer)
        return None if tree is None else expressions.normal(tree)

    def thinks(self, completion: str) -> bool:
        return bool(parse_trace(completion).attempts)

    def reword(self, problem: Problem, rng: random.Random) -> Problem:
        """The same numbers in another order."""
        numbers = rng.sample(problem.meta["numbers"], len(problem.meta["numbers"]))
        return replace(
            problem,
            prompt=ask(numbers, problem.meta["target"]),
            meta={**problem.meta, "numbers": numbers},
        )

    def problems(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        """A fixed set of a split. Of test and ood, the first `n` in the shipped file, where it
        holds as many."""
        shipped_for = OOD if split == "ood" else (3, 25)
        if self.range_of(split) == shipped_for and seed == 0 and (path := shipped_file(split)):
            found = load_jsonl(path)
            if len(found) >= n:
                return found[:n]
        return self.make(split, n, seed)

    def make(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        """`n` problems made anew, none twice: n independent trials."""
        found: dict[str, Problem] = {}
        for index in range(20 * n + 1001):
            if len(found) >= n:
                return list(found.values())
            problem = self.sample(problem_rng(seed, index, f"{self.name}/{split}"), split)
            found.setdefault(problem.key, problem)
        raise UserError(
            f"countdown finds only {len(found)} different {split} problems of {self.numbers} numbers up to "
            f"{self.largest}, not {n}: ask for fewer or raise largest"
        )


# -- problems --------------------------------------------------------------------------------------


def multiset(numbers: list[int] | tuple[int, ...]) -> str:
    """The name of the numbers, whatever their order: `multiset([25, 4, 7])` is
    `"countdown:4-7-25"`."""
    return "countdown:" + "-".join(map(str, sorted(numbers)))


def split_of_numbers(numbers: list[int] | tuple[int, ...]) -> str:
    """The split by the numbers alone, so that no multiset has one target in training and another in
    the test."""
    return split_of(multiset(numbers))


def targets(numbers: list[int] | tuple[int, ...]) -> list[int]:
    """The targets that problems with these numbers have, in order: `targets([2, 6])` is
    `[3, 4, 8, 12]`."""
    return [
        n
        for n in sorted(expressions.reachable(tuple(sorted(numbers))))
        if SMALLEST_TARGET <= n <= LARGEST_TARGET
    ]


def ask(numbers: list[int], target: int) -> str:
    return f"Make {target} with {', '.join(map(str, numbers))}."


def puzzle(numbers: list[int], target: int, answer: str | None = None) -> Problem:
    """The problem with the numbers in the order given. The target must be within reach."""
    answer = answer or expressions.solve(numbers, target)[0]
    return Problem(
        "countdown",
        ask(numbers, target),
        answer,
        f"{multiset(numbers)}={target}",
        len(numbers) - 1,
        {"numbers": list(numbers), "target": target},
    )


def make_problem(numbers: list[int], target: int) -> Problem:
    """A user's own problem.

    >>> make_problem([4, 7, 25], 53).prompt, make_problem([4, 7, 25], 53).answer
    ('Make 53 with 4, 7, 25.', '25+4*7')
    >>> make_problem([4, 7, 25], 54)
    Traceback (most recent call last):
    minilrm.errors.UserError: 54 cannot be reached from 4, 7, 25 by whole, non-negative steps; the nearest target is 53
    """
    if not 2 <= len(numbers) <= 5 or any(type(n) is not int or not 1 <= n <= 99 for n in numbers):
        raise UserError("countdown takes 2 to 5 whole numbers from 1 to 99, such as 4, 7, 25")
    if type(target) is not int or not 0 <= target <= MAX_TARGET:
        raise UserError(
            f"the target of a countdown problem is a whole number from 0 to {MAX_TARGET}"
        )
    within_reach = expressions.reachable(tuple(sorted(numbers)))
    if target not in within_reach:
        nearest = min(within_reach, key=lambda n: (abs(n - target), n))
        raise UserError(
            f"{target} cannot be reached from {', '.join(map(str, numbers))} by whole, non-negative steps; "
            f"the nearest target is {nearest}"
        )
    return puzzle(list(numbers), target)


# -- writing ---------------------------------------------------------------------------------------


def draw_attempt(problem: Problem, rng: random.Random, right: bool, tried: set[str]) -> Tree:
    """A right attempt, each way as likely as any other; or a wrong one that is not among those
    tried.

    Two numbers can be combined in five ways at most, so wrong ones may run out; then a right one
    comes.
    """
    numbers, target = problem.meta["numbers"], problem.meta["target"]
    for _ in range(0 if right else 200):
        tree = expressions.random_tree(numbers, rng)
        if expressions.value(tree) != target and content(tree) not in tried:
            return tree
    return expressions.shuffled(rng.choice(expressions.trees(tuple(sorted(numbers)), target)), rng)


def content(tree: Tree) -> str:
    return expressions.normal_form(expressions.steps(tree))


def transcript(attempts: list[tuple[Tree, bool]]) -> str:
    r"""The attempts, each with the writer's verdict, and the last one's expression as the answer.

    >>> transcript([(("-", 25, ("+", 4, 7)), False), (("+", ("*", 4, 7), 25), True)])
    ' 4+7=11, 25-11=14 no\nwait, 4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>'
    """
    lines = [
        ", ".join(map(str, expressions.steps(tree))) + f" {ACCEPT if accepted else REJECT}"
        for tree, accepted in attempts
    ]
    return " " + AGAIN.join(lines) + answer_line(attempts[-1][0])


def answer_line(tree: Tree) -> str:
    return f"\n{OPEN}{expressions.write(tree)}{CLOSE}"


# -- reading ---------------------------------------------------------------------------------------


def parse_trace(text: str) -> Trace:
    r"""The attempts of a completion, up to where no attempt can be read or one has no verdict.

    An attempt counts without the blank or the reflection word before it too, but then the trace is
    not well-formed.

    >>> trace = parse_trace(" 25-7=18, 18+4=22 no\nwait, 7*4=28, 28+2")
    >>> [(a.content, a.accepted) for a in trace.attempts], trace.reflections, trace.well_formed
    ([('25-7=18, 18+4=22', False), ('7*4=28', None)], 1, False)
    """
    attempts: list[Attempt] = []
    reflections, at, expected, well_led = 0, 0, " ", True
    while not attempts or attempts[-1].accepted is not None:
        lead = LEAD.match(text, at)
        attempt = read_attempt(text, lead.end())
        if attempt is None:
            break
        attempts.append(attempt)
        reflections += lead[1] is not None
        well_led = well_led and lead[0] == expected
        at, expected = attempt.end, AGAIN
    answer = ANSWER.fullmatch(text, at)
    decided = not attempts or attempts[-1].accepted is not None
    well_formed = (
        well_led and decided and answer is not None and expressions.parse(answer[1]) is not None
    )
    return Trace(tuple(attempts), reflections, well_formed)


def read_attempt(text: str, start: int) -> Attempt | None:
    """The attempt that starts there; None if not even its first step can be read.

    A step counts once something stands behind it: before that, its result may be cut short.
    """
    series, at = [], start
    while (match := STEP.match(text, at)) and match.end() < len(text):
        series.append(Step(int(match[1]), match[2], int(match[3]), int(match[4])))
        at = match.end()
        if not text.startswith(", ", at):
            break
        at += 2
    if not series:
        return None
    verdict = VERDICT.match(text, at)
    return Attempt(
        start,
        verdict.end() if verdict else at,
        expressions.normal_form(series),
        verdict[1] == ACCEPT if verdict else None,
    )


def read_step(text: str) -> Step | None:
    """`read_step("4*7=28")` is `Step(4, "*", 7, 28)`."""
    return (match := STEP.fullmatch(text)) and Step(
        int(match[1]), match[2], int(match[3]), int(match[4])
    )


def grade(problem: Problem, completion: str) -> Grade:
    r"""Judge by the one `<answer>...</answer>`. What stands after it costs the form, not the
    answer, as in `answers.py`.

    >>> p = make_problem([4, 7, 25], 53)
    >>> [grade(p, f"\n<answer>{t}</answer>").reason for t in ("(7*4)+25", "25*4-7", "4**7", "")]
    ['right', 'wrong value', 'unreadable answer', 'empty answer']
    >>> [grade(p, f"\n<answer>{t}</answer>").reason for t in ("7+7+25+4*4-2", "53")]
    ['numbers not used once each', 'numbers not used once each']
    >>> grade(p, "<answer>\n-7*4+81\n</answer>").answer, grade(p, "<answer>\n25+4*7\n</answer>").reason
    ('-7*4+81', 'right')
    """
    given = read_tags(completion)
    if given.answer is None:
        return Grade(False, False, None, given.reason)
    tree = expressions.parse(given.answer)
    if tree is None:
        return Grade(False, False, None, "unreadable answer")
    verdict = judge(tree, problem.meta["numbers"], problem.meta["target"])
    right = verdict == "right"
    reason = "text after the answer" if right and not given.ends else verdict
    return Grade(right, given.ends, given.answer, reason)


def judge(tree: Tree, numbers: list[int], target: int) -> str:
    """The verdict on an expression, in a short phrase."""
    if Counter(expressions.leaves(tree)) != Counter(numbers):
        return "numbers not used once each"
    made = expressions.value(tree)
    return "division by zero" if made is None else "right" if made == target else "wrong value"


# -- the shipped files -----------------------------------------------------------------------------


def shipped_file(split: str) -> Path | None:
    """The file of a split that comes with the project (`scripts/make_data.py` made it), if there is
    one."""
    with suppress(UserError):  # no data folder, no file
        path = machine.data_folder() / "countdown" / f"{split}.jsonl"
        return path if split in ("test", "ood") and path.is_file() else None
    return None


def to_record(problem: Problem) -> dict:
    """A problem as a line of a file; the rest of it follows from this."""
    return {
        "numbers": problem.meta["numbers"],
        "target": problem.meta["target"],
        "answer": problem.answer,
    }


def from_record(record: dict) -> Problem:
    """`to_record` backwards. ValueError, KeyError or TypeError if it is no such record, or its
    answer is wrong."""
    numbers, target, answer = record["numbers"], record["target"], record["answer"]
    tree = expressions.parse(answer)
    if tree is None or judge(tree, numbers, target) != "right":
        raise ValueError(f"{answer} is not the answer to: {ask(numbers, target)}")
    return puzzle(numbers, target, answer)


def load_jsonl(path: Path) -> list[Problem]:
    problems = []
    for i, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            problems.append(from_record(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}, line {i}: no countdown problem ({error!r}); make the file anew: python "
                "scripts/make_data.py"
            ) from error
    return problems


# -- counting --------------------------------------------------------------------------------------


def census(numbers: int = 3, largest: int = 25) -> dict[str, tuple[int, int]]:
    """Split -> (how many multisets it has, how many problems), by going through all of them."""
    count = {split: [0, 0] for split in SPLITS}
    for size, top, split in ((numbers, largest, None), (*OOD, "ood")):
        for chosen in combinations_with_replacement(range(1, top + 1), size):
            entry = count[split or split_of_numbers(chosen)]
            entry[0] += 1
            entry[1] += len(targets(chosen))
    return {split: tuple(entry) for split, entry in count.items()}


def overlap(numbers: int = 3, largest: int = 25) -> tuple[float, float]:
    """The shares of test problems of which (some right expression, the first step of some right
    attempt) is also one of a training problem. The first is 0 as no multiset is in two splits; by
    the second, what is new is how steps combine."""
    seen: dict[str, list[tuple[set, set]]] = {split: [] for split in SPLITS}
    for chosen in combinations_with_replacement(range(1, largest + 1), numbers):
        for target in targets(chosen):
            found = expressions.trees(chosen, target)
            seen[split_of_numbers(chosen)].append(
                (
                    {expressions.normal(tree) for tree in found},
                    {expressions.normal_form(expressions.steps(tree)[:1]) for tree in found},
                )
            )
    trained = [set().union(*(problem[part] for problem in seen["train"])) for part in (0, 1)]
    return tuple(
        sum(bool(problem[part] & trained[part]) for problem in seen["test"]) / len(seen["test"])
        for part in (0, 1)
    )


def main() -> None:
    print(f"{'split':12}{'multisets':>10}{'problems':>10}")
    for split, (sets, problems) in census().items():
        print(f"{split:12}{sets:10,}{problems:10,}")
    expression, step = overlap()
    print(f"test problems with a right expression that is one in training: {expression:.1%}")
    print(f"test problems with a right first step that is one in training: {step:.1%}")


if __name__ == "__main__":
    main()
