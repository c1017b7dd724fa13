"""What lecture 1 holds its exercises to."""

import random
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

from course.grade import StudentError, exercise, expect, expect_close, reject
from course.grade.lecture import load_module

FORBIDDEN = (
    "minilrm.tasks",
    "minilrm.tasks.base",
    "minilrm.tasks.problem",
    "minilrm.tasks.answers",
    "minilrm.tasks.calculator",
)
CASES = load_module(Path(__file__).with_name("cases.py"), "lecture_01_cases")


# -- make_problem ----------------------------------------------------------------------------------

KEY = re.compile(r"[1-9](?:[+-][1-9])+")


def checked(problem, hardest):
    """A problem in the form that the docstring asks for; rejects any other."""
    names = {"question", "answer", "difficulty", "key"}
    expect(
        isinstance(problem, dict) and set(problem) == names,
        f"return a dict with {', '.join(sorted(names))}",
    )
    key = problem["key"]
    expect(
        isinstance(key, str) and KEY.fullmatch(key),
        f"the key {key!r} is no bare sum of numbers from 1 to 9, as '7+2-5'",
    )
    signs = len(key) // 2
    expect(
        problem["difficulty"] == signs,
        f"{key} has {signs} signs, and its difficulty is said to be "
        f"{problem['difficulty']}: the difficulty counts signs, not numbers",
    )
    expect(1 <= signs <= hardest, f"with hardest = {hardest} you made {key}, of difficulty {signs}")
    question = "What is " + " ".join(key) + "?"
    expect(
        problem["question"] == question,
        f"the question to {key} is {question!r}, and yours is {problem['question']!r}",
    )
    value = sum(int(number) for number in re.findall(r"[+-]?[1-9]", key))
    expect(
        problem["answer"] == str(value),
        f"{key} is {str(value)!r} (a text), and you say {problem['answer']!r}",
    )
    return problem


@exercise("make_problem", points=1)
def form(student):
    """Forty problems: question, answer, difficulty and key belong together, for any `hardest`."""
    for seed in range(40):
        checked(student.make_problem(seed), 5)
        for hardest in (2, 1, 9):
            checked(student.make_problem(seed, hardest), hardest)


@exercise("make_problem", points=2)
def from_the_seed_alone(student):
    """The same seed, the same problem, and nobody else's random numbers are touched."""
    first = [checked(student.make_problem(seed), 5) for seed in range(12)]
    student.draws(3)
    again = [student.make_problem(seed) for seed in reversed(range(12))][::-1]
    expect(
        first == again,
        "the same seed gives another problem the second time: draw from random.Random(seed), which "
        "knows nothing of what was drawn before",
    )
    student.make_problem(3)
    before = student.draws(2)[0]
    student.make_problem(3)
    expect(
        before != student.draws(2)[0],
        "you seed the global generator, random.seed(seed), so that everybody else's numbers "
        "start anew with each problem; make a generator of your own, random.Random(seed)",
    )
    expect(
        len({str(problem) for problem in first}) > 6,
        "twelve seeds gave hardly any different problems",
    )


def far_from(counts, shares):
    """True if chance does this less than once in a million times (chi-square)."""
    total = sum(counts.values())
    chi = sum((counts[v] - total * p) ** 2 / (total * p) for v, p in shares.items())
    return chi > {2: 23.9, 5: 33.4, 8: 40.5, 9: 42.7}[len(shares)]


def alike(values):
    """value -> its share, all alike."""
    return dict.fromkeys(values, 1 / len(values))


