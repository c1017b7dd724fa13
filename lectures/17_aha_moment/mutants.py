"""The mutants of lecture 17: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import math
import re

import torch

from course.grade import mutant


def first(t):
    return t["attempts"][0][0] if t["attempts"] and t["attempts"][0][1] is not None else None


def part(cases):
    cases = list(cases)
    return sum(cases) / len(cases) if cases else None


def stats(traces, **other):
    wrong = [t for t in traces if first(t) is False]
    right = {
        "final_accuracy": part(t["right"] for t in traces),
        "first_try_accuracy": part(first(t) is True for t in traces),
        "retry_rate": part(len(t["attempts"]) > 1 for t in wrong),
        "false_accept": part(
            a for t in traces for r, a in t["attempts"] if not r and a is not None
        ),
        "corrected": sum(t["right"] for t in wrong),
        "spoiled": sum(not t["right"] for t in traces if first(t)),
    }
    return right | other


@mutant("reflection_stats", "the denominator is wrong")
def retries_of_everyone(traces):
    return stats(
        traces, retry_rate=part(first(t) is False and len(t["attempts"]) > 1 for t in traces)
    )


@mutant("reflection_stats", "also after a right first try")
def any_second_attempt(traces):
    return stats(traces, retry_rate=part(len(t["attempts"]) > 1 for t in traces))


@mutant("reflection_stats", "you believe the writer's ok")
def believes_the_writer(traces):
    return stats(
        traces,
        first_try_accuracy=part(
            bool(t["attempts"]) and t["attempts"][0][1] is True for t in traces
        ),
    )


@mutant("reflection_stats", "not of all attempts")
def accepts_of_all(traces):
    return stats(
        traces, false_accept=part(bool(a) and not r for t in traces for r, a in t["attempts"])
    )


@mutant("reflection_stats", "not of accepted ones")
def errors_among_accepted(traces):
    return stats(traces, false_accept=part(not r for t in traces for r, a in t["attempts"] if a))


@mutant("reflection_stats", "corrects nothing")
def second_and_right(traces):
    return stats(traces, corrected=sum(t["right"] and len(t["attempts"]) > 1 for t in traces))


@mutant("reflection_stats", "not the last attempt")
def last_attempt_decides(traces):
    return stats(traces, corrected=sum(t["attempts"][-1][0] for t in traces if first(t) is False))


@mutant("reflection_stats", "belong in the denominator")
def readable_only(traces):
    return stats(traces, first_try_accuracy=part(first(t) for t in traces if first(t) is not None))


@mutant("reflection_stats", "has not failed its first try")
def unreadable_is_wrong(traces):
    return stats(traces, retry_rate=part(len(t["attempts"]) > 1 for t in traces if not first(t)))


@mutant("reflection_stats", "neither accepted nor rejected")
def none_is_rejection(traces):
    return stats(
        traces, false_accept=part(bool(a) for t in traces for r, a in t["attempts"] if not r)
    )


@mutant("reflection_stats", "None, not 0")
def zero_for_nothing(traces):
    return {name: value or 0 for name, value in stats(traces).items()}


@mutant("reflection_stats", "the final answer decides, also if there was no second attempt")
def corrected_by_a_retry(traces):
    again = [t for t in traces if len(t["attempts"]) > 1]
    return stats(traces, corrected=sum(t["right"] for t in again if first(t) is False))


@mutant("reflection_stats", "the final answer decides, also if there was no second attempt")
def spoiled_by_a_retry(traces):
    again = [t for t in traces if len(t["attempts"]) > 1]
    return stats(traces, spoiled=sum(not t["right"] for t in again if first(t)))


@mutant("reflection_stats", "a trace may hold several")
def first_attempts_accepted(traces):
    wrong = [t["attempts"][0][1] for t in traces if first(t) is False]
    return stats(traces, false_accept=part(wrong))


LETTERS = re.compile("[A-Za-z]")


def dangerous(text, word, before=LETTERS.fullmatch, most=99):
    if word in text:
        return True
    starts = (word[:k] for k in range(1, min(len(word), most + 1)))
    return any(text.endswith(s) and not before(text[: -len(s)][-1:]) for s in starts)


def masked(logits, gone, value=-math.inf):
    if all(gone):
        raise ValueError
    return logits.masked_fill(torch.tensor(gone), value)


@mutant("ban_token", "is still a probability above 0")
def logit_of_zero(logits, vocabulary, word):
    return masked(logits, [dangerous(t, word) for t in vocabulary], 0.0)


@mutant("ban_token", "is still a probability above 0")
def not_quite_never(logits, vocabulary, word):
    return masked(logits, [dangerous(t, word) for t in vocabulary], -20.0)


@mutant("ban_token", "contains 'wait' and stays allowed")
def only_the_token(logits, vocabulary, word):
    return masked(logits, [t.strip() == word for t in vocabulary])


@mutant("ban_token", "could complete it")
def whole_words_only(logits, vocabulary, word):
    return masked(logits, [word in t for t in vocabulary])


@mutant("ban_token", "with which 'wait' cannot be said")
def same_first_letter(logits, vocabulary, word):
    return masked(
        logits, [word in t or t.strip(" \n,.7ok").startswith(word[0]) for t in vocabulary]
    )


@mutant("ban_token", "with which 'wait' cannot be said")
def all_its_pieces(logits, vocabulary, word):
    return masked(logits, [dangerous(t, word) or (bool(t) and t in word) for t in vocabulary])


@mutant("ban_token", "with which 'wait' cannot be said")
def letters_before(logits, vocabulary, word):
    return masked(
        logits,
        [word in t or any(t.endswith(word[:k]) for k in range(1, len(word))) for t in vocabulary],
    )


def with_pieces(text, word, end=r"\Z", before="A-Za-z", escape=re.escape):
    begun = "|".join(escape(word[:k]) for k in range(1, len(word)))
    return re.search(rf"{escape(word)}|(?<![{before}])(?:{begun}){end}", text) is not None


@mutant("ban_token", "'w\\n'")
def dollar_at_the_end(logits, vocabulary, word):
    begun = len(word) > 1
    return masked(logits, [with_pieces(t, word, "$") if begun else word in t for t in vocabulary])


@mutant("ban_token", "nothing to do with the word 'k'")
def words_of_one_letter(logits, vocabulary, word):
    return masked(logits, [with_pieces(t, word) for t in vocabulary])


@mutant("ban_token", "re.escape makes signs plain")
def signs_as_they_are(logits, vocabulary, word):
    begun = len(word) > 1
    gone = [with_pieces(t, word, escape=str) if begun else word in t for t in vocabulary]
    return masked(logits, gone)


@mutant("ban_token", "'Aw'")
def small_letters(logits, vocabulary, word):
    lower = re.compile("[a-z]").fullmatch
    return masked(logits, [dangerous(t, word, lower) for t in vocabulary])


@mutant("ban_token", "'éw' stays allowed")
def letters_of_any_script(logits, vocabulary, word):
    return masked(logits, [dangerous(t, word, str.isalpha) for t in vocabulary])


@mutant("ban_token", "'perhap' stays allowed")
def three_letters_at_most(logits, vocabulary, word):
    return masked(logits, [dangerous(t, word, most=3) for t in vocabulary])


@mutant("ban_token", "'(w' stays allowed")
def blanks_and_commas(logits, vocabulary, word):
    inside = re.compile(r"[^\s,.7-]").fullmatch
    return masked(logits, [dangerous(t, word, inside) for t in vocabulary])


@mutant("ban_token", "'xno-n' stays allowed")
def longest_beginning(logits, vocabulary, word):
    gone = []
    for text in vocabulary:
        ends = [k for k in range(1, len(word)) if text.endswith(word[:k])]
        before = text[: -max(ends)][-1:] if ends else "a"
        gone.append(word in text or not LETTERS.fullmatch(before))
    return masked(logits, gone)


@mutant("ban_token", "with the word 'k' nothing")
def two_words_only(logits, vocabulary, word):
    known = word in ("wait", "hmm")
    return masked(logits, [known and dangerous(t, word) for t in vocabulary])


@mutant("ban_token", "which neither contains")
def any_case(logits, vocabulary, word):
    return masked(logits, [dangerous(t.lower(), word) for t in vocabulary])


@mutant("ban_token", "return logits")
def probabilities(logits, vocabulary, word):
    return masked(logits, [dangerous(t, word) for t in vocabulary]).log_softmax(-1)


@mutant("ban_token", "changes its argument")
def in_place(logits, vocabulary, word):
    gone = torch.tensor([dangerous(t, word) for t in vocabulary])
    if gone.all():
        raise ValueError
    return logits.masked_fill_(gone, -math.inf)


@mutant("ban_token", "raise ValueError")
def bans_everything(logits, vocabulary, word):
    return logits.masked_fill(torch.tensor([dangerous(t, word) for t in vocabulary]), -math.inf)


def judge(before, after, gap, rose=None, corrects=None, carries=None):
    b, a = before["retry_rate"], after["retry_rate"]
    if b is None or a is None:
        rose = None
    elif rose is None:
        rose = a[0] > b[1]
    corrects = (
        after["corrected"] >= 5 * after["spoiled"] and after["corrected"] > 0
        if corrects is None
        else corrects
    )
    carries = (None if gap is None else gap[0] > 0) if carries is None else carries
    if rose is False:
        return "absent"
    if rose and (not corrects or carries is False):
        return "superficial"
    return "too few" if None in (rose, carries) else "load-bearing"


@mutant("aha_verdict", "overlap")
def middles_compared(before, after, gap):
    if None in (before["retry_rate"], after["retry_rate"]):
        return judge(before, after, gap)
    return judge(before, after, gap, rose=sum(after["retry_rate"]) > sum(before["retry_rate"]))


@mutant("aha_verdict", "touch are not apart")
def touching(before, after, gap):
    if None in (before["retry_rate"], after["retry_rate"]):
        return judge(before, after, gap)
    return judge(before, after, gap, rose=after["retry_rate"][0] >= before["retry_rate"][1])


@mutant("aha_verdict", "the verdict is 'too few', not 'absent'")
def unknown_is_false(before, after, gap):
    if None in (before["retry_rate"], after["retry_rate"]):
        return "absent"
    return judge(before, after, gap)


@mutant("aha_verdict", "not 'too few'")
def unknown_first(before, after, gap):
    if None in (before["retry_rate"], after["retry_rate"], gap):
        return "too few"
    return judge(before, after, gap)


@mutant("aha_verdict", "nothing corrected carries nothing")
def nothing_is_enough(before, after, gap):
    return judge(before, after, gap, corrects=after["corrected"] >= 5 * after["spoiled"])


@mutant("aha_verdict", "includes 0")
def upper_end(before, after, gap):
    return judge(before, after, gap, carries=None if gap is None else gap[1] > 0)


@mutant("aha_verdict", "do not divide by 0")
def divides(before, after, gap):
    return judge(
        before,
        after,
        gap,
        corrects=bool(after["spoiled"]) and after["corrected"] / after["spoiled"] >= 5,
    )


@mutant("aha_verdict", "those AFTER training")
def counts_of_before(before, after, gap):
    return judge(before, after, gap, corrects=before["corrected"] >= 5 * before["spoiled"])


@mutant("aha_verdict", "the verdict is 'superficial'")
def only_the_word_counts(before, after, gap):
    return judge(before, after, gap, corrects=True, carries=True if gap is not None else None)


@mutant("aha_verdict", "a small rise is a rise")
def a_large_rise(before, after, gap):
    if None in (before["retry_rate"], after["retry_rate"]):
        return judge(before, after, gap)
    return judge(before, after, gap, rose=after["retry_rate"][0] > before["retry_rate"][1] + 0.1)


@mutant("aha_verdict", "(.5, .7) and (.6, .9) overlap")
def always_the_same_before(before, after, gap):
    known = before["retry_rate"] is not None
    return judge(before | {"retry_rate": (0.05, 0.09) if known else None}, after, gap)


@mutant("aha_verdict", "499 is less than 5 times 100")
def nearly_five_times(before, after, gap):
    corrects = after["corrected"] > 4.9 * after["spoiled"]
    return judge(before, after, gap, corrects=corrects)
