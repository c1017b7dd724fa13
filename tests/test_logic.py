"""Logic: answers as an independent enumeration of the sentences finds them, no structure of a test
puzzle in training, and lines that each follow from what stands before them."""

import itertools
import json
import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilrm.tasks import get_task
from minilrm.tasks.base import SOLUTION_STYLES, problem_rng, split_of
from minilrm.tasks.logic import categories, knights, order
from minilrm.tasks.logic.ladder import LADDER
from minilrm.tasks.logic.task import normal, puzzle_of
from minilrm.tasks.logic.words import SAID_BESIDES, SAID_BESIDES_UNSEEN
from minilrm.tasks.stories.names import is_seen

TASK = get_task("logic")
KINDS = {"categories": categories, "knights": knights, "order": order}


@pytest.fixture(scope="module")
def training():
    rngs = (problem_rng(1, i, "test of logic") for i in range(900))
    return [TASK.sample(rng, "train") for rng in rngs]


@pytest.fixture(scope="module")
def rungs():
    return {name: TASK.rung_problems(name, 40) for name in TASK.rungs}


def of_kind(problems, kind):
    return [p for p in problems if p.meta["kind"] == kind]


# -- answers, found again from the sentences alone -------------------------------------------------


def solve_categories(problem):
    """All types of individuals that the rules of the text allow; the answer over those that fit."""
    puzzle = puzzle_of(problem)
    forms = {}  # how a term may be spelt -> the term
    for term in range(len(puzzle.terms)):
        for form in (puzzle.one(term), puzzle.many(term), puzzle.are(term), puzzle.is_a(term)):
            forms[form.lower()] = term
    rules, facts, asked = [], [], None
    patterns = {
        "all": r"(?:All|Every|Each|Any) (.+?) (?:are|is) (?:also )?(.+)\.",
        "no": r"(?:No|Not one) (.+?) (?:are|is) (.+)\.|(.+) are never (.+)\.",
        "some": r"(?:Some|A few|Many|There are) (.+?) (?:that )?are (.+)\.",
    }
    for sentence in re.findall(r"[^.?]+[.?]", problem.prompt):
        sentence = sentence.strip()
        if found := re.fullmatch(rf"Is {puzzle.names[0]} (.+)\?", sentence):
            asked = forms[found[1]]
        elif found := re.fullmatch(rf"{puzzle.names[0]} is (not )?(.+)\.", sentence):
            facts.append((forms[found[2]], not found[1]))
        else:
            for kind, pattern in patterns.items():
                if found := re.fullmatch(pattern, sentence):
                    p, q = (forms[text.lower()] for text in found.groups() if text)
                    rules.append((kind, p, q))
                    break
    types = [
        world
        for world in itertools.product((0, 1), repeat=len(puzzle.terms))
        if not any(kind == "all" and world[p] > world[q] for kind, p, q in rules)
        and not any(kind == "no" and world[p] and world[q] for kind, p, q in rules)
    ]
    for kind, p, q in rules:  # the rules do not contradict themselves: there can be some of all
        assert kind != "some" or any(world[p] and world[q] for world in types)
        assert any(world[p] for world in types) and any(world[q] for world in types)
    fitting = {w[asked] for w in types if all(w[term] == holds for term, holds in facts)}
    return {(0,): "no", (1,): "yes", (0, 1): "unknown"}[tuple(sorted(fitting))]


