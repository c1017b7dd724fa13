"""Ledger: answers as a simulation of the sentences finds them, no sum of a test ledger in training,
and lines whose sums and words are right."""

import json
import random
import re
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilrm.tasks import answers, get_task
from minilrm.tasks.base import SOLUTION_STYLES, problem_rng, split_of
from minilrm.tasks.gsm8k_mini import right_chain
from minilrm.tasks.ledger import entries as ledgers
from minilrm.tasks.ledger.entries import Entry
from minilrm.tasks.ledger.ladder import LADDER, LARGEST, LENGTHS, SIZES
from minilrm.tasks.ledger.words import IRRELEVANT, IRRELEVANT_UNSEEN
from minilrm.tasks.stories.names import is_seen

TASK = get_task("ledger")


@pytest.fixture(scope="module")
def training():
    rngs = (problem_rng(1, i, "test of ledger") for i in range(400))
    return [TASK.sample(rng, "train") for rng in rngs]


@pytest.fixture(scope="module")
def rungs():
    return {name: TASK.rung_problems(name, 16) for name in TASK.rungs}


# -- answers, found again from the sentences alone -------------------------------------------------

F, N = r"([A-Z][a-z]+)", r"([0-9]+)"
PARTS = {"half": 2, "one half": 2, "a third": 3, "a quarter": 4}
COUNTS = {"twice": 2, "3 times": 3, "4 times": 4}


def simulate(problem):
    """Carry out the sentences in the order in which they happen."""
    sentences = re.findall(r"[^.?]+[.?]", problem.prompt)
    if problem.meta["kind"] == "wrong":
        return check_entries([s.strip() for s in sentences])
    cash, events = {}, []
    backwards = "In the end" in problem.prompt.rpartition(". ")[0]
    for sentence in sentences[:-1]:
        text = re.sub(r"^(Then|In the end|Before that,) ", "", sentence.strip())
        if found := re.fullmatch(rf"{F} (?:has {N} at first|starts with {N})\.", text):
            cash[found[1]] = Fraction(found[2] or found[3])
        elif found := re.fullmatch(rf"At first {F} has {N}\.", text):
            cash[found[1]] = Fraction(found[2])
        elif found := re.fullmatch(r"(.+) starts? with nothing\.", text):
            cash |= dict.fromkeys(re.findall(F, found[1]), Fraction(0))
        elif not re.search(r"clients|rooms|years old|trucks|door of", text):
            events.append(text)
    assert set(cash) == set(problem.meta["firms"])
    lost = Fraction(0)
    for text in reversed(events) if backwards else events:
        sender, receivers, total, fee = read_entry(text, cash)
        assert 0 < total <= cash[sender] and 0 <= fee < total, text
        cash[sender] -= total
        lost += fee
        for receiver in receivers:
            cash[receiver] += (total - fee) / len(receivers)
    asked = sentences[-1].strip()
    if found := re.fullmatch(rf"How much does {F} hold in the end\?", asked):
        return str(cash[found[1]])
    if asked == "How much was lost in fees?":
        return str(lost)
    most = [firm for firm, held in cash.items() if held == max(cash.values())]
    assert asked == "Which firm holds the most in the end?" and len(most) == 1
    return most[0]


def read_entry(text, cash):
    """The sender, the receivers, what leaves the one, what is lost on the way."""
    firms = [name for name in re.findall(F, text) if name in cash]
    sender, receivers = firms[0], firms[1:2]
    if re.search(r"gets [0-9]+ from", text):
        sender, receivers = receivers[0], [sender]
    each = re.search(r"of each|each time", text)
    lost = re.search(rf"(?:keeps|and|fee of|time|less a fee of) {N}(?: of|\.)", text)
    fee = Fraction(lost[1]) if lost and re.search(r"keeps|lost|fee", text) else Fraction(0)
    count = 1
    if found := re.search(rf"{N} payments|{N} times in all|(twice|[34] times) [0-9]", text):
        count = int(found[1] or found[2] or 0) or COUNTS[found[3]]
    amount = re.search(rf"(?:sends|wires|gets|payments of|twice|times|pays {F}) {N}\b", text)
    if re.search(r"splits|shares out|other half", text):
        receivers, total = firms[1:3], cash[sender]
    elif re.search(r"\ball (?:it has|its cash)|whole cash", text):
        total = cash[sender]
    elif found := re.search(r"\b(half|a third|a quarter) of", text):
        total = cash[sender] / PARTS[found[1]]
    else:
        total = Fraction(amount[2]) * count
    if re.search("a tenth|one tenth", text):
        fee = total / 10
    return sender, receivers, total, fee * count if each else fee


