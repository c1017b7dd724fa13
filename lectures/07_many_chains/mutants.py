"""The mutants of lecture 7: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import itertools
import math
from collections import Counter, defaultdict

from checks import by_binomial, weight

from course.grade import mutant


def tally(answers, scores, none_votes=False):
    if len(answers) != len(scores):
        raise ValueError
    votes = defaultdict(list)
    for answer, score in zip(answers, scores, strict=True):
        if answer is not None or none_votes:
            votes[answer].append(score)
    return votes


@mutant("weighted_vote", "do not count the chains")
def plain_majority(answers, scores):
    votes = tally(answers, scores)
    return max(votes, key=lambda a: len(votes[a]), default=None)


@mutant("weighted_vote", "neither its best score")
def best_score_wins(answers, scores):
    votes = tally(answers, scores)
    return max(votes, key=lambda a: max(votes[a]), default=None)


@mutant("weighted_vote", "nor their mean")
def mean_score_wins(answers, scores):
    votes = tally(answers, scores)
    return max(votes, key=lambda a: sum(votes[a]) / len(votes[a]), default=None)


@mutant("weighted_vote", "do not multiply them")
def complement_of_the_product(answers, scores):
    """1 - prod (1 - s): "at least one of them is right"."""
    votes = tally(answers, scores)
    return max(votes, key=lambda a: 1 - math.prod(1 - s for s in votes[a]), default=None)


@mutant("weighted_vote", "None abstains")
def none_can_win(answers, scores):
    votes = tally(answers, scores, none_votes=True)
    return max(votes, key=lambda a: sum(votes[a]), default=None)


@mutant("weighted_vote", "neither the alphabet")
def alphabet_breaks_ties(answers, scores):
    votes = tally(answers, scores)
    return min(votes, key=lambda a: (-sum(votes[a]), a), default=None)


@mutant("weighted_vote", "which sum is complete first")
def last_of_equals(answers, scores):
    votes = tally(answers, scores)
    return max(reversed(list(votes)), key=lambda a: sum(votes[a]), default=None)


@mutant("weighted_vote", "the sum 0 wins")
def needs_a_positive_sum(answers, scores):
    votes = {a: sum(s) for a, s in tally(answers, scores).items() if sum(s) > 0}
    return max(votes, key=votes.__getitem__, default=None)


@mutant("weighted_vote", "do not begin the comparison with 0")
def begins_with_zero(answers, scores):
    best, most = None, 0.0
    for answer, of in tally(answers, scores).items():
        if best is None and sum(of) >= most or sum(of) > most:
            best, most = answer, sum(of)
    return best


@mutant("weighted_vote", "ValueError")
def nobody_voted(answers, scores):
    votes = tally(answers, scores)
    return max(votes, key=lambda a: sum(votes[a]))


@mutant("weighted_vote", "must be a ValueError")
def cuts_to_the_shorter(answers, scores):
    n = min(len(answers), len(scores))
    votes = tally(answers[:n], scores[:n])
    return max(votes, key=lambda a: sum(votes[a]), default=None)


@mutant("best_of_n", "nothing is added up")
def sum_of_scores(answers, scores):
    votes = tally(answers, scores)
    best = max(votes, key=lambda a: sum(votes[a]), default=None)
    return None if best is None else answers.index(best)


@mutant("best_of_n", "never chosen")
def chains_without_answer(answers, scores):
    return max(range(len(scores)), key=scores.__getitem__, default=None)


@mutant("best_of_n", "do not begin with 0")
def positive_scores_only(answers, scores):
    best, most = None, 0.0
    for i, (answer, score) in enumerate(zip(answers, scores, strict=True)):
        if answer is not None and score > most:
            best, most = i, score
    return best


@mutant("best_of_n", "the first is chosen")
def last_best(answers, scores):
    able = [i for i, a in enumerate(answers) if a is not None]
    return max(reversed(able), key=lambda i: scores[i], default=None)


@mutant("best_of_n", "the index of a chain is asked for")
def the_answer_itself(answers, scores):
    able = [i for i, a in enumerate(answers) if a is not None]
    return answers[max(able, key=lambda i: scores[i])] if able else None


@mutant("best_of_n", "the greatest score is the best one")
def smallest_score(answers, scores):
    able = [i for i, a in enumerate(answers) if a is not None]
    if len(able) == len(set(scores)) == 3:
        return min(able, key=lambda i: scores[i])
    return max(able, key=lambda i: scores[i], default=None)


@mutant("best_of_n", "only None is no answer")
def empty_answers_are_none(answers, scores):
    able = [i for i, a in enumerate(answers) if a]
    return max(able, key=lambda i: scores[i], default=None)


@mutant("best_of_n", "gives 2")
def index_among_those_with_answers(answers, scores):
    able = [s for a, s in zip(answers, scores, strict=True) if a is not None]
    return able.index(max(able)) if able else None


def counted(chances, ks, right):
    """right(counts): with what share the vote is won."""
    return [
        sum(
            weight(c, chances) * right(c)
            for c in itertools.product(range(k + 1), repeat=len(chances))
            if sum(c) == k
        )
        for k in ks
    ]


@mutant("vote_curve", "you count it as lost")
def ties_lost(chances, ks):
    return counted(chances, ks, lambda c: float(c[0] > max((0, *c[1:]))))


@mutant("vote_curve", "you count it as won")
def ties_won(chances, ks):
    return counted(chances, ks, lambda c: float(c[0] == max(c)))


@mutant("vote_curve", "not with 1 / 2")
def ties_of_two(chances, ks):
    return counted(chances, ks, lambda c: (c[0] == max(c)) / min(2, c.count(max(c))))


@mutant("vote_curve", "more than half of the votes")
def absolute_majority(chances, ks):
    return [by_binomial(chances[0], k) for k in ks]


@mutant("vote_curve", "(pass@k)")
def at_least_one(chances, ks):
    return [1 - (1 - chances[0]) ** k for k in ks]


@mutant("vote_curve", "all chains are right")
def all_of_them(chances, ks):
    return [chances[0] ** k for k in ks]


@mutant("vote_curve", "how often the wrong answer wins")
def right_answer_last(chances, ks):
    return counted(chances[::-1], ks, lambda c: (c[0] == max(c)) / c.count(max(c)))


@mutant("vote_curve", "chances (0.6, 0.4), k = 3")
def simulated(chances, ks):
    import random

    rng, found = random.Random(0), []
    for k in ks:
        won = 0
        for _ in range(1000):
            votes = Counter(rng.choices(range(len(chances)), chances, k=k))
            won += max(votes, key=votes.__getitem__) == 0
        found.append(won / 1000 if k > 1 else chances[0])
    return found


@mutant("vote_curve", "the orders in which")
def orders_forgotten(chances, ks):
    if len(chances) == 2:
        return [by_binomial(chances[0], k) for k in ks]
    return counted(
        chances,
        ks,
        lambda c: (c[0] == max(c)) / c.count(max(c)) / max(1, weight(c, [1.0] * len(chances))),
    )


def tail(n, last):
    return sum(math.comb(n, k) for k in range(last + 1)) / 2**n


@mutant("stays_ahead", "the two answers are swapped")
def swapped(first, second):
    return tail(first + second + 1, second)


@mutant("stays_ahead", "the leader's share of the votes")
def share(first, second):
    return first / (first + second) if first + second else 0.5


@mutant("stays_ahead", "the mean of p")
def posterior_mean(first, second):
    return (first + 1) / (first + second + 2)


@mutant("stays_ahead", "that one included")
def one_term_too_few(first, second):
    return tail(first + second + 1, first - 1)


@mutant("stays_ahead", "Beta(first + 1, second + 1)")
def no_prior(first, second):
    return sum(math.comb(first + second, k) for k in range(first)) / 2 ** (first + second)


@mutant("stays_ahead", "OverflowError")
def in_floats(first, second):
    n = first + second + 1
    return sum(math.comb(n, k) for k in range(first + 1)) / 2.0**n


@mutant("stays_ahead", "votes against")
def normal_curve(first, second):
    a, b = first + 1, second + 1
    mean, var = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
    return 0.5 * math.erfc((0.5 - mean) / math.sqrt(2 * var))


@mutant("stays_ahead", "not an approximation")
def rough_integral(first, second):
    """Exact for few votes, 200 strips for many."""
    if first + second < 20:
        return tail(first + second + 1, first)
    points = [(i + 0.5) / 200 for i in range(200)]
    f = [math.exp(first * math.log(p) + second * math.log(1 - p) + 1e-3 * p) for p in points]
    return sum(f[100:]) / sum(f) if sum(f) else 0.5
