"""What lecture 5 holds its exercises to. Reference values: by hand; distributions by a chi-square
with fixed seeds."""

from pathlib import Path

import torch

from course.grade import exercise, expect
from course.grade.lecture import load_module

FORBIDDEN = (
    "minilrm.sampler",
    "minilrm.tasks.frames",
    "minilrm.tasks.answers",
    "minilrm.tasks.calculator",
)
CASES = load_module(Path(__file__).with_name("cases.py"), "lecture_05_cases")


# -- sample_token ----------------------------------------------------------------------------------

FOUR = [0.15, 0.5, 0.05, 0.3]  # not in order of size
SEVEN = [0.02, 0.2, 0.1, 0.36, 0.04, 0.22, 0.06]
DRAWS = 4000


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(student, rows, temperature, top_p, generator=None):
    """The student's ids for these rows of logits, in the form that is asked for."""
    ids = student.sample_token(rows, temperature, top_p, generator or seeded())
    expect(
        isinstance(ids, torch.Tensor) and ids.shape == rows.shape[:1] and ids.dtype == torch.int64,
        f"logits of shape {tuple(rows.shape)} give one id a row: an int64 tensor of shape "
        f"{tuple(rows.shape[:1])}",
    )
    return ids


def counts(student, p, temperature, top_p, generator=None):
    """How often each token comes in 4,000 rows of these probabilities."""
    rows = torch.tensor(p).log().expand(DRAWS, -1).contiguous()
    ids = drawn(student, rows, temperature, top_p, generator)
    return torch.bincount(ids, minlength=len(p)).double()


def chi_square(found, p):
    """Sum of (found - expected)^2 / expected over the tokens that may come; infinite if another
    came."""
    p = torch.as_tensor(p, dtype=torch.float64)
    wanted = p * found.sum()
    if found[p == 0].any():
        return float("inf")
    return ((found - wanted)[p > 0] ** 2 / wanted[p > 0]).sum().item()


def fits(found, p):
    """Of four tokens chance alone gets to 30 about once in a million times, of seven to 38."""
    return chi_square(found, p) < {4: 30, 7: 38}[len(p)]


def tempered(p, t):
    """The probabilities at temperature t: p ** (1/t), divided by their sum."""
    powers = [x ** (1 / t) for x in p]
    return [x / sum(powers) for x in powers]


@exercise("sample_token", points=1)
def greedy(student):
    """Temperature 0 is the argmax; a very low one nearly so."""
    for rows, wanted in (
        ([[0.0, 3.0, 1.0], [2.0, -1.0, 1.9], [-5.0, -4.0, -3.0]], [1, 0, 2]),
        ([[0.0, 1.0, -1.0, 0.5, 0.2, 7.0]], [5]),
        ([[2.0, 900.0], [1000.0, 3.0], [0.0, 0.1], [5.0, 4.9], [-1.0, -2.0]], [1, 0, 1, 0, 0]),
    ):
        for top_p in (1.0, 0.5):
            found = drawn(student, torch.tensor(rows), 0.0, top_p).tolist()
            expect(
                found == wanted,
                f"at temperature 0 the highest logit wins, {wanted}, whatever top_p is (here "
                f"{top_p}); you gave {found}",
            )
    cold = counts(student, FOUR, 0.02, 1.0)
    expect(
        cold[1] == DRAWS,
        "at temperature 0.02 a token with 0.5 against 0.3 all but always wins: logits are divided "
        "by the temperature, not multiplied",
    )