def check_entries(sentences):
    opening = next(s for s in sentences if re.search("at first|At first|starts with", s))
    [balance] = map(int, re.findall(N, opening))
    entries = {}
    for sentence in sentences:
        if found := re.fullmatch(rf"Entry {N}: (.*) then has {N}\.", sentence):
            entries[int(found[1])] = found[2], int(found[3])
    wrong = []
    for number in sorted(entries):
        text, stated = entries[number]
        numbers = [int(n) for n in re.findall(N, text)]
        if re.search("payments|times", text):
            change = -numbers[0] * numbers[1]
            if "in all" in text:
                assert text.index(str(numbers[0])) < text.index("times")
        elif re.search("less a|of which", text):
            change = numbers[0] - numbers[1]
        else:
            change = numbers[0] if re.search("gets|receives|come in", text) else -numbers[0]
        if balance + change != stated:
            wrong.append(number)
        balance = stated
    assert len(wrong) == 1
    return str(wrong[0])


def test_answers_are_those_of_a_simulation_of_the_sentences(training):
    """Catches: a sentence that says another thing than the sums; two firms that hold the most."""
    for problem in training:
        assert simulate(problem) == problem.answer, problem.prompt


@pytest.mark.parametrize("rung", list(TASK.rungs))
def test_answers_of_every_rung_too(rungs, rung):
    for problem in rungs[rung]:
        assert simulate(problem) == problem.answer, problem.prompt


def test_every_sum_is_right_and_its_numbers_are_told_or_worked_out(training):
    for problem in training:
        known = {int(n) for n in re.findall(N, problem.prompt)} | {2, 3, 4, 10}
        for expression, result in right_chain(problem):
            assert answers.check_equation(expression, result), expression
            left, right = (int(x) for x in re.split(r"[-+*/]", expression))
            assert {left, right} <= known, (problem.prompt, expression)
            known.add(int(result))


# -- structures ------------------------------------------------------------------------------------


def test_no_structure_of_another_split_by_enumeration(training):
    """Catches: a split by numbers, names or irrelevant entries, after which a test sum stands in
    training."""
    keys = {p.key for p in training}
    assert len(keys) > 200 and {split_of(key) for key in keys} == {"train"}
    test = {p.key for p in TASK.problems("test", 80)}
    assert {split_of(key) for key in test} == {"test"} and not test & keys
    assert len(test) > 30


def test_the_key_does_not_depend_on_who_sends_what_or_in_which_order():
    def key(openings, entries, roles, firm):
        books = ledgers.follow(openings, entries)
        steps = {step.name: step for step in books.steps}
        return ledgers.term(books.holds[firm], steps, roles)

    roles = {"n0": "o", "n1": "o", "n2": "a", "n3": "a"}
    one = key(["n0", "n1"], [Entry("pay", 0, (1,), 1, ("n2",))], roles, 1)
    other = key(["n0", "n1"], [Entry("pay", 1, (0,), 1, ("n3",))], roles, 0)
    share = key(["n0", "n1"], [Entry("share", 1, (0,), 2)], roles, 0)
    assert one == other == "(a+o)" and share == "((o/2)+o)"


def test_training_is_as_the_ladder_says(training):
    for problem in training:
        values = [*problem.meta["numbers"].values(), *(int(v) for _, v in right_chain(problem))]
        assert max(values) <= LARGEST and problem.difficulty in LENGTHS
        assert max(int(n) for n in re.findall(N, problem.prompt)) <= LARGEST
        assert len(problem.meta["firms"]) in SIZES and all(map(is_seen, problem.meta["firms"]))
    kinds = Counter(p.meta["kind"] for p in training)
    assert kinds.keys() == {"holds", "fees", "where", "wrong"} and min(kinds.values()) > 50
    assert 0.1 < sum(p.meta["reordered"] for p in training) / len(training) < 0.4
    assert 0.13 < sum(p.meta["irrelevant"] for p in training) / len(training) < 0.27


# -- rungs -----------------------------------------------------------------------------------------


