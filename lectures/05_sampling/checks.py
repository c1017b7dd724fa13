"""What lecture 5 holds its exercises to. Reference values: by hand; distributions by a chi-square
with fixed seeds."""

import torch

from course.grade import exercise, expect

FORBIDDEN = (
    "minilrm.sampler",
    "minilrm.tasks.frames",
    "minilrm.tasks.answers",
    "minilrm.tasks.calculator",
)


# -- sample_token ----------------------------------------------------------------------------------

P = torch.tensor([0.15, 0.5, 0.05, 0.3])  # not in order of size
DRAWS = 4000


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def counts(student, temperature, top_p, seed=0):
    """How often each of the four tokens comes in 4,000 rows."""
    ids = student.sample_token(
        P.log().expand(DRAWS, -1).contiguous(), temperature, top_p, seeded(seed)
    )
    expect(
        isinstance(ids, torch.Tensor) and ids.shape == (DRAWS,) and ids.dtype == torch.int64,
        "one id a row is wanted: an int64 tensor of shape [B]",
    )
    return torch.bincount(ids, minlength=4).double()


def chi_square(found, p):
    """Sum of (found - expected)^2 / expected over the tokens that may come; infinite if another
    came."""
    wanted = p.double() * found.sum()
    if found[p == 0].any():
        return float("inf")
    return ((found - wanted)[p > 0] ** 2 / wanted[p > 0]).sum().item()


def fits(found, p):
    return (
        chi_square(found, p) < 30
    )  # three degrees of freedom: chance alone gets there about once in a million draws


def tempered(t):
    return torch.softmax(P.log() / t, 0)


@exercise("sample_token", points=1)
def greedy(student):
    """Temperature 0 is the argmax; a very low one nearly so."""
    logits = torch.tensor([[0.0, 3.0, 1.0], [2.0, -1.0, 1.9], [-5.0, -4.0, -3.0]])
    found = student.sample_token(logits, 0.0, 1.0, seeded())
    expect(
        torch.equal(found, torch.tensor([1, 0, 2])),
        f"at temperature 0 the highest logit wins (1, 0, 2); you gave {found}",
    )
    found = student.sample_token(logits, 0.0, 0.5, seeded())
    expect(torch.equal(found, torch.tensor([1, 0, 2])), "at temperature 0 top_p changes nothing")
    cold = counts(student, 0.02, 1.0)
    expect(
        cold[1] == DRAWS,
        "at temperature 0.02 a token with 0.5 against 0.3 all but always wins: logits are divided by the "
        "temperature, not multiplied",
    )


@exercise("sample_token", points=2)
def distribution(student):
    """4,000 draws against the probabilities, by chi-square, at temperatures 1 and 2."""
    found = counts(student, 1.0, 1.0)
    expect(
        fits(found, P),
        f"at T = 1 the tokens should come with probabilities {P.tolist()}, and came "
        f"{(found / DRAWS).tolist()}: chi-square {chi_square(found, P):.0f}, and 30 is already one in a million",
    )
    found = counts(student, 2.0, 1.0)
    expect(not fits(found, P), "the temperature changes nothing in your function")
    expect(
        not fits(found, tempered(0.5)),
        "at T = 2 your distribution is sharper, not flatter: divide the logits by T",
    )
    expect(
        not fits(found, P**2 / (P**2).sum()),
        "at T = 2 your distribution is sharper, not flatter: divide by T",
    )
    expect(
        fits(found, tempered(2.0)),
        f"at T = 2 the probabilities are softmax(logits / 2), {tempered(2.0).tolist()}; yours "
        f"came out as {(found / DRAWS).tolist()}",
    )
    again, other = counts(student, 1.0, 1.0, seed=1), counts(student, 1.0, 1.0, seed=1)
    expect(
        torch.equal(again, other),
        "the same generator state must give the same tokens: hand it to torch.multinomial",
    )
    expect(
        not torch.equal(again, counts(student, 1.0, 1.0, seed=2)),
        "another generator must give other tokens",
    )


