"""Every word-problem template, trained on or held out: its form, its numbers and its answers."""

import itertools
import operator
import random
import re
import string

import pytest

from minilrm.tasks.templates import HELD_OUT, TRAINING
from minilrm.tasks.templates.template import LANGUAGES, LARGEST, LARGEST_OOD, draw_numbers, fill

ALL = (*TRAINING, *HELD_OUT)
WORDS = {"name", "other", "thing", "thing2", "place"}
OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv}
each_template = pytest.mark.parametrize("template", ALL, ids=lambda t: t.name)


def slots(text):
    """The names in braces of a sentence, in order and with repetitions."""
    return [slot for _, slot, _, _ in string.Formatter().parse(text) if slot is not None]


def operands(step):
    match = re.fullmatch(r"(\w+)([-+*/])(\w+)", step)
    assert match, f"{step!r} is not one operation on two operands"
    return match.groups()


def results_by_ints(steps, numbers):
    """The results of the steps, worked out with plain ints and nothing of the package; a division
    must come out."""
    values, results = dict(numbers), []
    for i, step in enumerate(steps, 1):
        left, op, right = operands(step)
        x, y = (int(o) if o.isdigit() else values[o] for o in (left, right))
        if op == "/":
            assert y != 0 and x % y == 0, f"{step!r} does not come out: {x}/{y}"
        values[f"s{i}"] = OPERATIONS[op](x, y)
        results.append(values[f"s{i}"])
    return results


def some_numbers(template, count=3, larger=False):
    rng = random.Random(f"test {template.name} {larger}")
    return [draw_numbers(template, rng, larger=larger) for _ in range(count)]


def numbers_in(text):
    return {int(n) for n in re.findall(r"\d+", text)}


def test_there_are_enough_templates():
    assert len(TRAINING) >= 40
    assert len(HELD_OUT) >= 8


def test_names_are_unique():
    names = [t.name for t in ALL]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in names)


def test_no_two_templates_ask_with_the_same_sentences():
    for language in LANGUAGES:
        tellings = [t.text[language] for t in ALL]
        assert len(set(tellings)) == len(tellings)


def test_every_length_from_two_to_five_steps_occurs():
    assert {len(t.steps) for t in TRAINING} == {2, 3, 4, 5}


@each_template
def test_numbers_and_steps(template):
    assert 2 <= len(template.steps) <= 5
    for variable, (low, high) in template.numbers.items():
        assert re.fullmatch(r"[a-z]", variable) and variable not in "ds"
        assert 0 < low < high
    used = set()
    for i, step in enumerate(template.steps, 1):
        left, _, right = operands(step)
        earlier = {f"s{j}" for j in range(1, i)}
        assert all(o.isdigit() or o in template.numbers or o in earlier for o in (left, right)), (
            step
        )
        used |= {left, right}
    assert set(template.numbers) <= used, "a number is not used by any step"
    assert {f"s{j}" for j in range(1, len(template.steps))} <= used, (
        "a step's result is not used by any later step"
    )
    for field in (template.text, template.working, template.plan, template.distractors):
        assert set(field) == set(LANGUAGES)


@each_template
@pytest.mark.parametrize("language", LANGUAGES)
def test_wordings(template, language):
    sentences = template.text[language]
    assert 2 <= len(sentences) <= 4
    assert all(isinstance(alternatives, tuple) for alternatives in sentences), "a comma is missing"
    combinations = list(itertools.product(*sentences))
    assert len(set(combinations)) == len(combinations) >= 4
    for combination in combinations:
        found = set(itertools.chain.from_iterable(map(slots, combination)))
        assert set(template.numbers) <= found, combination
        assert found <= set(template.numbers) | WORDS, combination
    for alternatives in sentences:
        for sentence in alternatives:
            assert sentence == sentence.strip() and "  " not in sentence
            assert sentence[0].isupper() or sentence[0] in "¿{" or sentence[0].isdigit(), sentence
            assert sentence[-1] in ".?!", sentence
    for question in sentences[-1]:
        assert question.endswith("?")
        assert ("¿" in question) == (language == "es"), question
    assert all("¿" not in s and "¡" not in s for part in template.text["en"] for s in part)


