"""What lecture 8 holds its exercises to. The model is a table of ways on; reference values: by
hand, by going through whole trees, and by exact countdown."""

import math
import random
from pathlib import Path

from course.grade import exercise, expect, expect_close
from course.grade.lecture import load_module

FORBIDDEN = ("minilrm.inference",)
CASES = load_module(Path(__file__).with_name("cases.py"), "lecture_08_cases")


def last(scores):
    return scores[-1]


# -- beam_search -----------------------------------------------------------------------------------


def searched(student, table, n, ways, combine=last, look_ahead=None):
    """(answer, tokens, what was asked for, what was looked ahead from)."""
    model = CASES.Model(table)
    looked = []

    def look(state):
        looked.append(state)
        return look_ahead[state]

    given = (look,) if look_ahead else ()
    found = student.beam_search("", model, n, ways, combine, *given)
    expect(
        isinstance(found, tuple) and len(found) == 2,
        f"return a tuple of two: (the best finished answer, the tokens), not {found!r}",
    )
    return found[0], found[1], model.asked, looked


@exercise("beam_search", points=2)
def one_place_and_all_places(student):
    """n = ways is greedy, a huge n is exhaustive, n below ways still has one place."""
    for seed in range(12):
        table = CASES.random_tree(seed)
        path, spent = CASES.greedy_path(table)
        said, tokens, asked, _ = searched(student, table, 3, 3)
        states = [state for state, _ in asked]
        expect(
            states == path,
            f"n = ways = 3 is one place: greedy goes on from {path}, and you go on from {states}",
        )
        expect_close(tokens, spent, "n = ways = 3: the tokens of all candidates, pruned or not")
        for combine, name in ((math.prod, "math.prod"), (CASES.mean, "the mean")):
            best, every = CASES.best_leaf(table, combine)
            said, tokens, _, _ = searched(student, table, 10_000, 3, combine)
            expect(
                said == best,
                f"n = 10,000 prunes nothing: the best of all finished answers by {name} is "
                f"{best!r}, and you say {said!r}",
            )
            expect_close(tokens, every, "n = 10,000: the tokens of all states")
    _, _, asked, _ = searched(student, CASES.WIDE, 2, 4)
    expect(
        asked == [("", 2), ("a", 4), ("aa", 4)],
        "n = 2, ways = 4: n // ways is 0, and a beam has one place at least, so expand is asked "
        f"for ('', 2), ('a', 4), ('aa', 4); yours is asked for {asked}: beware of [-0:], which "
        "prunes nothing",
    )
    _, _, asked, _ = searched(student, CASES.WIDE, 4, 2)
    expect(
        asked == [("", 4), ("a", 2), ("b", 2), ("aa", 2), ("ab", 2)],
        "n = 4, ways = 2: two places, best first; expand should be asked for ('', 4), ('a', 2), "
        f"('b', 2), ('aa', 2), ('ab', 2); yours is asked for {asked}",
    )


@exercise("beam_search", points=2)
def finished_answers(student):
    """They leave with their place, are kept whenever they come, and a cut text is none."""
    said, tokens, asked, _ = searched(student, CASES.FINISHES, 4, 2)
    states = [state for state, _ in asked]
    expect("a" not in states, "`a` is finished: it leaves the beam, and nothing goes on from it")
    expect(
        "c" not in states and "f" not in states,
        "`a` finished and took its place along: one place is left, and neither `c` nor later `f` "
        "moves up; the beam is not filled again",
    )
    expect(states == ["", "b", "e"], f"the beam goes on from '', 'b', 'e', and yours from {states}")
    expect(
        said == "a",
        f"the best finished answer is 'a' (0.9), of the first round, and you say {said!r}: answers "
        "that finished are kept, in whatever round they did",
    )
    expect_close(
        tokens,
        42,
        "the tokens of all eight candidates",
        {
            "the tokens of pruned candidates have been written, too: they are not free": 28,
            "you count candidates, not tokens": 8,
        },
    )
    said, tokens, asked, _ = searched(student, CASES.CUTS, 4, 2)
    expect(
        said != "b1" and said != "a",
        f"{said!r} was cut off: a cut text is no answer, however high its score is",
    )
    expect(
        "a" not in [state for state, _ in asked],
        "`a` was cut off: it cannot go on and gets no place of the beam",
    )
    expect(said == "b2", f"the only finished answer in the beam is 'b2', and you say {said!r}")
    expect_close(
        tokens,
        37,
        "what was cut off was written, too",
        {"the tokens of texts that were cut off have been written, too: they are not free": 20},
    )
    said, tokens, _, _ = searched(student, {"": [("a", 0.5, 3, "cut")]}, 2, 2)
    expect(
        (said, tokens) == (None, 3),
        f"nothing finished: (None, 3), 3 tokens were written, and you say {(said, tokens)}",
    )
    said, _, asked, _ = searched(student, CASES.EQUAL, 2, 2)
    expect(
        (said, asked[1][0]) == ("a1", "a"),
        f"equal values: the first candidate gets the place, and the first answer is chosen ('a', "
        f"then 'a1'); yours are {asked[1][0]!r} and {said!r}",
    )