def expect_uniform(problems, hardest, which):
    """Difficulties, numbers and signs come equally often, and what stands beside them does not
    matter. The difficulty is counted, whatever the problem says."""
    keys = [problem["key"] for problem in problems]
    difficulties, every = Counter(len(key) // 2 for key in keys), range(1, hardest + 1)
    expect(
        not far_from(difficulties, alike(every)),
        f"for {which} the difficulties 1 to {hardest} should be equally likely, and came "
        f"{[difficulties[d] for d in every]} times: draw the difficulty first, uniformly, from the "
        "generator",
    )
    numbers = Counter(c for key in keys for c in key if c.isdigit())
    expect(
        not far_from(numbers, alike("123456789")),
        f"the numbers 1 to 9 came {[numbers[c] for c in '123456789']} "
        "times: each is equally likely (randint includes both ends, range leaves out the last)",
    )
    signs = Counter(c for key in keys for c in key if c in "+-")
    expect(
        not far_from(signs, alike("+-")),
        f"plus came {signs['+']} times and minus {signs['-']} times: equally likely, "
        "and a negative answer is no reason to draw again",
    )
    for name, start, share in (("sign", 1, 1 / 2), ("number", 0, 1 / 9)):
        pairs = Counter(a == b for key in keys for a, b in pairwise(key[start::2]))
        expect(
            not far_from(pairs, {True: share, False: 1 - share}),
            f"of {pairs.total()} neighbouring {name}s {pairs[True]} are equal, and about "
            f"{share * pairs.total():.0f} should be: draw each {name} by itself, whatever the "
            "others are",
        )


@exercise("make_problem", points=2)
def uniform(student):
    """Each difficulty, sign and number as likely as any other, for all seeds and for every fifth
    one."""
    for seeds, hardest, which in (
        (range(700), 5, "the seeds 0, 1, 2, ..."),
        (range(0, 3500, 5), 5, "the seeds 0, 5, 10, ..."),
        (range(300), 2, "hardest = 2"),
        (range(500), 8, "hardest = 8"),
    ):
        given = () if hardest == 5 else (hardest,)
        problems = [student.make_problem(seed, *given) for seed in seeds]
        expect_uniform(problems, hardest, which)


# -- split_by_key ----------------------------------------------------------------------------------

SPLITS = ("train", "validation", "test")


def some_problems(n=120, wordings=2):
    """n keys, each in several wordings, mixed."""
    made = [
        {"question": f"wording {w} of {i}", "answer": str(i), "key": f"buy:{i}"}
        for i in range(n)
        for w in range(wordings)
    ]
    random.Random(1).shuffle(made)
    return made


def sides(student, problems):
    """(the student's split, the pairs of a key and a side that are in it)."""
    found = student.split_by_key(list(problems))
    expect(
        isinstance(found, dict) and set(found) == set(SPLITS),
        "return a dict with train, validation and test, even if one of them is empty",
    )
    return found, {(p["key"], name) for name in SPLITS for p in found[name]}


@exercise("split_by_key", points=1)
def rule(student):
    """The side of 120 keys, and of some with letters that are not ASCII."""
    problems = some_problems(wordings=1)
    where = dict(sides(student, problems)[1])
    right = {p["key"]: CASES.SIDE_OF[p["key"]] for p in problems}
    swapped = {"train": "train", "validation": "test", "test": "validation"}
    expect(
        where == right or {key: swapped.get(side) for key, side in where.items()} != right,
        "8 is validation and 9 is test; you have them the other way round",
    )
    expect(
        [where.get(f"buy:{i}") for i in (5, 6, 10)] == ["train", "validation", "test"],
        "the keys buy:5, buy:6 and buy:10 fall into train, validation and test: the first four "
        "bytes of the SHA-256 of the key, as one number, big end first; its last decimal digit. "
        "(hash() is another one at each start of Python)",
    )
    expect(
        where == right,
        "some keys fall on another side than the rule says: the first four bytes of the digest, "
        "big end first, % 10; 0 to 7 train",
    )
    foreign = [{"question": "?", "answer": "0", "key": key} for key in CASES.OTHER_KEYS]
    _, found = sides(student, foreign)
    expect(
        found == {(key, CASES.SIDE_OF[key]) for key in CASES.OTHER_KEYS},
        f"some of the keys {', '.join(CASES.OTHER_KEYS)} fall on another side than the rule says, "
        "and all ASCII keys on the right one: the digest is that of the key in UTF-8",
    )


@exercise("split_by_key", points=1)
def disjoint(student):
    """Two wordings of one sum never stand on two sides."""
    _, where = sides(student, some_problems())
    for key, count in Counter(key for key, _ in where).items():
        names = [name for name in SPLITS if (key, name) in where]
        expect(
            count == 1,
            f"two wordings of {key!r} stand in {' and in '.join(names)}: then the model is tested "
            "on sums that it has trained on. Split by the key, and by the key alone",
        )


@exercise("split_by_key", points=1)
def stable(student):
    """Reordering the problems, or adding some, moves none."""
    problems = some_problems()
    _, before = sides(student, problems)
    _, reordered = sides(student, problems[::-1])
    expect(
        before == reordered,
        "in another order, some problems change sides: the side may not depend on a problem's "
        "place, nor on a shuffle",
    )
    more = [{"question": f"new {i}", "answer": "0", "key": f"new:{i}"} for i in range(30)]
    _, after = sides(student, more + problems)
    expect(
        before <= after,
        "adding 30 problems moves others to another side: what was test "
        "yesterday is trained on today",
    )


@exercise("split_by_key", points=1)
def complete(student):
    """No problem is lost, none comes twice, and the order stays."""
    problems = some_problems()
    problems += problems[:5]
    found, _ = sides(student, problems)
    total = sum(len(found[name]) for name in SPLITS)
    expect(
        total == len(problems),
        f"of {len(problems)} problems, {total} came back: keep all, those with equal keys too",
    )
    for name in SPLITS:
        rest = iter(problems)  # `in` goes on from where the last problem was found
        expect(
            all(any(p == q for q in rest) for p in found[name]),
            f"{name} is not in the order of the problems that came in",
        )
    empty = student.split_by_key([])
    expect(empty == {name: [] for name in SPLITS}, "of no problems there are three empty lists")


# -- check_answer ----------------------------------------------------------------------------------


def judged(student, cases):
    for gold, completion, right, why in cases:
        shown = repr(completion if len(completion) < 50 else completion[:40] + "...")
        try:
            verdict = student.check_answer(gold, completion)
        except StudentError as error:
            if error.isa(NotImplementedError) or error.kinds[0] in ("TimeoutError", "SystemExit"):
                raise
            reject(
                f"check_answer({gold!r}, {shown}) raises {error.kinds[0]}: any text must get True "
                f"or False ({why})"
            )
        expect(
            verdict is right,
            f"check_answer({gold!r}, {shown}) must be {right}: {why}"
            + ("" if isinstance(verdict, bool) else f" (you returned {verdict!r:.40}, not a bool)"),
        )


@exercise("check_answer", points=2)
def numbers(student):
    """Numbers, equal or not."""
    judged(student, [("72", *case) for case in CASES.NUMBERS] + CASES.OTHER_GOLD)


@exercise("check_answer", points=2)
def marks(student):
    """Exactly one mark, and only its own line."""
    judged(student, [("72", *case) for case in CASES.MARKS])


@exercise("check_answer", points=1)
def nonsense(student):
    """What looks like a number and is none."""
    judged(student, [("72", *case) for case in CASES.NONSENSE])


@exercise("check_answer", points=1)
def hostile(student):
    """Text that would like to be run, and very long text."""
    judged(student, [("72", *case) for case in CASES.CODE])


# -- cost ------------------------------------------------------------------------------------------


@exercise("cost", points=1)
def one_answer(student):
    """One answer of 70 tokens to a prompt of 50."""
    found = student.cost(50, 70, 1, 2_558_784, 1.0, 4.0)
    expect(
        isinstance(found, dict) and set(found) == {"tokens", "flops", "money"},
        "return a dict with tokens, flops and money",
    )
    expect_close(
        found["tokens"],
        120,
        "tokens are those of prompt and answer",
        {
            "the prompt is missing: it is read, and that costs as well": 70,
            "the answer is missing": 50,
        },
    )
    expect_close(
        found["flops"],
        614_108_160,
        "2 x parameters for each token",
        {
            "the factor 2 is missing: each parameter is multiplied *and* added": 614_108_160 / 2,
            "6 a parameter is the price of training; here nothing goes backwards, so it is 2": (
                614_108_160 * 3
            ),
            "the tokens read cost FLOPs, too": 2 * 70 * 2_558_784,
        },
    )


@exercise("cost", points=1)
def money(student):
    """Two prices, for a million tokens each."""
    found = student.cost(1000, 3000, 1, 10, 2.0, 8.0)["money"]
    expect_close(
        found,
        0.026,
        "1000 tokens read at 2 a million, 3000 written at 8",
        {
            "you swapped the prices: price_in is for tokens read": 0.014,
            "prices are for a million tokens, not for a thousand": 26.0,
            "prices are for a million tokens": 26_000.0,
            "the prompt costs money, too": 0.024,
            "the answer costs money, too": 0.002,
        },
        tolerance=1e-9,
    )


@exercise("cost", points=1)
def many_samples(student):
    """Sixteen answers share one prompt; then five, of another model at other prices."""
    for given, tokens, flops, euros in (
        ((100, 50, 16, 1000, 1.0, 1.0), 900, 1_800_000, 0.0009),
        ((30, 7, 5, 12_345, 3.0, 0.5), 65, 1_604_850, 0.0001075),
    ):
        found = student.cost(*given)
        prompt, answer, samples, _, price_in, price_out = given
        once = (prompt * price_in + answer * price_out) / 1e6
        case = f"cost{given}: {samples} answers of {answer} tokens, and one prompt of {prompt}"
        expect_close(
            found["tokens"],
            tokens,
            case,
            {
                "the prompt is read once, not once a sample": samples * (prompt + answer),
                "the number of samples does not count": prompt + answer,
            },
        )
        expect_close(found["flops"], flops, f"{case}: 2 x parameters for each of {tokens} tokens")
        expect_close(
            found["money"],
            euros,
            f"{case}, at {price_in:g} and {price_out:g} a million",
            {
                "the number of samples does not count": once,
                "the prompt is paid once, not once a sample": samples * once,
            },
            tolerance=1e-9,
        )
