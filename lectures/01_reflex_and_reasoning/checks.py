"""What lecture 1 holds its exercises to."""

import hashlib
import random
import re
from collections import Counter

from course.grade import StudentError, exercise, expect, expect_close, reject

FORBIDDEN = (
    "minilrm.tasks",
    "minilrm.tasks.base",
    "minilrm.tasks.problem",
    "minilrm.tasks.answers",
    "minilrm.tasks.calculator",
)


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
    """Forty problems: question, answer, difficulty and key belong together."""
    for seed in range(40):
        checked(student.make_problem(seed), 5)
        checked(student.make_problem(seed, 2), 2)


@exercise("make_problem", points=2)
def from_the_seed_alone(student):
    """The same seed, the same problem, and nobody else's random numbers are touched."""
    first = [student.make_problem(seed) for seed in range(12)]
    student.draws(3)
    again = [student.make_problem(seed) for seed in reversed(range(12))][::-1]
    expect(
        first == again,
        "the same seed gives another problem the second time: draw from random.Random(seed), which knows "
        "nothing of what was drawn before",
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


def far_from_uniform(counts, values):
    """True if chance does this less than once in a million times (chi-square)."""
    wanted = sum(counts.values()) / len(values)
    chi = sum((counts[v] - wanted) ** 2 / wanted for v in values)
    return chi > {2: 23.9, 5: 33.4, 9: 42.7}[len(values)]


@exercise("make_problem", points=2)
def uniform(student):
    """Each difficulty, sign and number as likely as any other, for all seeds and for every fifth
    one."""
    for seeds, which in ((range(700), "0, 1, 2, ..."), (range(0, 3500, 5), "0, 5, 10, ...")):
        problems = [student.make_problem(seed) for seed in seeds]
        difficulties = Counter(p["difficulty"] for p in problems)
        expect(
            not far_from_uniform(difficulties, range(1, 6)),
            f"for the seeds {which} the difficulties 1 to 5 should be "
            f"equally likely, and came {[difficulties[d] for d in range(1, 6)]} times: draw the difficulty first, "
            "uniformly, from the generator",
        )
        numbers = Counter(c for p in problems for c in p["key"] if c.isdigit())
        expect(
            not far_from_uniform(numbers, "123456789"),
            f"the numbers 1 to 9 came {[numbers[c] for c in '123456789']} "
            "times: each is equally likely (randint includes both ends, range leaves out the last)",
        )
        signs = Counter(c for p in problems for c in p["key"] if c in "+-")
        expect(
            not far_from_uniform(signs, "+-"),
            f"plus came {signs['+']} times and minus {signs['-']} times: equally likely, "
            "and a negative answer is no reason to draw again",
        )


# -- split_by_key ----------------------------------------------------------------------------------

SPLITS = ("train", "validation", "test")


def side(key):
    return {8: "validation", 9: "test"}.get(
        int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % 10, "train"
    )


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
    """(the student's split, question -> split)."""
    found = student.split_by_key(problems)
    expect(
        isinstance(found, dict) and set(found) == set(SPLITS),
        "return a dict with train, validation and test, even if one of them is empty",
    )
    return found, {p["question"]: name for name in SPLITS for p in found[name]}


@exercise("split_by_key", points=1)
def rule(student):
    """The side of 120 keys."""
    problems = some_problems(wordings=1)
    _, where = sides(student, problems)
    right = {p["question"]: side(p["key"]) for p in problems}
    if where == right:
        return
    swapped = {"train": "train", "validation": "test", "test": "validation"}
    expect(
        {q: swapped.get(s) for q, s in where.items()} != right,
        "8 is validation and 9 is test; you have them the other way round",
    )
    expect(
        [where.get(f"wording 0 of {i}") for i in (5, 6, 10)] == ["train", "validation", "test"],
        "the keys buy:5, buy:6 and "
        "buy:10 fall into train, validation and test: hashlib.sha256(key.encode()).digest()[:4], big end first, % 10. "
        "(hash() is another one at each start of Python)",
    )
    reject(
        "some keys fall on another side than the rule says: the first four bytes of the digest, big end first, % 10; "
        "0 to 7 train"
    )


@exercise("split_by_key", points=1)
def disjoint(student):
    """Two wordings of one sum never stand on two sides."""
    problems = some_problems()
    _, where = sides(student, problems)
    for p in problems:
        other = p["question"].replace("wording 0", "wording 1")
        expect(
            where.get(p["question"]) == where.get(other),
            f"two wordings of {p['key']!r} stand in "
            f"{where.get(p['question'])} and in {where.get(other)}: then the model is tested "
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
        "in another order, some problems change sides: the side may not depend on a problem's place, "
        "nor on a shuffle",
    )
    more = [{"question": f"new {i}", "answer": "0", "key": f"new:{i}"} for i in range(30)]
    _, after = sides(student, more + problems)
    expect(
        all(after.get(q) == s for q, s in before.items()),
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
        part = [p for p in problems if any(p == q for q in found[name])]
        expect(found[name] == part, f"{name} is not in the order of the problems that came in")
    empty = student.split_by_key([])
    expect(empty == {name: [] for name in SPLITS}, "of no problems there are three empty lists")


# -- check_answer ----------------------------------------------------------------------------------

# (completion, right?, why), all against the gold answer 72 unless another is given
NUMBERS = [
    ("#### 72", True, "the plain case"),
    ("\n<<48+24=72>>72\n#### 72", True, "the answer after a chain"),
    ("####72", True, "no blank is needed"),
    ("#### 72\n", True, "a line end behind it"),
    ("  ####  72 \t\r\n\n", True, "blanks around the number do not count"),
    ("The answer is #### 72", True, "text before the mark does not count"),
    ("#### $72", True, "a dollar sign is a unit"),
    ("#### 72.", True, "a full stop left over from a sentence"),
    ("#### 72.00", True, "72.00 equals 72"),
    ("#### 072", True, "072 equals 72"),
    ("#### 72%", True, "a per-cent sign is a unit and does not divide"),
    ("#### 71", False, "another number"),
    ("#### -72", False, "the sign counts"),
    ("#### 7.2", False, "another number"),
    ("#### 720", False, "72 is only the beginning of 720"),
    ("#### 172", False, "72 is only the end of 172"),
    ("#### 72.000000001", False, "nearly equal is not equal"),
    (
        "#### 72.00000000000000000001",
        False,
        "a float cannot tell these apart; compare exactly, as Fraction does",
    ),
]
OTHER_GOLD = [
    ("1,250", "#### 1250", True, "the gold answer may have commas, too"),
    ("1250", "#### $1,250.00", True, "commas, dollar, decimals"),
    ("-3", "#### -3.0", True, "negative answers"),
    ("-3", "#### -$3", True, "a minus sign before the dollar"),
    ("0", "#### -0", True, "-0 is 0"),
    ("0.5", "#### 0.50", True, "decimals compare as numbers"),
    ("1250", "#### 1,25,0", False, "commas stand between groups of three"),
    ("1250", "#### 12,50", False, "commas stand between groups of three"),
    ("1000000", "#### 1,000,000", True, "several commas"),
]
MARKS = [
    ("", False, "no answer at all"),
    ("72", False, "without the mark there is no answer"),
    ("It is 72", False, "no mark"),
    ("### 72", False, "three signs are no mark"),
    ("# # # # 72", False, "no mark"),
    ("＃＃＃＃ 72", False, "these are other characters that look alike"),
    (
        "#### 71\n#### 72",
        False,
        "who writes two answers has not decided, and must not be paid for guessing",
    ),
    ("#### 72\n#### 71", False, "two answers, the first one right"),
    ("#### 72 #### 72", False, "two marks"),
    ("######## 72", False, "eight signs are two marks"),
    ("#### 72\nThat was easy: 12.", True, "later lines do not count"),
    ("#### 71\nNo, 72.", False, "only the mark's own line counts"),
    ("####\n72", False, "the number stands on the next line"),
    ("##### 72", False, "the fifth sign is not part of a number"),
]
NONSENSE = [
    ("####", False, "nothing behind the mark"),
    ("#### ", False, "a blank is no number"),
    ("#### .", False, "a point is no number"),
    ("#### $", False, "a dollar sign is no number"),
    ("#### 72 clips", False, "a number and nothing else"),
    ("#### x72", False, "a number and nothing else"),
    ("#### 72 73", False, "one number"),
    ("#### --72", False, "one minus sign at most"),
    ("#### 7 2", False, "no blanks inside a number"),
    ("#### 72e0", False, "no exponents"),
    ("#### 7_2", False, "Python reads 7_2, the rules do not"),
    ("#### +72", False, "a plus sign is not in the rules"),
    ("#### 72.0.0", False, "one point at most"),
    ("#### seventy-two", False, "a word"),
    ("#### ٧٢", False, "digits of another script: \\d and isdigit() accept them, 0-9 does not"),
    ("#### 72\u2028so there", False, "U+2028 ends a line for str.splitlines, not by the rules"),
    ("#### **72**", False, "decoration"),
]
CODE = [
    ("#### 48+24", False, "a sum is no number: was the text evaluated?"),
    ("#### 144/2", False, "a quotient is no number: Fraction('144/2') reads one"),
    ("#### int('72')", False, "code: was it evaluated?"),
    ("#### 9**9**9**9", False, "code that would run for ever"),
    ("#### __import__('os').getcwd()", False, "code that could do anything"),
    ("#### nan", False, "float() reads it"),
    ("#### inf", False, "float() reads it"),
    ("#### " + "7" * 5000, False, "more than 30 characters"),
    ("#### 72" + " " * 5000, True, "blanks around the number do not count, be they thousands"),
    ("####" * 20_000, False, "eighty thousand signs"),
]


def judged(student, cases):
    for gold, completion, right, why in cases:
        shown = repr(completion if len(completion) < 50 else completion[:40] + "...")
        try:
            verdict = student.check_answer(gold, completion)
        except StudentError as error:
            if error.isa(NotImplementedError) or error.kinds[0] in ("TimeoutError", "SystemExit"):
                raise
            reject(
                f"check_answer({gold!r}, {shown}) raises {error.kinds[0]}: any text must get True or False ({why})"
            )
        expect(
            verdict is right,
            f"check_answer({gold!r}, {shown}) must be {right}: {why}"
            + ("" if isinstance(verdict, bool) else f" (you returned {verdict!r:.40}, not a bool)"),
        )


@exercise("check_answer", points=2)
def numbers(student):
    """Numbers, equal or not."""
    judged(student, [("72", *case) for case in NUMBERS] + OTHER_GOLD)


@exercise("check_answer", points=2)
def marks(student):
    """Exactly one mark, and only its own line."""
    judged(student, [("72", *case) for case in MARKS])


@exercise("check_answer", points=1)
def nonsense(student):
    """What looks like a number and is none."""
    judged(student, [("72", *case) for case in NONSENSE])


@exercise("check_answer", points=1)
def hostile(student):
    """Text that would like to be run, and very long text."""
    judged(student, [("72", *case) for case in CODE])


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
            "6 a parameter is the price of training; here nothing goes backwards, so it is 2": 614_108_160
            * 3,
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
    """Sixteen answers share one prompt."""
    found = student.cost(100, 50, 16, 1000, 1.0, 1.0)
    expect_close(
        found["tokens"],
        900,
        "16 answers of 50 tokens, and one prompt of 100",
        {
            "the prompt is read once, not once a sample": 2400,
            "the number of samples does not count": 150,
        },
    )
    expect_close(found["flops"], 1_800_000, "2 x parameters for each of the 900 tokens")
    expect_close(
        found["money"],
        0.0009,
        "900 tokens at 1 a million",
        {"the number of samples does not count": 0.00015},
        tolerance=1e-9,
    )
