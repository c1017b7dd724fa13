"""The mutants of lecture 6: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import math
import re
from collections import Counter

from checks import wald

from course.grade import mutant


@mutant("pass_at_k", "with replacement")
def with_replacement(n, c, k):
    if not 1 <= k <= n:
        raise ValueError
    return 1 - (1 - c / n) ** k


@mutant("pass_at_k", "counts a pair with two right samples twice")
def expected_number(n, c, k):
    if not 1 <= k <= n:
        raise ValueError
    return min(1.0, k * c / n)


@mutant("pass_at_k", "all k samples are right")
def all_right(n, c, k):
    if not 1 <= k <= n:
        raise ValueError
    return math.comb(c, k) / math.comb(n, k)


@mutant("pass_at_k", "none is right")
def not_complemented(n, c, k):
    if not 1 <= k <= n:
        raise ValueError
    return math.comb(n - c, k) / math.comb(n, k)


@mutant("pass_at_k", "must be a ValueError")
def no_limits(n, c, k):
    return 1 - math.comb(n - c, k) / max(1, math.comb(n, k))


@mutant("pass_at_k", "not with //")
def whole_numbers(n, c, k):
    if not 1 <= k <= n:
        raise ValueError
    return float(1 - math.comb(n - c, k) // math.comb(n, k))


@mutant("majority_vote", "None abstains")
def none_can_win(answers):
    return Counter(answers).most_common(1)[0][0] if answers else None


@mutant("majority_vote", "more than half are not needed")
def absolute_majority(answers):
    votes = [a for a in answers if a is not None]
    return next((a for a in votes if 2 * votes.count(a) > len(votes)), None)


@mutant("majority_vote", "seen first")
def last_of_equals(answers):
    votes = [a for a in answers if a is not None]
    return max(reversed(votes), key=votes.count, default=None)


@mutant("majority_vote", "A set has no order")
def by_the_alphabet(answers):
    votes = Counter(a for a in answers if a is not None)
    return min(votes, key=lambda a: (-votes[a], a), default=None)


@mutant("majority_vote", "do not compare the answers")
def greatest_answer(answers):
    return max((a for a in answers if a is not None), default=None)


@mutant("majority_vote", "ValueError")
def nobody_voted(answers):
    votes = Counter(a for a in answers if a is not None)
    return max(votes, key=votes.__getitem__)


@mutant("majority_vote", "only None abstains")
def empty_answers_abstain(answers):
    votes = Counter(a for a in answers if a)
    return max(votes, key=votes.__getitem__, default=None)


@mutant("majority_vote", "compared as they are")
def spaces_stripped(answers):
    votes = Counter(a.strip() for a in answers if a is not None)
    return max(votes, key=votes.__getitem__, default=None)


@mutant("majority_vote", "which answer is complete first")
def first_to_get_there(answers):
    votes, best = Counter(), None
    for answer in answers:
        votes[answer] += answer is not None
        if answer is not None and (best is None or votes[answer] > votes[best]):
            best = answer
    return best


def wilson(successes, n, z=1.96):
    p, square = successes / n, z * z / n
    half = z * math.sqrt(p * (1 - p) / n + square / (4 * n))
    return (p + square / 2 - half) / (1 + square), (p + square / 2 + half) / (1 + square)


@mutant("wilson_interval", "3 of 7, z = 2.576")
def two_z(successes, n, z=1.96):
    return wilson(successes, n, z if z == 1.96 else 1.0) if n else (0.0, 1.0)


@mutant("wilson_interval", "50 of 400")
def small_samples(successes, n, z=1.96):
    return wilson(successes, n, z) if 0 < n <= 20 else (0.0, 1.0)


@mutant("wilson_interval", "the interval that Wilson's replaces")
def walds(successes, n, z=1.96):
    return wald(successes, n, z) if n else (0.0, 1.0)


@mutant("wilson_interval", "cut to [0, 1]")
def walds_cut(successes, n, z=1.96):
    low, high = wald(successes, n, z) if n else (0.0, 1.0)
    return max(0.0, low), min(1.0, high)


@mutant("wilson_interval", "lies around p")
def around_p(successes, n, z=1.96):
    if n == 0:
        return 0.0, 1.0
    low, high = wilson(successes, n, z)
    return successes / n - (high - low) / 2, successes / n + (high - low) / 2


@mutant("wilson_interval", "division by 1 + z^2/n")
def not_divided(successes, n, z=1.96):
    if n == 0:
        return 0.0, 1.0
    low, high = (end * (1 + z * z / n) for end in wilson(successes, n, z))
    return low, min(1.0, high)


@mutant("wilson_interval", "z changes nothing")
def always_95(successes, n, z=1.96):
    return wilson(successes, n) if n else (0.0, 1.0)


@mutant("wilson_interval", "ZeroDivisionError")
def needs_cases(successes, n, z=1.96):
    return wilson(successes, n, z)


@mutant("wilson_interval", "high before low")
def swapped(successes, n, z=1.96):
    return wilson(successes, n, z)[::-1] if n else (0.0, 1.0)


def words_of(text):
    return re.findall(r"\w+", text.lower())


def grams(words, n):
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def judge(train, test, n, split=words_of, join=False):
    pages = [split(t) for t in train]
    pages = [[w for page in pages for w in page]] if join else pages
    found = []
    for i, text in enumerate(test):
        words = split(text)
        length = min(n, len(words))
        if length and grams(words, length) & set().union(*(grams(page, length) for page in pages)):
            found.append(i)
    return found


@mutant("leakage", "need not be whole")
def whole_texts(train, test, n=8):
    return [i for i, text in enumerate(test) if any(words_of(text) == words_of(t) for t in train)]


@mutant("leakage", "not sets of words")
def bags_of_words(train, test, n=8):
    return [
        i
        for i, text in enumerate(test)
        if words_of(text)
        and any(
            len(set(words_of(text)) & set(words_of(t))) >= min(n, len(words_of(text)))
            for t in train
        )
    ]


@mutant("leakage", "one by one")
def one_long_text(train, test, n=8):
    return judge(train, test, n, join=True)


@mutant("leakage", "capitals make no difference")
def with_capitals(train, test, n=8):
    return judge(train, test, n, split=lambda text: re.findall(r"\w+", text))


@mutant("leakage", "punctuation makes no difference")
def split_at_spaces(train, test, n=8):
    return judge(train, test, n, split=lambda text: text.lower().split())


@mutant("leakage", "another number is another problem")
def numbers_left_out(train, test, n=8):
    return judge(train, test, n, split=lambda text: re.findall(r"[a-z]+", text.lower()))


@mutant("leakage", "fewer than n words")
def short_texts_pass(train, test, n=8):
    pages = set().union(*(grams(words_of(t), n) for t in train))
    return [i for i, text in enumerate(test) if grams(words_of(text), n) & pages]


@mutant("leakage", "indices of `test`")
def the_texts_themselves(train, test, n=8):
    return [test[i] for i in judge(train, test, n)]


@mutant("leakage", "a text without words never counts")
def empty_texts_leak(train, test, n=8):
    return sorted(
        {*judge(train, test, n), *(i for i, text in enumerate(test) if not words_of(text))}
    )


@mutant("leakage", "three words in a row")
def four_or_eight(train, test, n=8):
    return judge(train, test, 4 if n < 8 else n)


@mutant("leakage", "eleven words in a row")
def nine_at_most(train, test, n=8):
    return judge(train, test, n) if n < 10 else []


@mutant("leakage", "compare words, not letters")
def in_the_joined_text(train, test, n=8):
    pages, found = [" ".join(words_of(text)) for text in train], []
    for i, text in enumerate(test):
        words = words_of(text)
        length = min(n, len(words))
        runs = [" ".join(words[j : j + length]) for j in range(len(words) - length + 1)]
        if length and any(run in page for run in runs for page in pages):
            found.append(i)
    return found


@mutant("leakage", "also if it comes twice")
def each_text_once(train, test, n=8):
    return [i for i in judge(train, test, n) if test[i] not in test[:i]]


@mutant("leakage", "letters with accents")
def ascii_letters(train, test, n=8):
    return judge(train, test, n, split=lambda text: re.findall(r"[a-z0-9]+", text.lower()))