@each_template
@pytest.mark.parametrize("language", LANGUAGES)
def test_working_plan_and_distractors(template, language):
    working, plan, distractors = (
        template.working[language],
        template.plan[language],
        template.distractors[language],
    )
    assert isinstance(working, tuple) and isinstance(plan, tuple) and isinstance(distractors, tuple)
    assert len(working) == len(plan) == len(template.steps)
    for sentence in working:
        assert slots(sentence).count("calc") == 1, sentence
        assert set(slots(sentence)) <= WORDS | set(template.numbers) | {"calc"}, sentence
        assert sentence.endswith(".")
    for item in plan:
        assert item and not item.endswith(".")
        assert set(slots(item)) <= WORDS | set(template.numbers), item
    assert len(set(distractors)) == len(distractors) >= 2
    for sentence in distractors:
        assert slots(sentence).count("d") == 1, sentence
        assert set(slots(sentence)) <= WORDS | {"d"}, sentence
        assert sentence.endswith(".")


@each_template
def test_numbers_are_found_and_answers_are_right(template):
    for larger, limit in ((False, LARGEST), (True, LARGEST_OOD)):
        for numbers in some_numbers(template, larger=larger):
            assert list(numbers) == list(template.numbers)
            for variable, value in numbers.items():
                low, high = template.numbers[variable]
                assert high < value <= 2 * high if larger else low <= value <= high
            results = results_by_ints(template.steps, numbers)
            assert all(isinstance(r, int) and 0 < r <= limit for r in results)
            for language in LANGUAGES:
                problem = fill(template, random.Random(5), language, numbers=numbers, task="t")
                assert problem.answer == str(results[-1])


@each_template
def test_both_languages_tell_the_same_problem(template):
    for i, numbers in enumerate(some_numbers(template)):
        for distractor in (False, True):
            en, es = (
                fill(
                    template,
                    random.Random(i),
                    language,
                    numbers=numbers,
                    task="t",
                    distractor=distractor,
                )
                for language in LANGUAGES
            )
            assert (en.key, en.answer, en.difficulty) == (es.key, es.answer, es.difficulty)
            assert en.difficulty == len(template.steps)
            assert en.prompt != es.prompt
            for problem in (en, es):
                assert "{" not in problem.prompt
                assert set(numbers.values()) <= numbers_in(problem.prompt)
                assert 8 <= len(problem.prompt.split()) <= 60
                assert all(s.count("{calc}") == 1 for s in problem.meta["sentences"])


@each_template
def test_a_seed_settles_everything(template):
    numbers = some_numbers(template, count=1)[0]
    assert some_numbers(template, count=1)[0] == numbers
    for language in LANGUAGES:
        first, again = (
            fill(template, random.Random(9), language, numbers=numbers, task="t", distractor=True)
            for _ in range(2)
        )
        assert first == again
        other_words = fill(template, random.Random(10), language, numbers=numbers, task="t")
        assert (other_words.key, other_words.answer) == (first.key, first.answer)


def test_training_and_held_out_share_no_key():
    def keys(templates):
        return {
            fill(t, random.Random(0), language, numbers=numbers, task="t").key
            for t in templates
            for language in LANGUAGES
            for numbers in some_numbers(t, count=5)
        }

    assert not keys(TRAINING) & keys(HELD_OUT)
    # a key begins with its template's name and a colon, so that different names can never meet
    assert all(key.split(":")[0] in {t.name for t in HELD_OUT} for key in keys(HELD_OUT))
    assert not {t.name for t in TRAINING} & {t.name for t in HELD_OUT}