def test_each_rung_varies_what_it_says(training, rungs):
    assert {p.difficulty for p in rungs["6 steps"]} == {6}
    assert {p.difficulty for p in rungs["7 steps"]} == {7}
    assert all(len(p.meta["firms"]) == 5 for p in rungs["more firms"])
    assert not any(is_seen(firm) for p in rungs["new names"] for firm in p.meta["firms"])
    assert all(p.meta["reordered"] for p in rungs["other order"])
    unseen = re.compile(r"wires|come in at|the bank charges")
    assert all(len(unseen.findall(p.prompt)) == 1 for p in rungs["new wording"])
    assert not any(unseen.search(p.prompt) for p in training)

    def beside(problem, said):
        return any(re.search(pattern(sentence), problem.prompt) for sentence in said)

    assert all(beside(p, IRRELEVANT_UNSEEN) for p in rungs["irrelevant number"])
    assert not any(beside(p, IRRELEVANT_UNSEEN) for p in training)
    assert all(p.meta["irrelevant"] == beside(p, IRRELEVANT) for p in training)
    for rung in ("to 5000", "to 9999"):
        for p in rungs[rung]:
            largest = max(int(n) for n in re.findall(N, p.prompt))
            worked = [int(v) for _, v in right_chain(p)]
            assert max(largest, *worked) <= LADDER[rung].largest + 100  # a wrong entry may say more
    tops = [max(p.meta["numbers"].values()) for p in rungs["to 9999"]]
    assert sum(tops) / len(tops) > 4000


def pattern(sentence):
    return sentence.replace("{s}", "[A-Z][a-z]+").replace("{n}", "[0-9]+").replace(".", r"\.")


def test_a_rung_is_the_same_set_each_time_and_has_its_split(rungs):
    assert TASK.rung_problems("to 5000", 9)[:5] == TASK.rung_problems("to 5000", 5)
    for rung, spec in LADDER.items():
        if not spec.steps:
            assert {split_of(p.key) for p in rungs[rung]} == {spec.split}
        tuned_on = TASK.rung_problems(rung, 5, "validation")
        assert not {p.prompt for p in tuned_on} & {p.prompt for p in rungs[rung]}
    assert len(TASK.rungs) >= 5 and len(TASK.problems("ood", 10)) == 10


# -- solutions and their lines ---------------------------------------------------------------------


@pytest.mark.parametrize("rung", list(TASK.rungs))
def test_solutions_are_right_line_by_line_and_careless_ones_wrong_from_a_line_on(rungs, rung):
    for i, problem in enumerate(rungs[rung]):
        rng = random.Random(i)
        for style in SOLUTION_STYLES:
            text = TASK.solution(problem, rng, style)
            grade, labels = TASK.grade(problem, text), TASK.step_labels(problem, text)
            right = style != "careless"
            assert grade.formatted and grade.correct == right, (problem.prompt, text)
            assert len(labels) == text.count("\n") + 1 and labels == sorted(labels, reverse=True)
            assert all(labels) == right and (right or not labels[-1]), (problem.prompt, text)
            assert TASK.thinks(text) == (style != "reflex")


def test_a_wrong_word_about_an_entry_is_a_wrong_line(training):
    """Catches: labels that look at sums alone, so that "ok" may be said of any entry."""
    for problem in [p for p in training if p.meta["kind"] == "wrong"][:40]:
        text = TASK.solution(problem, random.Random(0))
        turned = re.sub(r", not [0-9]+\.", ", ok.", text)
        *before, verdict, answer = TASK.step_labels(problem, turned)
        assert all(before) and not verdict and not answer
    for problem in [p for p in training if p.meta["kind"] == "where"][:40]:
        text = re.sub(
            r"has ([0-9]+)( and|,)", r"has 1\1\2", TASK.solution(problem, random.Random(0))
        )
        assert TASK.step_labels(problem, text)[-2:] == [False, False]


def test_prompts_and_solutions_fit_and_no_text_is_unfinished(training, rungs, tokenizer):
    for problems in (training[:100], *rungs.values()):
        for p in problems:
            text = TASK.solution(p, random.Random(0), "plan_verify")
            assert not re.search(r"[{}]|  ", p.prompt + text) and p.prompt.endswith("?")
            assert len(tokenizer.encode(TASK.render(p) + text)) <= 400, p.prompt


def test_a_problem_survives_json(training):
    for problem in training[:40]:
        assert TASK.from_record(json.loads(json.dumps(TASK.to_record(problem)))) == problem


# -- the grader ------------------------------------------------------------------------------------

PROBLEM = TASK.problems("train", 1)[0]


@given(text=st.one_of(st.text(), st.text(alphabet="#Alba<>=+-0123 \nEntry:.,"), st.integers()))
def test_any_text_gets_a_grade(text):
    for completion in (str(text), f"\n#### {text}"):
        grade = TASK.grade(PROBLEM, completion)
        assert isinstance(grade.correct, bool) and grade.reason
        key = TASK.vote_key(PROBLEM, grade.answer)
        assert key is None or isinstance(key, str)
        assert all(isinstance(label, bool) for label in TASK.step_labels(PROBLEM, completion))
        assert isinstance(TASK.thinks(completion), bool) and TASK.runs_on(completion) in (0, 1)