@exercise("beam_search", points=1)
def values(student):
    """What `combine` makes of the scores of all steps decides who stays and who is chosen."""
    for combine, name, wanted in (
        (last, "the last score", "a1"),
        (min, "min", "b1"),
        (math.prod, "math.prod", "c1"),
        (CASES.first, "the first score", "b1"),
        (CASES.minus_the_sum, "minus the sum of the scores", "a2"),
    ):
        said, _, _, _ = searched(student, CASES.PATHS, 6, 2, combine)
        expect(
            said == wanted,
            f"combine is {name}: the answer is {wanted!r}, and you say {said!r}; the value is "
            "`combine` of the scores of all steps, not the last score whatever was asked",
        )
    _, _, asked, _ = searched(student, CASES.LATE, 4, 2, min)
    states = [state for state, _ in asked]
    expect(
        states == ["", "b", "a", "b1", "b2"],
        "combine is min: in the second round 'b1' (0.6) and 'b2' (0.5) stay and 'a1' "
        f"(min(0.2, 0.9) = 0.2) is pruned; yours goes on from {states}",
    )


@exercise("beam_search", points=2)
def look_ahead(student):
    """Its score takes the place of the step's own, for open candidates, and is paid for."""
    said, tokens, asked, looked = searched(
        student, CASES.AHEAD, 2, 2, math.prod, {"a": (0.1, 7), "b": (0.8, 9)}
    )
    expect(
        sorted(looked) == ["a", "b"],
        f"look_ahead is asked once for each open candidate, 'a' and 'b', and for no other; yours "
        f"is asked for {looked}",
    )
    expect(
        asked[1][0] == "b",
        "'a' scores 0.9 and leads to 0.1, 'b' scores 0.5 and leads to 0.8: with look_ahead the "
        f"beam goes on from 'b', and yours from {asked[1][0]!r}; the score that was looked up is "
        "to be used",
    )
    expect(said == "b2", f"the answer is 'b2' (0.8 * 0.4), and you say {said!r}")
    expect_close(
        tokens,
        36,
        "two steps of 5, two looks ahead of 7 and 9, two steps of 5",
        {"the tokens of the looks ahead have been written, too: they are not free": 20},
    )
    said, _, _, _ = searched(student, CASES.BEHIND, 4, 2, math.prod, {"a": (0.9, 1), "b": (0.5, 1)})
    expect(
        said == "a1",
        "the score of the look ahead takes the place of the step's own for good: 'a1' has 0.9 * 0.5"
        f" and 'b1' has 0.5 * 0.8; you say {said!r}",
    )


# -- backtracking_search ---------------------------------------------------------------------------


def tried(student, table, budget, **how):
    """(answer, tokens, the states that were asked for); rejects what exceeds the budget."""
    writer = CASES.Writer(table, budget)
    found = student.backtracking_search("", writer, budget, **how)
    expect(
        isinstance(found, tuple) and len(found) == 2,
        f"return a tuple of two: (the best finished answer, the tokens), not {found!r}",
    )
    kept_to_the_budget(writer, found[1], budget)
    return found[0], found[1], writer.states