@exercise("sample_token", points=2)
def smallest_set(student):
    """top_p: the smallest set that holds so much, in each row, after the temperature."""
    for top_p, kept in ((0.4, (1,)), (0.7, (1, 3)), (0.9, (0, 1, 3)), (0.97, (0, 1, 2, 3))):
        p = torch.zeros(4)
        p[list(kept)] = P[list(kept)]
        p /= p.sum()
        found = counts(student, 1.0, top_p)
        came = set(found.nonzero().flatten().tolist())
        where = f"probabilities {P.tolist()}, top_p {top_p}: tokens {sorted(kept)} are kept, and yours gave {sorted(came)}"
        expect(
            came != {0, 1} or 0 in kept,
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
            f"{where}; their probabilities are {[round(x, 3) for x in p.tolist()]} (divided by their sum), "
            f"and yours came out as {(found / DRAWS).tolist()}",
        )
    warm = set(counts(student, 3.0, 0.7).nonzero().flatten().tolist())
    expect(
        warm == {0, 1, 3},
        f"T = 3, top_p 0.7: the temperature comes first, so three tokens (0, 1, 3) are needed to hold "
        f"0.7; yours gave {sorted(warm)}",
    )
    rows = torch.tensor([[9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]).repeat(300, 1)
    found = student.sample_token(rows, 1.0, 0.9, seeded())
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
        "Question: 1 + 1?\nAnswer: #### 2\n\nQuestion: Tom has {n} pens?\nAnswer:\n<<2*3=6>>6 pens.\n#### 6\n\n"
        "Question: 2 + 2?\nAnswer:"
    )
    expect(isinstance(said, str), f"a text is wanted, and you gave {type(said).__name__}")
    expect(
        said == said.rstrip(),
        "your prompt ends in a space or newline: the model's own completion begins with one, and it "
        "has never seen two in a row. Stop right behind `Answer:`",
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


# -- extract_answer --------------------------------------------------------------------------------


def table_of(student, rows):
    for completion, wanted, why in rows:
        said = student.extract_answer(completion)
        expect(said == wanted, f"{completion!r} gives {wanted!r}, and you say {said!r}: {why}")


@exercise("extract_answer", points=2)
def which_answer(student):
    """Where the answer stands, and when there is none."""
    table_of(
        student,
        [
            (" #### 72", "72", "the number behind the mark"),
            ("\n<<48+24=72>>72 clips\n#### 72", "72", "the number behind the mark"),
            ("#### 71\n#### 72", None, "two marks are no decision"),
            ("#### 72 #### 72", None, "two marks are no decision"),
            ("so it is 72", None, "no mark, no answer: another number in the text is none"),
            ("", None, "no mark, no answer"),
            ("#### ", None, "nothing behind the mark"),
            ("####", None, "nothing behind the mark"),
            ("#### 72\nThat was 5 minutes.", "72", "only the mark's own line counts"),
            ("####\n72", None, "the answer stands on the same line as the mark"),
            ("#### 72 clips", None, "words are no number: the whole line must be one"),
            ("#### seven", None, "words are no number"),
            ("#### 3+4", None, "a sum is no number"),
            ("#### 1/2", None, "fractions are not read"),
            ("#### 7 8", None, "two numbers"),
            ("#### 1e3", None, "exponents are not read"),
            ("#### +5", None, "a plus sign is not read"),
            ("#### --5", None, "one minus sign at most"),
            ("#### 1,23", None, "commas stand before groups of three"),
            ("#### .", None, "there is no digit"),
            ("#### -$", None, "there is no digit"),
            ("#### 1..", None, "one full stop at most"),
            ("#### 5%%", None, "one per-cent sign at most"),
            ("#### ٣", None, r"digits of other scripts are not read: [0-9], not \d"),
        ],
    )


@exercise("extract_answer", points=1)
def one_spelling(student):
    """Equal numbers, equal texts: else they could not vote together."""
    table_of(
        student,
        [
            ("#### 100", "100", "zeros of a whole number stay"),
            ("#### 1,200", "1200", "no commas"),
            ("#### $18", "18", "no dollar sign"),
            ("#### -$7", "-7", "the minus sign stays"),
            ("#### 18.00", "18", "18.00 and 18 are one number"),
            ("#### 3.50", "3.5", "no zeros at the end of decimals"),
            ("#### 0", "0", "zero keeps its digit"),
            ("#### 007", "7", "no zeros in front"),
            ("#### 0.50", "0.5", "one zero stays before the point"),
            ("#### -0", "0", "zero has no sign"),
            ("#### -0.00", "0", "zero has no sign"),
            ("#### 12.", "12", "a full stop does not count"),
            ("#### 50%", "50", "a per-cent sign does not count"),
            ("#### 1,234,567.80", "1234567.8", "commas and decimals"),
            (
                "#### 12345678901234567890123",
                "12345678901234567890123",
                "no float: it would be rounded",
            ),
        ],
    )


# -- force_budget ----------------------------------------------------------------------------------

END, WAIT = 0, [7, 8]


def scripted(said, asked):
    """A model that says these tokens in turn, then only END; `asked` keeps what it was given."""

    def next_token(ids):
        asked.append(list(ids))
        return said[len(asked) - 1] if len(asked) <= len(said) else END

    return next_token


def run(student, said, least, most, wait=WAIT):
    asked: list = []
    found = student.force_budget(scripted(said, asked), [1, 2], least, most, END, wait)
    expect(isinstance(found, tuple) and len(found) == 2, "return a tuple of two lists: (ids, mask)")
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


@exercise("force_budget", points=1)
def the_mask(student):
    """1 where the model chose: a policy is trained on its own words alone."""
    for said, least, most, wanted in (
        ([5, 6, END], 0, 9, [1, 1, 1]),
        ([5, END, 6, END], 3, 9, [1, 0, 0, 1, 1]),
        ([5, 5, 5, 5], 0, 3, [1, 1, 1, 0]),
        ([5, 5, 5, END], 4, 4, [1, 1, 1, 0, 0]),
    ):
        ids, mask, _ = run(student, said, least, most)
        expect(
            len(mask) == len(ids),
            f"the mask has one entry a token: {len(ids)} ids, {len(mask)} in the mask",
        )
        expect(
            mask == wanted,
            f"the model says {said}, least {least}, most {most}: the mask is {wanted} (1 where "
            f"the model chose the token, `end` included; 0 where it was put in), and yours is {mask}",
        )
