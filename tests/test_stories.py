"""The composed stories: no structure of a test story stands in training, each rung of the ladder
varies what it says, and every solution follows from its question."""

import json
import random
import re

import pytest

from minilrm.tasks import get_task
from minilrm.tasks.base import problem_rng, split_of
from minilrm.tasks.gsm8k_mini import worked_steps
from minilrm.tasks.stories import english, spanish
from minilrm.tasks.stories import graph as graphs
from minilrm.tasks.stories.graph import STEPS, Node
from minilrm.tasks.stories.ladder import HAND_WRITTEN, LADDER, LENGTHS
from minilrm.tasks.stories.names import is_seen
from minilrm.tasks.stories.numbers import LARGEST, draw_numbers
from minilrm.tasks.stories.telling import LANGUAGES
from minilrm.tasks.stories.themes import THEMES

TASK = get_task("stories")
N = 300


@pytest.fixture(scope="module")
def training():
    """Problems as the training documents hold them."""
    rngs = (problem_rng(1, i, "test of stories") for i in range(1500))
    return [TASK.sample(rng, "train") for rng in rngs]


@pytest.fixture(scope="module")
def rungs():
    return {name: TASK.rung_problems(name, 40) for name in TASK.rungs}


# -- structures ------------------------------------------------------------------------------------


def test_the_size_that_the_issue_asks_for():
    assert len(STEPS) >= 14 and len(THEMES) >= 8
    for book in LANGUAGES.values():
        assert all(len(wordings) >= 7 for wordings in book.TELL.values())  # one of them kept out
        assert all(len(wordings) >= 3 for wordings in book.ASK.values())


def test_no_structure_of_another_split_by_enumeration(training):
    """Catches: a split by numbers or wording, after which a test story's plan stands in
    training."""
    keys = {p.key for p in training}
    assert len(keys) > 600 and {split_of(key) for key in keys} == {"train"}
    test = {p.key for p in TASK.problems("test", 1000)}
    assert {split_of(key) for key in test} == {"test"} and not test & keys


def test_the_key_does_not_depend_on_the_order_of_what_commutes():
    """Catches: a + b in training and b + a in the test."""
    boxes, rate = Node("boxes", (), 0, "things"), Node("rate", (), 1, "things")
    one = (boxes, rate, Node("together", (0, 1), -1, "things"))
    two = (rate, boxes, Node("together", (1, 0), -1, "things"))
    assert graphs.key(one) == graphs.key(two)


def test_the_key_tells_one_quantity_used_twice_from_two_alike():
    """Catches: "Ben has 5 more than Ana, together?" taken for three people."""
    boxes = Node("boxes", (), 0, "things")
    shared = (boxes, Node("more", (0,), 1, "things"), Node("together", (0, 1), -1, "things"))
    other = Node("boxes", (), 2, "things")
    apart = (boxes, other, Node("more", (0,), 1, "things"), Node("together", (1, 2), -1, "things"))
    assert graphs.key(shared) != graphs.key(apart)


def test_every_axis_varies_in_training(training):
    steps = {n: sum(p.difficulty == n for p in training) / len(training) for n in LENGTHS}
    assert all(abs(steps[n] - share) < 0.03 for n, share in LENGTHS.items())
    assert 0.15 < sum(p.meta["distractor"] for p in training) / len(training) < 0.25
    assert 0.15 < sum(p.meta["reordered"] for p in training) / len(training) < 0.35
    assert 0.2 < sum(p.meta["language"] == "es" for p in training) / len(training) < 0.3
    names = {w for p in training for w in re.findall(r"\b[A-Z][a-z]+\b", p.prompt)}
    assert len(names) > 600


def test_no_number_of_training_is_larger_than_it_says(training):
    assert max(int(n) for p in training for n in re.findall(r"[0-9]+", p.prompt)) <= LARGEST


# -- rungs -----------------------------------------------------------------------------------------