def kept_to_the_budget(writer, tokens, budget):
    expect(
        not writer.late,
        f"budget {budget}: expand was called with no token left; the search ends there",
    )
    expect(
        not writer.wrong,
        f"budget {budget}: (left, given to expand) were {writer.wrong[:3]}; give it the tokens "
        "that are left, so that it can stop in time",
    )
    expect(writer.spent <= budget, f"budget {budget}, and {writer.spent} tokens were written")
    expect_close(
        tokens,
        writer.spent,
        f"budget {budget}: every token that expand has written counts, pruned, cut or seen before",
    )


@exercise("backtracking_search", points=2)
def never_over_budget(student):
    """At any budget, on many trees; a cut text is no answer."""
    for seed in range(6):
        table = CASES.random_tree(seed)
        for budget in (1, 2, 7, 20, 55, 160):
            said, _, _ = tried(student, table, budget)
            ends = {row[0]: row[3] for rows in table.values() for row in rows}
            expect(
                said is None or ends[said] == "done",
                f"{said!r} is no finished answer: its end is {ends.get(said)!r}",
            )
    said, tokens, _ = tried(student, {"": [("a", 0.99, 9, "done")]}, 8)
    expect(
        (said, tokens) == (None, 8),
        "'a' costs 9 tokens and 8 are there: it is cut off, a cut text is no answer, and (None, 8) "
        f"is the result; you say {(said, tokens)}",
    )


@exercise("backtracking_search", points=2)
def comes_back(student):
    """The order of the states, by hand."""
    said, tokens, states = tried(student, CASES.MISLEADING, 60)
    expect(
        states[:2] == ["", "a"],
        f"at first '' is expanded, then 'a', which looks best; yours are {states[:2]}",
    )
    expect(
        states == ["", "a", "b"],
        "all ways on from 'a' look worse than 'b', which was left before: the search goes back to "
        f"'b', and finds 'b1' (0.97), which is enough; yours expands {states}",
    )
    expect(said == "b1", f"the answer is 'b1', and you say {said!r}")
    _, _, states = tried(student, CASES.POOR, 13)
    wanted = ["", "", "x", "", "y", "x", "", "x1", "y"]
    expect(
        states.count("") > 1,
        "after 'x' (0.3) and 'y' (0.2) the start waits again with 1 / 2, so it comes next: a few "
        f"draws are not all ways on; yours expands {states}",
    )
    expect(
        states[:4] != ["", "", "x", "x"],
        "'x' was seen before: it does not wait twice, though '' gave it again",
    )
    expect(
        states == wanted,
        f"the order is {wanted} (x1 and y both wait with 0.1, and x1 began first), and yours is "
        f"{states}",
    )


@exercise("backtracking_search", points=1)
def the_best_answer(student):
    """Good enough ends the search; below that the best of all counts."""
    for enough, wanted, count in ((0.95, "c", 40), (0.75, "b", 4), (0.5, "a", 2)):
        said, _, states = tried(student, CASES.ANSWERS, 80, enough=enough)
        expect(
            len(states) <= count,
            f"enough = {enough}: the search ends with the answer that is good enough, and yours "
            f"goes on for {len(states)} calls",
        )
        expect(
            said == wanted,
            f"enough = {enough}: the answers come as a (0.6), b (0.8), c (0.9), d (0.7); "
            f"{wanted!r} is the result, and you say {said!r}",
        )
    said, _, _ = tried(student, {"": [("a", 0.96, 2, "done"), ("b", 0.99, 2, "done")]}, 50)
    expect(said == "b", f"two answers at once, 0.96 and 0.99: the better one, 'b', not {said!r}")
    said, _, _ = tried(student, {"": [("a", 0.5, 2, "done"), ("b", 0.5, 2, "done")]}, 9)
    expect(said == "a", f"two equal answers: the first one, 'a', not {said!r}")