SAYS = (
    (r"(\w+) (?:is a knight|always tells the truth)\.", lambda a, b: a),
    (r"You can believe (\w+)\.", lambda a, b: a),
    (r"(\w+) (?:is a knave|always lies)\.", lambda a, b: not a),
    (r"You cannot believe (\w+)\.", lambda a, b: not a),
    (r"(\w+) and (\w+) are (?:both )?knights\.", lambda a, b: a and b),
    (r"You can believe both (\w+) and (\w+)\.", lambda a, b: a and b),
    (r"(\w+) and (\w+) are (?:both )?knaves\.", lambda a, b: not (a or b)),
    (r"You can believe neither (\w+) nor (\w+)\.", lambda a, b: not (a or b)),
    (r"At least one of (\w+) and (\w+) is a knight\.", lambda a, b: a or b),
    (r"(\w+) and (\w+) are not both knaves\.", lambda a, b: a or b),
    (r"You can believe at least one of (\w+) and (\w+)\.", lambda a, b: a or b),
    (r"At least one of (\w+) and (\w+) is a knave\.", lambda a, b: not (a and b)),
    (r"(\w+) and (\w+) are not both knights\.", lambda a, b: not (a and b)),
    (r"You cannot believe both (\w+) and (\w+)\.", lambda a, b: not (a and b)),
    (r"(\w+) and (\w+) are (?:of the same kind|alike)\.", lambda a, b: a == b),
    (r"(\w+) and (\w+) are both knights or both knaves\.", lambda a, b: a == b),
    (r"(\w+) and (\w+) are (?:of different kinds|not alike)\.", lambda a, b: a != b),
    (r"Just one of (\w+) and (\w+) is a knight\.", lambda a, b: a != b),
)


def solve_knights(problem):
    names = re.findall(r"\w+", re.search(r"lie\. (.*?) are knights or", problem.prompt)[1])
    names = [name for name in names if name != "and"]
    claims = []
    for speaker, text in re.findall(r'(\w+) says, "(.*?)"', problem.prompt):
        [(found, true)] = [(m, f) for pattern, f in SAYS if (m := re.fullmatch(pattern, text))]
        who = [speaker if name in ("I", "me") else name for name in found.groups()]
        claims.append((speaker, who[0], who[-1], true))
    assert len(claims) == len(names)
    worlds = [
        world
        for kinds in itertools.product((True, False), repeat=len(names))
        for world in [dict(zip(names, kinds, strict=True))]
        if all(bool(true(world[a], world[b])) == world[s] for s, a, b, true in claims)
    ]
    assert len(worlds) == 1, problem.prompt
    if "How many" in problem.prompt:
        return str(sum(worlds[0].values()))
    wanted = "knights?" in problem.prompt
    return ", ".join(n for n in names if worlds[0][n] == wanted) or "nobody"


def solve_order(problem):
    pairs, names = [], set()
    scales = (*order.SCALES, *order.UNSEEN_SCALES)
    more = {word: word == scale[0] for scale in scales for word in scale[:2]}
    for a, word, b in re.findall(r"(\w+) is (\w+) than (\w+)\.", problem.prompt):
        pairs.append((a, b) if more[word] else (b, a))
    for a, b, c, word in re.findall(r"Of (\w+) and (\w+), (\w+) is the (\w+)\.", problem.prompt):
        other = b if c == a else a
        pairs.append((c, other) if more[word] else (other, c))
    names = sorted({name for pair in pairs for name in pair})
    asked = re.search(r"Who is the (?:(\w+) )?(\w+)\?", problem.prompt)
    place = order.ORDINALS.index(asked[1]) if asked[1] else 0
    if asked[2] in [scale[3] for scale in scales]:
        place = len(names) - 1 - place
    found = {
        row[place]
        for row in itertools.permutations(names)
        if all(row.index(a) < row.index(b) for a, b in pairs)
    }
    assert len(found) == 1, problem.prompt
    return found.pop()


SOLVERS = {"categories": solve_categories, "knights": solve_knights, "order": solve_order}


def test_answers_are_those_of_an_enumeration_of_all_worlds(training):
    """Catches: a puzzle with two solutions or none, a sentence that says another thing than the
    structure."""
    for problem in training[:450]:
        assert SOLVERS[problem.meta["kind"]](problem) == problem.answer, problem.prompt


@pytest.mark.parametrize("rung", list(TASK.rungs))
def test_answers_of_every_rung_too(rungs, rung):
    for problem in rungs[rung][:20]:
        if rung != "two longer" or problem.meta["kind"] != "order":  # 5,040 orders each
            assert SOLVERS[problem.meta["kind"]](problem) == problem.answer, problem.prompt


def test_yes_no_and_unknown_are_as_frequent(training):
    asked = of_kind(training, "categories")
    shares = {answer: n / len(asked) for answer, n in Counter(p.answer for p in asked).items()}
    assert shares.keys() == {"yes", "no", "unknown"} and min(shares.values()) > 0.22


