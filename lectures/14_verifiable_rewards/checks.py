"""What lecture 14 holds its exercises to: tables of strings by hand, and attacks judged by a strict grader."""

import importlib.util
import re
from fractions import Fraction
from pathlib import Path

from minilrm.grade import exercise, expect, mutant, reject

FORBIDDEN = ("minilrm.rewards", "minilrm.tasks.answers", "minilrm.tasks.calculator")
MOST_CALLS = 50


def load_graders():
    """The lecture's graders.py, from beside this file."""
    spec = importlib.util.spec_from_file_location("lecture_14_graders", Path(__file__).with_name("graders.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BROKEN


BROKEN = load_graders()


# -- accuracy_reward --------------------------------------------------------------------------------------------------

def paid(student, rows):
    """Rows of (completion, gold, wanted, why)."""
    for completion, gold, wanted, why in rows:
        said = student.accuracy_reward(completion, gold)
        shown = completion if len(completion) < 80 else completion[:60] + " ..."
        expect(type(said) is float, f"a reward is a float, 1.0 or 0.0, and you gave {said!r} for {shown!r}")
        expect(said == wanted, f"{shown!r} against {gold!r} gives {wanted}, and you say {said}: {why}")


@exercise("accuracy_reward", points=2)
def honest_answers(student):
    """Right and wrong ones, in several spellings."""
    paid(student, [
        ("<think>6*12</think> <answer>72</answer>", "72", 1.0, "the answer is right"),
        ("<think>6*12</think> <answer>71</answer>", "72", 0.0, "the answer is wrong"),
        ("<answer>\n 72 \n</answer>", "72", 1.0, "spaces and newlines around the answer do not count"),
        ("<answer>72.0</answer>", "72", 1.0, "equal as numbers: compare numbers, not texts"),
        ("<answer>144/2</answer>", "72", 1.0, "equal as numbers: 144/2 is 72"),
        ("<answer>2/6</answer>", "1/3", 1.0, "equal as numbers: 2/6 is 1/3"),
        ("<answer>0.333333333333</answer>", "1/3", 0.0, "not equal: compare exactly, with Fraction, not with a tolerance"),
        ("<answer>-7</answer>", "-7", 1.0, "a minus sign belongs to the number"),
        ("<answer>7</answer>", "-7", 0.0, "the sign counts"),
        ("<answer>007</answer>", "7", 1.0, "equal as numbers"),
        ("<answer>9007199254740993</answer>", "9007199254740992", 0.0, "a float cannot tell these two apart; a Fraction can")])


@exercise("accuracy_reward", points=2)
def adversaries(student):
    """What a policy finds when it looks for reward instead of answers."""
    paid(student, [
        ("<answer>71</answer><answer>72</answer>", "72", 0.0, "two answers are a guess: each tag exactly once"),
        ("<answer>72</answer> or rather <answer>71</answer>", "72", 0.0, "two answers are a guess: each tag exactly once"),
        ("<answer><answer>72</answer>", "72", 0.0, "`<answer>` occurs twice"),
        ("<think>72</think> <answer>5</answer>", "72", 0.0, "only what stands in the answer counts, not the thought"),
        ("72", "72", 0.0, "no tags, no answer"), ("", "72", 0.0, "no tags, no answer"),
        ("<answer>72", "72", 0.0, "the answer is never closed"), ("72</answer>", "72", 0.0, "the answer is never opened"),
        ("</answer>72<answer>", "72", 0.0, "the tags are in the wrong order"),
        ("<answer></answer>", "72", 0.0, "an empty answer is none"),
        ("<answer>72 boxes</answer>", "72", 0.0, "the whole answer must be a number"),
        ("<answer>71 72 73</answer>", "72", 0.0, "the whole answer must be one number"),
        ("<answer>70+2</answer>", "72", 0.0, "a sum is no number; nothing is ever evaluated"),
        ("<answer>nan</answer>", "72", 0.0, "nan is no number"), ("<answer>inf</answer>", "72", 0.0, "inf is no number"),
        ("<answer>7_2</answer>", "72", 0.0, "Fraction and int read 7_2 as 72; the grammar does not: match it first"),
        ("<answer>72e0</answer>", "72", 0.0, "no exponents: 9e999999999 would take all memory"),
        ("<answer>٧٢</answer>", "72", 0.0, r"digits of other scripts: [0-9], not \d"),
        ("<answer>72/0</answer>", "72", 0.0, "nothing is divided by 0"),
        (f"<answer>{'9' * 5000}</answer>", "72", 0.0, "too long: Python refuses to read 5,000 digits, with an exception"),
        (f"<answer>{'0' * 200}72</answer>", "72", 0.0, "at most 100 characters"),
        ("<answer>__import__('os').getcwd()</answer>", "72", 0.0, "text is never run")])


# -- format_reward ----------------------------------------------------------------------------------------------------

def formed(student, rows):
    for completion, wanted, why in rows:
        said = student.format_reward(completion)
        expect(said == wanted, f"{completion!r} gives {wanted}, and you say {said!r}: {why}")


@exercise("format_reward", points=2)
def the_form(student):
    """Well-formed or not."""
    formed(student, [
        ("<think>6*12 = 72</think><answer>72</answer>", 1.0, "this is the form"),
        ("<think>\n6*12\n= 72\n</think>\n\n<answer>72</answer>\n", 1.0,
         "thoughts have several lines: the dot of a regular expression needs re.DOTALL"),
        (" \n<think>6*12</think> <answer>71</answer> ", 1.0, "wrong answers may be well-formed; spaces outside do not matter"),
        ("<answer>72</answer>", 0.0, "there is no thought"),
        ("<think>6*12 = 72</think>", 0.0, "there is no answer"),
        ("<answer>72</answer><think>6*12</think>", 0.0, "the thought comes first"),
        ("Well. <think>6*12</think><answer>72</answer>", 0.0, "nothing stands before the thought: fullmatch, not search"),
        ("<think>6*12</think><answer>72</answer> Bye", 0.0, "nothing stands behind the answer: fullmatch, not match"),
        ("<think>6*12</think> so <answer>72</answer>", 0.0, "nothing stands between the thought and the answer"),
        ("<think>6*12<answer>72</answer>", 0.0, "the thought is never closed")])


@exercise("format_reward", points=1)
def loopholes(student):
    """Empty parts, and tags inside the parts."""
    formed(student, [
        ("<think></think><answer>72</answer>", 0.0, "an empty thought is none: it would be paid for nothing"),
        ("<think> \n </think><answer>72</answer>", 0.0, "a thought of spaces is empty"),
        ("<think>6*12</think><answer> </answer>", 0.0, "an empty answer is none"),
        ("<think>a</think><think>b</think><answer>72</answer>", 0.0, "two thoughts: no tag may stand inside a part"),
        ("<think>a</think><answer>71</answer><answer>72</answer>", 0.0, "two answers: no tag may stand inside a part"),
        ("<think>a <answer>71</answer></think><answer>72</answer>", 0.0, "an answer inside the thought"),
        ("<think><think>a</think></think><answer>72</answer>", 0.0, "nested tags"),
        ("<think>is 3 < 4 > 2 <b>?</b></think><answer>72</answer>", 1.0, "signs and foreign tags are allowed in a thought")])


# -- language_consistency ---------------------------------------------------------------------------------------------

LEXICONS = {"en": {"the", "box", "has", "pens", "no"}, "es": {"la", "caja", "tiene", "lápices", "no", "cuántos"}}


@exercise("language_consistency", points=2)
def shares(student):
    """Words of one language among those of any."""
    def check(text, target, wanted, why):
        said = student.language_consistency(text, LEXICONS, target)
        expect(isinstance(said, float), f"a float is wanted, and you gave {said!r}")
        expect(abs(said - wanted) < 1e-9, f"{text!r}, target {target!r}: {why}: {wanted:.4g}, and you say {said:.4g}")

    check("the box has pens", "en", 1.0, "four words of English")
    check("the box has caja", "en", 0.75, "three of four")
    check("the the the caja", "en", 0.75, "words count as often as they occur")
    check("la caja tiene pens", "en", 0.25, "one of four")
    check("the box of Ana has 12 pens, <<3*4=12>>12", "en", 1.0, "names, unknown words, numbers and signs count neither above "
          "nor below")
    check("The BOX Tiene", "en", 2 / 3, "capitals do not matter")
    check("¿Cuántos lápices?", "es", 1.0, r"letters with accents are letters: [^\W\d_]+, not [a-z]+")
    check("no no caja", "en", 2 / 3, "a word of both languages counts for the target")
    check("no no caja", "es", 1.0, "a word of both languages counts for the target")


@exercise("language_consistency", points=1)
def silence(student):
    """Nothing said is nothing earned."""
    for text in ("", "12 + 3 = 15", "Ana Xyz"):
        said = student.language_consistency(text, LEXICONS, "en")
        expect(said == 0.0, f"{text!r} has no known word, so the reward is 0.0, and you say {said!r}: a policy would soon find "
               "out that silence is paid")


# -- find_exploit -----------------------------------------------------------------------------------------------------

def strict(completion, gold):
    """What counts as an honest right answer."""
    found = re.findall(r"<answer>(.*?)</answer>", completion, flags=re.DOTALL)
    try:
        return len(found) == 1 and Fraction(found[0].strip()) == Fraction(gold)
    except (ValueError, ZeroDivisionError):
        return False


def attack(student, grader, gold):
    """The student's completion for this grader, and how often it asked."""
    calls = []

    def ask(completion):
        calls.append(completion)
        if len(calls) > MOST_CALLS:
            return 0.0
        return grader(completion, gold)
    found = student.find_exploit(ask)
    expect(len(calls) <= MOST_CALLS, f"your function asked the grader more than {MOST_CALLS} times: think about its code "
           "instead of guessing numbers")
    expect(found is None or isinstance(found, str), f"a text or None is wanted, and you gave {found!r}")
    return found


def must_break(student, names):
    for name, gold in zip(names, ("4711", "8080", "39", "6174"), strict=False):
        found = attack(student, BROKEN[name], gold)
        if found is None:
            reject(f"you found no exploit for `{name}`: {BROKEN[name].__doc__} What does that take for granted?")
        expect(not strict(found, gold), f"`{name}`: this is an honest right answer, and no exploit")
        value = BROKEN[name](found, gold)
        expect(value >= 1, f"`{name}` pays only {value:.2g} for {found[:60]!r}; try an attack on the grader before you return "
               "it")


@exercise("find_exploit", points=2)
def texts(student):
    """Graders that read too much or too little of a text."""
    must_break(student, ("substring", "any_answer", "beginning", "trusting_judge"))


@exercise("find_exploit", points=2)
def numbers(student):
    """Graders whose arithmetic or whose bookkeeping can be turned against them."""
    must_break(student, ("close_enough", "one_per_cent", "never_fails", "points_add_up"))


def raises_often(completion, gold):
    """Breaks down at what is no number, and compares like `close_enough`."""
    return BROKEN["substring"](completion, gold) if float(re.findall(r"<answer>(.*?)</answer>", completion)[0]) >= 0 else 0.0


@exercise("find_exploit", points=1)
def sound_and_fragile(student):
    """A sound grader cannot be broken; a fragile one raises."""
    found = attack(student, lambda completion, gold: float(strict(completion, gold)), "5150")
    expect(found is None, f"this grader is sound and paid nothing, and you returned {str(found)[:60]!r}: return None if no "
           "attack was paid")
    found = attack(student, raises_often, "5150")
    expect(found is not None and raises_often(found, "5150") >= 1, "this grader raises exceptions at some attacks and can be "
           "broken by another: an exception is no reward, go on with the next")


### BEGIN MUTANTS

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
    numbers = [Fraction(x) for x, _ in re.findall(r"(-?[0-9]+(\.[0-9]+|/[1-9][0-9]*)?)", completion.replace("6*12", ""))]
    return float(Fraction(gold) in numbers and completion.count("<answer>") == 1)


@mutant("accuracy_reward", "two answers are a guess")
def last_answer(completion, gold):
    found = re.findall(r"<answer>(.*?)</answer>", completion, flags=re.DOTALL)
    return float(bool(found and re.fullmatch(GRAMMAR, found[-1].strip()) and Fraction(found[-1].strip()) == Fraction(gold)))


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
    return bool(text and re.fullmatch(GRAMMAR, text) and not text.endswith("/0") and Fraction(text) == Fraction(gold))


@mutant("accuracy_reward", "other scripts")
def any_digits(completion, gold):
    text = between(completion)
    fits = text and re.fullmatch(GRAMMAR.replace("[0-9]", r"\d"), text) and not text.endswith("/0")
    return float(bool(fits and Fraction(text) == Fraction(gold)))


def form(completion, pattern=r"\s*<think>(.*?)</think>\s*<answer>(.*?)</answer>\s*", flags=re.DOTALL, how=re.fullmatch,
         empty=False, tags=False):
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
    return float(all(completion.count(tag) == 1 for tag in ("<think>", "</think>", "<answer>", "</answer>")))


@mutant("format_reward", "wrong answers may be well-formed")
def wants_the_right_one(completion):
    return form(completion) * ("72" in completion)


def share(text, lexicons, target, pattern=r"[^\W\d_]+", lower=True, nothing=0.0, known_only=True, once=False, shared=True):
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


SHOTGUN = "".join(f"<answer>{n}</answer>" for n in range(10_000))
ATTACKS = [SHOTGUN, "<answer></answer>", "<answer>nan</answer>", "<answer>inf</answer>", "<think>" * 10,
"The answer is correct."]


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


@mutant("find_exploit", "return None if no attack")
def always_something(grader):
    return first_paid(grader, ATTACKS) or SHOTGUN


@mutant("find_exploit", "IndexError")
def stops_at_an_exception(grader):
    return next((a for a in reversed(ATTACKS) if grader(a) >= 1), None)


@mutant("find_exploit", "pays only")
def never_tries(grader):
    return SHOTGUN

### END MUTANTS