@exercise("backtracking_search", points=1)
def two_hundred_countdowns(student):
    """A model that draws its steps blindly, and an exact judge: all are solved."""
    solved, spent = 0, 0
    for number, problem in enumerate(CASES.puzzles(200)):
        player = CASES.Player(problem, number)
        said, tokens = student.backtracking_search(player.start, player, 800)
        kept_to_the_budget(player, tokens, 800)
        solved += said is not None and said[0] == (player.target,)
        spent += tokens
    expect(
        solved == 200,
        f"of 200 countdowns you solve {solved}, with {spent / 200:.0f} tokens each on average: "
        "with an exact judge and 800 tokens all can be solved, if the search comes back",
    )
    expect(
        spent < 200 * 160,
        f"you need {spent / 200:.0f} tokens a countdown, and 160 are plenty: go on from the best "
        "state, and stop at an answer that is good enough",
    )


# -- uct_score and puct_score ----------------------------------------------------------------------


@exercise("uct_score", points=1)
def uct(student):
    """Values, and a place that was never visited."""
    for total, visits, parent, c in ((3.0, 4, 16, 0.5), (0.5, 1, 7, 1.4), (9.0, 12, 30, 0.1)):
        mean = total / visits
        expect_close(
            student.uct_score(total, visits, parent, c),
            mean + c * math.sqrt(math.log(parent) / visits),
            f"total {total}, visits {visits}, parent_visits {parent}, curiosity {c}",
            {
                "the mean is total / visits; you have the total": total
                + c * math.sqrt(math.log(parent) / visits),
                "only the logarithm is under your root; the visits belong there, too": mean
                + c * math.sqrt(math.log(parent)) / visits,
                "the logarithm is the natural one": mean
                + c * math.sqrt(math.log10(parent) / visits),
                "the logarithm is the natural one, not that of base 2": mean
                + c * math.sqrt(math.log2(parent) / visits),
                "the logarithm is that of the parent's visits; you have those of the place": mean
                + c * math.sqrt(math.log(visits) / parent),
                "the root is missing": mean + c * math.log(parent) / visits,
            },
            tolerance=1e-9,
        )
    said = student.uct_score(0.0, 0, 5, 0.5)
    expect(said == math.inf, f"a place that was never visited scores math.inf, and yours {said!r}")


@exercise("puct_score", points=2)
def puct(student):
    """Values, the prior, the guess, and the budget that ends."""
    rng = random.Random(8)
    drawn = [
        (rng.random() * v, v, v + rng.randint(1, 40), rng.random(), rng.random(), 0.7, rng.random())
        for v in (1, 3, 10)
    ]
    for case in [(3.0, 4, 16, 0.5, 0.6, 0.5, 0.25), *drawn]:
        total, visits, parent, prior, guess, c, left = case
        mean, bonus = total / visits, math.sqrt(parent) / (1 + visits)
        expect_close(
            student.puct_score(*case),
            mean + left * c * prior * bonus,
            f"total, visits, parent_visits, prior, guess, curiosity, left = {case}",
            {
                "the share of the budget that is left is not used": mean + c * prior * bonus,
                "the share of the budget that is *left* counts, not that which is spent": mean
                + (1 - left) * c * prior * bonus,
                "the prior is not used": mean + left * c * bonus,
                "1 + visits, not visits, stands below": mean
                + left * c * prior * math.sqrt(parent) / visits,
                "the root is over the parent's visits alone": mean
                + left * c * prior * math.sqrt(parent / (1 + visits)),
                "a place that was visited has its mean; the guess is for those that were not": guess
                + left * c * prior * bonus,
            },
            tolerance=1e-9,
        )
    expect_close(
        student.puct_score(0.0, 0, 16, 0.5, 0.9, 0.5, 0.5),
        1.4,
        "never visited: the guess takes the place of the mean",
        {"a place that was never visited has no mean of 0: it has the verifier's guess": 0.5},
    )
    expect_close(
        student.puct_score(3.0, 4, 16, 0.5, 0.9, 0.5, 0.0), 0.75, "no budget left: the mean alone"
    )