# -- structures ------------------------------------------------------------------------------------


def test_no_structure_of_another_split_by_enumeration(training):
    """Catches: a split by names or wording, after which a test puzzle stands in training."""
    keys = {p.key for p in training}
    assert len(keys) > 350 and {split_of(key) for key in keys} == {"train"}
    test = {p.key for p in TASK.problems("test", 400)}
    assert {split_of(key) for key in test} == {"test"} and not test & keys
    rng, drawn = random.Random(0), {kind: set() for kind in KINDS}
    for kind, module in KINDS.items():
        for _ in range(1500):
            drawn[kind].add(module.draw_shape(rng).key)
        counts = Counter(map(split_of, drawn[kind]))
        assert counts["test"] >= 8 and counts["train"] > 80, (kind, counts)


def test_knights_with_other_numbers_are_the_same_structure():
    """Catches: the same three statements in training and in the test, made by others."""
    rng = random.Random(1)
    for _ in range(40):
        shape = knights.draw_shape(rng)
        size = len(shape.said)
        to = rng.sample(range(size), size)
        said = [None] * size
        for speaker, (kind, a, b) in enumerate(shape.said):
            said[to[speaker]] = (kind, *sorted((to[a], to[b])))
        assert knights.Shape(tuple(said)).key == shape.key


def test_orders_renumbered_or_read_from_the_other_end_are_the_same_structure():
    graph = order.Shape(4, ((0, 1), (0, 2), (1, 3)), 0, True)
    other = order.Shape(4, ((0, 1), (0, 2), (2, 3)), 0, True)
    apart = order.Shape(4, ((0, 1), (0, 2), (0, 3)), 0, True)
    assert graph.key == other.key != apart.key
    row = order.Shape(4, ((0, 1), (0, 2), (1, 2), (2, 3)), 1, False)
    turned = order.Shape(4, ((0, 1), (1, 2), (1, 3), (2, 3)), 2, False)
    assert row.key == turned.key


def test_extra_sentences_commute_in_the_key():
    one = categories.Shape("FB", True, (("all out", 1), ("is", 0)))
    assert one.key == categories.Shape("FB", True, (("is", 0), ("all out", 1))).key


# -- rungs -----------------------------------------------------------------------------------------


def size_of(problem):
    return len(problem.meta["puzzle"]["names"])


def test_rungs_of_length_have_what_they_say(training, rungs):
    for longer, problems in ((0, training), (1, rungs["one longer"]), (2, rungs["two longer"])):
        by_kind = {
            "categories": {p.difficulty for p in of_kind(problems, "categories")},
            "knights": {size_of(p) for p in of_kind(problems, "knights")},
            "order": {size_of(p) for p in of_kind(problems, "order")},
        }
        for kind, longest in (("categories", categories.LONGEST), ("knights", knights.LARGEST),
                              ("order", order.LARGEST)):  # fmt: skip
            assert max(by_kind[kind]) == longest + longer
            assert longer == 0 or len(by_kind[kind]) == 1


def test_rungs_of_words_wordings_and_sentences_have_what_they_say(training, rungs):
    def words(problem):
        puzzle = puzzle_of(problem)
        own = [*puzzle.names, *(word for _, word in getattr(puzzle, "terms", ()))]
        return [is_seen(word) for word in own] + [getattr(puzzle, "scale", None) in SCALES]

    SCALES = (None, *order.SCALES)
    assert all(all(words(p)) for p in training)
    for p in rungs["new words"]:
        assert not any(words(p)[:-1]) and words(p)[-1] == (p.meta["kind"] != "order")
    unseen = re.compile(
        r"\bAny |Not one |There are |You can|both knights or|Just one of|Of \w+ and \w+,"
    )
    assert all(len(unseen.findall(p.prompt)) == 1 for p in rungs["new wording"])
    assert not any(unseen.search(p.prompt) for p in training)
    for said, problems, share in (
        (SAID_BESIDES, training, (0.15, 0.25)),
        (SAID_BESIDES_UNSEEN, training, (0, 0)),
        (SAID_BESIDES_UNSEEN, rungs["irrelevant sentence"], (1, 1)),
    ):
        ends = [sentence.replace("{name}", "") for sentence in said]
        hit = sum(any(end in p.prompt for end in ends) for p in problems) / len(problems)
        assert share[0] <= hit <= share[1]
    assert all(p.meta["reordered"] for p in rungs["other order"])
    assert 0.1 < sum(p.meta["reordered"] for p in training) / len(training) < 0.35