@exercise("sample_token", points=2)
def distribution(student):
    """4,000 draws against the probabilities, by chi-square, at several temperatures; two kinds of
    rows side by side; the generator that is given."""
    for p in (FOUR, SEVEN):
        found = counts(student, p, 1.0, 1.0)
        expect(
            fits(found, p),
            f"at T = 1 the tokens should come with probabilities {p}, and came "
            f"{(found / DRAWS).tolist()}: chi-square {chi_square(found, p):.0f}, and chance gets "
            "to 38 once in a million times",
        )
        for t in (2.0, 0.7, 5.0):
            found, wanted = counts(student, p, t, 1.0), tempered(p, t)
            expect(
                not fits(found, p), f"T = {t} gives what T = 1 gives: the temperature is not used"
            )
            expect(
                not fits(found, tempered(p, 1 / t)),
                f"at T = {t} your distribution is that of 1 / T: divide the logits by T",
            )
            expect(
                fits(found, wanted),
                f"at T = {t} the probabilities are softmax(logits / {t}), "
                f"{[round(x, 3) for x in wanted]}; yours came out as {(found / DRAWS).tolist()}",
            )
    rows = torch.tensor([FOUR, FOUR[::-1]]).log().repeat(DRAWS // 2, 1) + 1000
    ids = drawn(student, rows, 1.0, 1.0)
    for first, p in ((0, FOUR), (1, FOUR[::-1])):
        expect(
            fits(torch.bincount(ids[first::2], minlength=4).double(), p),
            "two kinds of rows side by side: each row has a distribution of its own",
        )
    again, other = (
        counts(student, FOUR, 1.0, 1.0, seeded(1)),
        counts(student, FOUR, 1.0, 1.0, seeded(1)),
    )
    expect(
        torch.equal(again, other),
        "the same generator state must give the same tokens: hand it to torch.multinomial",
    )
    later = seeded(1)
    torch.rand(1, generator=later)
    for generator in (seeded(2), later):
        expect(
            not torch.equal(again, counts(student, FOUR, 1.0, 1.0, generator)),
            "a generator in another state must give other tokens: use it as it is, without a seed",
        )


# probabilities, top_p -> the tokens that are kept
SETS = [
    *((FOUR, top_p, kept) for top_p, kept in ((0.4, [1]), (0.7, [1, 3]), (0.9, [0, 1, 3]))),
    (FOUR, 0.97, [0, 1, 2, 3]),
    (SEVEN, 0.5, [3, 5]),
    (SEVEN, 0.85, [1, 2, 3, 5]),
]


@exercise("sample_token", points=2)
def smallest_set(student):
    """top_p: the smallest set that holds so much, in each row, after the temperature."""
    for every, top_p, kept in SETS:
        p = [x if i in kept else 0.0 for i, x in enumerate(every)]
        p = [x / sum(p) for x in p]
        found = counts(student, every, 1.0, top_p)
        came = set(found.nonzero().flatten().tolist())
        where = (
            f"probabilities {every}, top_p {top_p}: tokens {kept} are kept, and yours gave "
            f"{sorted(came)}"
        )
        expect(
            every != FOUR or came != {0, 1} or 0 in kept,
            f"{where}: sort by probability first, the vocabulary's order means nothing",
        )
        expect(
            len(came) >= len(kept),
            f"{where}: the set must *hold* top_p, so the token that passes it is kept, too",
        )
        expect(
            len(came) <= len(kept),
            f"{where}: the smallest set; a token is kept only if those before it "
            "hold less than top_p",
        )
        expect(
            fits(found, p),
            f"{where}; their probabilities are {[round(x, 3) for x in p]} (divided by their sum), "
            f"and yours came out as {(found / DRAWS).tolist()}",
        )
    warm = set(counts(student, FOUR, 3.0, 0.7).nonzero().flatten().tolist())
    expect(
        warm == {0, 1, 3},
        f"T = 3, top_p 0.7: the temperature comes first, so three tokens (0, 1, 3) are needed to "
        f"hold 0.7; yours gave {sorted(warm)}",
    )
    drawn(student, torch.tensor([FOUR]).log(), 1.0, 0.7)  # one row alone
    rows = torch.tensor([[9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]).repeat(300, 1)
    found = drawn(student, rows, 1.0, 0.9)
    expect(
        not found[::2].any() and len(set(found[1::2].tolist())) == 4,
        "each row has a set of its own: here the first needs "
        "one token for 0.9, the second all four",
    )


# -- few_shot_prompt -------------------------------------------------------------------------------


@exercise("few_shot_prompt", points=2)
def text(student):
    """Word for word."""
    shots = [("1 + 1?", " #### 2"), ("Tom has {n} pens?", "\n<<2*3=6>>6 pens.\n#### 6")]
    said = student.few_shot_prompt(shots, "2 + 2?")
    wanted = (
        "Question: 1 + 1?\nAnswer: #### 2\n\n"
        "Question: Tom has {n} pens?\nAnswer:\n<<2*3=6>>6 pens.\n#### 6\n\n"
        "Question: 2 + 2?\nAnswer:"
    )
    expect(isinstance(said, str), f"a text is wanted, and you gave {type(said).__name__}")
    expect(
        said == said.rstrip(),
        "your prompt ends in a space or newline: the model's own completion begins with one, and "
        "it has never seen two in a row. Stop right behind `Answer:`",
    )
    expect(not said.endswith("6"), "the question itself is missing at the end")
    expect(
        "Answer:  " not in said and "Answer: \n" not in said,
        "a solution brings its own space or newline along; you put another before it",
    )
    expect(
        "Answer:\n<<" in said and "Answer: #" in said,
        "a solution is kept as it is, its first space or newline included; do not strip it",
    )
    expect(
        said.find("1 + 1") < said.find("Tom"),
        "the examples stand in the order in which they were given",
    )
    expect(said.count("\n\n") == 2, r"parts are joined by one empty line, '\n\n', and only there")
    expect(said == wanted, f"the prompt should be {wanted!r}, and is {said!r}")
    alone = student.few_shot_prompt([], "2 + 2?")
    expect(
        alone == "Question: 2 + 2?\nAnswer:",
        f"without examples the prompt is the bare question, and you gave {alone!r}",
    )
    braces = student.few_shot_prompt([], "What is {x} in {}?")
    expect(
        braces == "Question: What is {x} in {}?\nAnswer:",
        "a question may hold braces of its own: do not format() it twice",
    )
    blanks = [(" 3 - 1? ", " #### 2 \n"), ("2 + 0?", " #### 2"), ("1 * 2?", "\n#### 2")]
    wanted = (
        "Question:  3 - 1? \nAnswer: #### 2 \n\n\nQuestion: 2 + 0?\nAnswer: #### 2\n\n"
        "Question: 1 * 2?\nAnswer:\n#### 2\n\nQuestion: And  4 / 2?\nAnswer:"
    )
    said = student.few_shot_prompt(blanks, "And  4 / 2?")
    expect(
        said == wanted,
        "three examples; their texts are kept as they are, blanks and newlines at the ends "
        f"included: the prompt should be {wanted!r}, and is {said!r}",
    )


# -- extract_answer --------------------------------------------------------------------------------


def table_of(student, rows):
    for completion, wanted, why in rows:
        said = student.extract_answer(completion)
        expect(said == wanted, f"{completion!r} gives {wanted!r}, and you say {said!r}: {why}")


@exercise("extract_answer", points=2)
def which_answer(student):
    """Where the answer stands, and when there is none."""
    table_of(student, CASES.WHICH_ANSWER)


@exercise("extract_answer", points=1)
def one_spelling(student):
    """Equal numbers, equal texts: else they could not vote together."""
    table_of(student, CASES.ONE_SPELLING)


# -- force_budget ----------------------------------------------------------------------------------

END, WAIT, PROMPT = 0, [7, 8], [1, 2]


def scripted(said, asked, end):
    """A model that says these tokens in turn, then only `end`; `asked` keeps what it was given."""

    def next_token(ids):
        asked.append(list(ids))
        return said[len(asked) - 1] if len(asked) <= len(said) else end

    return next_token


def run(student, said, least, most, wait=WAIT, end=END, prompt=PROMPT):
    asked: list = []
    given = list(prompt)
    model = scripted(said, asked, end)
    found = student.force_budget(model, given, least, most, end, list(wait))
    expect(isinstance(found, tuple) and len(found) == 2, "return a tuple of two lists: (ids, mask)")
    expect(given == prompt, "your function changes its argument `prompt`; work on a copy")
    return list(found[0]), list(found[1]), asked


@exercise("force_budget", points=2)
def the_ids(student):
    """What is said, whatever the model wants."""
    ids, _, asked = run(student, [5, 6, END], 0, 9)
    expect(
        asked[:2] == [[1, 2], [1, 2, 5]],
        "the model is given the prompt and all that follows it so far, first [1, 2], then "
        f"[1, 2, 5]; you gave it {asked[:2]}",
    )
    expect(
        ids == [5, 6, END],
        f"a model that says 5 6 end, least 0, most 9: the ids are [5, 6, 0], and yours are {ids}",
    )
    ids, _, asked = run(student, [5, 5, 5, 5, 5, 5], 0, 4)
    expect(ids[-1] == END, f"after `most` tokens `end` is put in, and yours end in {ids[-3:]}")
    expect(
        ids == [5, 5, 5, 5, END],
        f"most = 4 allows four tokens of thinking, then `end`: [5, 5, 5, 5, 0], and yours are "
        f"{ids}",
    )
    expect(len(asked) == 4, f"with most = 4 the model is asked four times, not {len(asked)}")
    ids, _, asked = run(student, [5, END, 6, END], 3, 9)
    expect(
        ids.count(END) == 1,
        f"an `end` that comes too early is dropped, not kept beside `wait`: yours are {ids}",
    )
    expect(
        ids == [5, 7, 8, 6, END],
        f"5 end 6 end with least 3, wait 7 8: [5, 7, 8, 6, 0], and yours are {ids}",
    )
    expect(
        asked[2] == [1, 2, 5, 7, 8],
        f"after `wait` the model goes on from 5 7 8; you gave it {asked[2]}",
    )
    ids, _, _ = run(student, [END, END, END], 5, 9)
    expect(
        ids == [7, 8, 7, 8, 7, 8, END],
        "a model that says end, end, end with least 5, wait 7 8 is told to "
        f"wait three times; `wait` counts as thinking: [7, 8, 7, 8, 7, 8, 0], and yours are {ids}",
    )


@exercise("force_budget", points=1)
def edges(student):
    """Exactly least, exactly most, a wait that does not fit, nothing at all."""
    ids, _, _ = run(student, [5, 5, 5, END], 3, 9)
    expect(
        ids == [5, 5, 5, END], f"three tokens are enough for least = 3: no wait; yours are {ids}"
    )
    ids, _, _ = run(student, [5, 5, 5, END], 4, 4)
    expect(
        ids == [5, 5, 5, 7, END],
        f"least = most = 4, the model ends after three: only one token of `wait` "
        f"fits, [5, 5, 5, 7, 0], and yours are {ids}",
    )
    ids, mask, asked = run(student, [5], 0, 0)
    expect(
        (ids, mask, asked) == ([END], [0], []),
        "most = 0: `end` is put in at once and the model is not asked; "
        f"yours are {ids}, mask {mask}, asked {len(asked)} times",
    )


# what the model says, least, most, wait, end, prompt -> ids, mask
BUDGETS = [
    (([5, 6, END], 0, 9, WAIT, END, PROMPT), [5, 6, END], [1, 1, 1]),
    (([5, END, 6, END], 3, 9, WAIT, END, PROMPT), [5, 7, 8, 6, END], [1, 0, 0, 1, 1]),
    (([5, 5, 5, 5], 0, 3, WAIT, END, PROMPT), [5, 5, 5, END], [1, 1, 1, 0]),
    (([5, 5, 5, END], 4, 4, WAIT, END, PROMPT), [5, 5, 5, 7, END], [1, 1, 1, 0, 0]),
    (([5, 99, 6, 99], 3, 9, [3], 99, [6, 6, 6]), [5, 3, 6, 99], [1, 0, 1, 1]),
    (([0, 4, 99], 4, 5, [3, 9, 3], 99, []), [0, 4, 3, 9, 3, 99], [1, 1, 0, 0, 0, 0]),
]


@exercise("force_budget", points=1)
def the_mask(student):
    """1 where the model chose: a policy is trained on its own words alone. Other ends, waits and
    prompts."""
    for given, wanted_ids, wanted in BUDGETS:
        said, least, most, wait, end, prompt = given
        ids, mask, asked = run(student, *given)
        case = f"the model says {said}, least {least}, most {most}, wait {wait}, end {end}"
        expect(asked[0] == prompt, f"{case}: at first the model is given the prompt, {prompt}")
        expect(
            len(mask) == len(ids),
            f"the mask has one entry a token: {len(ids)} ids, {len(mask)} in the mask",
        )
        expect(ids == wanted_ids, f"{case}: the ids are {wanted_ids}, and yours are {ids}")
        expect(
            mask == wanted,
            f"{case}: the mask is {wanted} (1 where the model chose the token, `end` included; 0 "
            f"where it was put in), and yours is {mask}",
        )