def test_training_has_no_unseen_part(training):
    """Catches: a pair or a shape of a rung that training shows after all."""
    rng = random.Random(0)
    found: dict[str, set[str]] = {}
    for _ in range(4000):
        theme = rng.choice(THEMES[:5])
        graph = graphs.draw_graph(rng, theme, rng.choice((2, 3, 4, 5)))
        found[graphs.key(graph)] = graphs.unseen_parts(graph)
    held_out = {key for key, parts in found.items() if parts}
    assert len(held_out) > 100 and not held_out & {p.key for p in training}


def test_rungs_of_pairs_and_shapes_have_what_they_say(rungs):
    def unseen(rung):
        return {frozenset(graphs.unseen_parts(graph_of(p.key))) for p in rungs[rung]}

    assert unseen("new pairs") == {frozenset({"pairs"})}
    assert unseen("new shapes") == {frozenset({"shapes"})}
    for rung in LADDER.keys() - {"new pairs", "new shapes"}:
        assert unseen(rung) == {frozenset()}, rung


def test_a_graph_is_read_back_from_its_key(training):
    for key in {p.key for p in training}:
        assert graphs.key(graph_of(key)) == key


def graph_of(key: str) -> tuple[Node, ...]:
    """The graph that a key names: relations and inputs."""
    nodes: list[Node] = []
    numbered: dict[str, int] = {}

    def read(text: str) -> tuple[int, str]:
        name = re.match(r"[a-z_]*3?", text)[0]
        text = text[len(name) :]
        inputs = []
        if not name:  # a node that was written before
            number = re.match(r"#[0-9]+", text)[0]
            return numbered[number], text[len(number) :]
        while text[:1] == "(" or (inputs and text[:1] == ","):
            place, text = read(text[1:])
            inputs.append(place)
        text = text[1:] if inputs else text
        nodes.append(Node(name, tuple(inputs), 0, ""))
        if number := re.match(r"#[0-9]+", text):
            numbered[number[0]] = len(nodes) - 1
            text = text[len(number[0]) :]
        return len(nodes) - 1, text

    assert read(key)[1] == ""
    return tuple(nodes)


def test_rungs_of_words_and_sentences_have_what_they_say(rungs, training):
    def capitals(texts):
        return {w for text in texts for w in re.findall(r"\b[A-Z][a-z]{3,}\b", text)}

    sentences = capitals(map(str, vars(english).values())) | capitals(
        map(str, vars(spanish).values())
    )  # "Then", "Luego", ...

    def names(problems):
        return capitals(p.prompt for p in problems) - sentences

    assert len(names(training)) > 600 and all(map(is_seen, names(training)))
    assert len(names(rungs["new words"])) > 25 and not any(map(is_seen, names(rungs["new words"])))
    for book, language in ((LANGUAGES["en"], "en"), (LANGUAGES["es"], "es")):
        kept_out = [w[-1] for kind in ("TELL", "TELL_YEARS", "TELL_DOING")
                    for w in getattr(book, kind).values()]  # fmt: skip
        patterns = [pattern_of(w) for w in kept_out]
        for rung, share in (("new wording", 1.0), ("new stories", 0.0)):
            asked = [p.prompt for p in rungs[rung] if p.meta["language"] == language]
            hit = sum(any(p.search(text) for p in patterns) for text in asked)
            assert hit == share * len(asked), (language, rung)
        lines = [pattern_of(w) for w in book.IRRELEVANT_UNSEEN]
        asked = [p.prompt for p in rungs["irrelevant number"] if p.meta["language"] == language]
        assert all(any(line.search(text) for line in lines) for text in asked)


def pattern_of(sentence: str) -> re.Pattern:
    """A sentence with open slots as a pattern. Its first letter may be a capital."""
    pieces = re.split(r"\{\w+\}|\[[^\]]*\]", sentence)
    return re.compile(r"(?:^|(?<=[.?!] ))" + r"[^.?!]*?".join(map(re.escape, pieces)))