def test_a_rung_is_the_same_set_each_time_and_has_its_split(rungs):
    assert TASK.rung_problems("new puzzles", 9)[:5] == TASK.rung_problems("new puzzles", 5)
    for rung, spec in LADDER.items():
        if not spec.longer:
            assert {split_of(p.key) for p in rungs[rung]} == {spec.split}
        tuned_on = TASK.rung_problems(rung, 10, "validation")
        assert not {p.prompt for p in tuned_on} & {p.prompt for p in rungs[rung]}
    assert len(TASK.rungs) >= 5
    assert TASK.problems("ood", 10) == TASK.problems("ood", 10)


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
            assert right or labels[-2] is False, (problem.prompt, text)  # the slip stands before it


def test_a_line_that_does_not_follow_ends_what_is_right(training):
    """Catches: labels that only look at the answer, or forgive a line out of its place."""
    for problem in of_kind(training, "categories")[:60] + of_kind(training, "order")[:60]:
        lines = TASK.solution(problem, random.Random(0)).split("\n")
        assert TASK.step_labels(problem, "\n".join(lines)) == [True] * len(lines)
        for at in range(1, len(lines)):
            changed = [*lines[:at], "Pigs can fly.", *lines[at:]]
            labels = TASK.step_labels(problem, "\n".join(changed))
            assert labels == [True] * at + [False] * (len(lines) - at + 1)


def test_a_supposition_must_be_refuted_before_its_opposite_is_known():
    shape = knights.Shape((("knave", 1, 1), ("both knights", 0, 1)))
    island = knights.Island(shape, ("Ana", "Ben"), "knights")
    state = island.begin()
    assert "So Ben is a knave." not in island.moves(state)
    for line in island.chain():
        state = island.moves(state)[line]
    assert dict(state.known) == {0: True, 1: False} and island.answer == "Ana"


def test_chains_are_short_and_no_text_is_unfinished(training, rungs, tokenizer):
    for problems in (training[:150], *rungs.values()):
        for p in problems:
            text = TASK.solution(p, random.Random(0), "plan_verify")
            assert not re.search(r"[{}]|  ", p.prompt + text) and p.prompt.endswith("?")
            assert len(tokenizer.encode(TASK.render(p) + text)) <= 400, p.prompt
            assert len(tokenizer.encode(TASK.solution(p, random.Random(0)))) <= 220


def test_a_problem_survives_json(training):
    for problem in training[:40]:
        assert TASK.from_record(json.loads(json.dumps(TASK.to_record(problem)))) == problem


# -- the grader ------------------------------------------------------------------------------------


@given(text=st.one_of(st.text(), st.text(alphabet="#Ana,and \nyesno.0123?"), st.integers(0, 10**6)))
def test_any_text_gets_a_grade(text):
    problem = PROBLEM
    for completion in (str(text), f"\n#### {text}"):
        grade = TASK.grade(problem, completion)
        assert isinstance(grade.correct, bool) and grade.reason
        key = TASK.vote_key(problem, grade.answer)
        assert key is None or isinstance(key, str)
        assert all(isinstance(label, bool) for label in TASK.step_labels(problem, completion))
        assert isinstance(TASK.thinks(completion), bool) and TASK.runs_on(completion) in (0, 1)


PROBLEM = TASK.problems("train", 1)[0]


def test_names_count_in_any_order_but_no_more_and_no_fewer():
    assert normal("Ben and Ana") == normal("ana, ben.") == normal("Ana, Ben")
    assert len({normal(t) for t in ("Ana", "Ana, Ben", "Ben", "Ana, Ben, Carl", "nobody")}) == 5
    assert normal("yes or no") is None and normal("") is None and normal("a" * 300) is None
