"""What lecture 18 holds its exercises to. Reference values: by hand, by adding up a distribution,
by what was put in."""

import math
import random
from collections import Counter

import torch

from course.grade import exercise, expect, expect_close, expect_raises, reject

FORBIDDEN = (
    "minilrm.batches",
    "minilrm.manner",
    "minilrm.objectives",
    "minilrm.pipeline",
    "minilrm.preference_model",
    "minilrm.rewards",
    "minilrm.sft",
    "minilrm.traces",
)

# -- language_share --------------------------------------------------------------------------------

OWN, OTHER = {"has", "and", "apples", "left"}, {"dos", "tiene", "ahora", "cada"}


def share(student, text, question=()):
    return student.language_share(text.split(), OWN, OTHER, set(question))


@exercise("language_share", points=2)
def what_counts(student):
    """Neutral words, words that come twice, both languages."""
    expect_close(
        share(student, "ana has dos and dos apples"),
        0.6,
        "of `ana has dos and dos apples` 3 words are own and 2 are of the other language: 3/5",
        {
            "a neutral word (`ana`) counts in neither part of the share": 0.5,
            "every word counts as often as it comes; you count different words": 0.75,
            "you give the share of the *other* language": 0.4,
            "asked for is a share, and not the strict 0 or 1": 0.0,
        },
    )
    expect_close(share(student, "ana has and has left"), 1.0, "own and neutral words alone: 1.0")
    expect_close(
        share(student, "ana tiene dos"),
        0.0,
        "words of the other language alone: 0.0",
        {"which language is the question's own?": 1.0},
    )


@exercise("language_share", points=1)
def nothing_said_and_quotations(student):
    """No words, neutral ones alone, and a word of the question."""
    for text in ("", "ana grimapos"):
        expect_close(
            share(student, text),
            0.0,
            f"{text!r} has no word that counts: 0.0",
            {"an empty thinking must not be rewarded as a clean one": 1.0},
        )
    expect_close(
        share(student, "ana has apples left cada cada tiene", ["ana", "cada", "has"]),
        0.75,
        "`cada` stands in the question, so it is a quotation, and `has` counts all the same: 3/4",
        {
            "a word of the other language that the question has is a quotation: it is neutral": 0.5,
            "a word of its own language counts, whether the question has it or not": 2 / 3,
            "a quotation is neutral, and no word of its own language": 5 / 6,
        },
    )


# -- build_sft_example -----------------------------------------------------------------------------


def built(student, prompt, completion, eos=0):
    found = student.build_sft_example(list(prompt), list(completion), eos)
    expect(
        isinstance(found, tuple) and len(found) == 2,
        f"two lists are asked for, (ids, labels); you give {found!r}",
    )
    ids, labels = map(list, found)
    expect(
        len(ids) == len(labels),
        f"ids and labels have one entry for each place; yours have {len(ids)} and {len(labels)}",
    )
    return ids, labels


@exercise("build_sft_example", points=2)
def ids_and_labels(student):
    """With an EOS and without; the prompt is not learnt."""
    for completion, said in (([7, 8], "without an EOS"), ([7, 8, 0], "that has its EOS")):
        ids, labels = built(student, [5, 6], completion)
        expect(
            ids.count(0) == 1 and ids[-1] == 0,
            f"the completion {completion}, {said}: exactly one EOS, at the end; your ids are {ids}",
        )
        expect(ids == [5, 6, 7, 8, 0], f"prompt, completion, EOS: [5, 6, 7, 8, 0], not {ids}")
        if labels in ([-100, 7, 8, 0, -100], [6, 7, 8, 0, -100]):
            reject("labels stand at the place of their own id; the loss shifts them by one")
        if labels[-1] == -100:
            reject("the EOS is learnt, too: a model that never learns it never stops")
        if labels[:2] == [0, 0]:
            reject("0 is an id like any other; what is not learnt is marked by -100")
        if labels[:2] == [5, 6]:
            reject("the prompt is not learnt: its labels are -100")
        expect(
            labels == [-100, -100, 7, 8, 0],
            f"the labels are [-100, -100, 7, 8, 0], and yours are {labels}",
        )