def test_rungs_of_order_length_and_numbers_have_what_they_say(rungs):
    assert all(p.meta["reordered"] for p in rungs["other order"])
    assert all(p.meta["distractor"] for p in rungs["irrelevant number"])
    assert {p.difficulty for p in rungs["6 steps"]} == {6}
    assert {p.difficulty for p in rungs["7 steps"]} == {7}
    for rung in ("to 600", "to 1000", "to 2000"):
        for p in rungs[rung]:
            values = [r for _, r in worked_steps(p)] + list(p.meta["numbers"].values())
            assert LADDER[rung].above < max(values) <= LADDER[rung].largest
    assert all("template" in p.meta for p in rungs[HAND_WRITTEN])


def test_a_rung_is_the_same_set_each_time():
    assert TASK.rung_problems("6 steps", 5) == TASK.rung_problems("6 steps", 5)
    assert TASK.rung_problems("6 steps", 5) == TASK.rung_problems("6 steps", 9)[:5]
    for rung in TASK.rungs:  # what is tuned on is nothing that figures stand on
        tuned_on = TASK.rung_problems(rung, 20, "validation")
        assert not {p.prompt for p in tuned_on} & {p.prompt for p in TASK.rung_problems(rung, 20)}
    assert {split_of(p.key) for p in TASK.rung_problems("new words", 20, "validation")} == {
        "validation"
    }


# -- solutions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rung", list(TASK.rungs))
def test_solutions_are_right_and_the_careless_ones_wrong(rungs, rung):
    for problem in rungs[rung]:
        rng = random.Random(0)
        for style, right in (("reflex", 1), ("steps", 1), ("plan_verify", 1), ("careless", 0)):
            grade = TASK.grade(problem, TASK.solution(problem, rng, style))
            assert grade.formatted and grade.correct == bool(right), (problem.prompt, style)


def test_every_number_of_a_solution_is_told_or_worked_out(training):
    """Catches: a solution that needs what the question does not say. 2, 3, 4, 5 and 10 may stand in
    words: half, a third, 25 percent, twice."""
    for problem in training[:N]:
        known = {int(n) for n in re.findall(r"[0-9]+", problem.prompt)} | {2, 3, 4, 5, 10}
        for step, value in worked_steps(problem):
            left, right = (int(x) for x in re.split(r"[-+*/]", step))
            assert {left, right} <= known, (problem.prompt, step)
            known.add(value)


def test_sentences_have_no_open_slot_and_a_capital(rungs):
    for problems in rungs.values():
        for p in problems:
            texts = [p.prompt, *p.meta["sentences"], *p.meta["plan"]]
            assert not any(re.search(r"[{}\[\]|]", t.replace("{calc}", "")) for t in texts), texts
            assert re.match(r"[¿A-ZÁÉÍÓÚÑ0-9]", p.prompt) and p.prompt.endswith("?")
            assert "  " not in p.prompt


def test_numbers_come_out_whole_positive_and_small():
    rng = random.Random(3)
    for _ in range(N):
        theme = rng.choice(THEMES)
        graph = graphs.draw_graph(rng, theme, rng.choice((1, 2, 3, 4)))
        solved = draw_numbers(graph, rng)
        if solved:
            assert all(isinstance(v, int) and 0 < v <= LARGEST for v in solved.values)
            assert len(solved.steps) == sum(STEPS[node.relation] for node in graph)


def test_a_problem_survives_json(training):
    for problem in training[:50]:
        again = TASK.from_record(json.loads(json.dumps(TASK.to_record(problem))))
        assert again == problem


def test_a_page_to_read_says_of_each_person_what_its_text_says():
    task = get_task("stories", spanish=0.5)
    for i in range(200):
        text, *facts = task.reading(random.Random(i)).split("\n")
        assert len(facts) == 3
        for fact in facts:
            told = re.findall(r"\d+", fact.split("=")[0])  # of a product its two numbers
            assert told and set(told) <= set(re.findall(r"\d+", text)), (text, fact)
            assert any(word in text for word in fact.split() if word[0].isupper()), (text, fact)
        for a, b, c in re.findall(r"<<(\d+)\*(\d+)=(\d+)>>", " ".join(facts)):
            assert int(a) * int(b) == int(c)
