"""The mutants of lecture 19: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import math
from collections import Counter

import torch

from course.grade import mutant

# -- label_steps: one function with switches stands for all mutants --------------------------------


def is_true(a, sign, b, result, floor=False, zero=False):
    if sign == "/":
        if floor:
            return b != 0 and a // b == result
        return (zero or b != 0) and a == b * result
    return result == {"+": a + b, "-": a - b, "*": a * b}[sign]


def label(numbers, steps, can_reach, wrong=""):
    """Right, but for what the words of `wrong` name."""
    left, labels, alive, wrong = Counter(numbers), [], True, wrong.split()
    for a, sign, b, result in steps:
        rest = left.copy()
        there = left[a] > 0 and left[b] > 0 and ("twice" in wrong or a != b or left[a] > 1)
        if "stay" not in wrong:
            for operand in (a, b):
                rest[operand] = 0 if "equals" in wrong else max(0, rest[operand] - 1)
        rest[result] += "lost" not in wrong
        sum_true = "sums" in wrong or is_true(a, sign, b, result, "floor" in wrong, "zero" in wrong)
        asked = [*(left if "before" in wrong else rest).elements()]
        good = there and sum_true and ("reach" in wrong or can_reach(asked))
        alive, left = (alive or "recover" in wrong) and good, rest
        if alive or "omit" not in wrong:
            labels.append(alive)
        if not alive and "on" not in wrong:
            break
    return labels


@mutant("label_steps", "has a label, too: False")
def leaves_the_wrong_one_out(numbers, steps, can_reach):
    return label(numbers, steps, can_reach, "omit")


@mutant("label_steps", "behind the first wrong step")
def labels_all_steps(numbers, steps, can_reach):
    return label(numbers, steps, can_reach, "on")


@mutant("label_steps", "yours is asked for []")
def sums_alone(numbers, steps, can_reach):
    return label(numbers, steps, can_reach, "reach")


@mutant("label_steps", "what is left *after* each step")
def asks_before_the_step(numbers, steps, can_reach):
    return label(numbers, steps, can_reach, "before")


@mutant("label_steps", "the 4 was taken")
def operands_stay(numbers, steps, can_reach):
    return label(numbers, steps, can_reach, "stay")


@mutant("label_steps", "behind the first wrong step nothing is labelled")
def each_step_for_itself(numbers, steps, can_reach):
    return label(numbers, steps, can_reach, "on recover")


@mutant("label_steps", "4*7 is not 29")
def sums_unchecked(numbers, steps, can_reach):
    return label(numbers, steps, can_reach, "sums")


@mutant("label_steps", "the result of a step is one of the numbers")
def results_are_lost(numbers, steps, can_reach):
    return label(numbers, steps, can_reach, "lost")


@mutant("label_steps", "two equal operands need two equal numbers")
def one_number_for_both(numbers, steps, can_reach):
    return label(numbers, steps, can_reach, "twice")


@mutant("label_steps", "a step takes one of them")
def all_equal_numbers_go(numbers, steps, can_reach):
    return label(numbers, steps, can_reach, "equals")


@mutant("label_steps", "does not come out even")
def floor_division(numbers, steps, can_reach):
    return label(numbers, steps, can_reach, "floor")


@mutant("label_steps", "whatever the result")
def nought_by_nought(numbers, steps, can_reach):
    return label(numbers, steps, can_reach, "zero")


@mutant("label_steps", "ZeroDivisionError")
def divides(numbers, steps, can_reach):
    for a, sign, b, result in steps:
        if sign == "/" and a / b != result:
            break
    return label(numbers, steps, can_reach)


@mutant("label_steps", "changes its argument `numbers`")
def takes_from_the_caller(numbers, steps, can_reach):
    found = label(numbers, steps, can_reach)
    for a, _, _, result in steps[:1]:
        if a in numbers:
            numbers.remove(a)
        numbers.append(result)
    return found


# -- mc_label --------------------------------------------------------------------------------------


def rolled(steps, roll_out, is_right, n, value, first=0, last=None, whole=True):
    """`value` of the verdicts makes a label; `first`: 1 begins with this step alone."""
    labels = []
    for k in range(len(steps) - (last is None)):
        begun = "".join(steps[k * first : k + 1])
        verdicts = [is_right(begun + t if whole else t) for t in roll_out(begun, n)]
        labels.append(float(value(verdicts)))
    return labels if last is not None else [*labels, float(is_right("".join(steps)))]


def share(verdicts):
    return sum(verdicts) / len(verdicts)


def kind(hard):
    return any if hard else share


@mutant("mc_label", "these are the hard labels")
def always_hard(steps, roll_out, is_right, n, hard=False):
    return rolled(steps, roll_out, is_right, n, any)


@mutant("mc_label", "a label is 1.0 or 0.0")
def always_soft(steps, roll_out, is_right, n, hard=False):
    return rolled(steps, roll_out, is_right, n, share)


@mutant("mc_label", "*beginning* of each step")
def from_the_beginning_of_the_step(steps, roll_out, is_right, n, hard=False):
    labels = []
    for k in range(len(steps) - 1):
        begun = "".join(steps[:k])
        labels.append(float(kind(hard)([is_right(begun + t) for t in roll_out(begun, n)])))
    return [*labels, float(is_right("".join(steps)))]


@mutant("mc_label", "you grade the new text alone")
def grades_the_new_text(steps, roll_out, is_right, n, hard=False):
    return rolled(steps, roll_out, is_right, n, kind(hard), whole=False)


@mutant("mc_label", "you begin with this step alone")
def forgets_the_steps_before(steps, roll_out, is_right, n, hard=False):
    return rolled(
        steps, roll_out, lambda t: t.startswith("a") and is_right(t), n, kind(hard), first=1
    )


@mutant("mc_label", "the share of *wrong* answers")
def share_of_wrong_ones(steps, roll_out, is_right, n, hard=False):
    return rolled(steps, roll_out, lambda t: not is_right(t), n, kind(hard))


@mutant("mc_label", "you count the answer itself")
def the_answer_is_a_roll_out(steps, roll_out, is_right, n, hard=False):
    whole = is_right("".join(steps))
    return rolled(steps, roll_out, is_right, n, lambda v: kind(hard)([*v, whole]))


@mutant("mc_label", "a cautious guess, and biased")
def rule_of_succession(steps, roll_out, is_right, n, hard=False):
    return rolled(
        steps, roll_out, is_right, n, any if hard else lambda v: (sum(v) + 1) / (len(v) + 2)
    )


@mutant("mc_label", "not the least of all before it")
def least_so_far(steps, roll_out, is_right, n, hard=False):
    found = rolled(steps, roll_out, is_right, n, kind(hard))
    return [min(found[: k + 1]) for k in range(len(found))]


@mutant("mc_label", "nothing to roll out")
def rolls_out_the_last_step(steps, roll_out, is_right, n, hard=False):
    return rolled(steps, roll_out, is_right, n, kind(hard), last=True)


@mutant("mc_label", "that is an outcome label")
def outcome_everywhere(steps, roll_out, is_right, n, hard=False):
    return [float(is_right("".join(steps)))] * len(steps)


@mutant("mc_label", "if *any* roll-out is right")
def majority_of_roll_outs(steps, roll_out, is_right, n, hard=False):
    return rolled(steps, roll_out, is_right, n, (lambda v: share(v) > 0.5) if hard else share)


@mutant("mc_label", "not all have to be right")
def all_of_them(steps, roll_out, is_right, n, hard=False):
    return rolled(steps, roll_out, is_right, n, all if hard else share)


# -- aggregate_steps -------------------------------------------------------------------------------


def rows(scores, mask, how, **instead):
    """The right result, or what `instead` has for this word."""
    seen = mask.bool()
    if how in instead:
        return instead[how](scores, seen)
    if how not in ("min", "product", "last"):
        raise ValueError(how)
    found = [scores[i][seen[i]] for i in range(len(scores))]
    make = {"min": lambda r: r.min(), "product": lambda r: r.prod(), "last": lambda r: r[-1]}
    return torch.stack([make[how](row) for row in found])


@mutant("aggregate_steps", "you have the highest")
def best_step(scores, mask, how):
    return rows(scores, mask, how, min=lambda s, m: s.masked_fill(~m, 0.0).amax(1))


@mutant("aggregate_steps", "you take a 0 there for the lowest score")
def padding_is_a_zero(scores, mask, how):
    return rows(scores, mask, how, min=lambda s, m: s.masked_fill(~m, 0.0).amin(1))


@mutant("aggregate_steps", "a factor 0 there")
def padding_multiplies_by_zero(scores, mask, how):
    return rows(scores, mask, how, product=lambda s, m: s.masked_fill(~m, 0.0).prod(1))


@mutant("aggregate_steps", "this is the mean of the scores")
def mean_of_steps(scores, mask, how):
    return rows(scores, mask, how, product=lambda s, m: s.masked_fill(~m, 0.0).sum(1) / m.sum(1))


@mutant("aggregate_steps", "sum of the logarithms")
def stays_a_logarithm(scores, mask, how):
    return rows(scores, mask, how, product=lambda s, m: s.masked_fill(~m, 1.0).log().sum(1))


@mutant("aggregate_steps", "not its K-th root")
def geometric_mean(scores, mask, how):
    return rows(
        scores, mask, how, product=lambda s, m: s.masked_fill(~m, 1.0).prod(1) ** (1 / m.sum(1))
    )


@mutant("aggregate_steps", "you take the last column")
def last_column(scores, mask, how):
    return rows(scores, mask, how, last=lambda s, m: s[:, -1])


@mutant("aggregate_steps", "mask.sum() - 1")
def place_by_count(scores, mask, how):
    return rows(scores, mask, how, last=lambda s, m: s.gather(1, m.sum(1, keepdim=True) - 1)[:, 0])


@mutant("aggregate_steps", "0 * NaN is NaN")
def multiplied_by_the_mask(scores, mask, how):
    return rows(
        scores, mask, how, product=lambda s, m: (s * m.to(s.dtype) + (~m).to(s.dtype)).prod(1)
    )


@mutant("aggregate_steps", "no silent choice")
def last_for_all_else(scores, mask, how):
    return rows(scores, mask, how if how in ("min", "product") else "last")


@mutant("aggregate_steps", "a result of the shape [1]")
def squeezed(scores, mask, how):
    return rows(scores, mask, how).squeeze()


@mutant("aggregate_steps", "changes its argument `scores`")
def fills_in_place(scores, mask, how):
    return rows(scores.masked_fill_(~mask.bool(), 1.0), mask, how)


# -- calibration_error -----------------------------------------------------------------------------


def binned(scores, labels, bins, place=None):
    """The pairs of each bin, empty ones included."""
    if len(scores) != len(labels):
        raise ValueError
    found = [[] for _ in range(bins)]
    for s, y in zip(scores, labels, strict=True):
        found[place(s) if place else min(bins - 1, int(s * bins))].append((s, y))
    return found


def gap(pairs):
    return sum(s - y for s, y in pairs) / len(pairs)


@mutant("calibration_error", "the plain mean of the bins")
def bins_unweighted(scores, labels, bins=10):
    filled = [pairs for pairs in binned(scores, labels, bins) if pairs]
    return sum(abs(gap(pairs)) for pairs in filled) / len(filled)


@mutant("calibration_error", "no bin with the difference 0")
def empty_bins_count(scores, labels, bins=10):
    found = binned(scores, labels, bins)
    if all(found):
        return sum(len(p) * abs(gap(p)) for p in found) / len(scores)
    return sum(abs(gap(p)) for p in found if p) / bins


@mutant("calibration_error", "do not cancel")
def signs_cancel(scores, labels, bins=10):
    return abs(sum(s - y for s, y in zip(scores, labels, strict=True))) / len(scores)


@mutant("calibration_error", "the largest difference of a bin")
def largest(scores, labels, bins=10):
    return max(abs(gap(p)) for p in binned(scores, labels, bins) if p)


@mutant("calibration_error", "not its middle")
def middles(scores, labels, bins=10):
    found = 0.0
    for b, pairs in enumerate(binned(scores, labels, bins)):
        found += abs(sum((b + 0.5) / bins - y for _, y in pairs))
    return found / len(scores)


@mutant("calibration_error", "(Brier)")
def brier(scores, labels, bins=10):
    return sum((s - y) ** 2 for s, y in zip(scores, labels, strict=True)) / len(scores)


@mutant("calibration_error", "0 / 0 is NaN")
def nan_of_nothing(scores, labels, bins=10):
    found = binned(scores, labels, bins)
    gaps = [len(p) * abs(gap(p)) if p else math.nan for p in found]
    return sum(gaps) / len(scores)


@mutant("calibration_error", "1.0 belongs to the last bin")
def one_has_its_own_bin(scores, labels, bins=10):
    found = binned(scores, labels, bins + 1, lambda s: int(s * bins))
    return sum(len(p) * abs(gap(p)) for p in found if p) / len(scores)


@mutant("calibration_error", "IndexError")
def one_is_out_of_range(scores, labels, bins=10):
    found = binned(scores, labels, bins, lambda s: int(s * bins))
    return sum(len(p) * abs(gap(p)) for p in found if p) / len(scores)


@mutant("calibration_error", "0.5 belongs to the bin above it")
def closed_at_the_right(scores, labels, bins=10):
    found = binned(scores, labels, bins, lambda s: max(0, math.ceil(s * bins) - 1))
    return sum(len(p) * abs(gap(p)) for p in found if p) / len(scores)


@mutant("calibration_error", "must be a ValueError")
def cuts_to_the_shorter(scores, labels, bins=10):
    n = min(len(scores), len(labels))
    found = binned(scores[:n], labels[:n], bins)
    return sum(len(p) * abs(gap(p)) for p in found if p) / n


@mutant("calibration_error", "of equal width (not of equal count)")
def equal_counts(scores, labels, bins=10):
    """Quantiles; right where there are few scores, so that no other check sees it."""
    if len(scores) < 100:
        return sum(len(p) * abs(gap(p)) for p in binned(scores, labels, bins) if p) / len(scores)
    cases, n = sorted(zip(scores, labels, strict=True)), len(scores)
    parts = [cases[n * b // bins : n * (b + 1) // bins] for b in range(bins)]
    return sum(len(p) * abs(gap(p)) for p in parts) / n


@mutant("calibration_error", "how sure the judge is")
def of_the_verdict(scores, labels, bins=10):
    """The usual form for classifiers; right where there are few scores, as above."""
    if len(scores) < 100:
        return sum(len(p) * abs(gap(p)) for p in binned(scores, labels, bins) if p) / len(scores)
    sure = [max(s, 1 - s) for s in scores]
    true = [float((s > 0.5) == (y > 0.5)) for s, y in zip(scores, labels, strict=True)]
    return sum(len(p) * abs(gap(p)) for p in binned(sure, true, bins) if p) / len(scores)
