"""The mutants of lecture 14: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import re
from fractions import Fraction

from course.grade import mutant

GRAMMAR = r"-?[0-9]+(\.[0-9]+|/[0-9]+)?"


def between(completion):
    """The text of the only answer, or None."""
    if completion.count("<answer>") != 1 or completion.count("</answer>") != 1:
        return None
    match = re.search(r"<answer>(.*)</answer>", completion, flags=re.DOTALL)
    return match[1].strip() if match and len(match[1].strip()) <= 100 else None


@mutant("accuracy_reward", "compare numbers, not texts")
def same_text(completion, gold):
    return float(between(completion) == gold)


@mutant("accuracy_reward", "not with a tolerance")
def with_tolerance(completion, gold):
    text = between(completion)
    if text is None or not re.fullmatch(GRAMMAR, text):
        return 0.0
    return float(abs(float(Fraction(text)) - float(Fraction(gold))) < 1e-6)


@mutant("accuracy_reward", "not the thought")
def substring_of_all(completion, gold):
    numbers = [
        Fraction(x)
        for x, _ in re.findall(
            r"(-?[0-9]+(\.[0-9]+|/[1-9][0-9]*)?)", completion.replace("6*12", "")
        )
    ]
    return float(Fraction(gold) in numbers and completion.count("<answer>") == 1)


@mutant("accuracy_reward", "two answers are a guess")
def last_answer(completion, gold):
    found = re.findall(r"<answer>(.*?)</answer>", completion, flags=re.DOTALL)
    return float(
        bool(
            found
            and re.fullmatch(GRAMMAR, found[-1].strip())
            and Fraction(found[-1].strip()) == Fraction(gold)
        )
    )


@mutant("accuracy_reward", "match it first")
def trusts_fraction(completion, gold):
    try:
        return float(Fraction(between(completion) or "x") == Fraction(gold))
    except (ValueError, ZeroDivisionError):
        return 0.0


@mutant("accuracy_reward", "ZeroDivisionError")
def divides_by_zero(completion, gold):
    text = between(completion)
    return float(bool(text and re.fullmatch(GRAMMAR, text)) and Fraction(text) == Fraction(gold))


@mutant("accuracy_reward", "a reward is a float")
def a_bool(completion, gold):
    text = between(completion)
    return bool(
        text
        and re.fullmatch(GRAMMAR, text)
        and not text.endswith("/0")
        and Fraction(text) == Fraction(gold)
    )


@mutant("accuracy_reward", "other scripts")
def any_digits(completion, gold):
    text = between(completion)
    fits = text and re.fullmatch(GRAMMAR.replace("[0-9]", r"\d"), text) and not text.endswith("/0")
    return float(bool(fits and Fraction(text) == Fraction(gold)))


def by_grammar(completion, gold, grammar=GRAMMAR, longest=100):
    if completion.count("<answer>") != 1 or completion.count("</answer>") != 1:
        return 0.0
    match = re.search(r"<answer>(.*)</answer>", completion, flags=re.DOTALL)
    text = match[1].strip() if match else ""
    if len(text) > longest or not re.fullmatch(grammar, text) or re.search("/0+$", text):
        return 0.0
    parts = [Fraction(part.strip()) for part in text.lstrip("$").split("/")]
    return float(parts[0] / (parts[1] if len(parts) > 1 else 1) == Fraction(gold))


def with_grammar(different):
    return lambda completion, gold: by_grammar(completion, gold, **different)


for name, message, different in (
    ("fifty_characters", "100 characters are allowed", {"longest": 50}),
    ("long_answers", "101 characters are too many", {"longest": 150}),
    ("plus_signs", "a plus sign is not", {"grammar": r"[-+]?[0-9]+(\.[0-9]+|/[0-9]+)?"}),
    ("bare_points", "behind the point", {"grammar": r"-?[0-9]+(\.[0-9]*|/[0-9]+)?"}),
    ("no_digit_first", "before the point", {"grammar": GRAMMAR + r"|-?\.[0-9]+"}),
    ("two_signs", "one minus sign, in front", {"grammar": r"-?[0-9]+(\.[0-9]+|/-?[0-9]+)?"}),
    ("decimal_fractions", "not both", {"grammar": r"-?[0-9]+(\.[0-9]+)?(/[0-9]+)?"}),
    ("blanks_inside", "no blanks inside", {"grammar": r"-?[0-9]+(\.[0-9]+|\s?/\s?[0-9]+)?"}),
    ("dollars", "no units", {"grammar": r"\$?" + GRAMMAR}),
):
    wrong = with_grammar(different)
    wrong.__name__ = name
    mutant("accuracy_reward", message)(wrong)


@mutant("accuracy_reward", "the tags are in small letters")
def any_case(completion, gold):
    return by_grammar(completion.lower(), gold)


@mutant("accuracy_reward", "`</answer>` occurs twice")
def closing_tags_not_counted(completion, gold):
    before, closed, behind = completion.partition("</answer>")
    return by_grammar(before + closed + behind.replace("</answer>", ""), gold)


def form(
    completion,
    pattern=r"\s*<think>(.*?)</think>\s*<answer>(.*?)</answer>\s*",
    flags=re.DOTALL,
    how=re.fullmatch,
    empty=False,
    tags=False,
):
    match = how(pattern, completion, flags)
    if match is None:
        return 0.0
    clean = tags or not any(re.search(r"</?(think|answer)>", part) for part in match.groups())
    return float(clean and (empty or all(part.strip() for part in match.groups())))


@mutant("format_reward", "re.DOTALL")
def one_line(completion):
    return form(completion, flags=0)


@mutant("format_reward", "fullmatch, not search")
def somewhere(completion):
    return form(completion, how=re.search)


@mutant("format_reward", "fullmatch, not match")
def from_the_start(completion):
    return form(completion, how=re.match)


@mutant("format_reward", "an empty thought is none")
def empty_is_fine(completion):
    return form(completion, empty=True)


@mutant("format_reward", "no tag may stand inside")
def tags_inside(completion):
    return form(completion, tags=True)


@mutant("format_reward", "the thought comes first")
def counts_tags(completion):
    return float(
        all(completion.count(tag) == 1 for tag in ("<think>", "</think>", "<answer>", "</answer>"))
    )


@mutant("format_reward", "wrong answers may be well-formed")
def wants_the_right_one(completion):
    return form(completion) * ("72" in completion)


@mutant("format_reward", "a reward is a float")
def form_as_bool(completion):
    return bool(form(completion))


@mutant("format_reward", "the tags are in small letters")
def form_in_any_case(completion):
    return form(completion, flags=re.DOTALL | re.IGNORECASE)


@mutant("format_reward", "may have several lines, too")
def answer_on_one_line(completion):
    return form(completion) * (re.search(r"<answer>.*</answer>", completion) is not None)


@mutant("format_reward", "an answer may hold anything")
def answer_with_a_digit(completion):
    return form(completion) * (re.search(r"<answer>[^<]*[0-9]", completion) is not None)


@mutant("format_reward", "many of them")
def one_space_at_the_end(completion):
    return form(completion, r"\s*<think>(.*?)</think>\s*<answer>(.*?)</answer>\s?")


def share(
    text,
    lexicons,
    target,
    pattern=r"[^\W\d_]+",
    lower=True,
    nothing=0.0,
    known_only=True,
    once=False,
    shared=True,
):
    words = re.findall(pattern, text.lower() if lower else text)
    if known_only:
        words = [w for w in words if any(w in lexicon for lexicon in lexicons.values())]
    words = sorted(set(words)) if once else words
    if not words:
        return nothing
    others = set().union(*(lexicons[name] for name in lexicons if name != target))
    return sum(w in lexicons[target] and (shared or w not in others) for w in words) / len(words)


@mutant("language_consistency", "silence is paid")
def silence_is_golden(text, lexicons, target):
    return share(text, lexicons, target, nothing=1.0)


@mutant("language_consistency", "neither above nor below")
def all_words_below(text, lexicons, target):
    return share(text, lexicons, target, known_only=False)


@mutant("language_consistency", "capitals do not matter")
def capitals_matter(text, lexicons, target):
    return share(text, lexicons, target, lower=False)


@mutant("language_consistency", "letters with accents")
def plain_letters(text, lexicons, target):
    return share(text, lexicons, target, pattern="[a-zA-Zé]+")


@mutant("language_consistency", "as often as they occur")
def each_word_once(text, lexicons, target):
    return share(text, lexicons, target, once=True)


@mutant("language_consistency", "counts for the target")
def shared_words_are_foreign(text, lexicons, target):
    return share(text, lexicons, target, shared=False)


@mutant("language_consistency", "ZeroDivisionError")
def divides_by_nothing(text, lexicons, target):
    return share(text, lexicons, target, nothing=None) or 1 / 0


@mutant("language_consistency", "more than two languages")
def english_or_spanish(text, lexicons, target):
    return share(text, lexicons, "en" if target == "en" else "es")


@mutant("language_consistency", "of a third language")
def two_lexicons(text, lexicons, target):
    first = {name: lexicons[name] for name in list(lexicons)[:2]} | {target: lexicons[target]}
    return share(text, first, target)


@mutant("language_consistency", "runs of letters")
def digits_and_underscores(text, lexicons, target):
    return share(text, lexicons, target, pattern=r"\w+")


SHOTGUN = "".join(f"<answer>{n}</answer>" for n in range(10_000))
ATTACKS = [
    SHOTGUN,
    "<answer></answer>",
    "<answer>nan</answer>",
    "<answer>inf</answer>",
    "<think>" * 10,
    "The answer is correct.",
]


def first_paid(grader, attacks):
    for text in attacks:
        try:
            if grader(text) >= 1:
                return text
        except Exception:
            continue
    return None


@mutant("find_exploit", "more than 50 times")
def one_by_one(grader):
    return first_paid(grader, [f"<answer>{n}</answer>" for n in range(200)])


@mutant("find_exploit", "no exploit for `any_answer`")
def bare_numbers(grader):
    return first_paid(grader, [" ".join(map(str, range(10_000))), *ATTACKS[1:]])


@mutant("find_exploit", "no exploit for `close_enough`")
def without_nan(grader):
    return first_paid(grader, [a for a in ATTACKS if "nan" not in a])


@mutant("find_exploit", "no exploit for `points_add_up`")
def nine_thoughts(grader):
    return first_paid(grader, [a.replace("<think>" * 10, "<think>" * 9) for a in ATTACKS])


@mutant("find_exploit", "an honest right answer")
def first_digits(grader):
    digits = [f"<answer>{digit}</answer>" for digit in range(10)]
    return first_paid(grader, [SHOTGUN, *digits, *ATTACKS[1:]])


@mutant("find_exploit", "no exploit for `substring`")
def knows_some_answers(grader):
    known = " ".join(f"<answer>{n}</answer>" for n in (4711, 8080, 39, 6174))
    return first_paid(grader, [known, *ATTACKS[1:]])


@mutant("find_exploit", "return None if no attack")
def always_something(grader):
    return first_paid(grader, ATTACKS) or SHOTGUN


@mutant("find_exploit", "IndexError")
def stops_at_an_exception(grader):
    return next((a for a in reversed(ATTACKS) if grader(a) >= 1), None)


@mutant("find_exploit", "pays only")
def never_tries(grader):
    return SHOTGUN