@exercise("build_sft_example", points=1)
def ends(student):
    """An EOS in the prompt, another EOS, no completion, and an EOS in the middle."""
    ids, labels = built(student, [5, 0, 6], [7, 0])
    expect(
        (ids, labels) == ([5, 0, 6, 7, 0], [-100, -100, -100, 7, 0]),
        "an EOS in the *prompt* (a chat has them) is no matter of the completion's: from [5, 0, 6] "
        f"and [7, 0] you make {ids} with the labels {labels}",
    )
    ids, labels = built(student, [5], [])
    expect((ids, labels) == ([5, 0], [-100, 0]), f"of an empty completion EOS is left; not {ids}")
    ids, _ = built(student, [5], [0, 7], eos=9)
    expect(ids == [5, 0, 7, 9], f"EOS is the id that is given, here 9; your ids are {ids}")
    expect_raises(
        ValueError,
        lambda: student.build_sft_example([5], [7, 0, 8, 0], 0),
        "an EOS in the middle of the completion must be a ValueError",
    )


# -- rejection_sample ------------------------------------------------------------------------------


def sample(problem, text, right=True, readable=True):
    return {"problem": problem, "text": text, "right": right, "readable": readable}


def kept(student, samples, most):
    return student.rejection_sample([dict(s) for s in samples], most)


@exercise("rejection_sample", points=2)
def what_is_kept(student):
    """Right and readable ones, each once, in order."""
    samples = [
        sample("p", "a"),
        sample("p", "b", right=False),
        sample("q", "a"),
        sample("p", "a"),
        sample("p", "c", readable=False),
        sample("q", "d"),
        sample("p", "e"),
    ]
    wanted = [0, 2, 5, 6]
    found = kept(student, samples, 9)
    if 1 in found:
        reject("sample 1 is wrong: nothing is to be learnt from it")
    if 4 in found:
        reject("sample 4 is right, but nobody can read it")
    if 3 in found:
        reject("sample 3 is sample 0 once more: of equal texts to one problem only the first")
    if 2 not in found:
        reject("sample 2 says what sample 0 says, but to *another* problem: it is no repetition")
    if sorted(found) == wanted and found != wanted:
        reject(f"the places stand in the order of the samples, and yours are {found}")
    expect(found == wanted, f"kept are {wanted}, and yours are {found}")
    expect(kept(student, [], 3) == [], "of no samples nothing is kept: []")


@exercise("rejection_sample", points=2)
def caps_and_what_takes_a_place(student):
    """At most so many a problem; what is not kept takes nobody's place."""
    found = kept(student, [sample("p", t) for t in "abcd"], 2)
    expect(found == [0, 1], f"of a problem the *first* ones: [0, 1], and yours are {found}")
    four = [sample("p", "a"), sample("p", "b", right=False), sample("p", "a"), sample("p", "c")]
    for most, wanted in ((1, [0]), (2, [0, 3]), (0, [])):
        found = kept(student, four, most)
        expect(
            found == wanted,
            f"a right, b wrong, a right, c right, most = {most}: {wanted}, and yours are {found}. "
            "A wrong sample or a repetition takes nobody's place",
        )
    found = kept(student, [sample("p", "a"), sample("q", "a"), sample("p", "b")], 1)
    expect(
        found == [0, 1],
        f"`most` is for each problem, not for all together; with 1 of p and 1 of q: [0, 1], and "
        f"yours are {found}",
    )
    found = kept(student, [sample("p", "a", right=False), sample("p", "a")], 1)
    expect(
        found == [1],
        "the first `a` was graded wrong and the second right (a grader looks at more than the "
        f"text): what is not kept makes no later sample a repetition: [1], and yours are {found}",
    )


# -- mix -------------------------------------------------------------------------------------------

REASONING, GENERAL = [f"r{i}" for i in range(60)], [f"g{i}" for i in range(40)]


def mixed(student, ratio, seed=0, reasoning=REASONING, general=GENERAL):
    found = student.mix(list(reasoning), list(general), ratio, random.Random(seed))
    expect(isinstance(found, list), f"a list is asked for, not {type(found).__name__}")
    return found


@exercise("mix", points=2)
def how_many_of_each(student):
    """All of reasoning, one general for each `ratio`, none twice."""
    for ratio, reasoning in ((3, 60), (7, 60), (3, 2)):
        found = mixed(student, ratio, reasoning=REASONING[:reasoning])
        of_reasoning = sorted(x for x in found if x[0] == "r")
        general = [x for x in found if x[0] == "g"]
        wanted = int(reasoning / ratio)
        expect(
            of_reasoning == sorted(REASONING[:reasoning]),
            f"all {reasoning} examples of reasoning are there once; yours has {len(of_reasoning)}",
        )
        if len(general) == min(40, reasoning * ratio) != wanted:
            reject(f"{ratio} of reasoning to one general example; you have it the other way round")
        expect(
            len(general) == wanted,
            f"{reasoning} of reasoning at {ratio} to 1: {wanted} general examples, whole ones, "
            f"not {len(general)}",
        )
        if max(Counter(general).values(), default=1) > 1:
            reject("a general example comes twice: draw without putting back")
    expect_raises(
        ValueError,
        lambda: student.mix(list(REASONING), list(GENERAL), 1, random.Random(0)),
        "60 general examples are wanted and 40 are there: that must be a ValueError, not a "
        "mixture of another share than was asked for",
    )


@exercise("mix", points=1)
def at_random(student):
    """The order, which general ones, and one seed."""
    found = [mixed(student, 3, seed) for seed in range(20)]
    expect(found[0] == mixed(student, 3, 0), "the same rng gives the same list; draw from it alone")
    last = sum(all(x[0] == "g" for x in of[-5:]) for of in found)
    expect(last < 3, "the general examples stand together at the end; all are shuffled as one")
    seen = {x for of in found for x in of if x[0] == "g"}
    expect(
        len(seen) > 30,
        "twenty seeds take the same general examples; they are drawn from all that are there",
    )
    expect(
        len({tuple(of) for of in found}) > 15,
        "other seeds give another order; you do not draw from `rng`",
    )


# -- best_of_n_distance ----------------------------------------------------------------------------


@exercise("best_of_n_distance", points=1)
def distances_of_the_best(student):
    """1, 4 and 64 by hand; then the KL of the best of 10,000 answers, added up."""
    expect_close(student.best_of_n_distance(1), 0.0, "the best of 1 is the policy itself: 0")
    kl = math.log(4) - 0.75
    expect_close(
        student.best_of_n_distance(4),
        0.797663,
        "sqrt(log 4 - 3/4) = 0.79766",
        {
            "this is the KL; the distance is its square root": kl,
            "(n - 1) / n is taken away": math.sqrt(math.log(4)),
            "(n - 1) / n is taken away, not added": math.sqrt(math.log(4) + 0.75),
            "nats: the natural logarithm": math.sqrt(2 - 0.75),
            "(n - 1) / n, and not 1 / n": math.sqrt(math.log(4) - 0.25),
        },
    )
    many, n = 10_000, 64  # answers in the order of their scores
    chances = [((k + 1) / many) ** n - (k / many) ** n for k in range(many)]
    kl = sum(p * math.log(p * many) for p in chances if p)
    expect_close(
        student.best_of_n_distance(n),
        math.sqrt(kl),
        "the best of 64 among 10,000 answers, added up, is at 1.7818",
        tolerance=1e-3,
    )


# -- policy_distance -------------------------------------------------------------------------------

LOGP = torch.tensor([[-1.0, -2.0, 0.0], [-1.0, 0.0, 0.0]])
X = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])  # ref_logp - logp
MASK = torch.tensor([[1, 1, 1], [1, 0, 0]])
K3 = math.e - 2  # of x = 1
BACK = 1 / math.e  # k3 of x = -1


@exercise("policy_distance", points=2)
def answers_of_two_lengths(student):
    """Two answers of three tokens and one; NaN where nothing was sampled."""
    named = {
        "a mean over tokens; the distance of *answers* adds their tokens up": 3 / 4 * K3,
        "the mean over answers of their mean tokens; add the tokens of an answer up": 5 / 6 * K3,
        "this is the KL; the distance is its square root": (1.5 * K3) ** 2,
        "the sum over all answers; take their mean": 3 * K3,
        "backwards: x = ref_logp - logp": 1.5 * BACK,
        "the square root of each answer first; it is taken of the mean": K3 * (2**0.5 + 1) ** 2 / 4,
        "x^2 / 2 is k2; asked for is k3": 0.75,
        "the mean over all places, padding too": K3 / 2,
    }
    wanted = math.sqrt(1.5 * K3)
    expect_close(
        student.policy_distance(LOGP, LOGP + X, MASK),
        wanted,
        "two answers with the log-ratios 1, 1, 0 and 1: d = sqrt((2 + 1) / 2 * 0.71828) = 1.03799",
        {message: math.sqrt(kl) for message, kl in named.items()},
    )
    logp = torch.where(MASK.bool(), LOGP, torch.nan)
    expect_close(
        student.policy_distance(logp, logp + X, MASK),
        wanted,
        "what stands where the mask is 0 must not matter; 0 * NaN is NaN",
    )


@exercise("policy_distance", points=1)
def an_estimate_of_the_true_distance(student):
    """20,000 answers of a policy of two tokens, whose KL is known."""
    generator = torch.Generator().manual_seed(0)
    p, q, length = 0.7, 0.5, 6  # of the first token: the policy's, the reference's; tokens
    first = torch.rand(20_000, length, generator=generator) < p
    logp = torch.where(first, math.log(p), math.log(1 - p))
    ref_logp = torch.where(first, math.log(q), math.log(1 - q))
    kl = length * (p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))
    expect_close(
        student.policy_distance(logp, ref_logp, torch.ones_like(logp)),
        math.sqrt(kl),
        f"20,000 answers of six tokens from a policy at the distance {math.sqrt(kl):.3f}",
        {"the distance of a token, not of an answer": math.sqrt(kl / length)},
        tolerance=0.01,
    )


# -- turning_point ---------------------------------------------------------------------------------


def curve(alpha, beta, start, distances):
    return [start + alpha * d - beta * d**2 for d in distances]


@exercise("turning_point", points=3)
def alpha_beta_and_the_top(student):
    """Three points by hand, a curve that was put in, noise, and curves that turn nowhere."""
    found = student.turning_point([0.0, 1.0, 2.0], [0.1, 0.4, 0.3])
    expect(len(found) == 3, f"three are asked for: alpha, beta, the top; you give {found!r}")
    expect_close(
        list(found[:2]),
        [0.5, 0.2],
        "alpha and beta of 0.1, 0.4, 0.3 at 0, 1, 2 are 0.5 and 0.2",
        {
            "you fit the reward itself; what is fitted is its gain over R(0)": [0.65, 0.25],
            "beta is what is taken away: R(d) = R(0) + alpha d - beta d^2": [0.5, -0.2],
        },
    )
    expect(found[2] is not None, "0.1, 0.4, 0.3 at 0, 1, 2 turns at 1.25; you say None")
    expect_close(
        found[2],
        1.25,
        "the top is at alpha / (2 beta) = 1.25",
        {"alpha / beta is where the gain is 0 again": 2.5, "the best *point* is at 1": 1.0},
    )
    at = [0.0, 0.4, 0.8, 1.2, 1.6, 2.0]
    noisy = [r + 0.01 * (-1) ** i for i, r in enumerate(curve(0.6, 0.25, 0.2, at))]
    columns = torch.tensor([[d, -d * d] for d in at], dtype=torch.float64)
    gain = torch.tensor([r - noisy[0] for r in noisy], dtype=torch.float64)
    wanted = (torch.linalg.pinv(columns) @ gain).tolist()
    expect_close(
        list(student.turning_point(at, noisy)[:2]),
        wanted,
        f"least squares over all six points: {wanted[0]:.4f} and {wanted[1]:.4f}",
    )
    for alpha, beta, why in (
        (0.3, -0.1, "it only rises: beta is below 0"),
        (-0.3, 0.1, "it only falls: the top would be below 0"),
        (0.9, 0.1, "it would turn at 4.5, and the last distance is 2: nobody has measured there"),
    ):
        found = student.turning_point(at, curve(alpha, beta, 0.2, at))[2]
        expect(found is None, f"{why}; the third is None, and yours is {found}")
