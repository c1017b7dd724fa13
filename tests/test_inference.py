"""Methods of inference: what they choose, and that nothing is free.

The methods are generators, so most tests play the model: they read what a method asks for and hand
it pieces of their own. What must be caught has a test each: tokens of pruned beams that nobody
counts, a beam that prunes nothing where it is wider than what is left, the best finished answer
dropped, an answer that was cut off taken for finished, a vote by another rule than the one asked
for.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import pytest

from minilrm import checkpoint
from minilrm import inference as inf
from minilrm.inference.difficulty import allocate, binned, guess
from minilrm.inference.driver import charge
from minilrm.inference.requests import Piece, Run, Write
from minilrm.inference.search import Node, grow, walk
from minilrm.inference.voting import stays_ahead
from minilrm.sampler import Engine
from minilrm.tasks import get_task
from minilrm.tasks.countdown import make_problem, step_labels

PROBLEM = make_problem([4, 7, 25], 53)
TASK = get_task("countdown")
RIGHT, OTHER = "<answer>4*7+25</answer>", "<answer>4+7+25</answer>"


@pytest.fixture(scope="module")
def opened():
    return checkpoint.open_model("countdown-base")


def run_of(budget: int, tokenizer=None) -> Run:
    return Run(TASK, tokenizer, PROBLEM, budget)


def chain(text: str, score: float | None = None, new: int = 10, finish: str = "eos") -> Piece:
    scores = () if score is None else (score,)
    return Piece((hash(text) % 1000,), text, new, -1.0, scores, finish)


def play(method, run: Run, pieces: Sequence[Piece]) -> inf.Answer:
    """Answer each request with the next pieces, and charge them."""
    waiting = iter(pieces)
    try:
        request = next(method)
        while True:
            given = [piece for piece in itertools.islice(waiting, request.n)]
            assert given, "the method asks for more than the test has"
            prices = 2 if request.judge else 1
            paid = charge(run, given, [p.scores for p in given], prices, None)
            request = method.send(paid)
    except StopIteration as ended:
        return ended.value


# -- choosing among chains -------------------------------------------------------------------------


def test_majority_takes_the_answer_of_most_chains_not_the_first():
    run = run_of(30)
    answer = play(inf.majority(run), run, [chain(OTHER), chain(RIGHT), chain(RIGHT)])
    assert answer.answer == "4*7+25" and answer.tokens == 30 and answer.calls == 3


def test_a_chain_that_the_budget_cuts_off_has_no_vote():
    run = run_of(25)
    cut = [chain(RIGHT), chain(OTHER), chain(OTHER, new=10)]
    found = charge(run, cut, [(), (), ()], 1, FakeTokenizer())
    assert [p.finish for p in found] == ["eos", "eos", "budget"] and run.left == 0
    assert found[-1].new == 5


def test_best_of_n_and_the_weighted_vote_differ_where_many_middling_chains_agree():
    chains = [chain(RIGHT, 0.5), chain(RIGHT, 0.5), chain(OTHER, 0.8)]
    for method, expected in ((inf.best_of_n, "4+7+25"), (inf.weighted, "4*7+25")):
        run = run_of(60)
        assert play(method(run), run, chains).answer == expected


def test_the_verifier_is_paid_for_what_it_reads():
    run = run_of(60)
    answer = play(inf.weighted(run), run, [chain(RIGHT, 0.5)] * 3)
    assert (answer.tokens, answer.verifier_tokens, answer.cost) == (30, 30, 60)


def test_adaptive_stops_as_soon_as_the_leader_is_safe():
    run = run_of(1000)
    answer = play(inf.adaptive(run), run, [chain(RIGHT)] * 100)
    assert answer.calls == 4  # four of four: P = .969 > .95; three of three: .9375


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 0), (5, 4), (20, 11)])
def test_stays_ahead_is_the_integral_of_the_posterior(first, second):
    steps = 200_000
    density = lambda p: p**first * (1 - p) ** second  # noqa: E731
    points = [(i + 0.5) / steps for i in range(steps)]
    above = sum(density(p) for p in points if p > 0.5)
    assert stays_ahead(first, second) == pytest.approx(above / sum(map(density, points)), abs=1e-4)


# -- search ----------------------------------------------------------------------------------------


class FakeTokenizer:
    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids))

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        return [ord(c) for c in text]


class Tree:
    """A model for searches: every place has `ways` ways on, numbered; a score for each by `score`;
    texts end after `depth` steps with an answer that names the way."""

    def __init__(self, depth: int, score: Callable[[tuple[int, ...]], float], cost: int = 5):
        self.depth, self.score, self.cost = depth, score, cost
        self.asked: list[Write] = []
        self.given: dict[tuple[int, ...], int] = {}

    def __call__(self, request: Write) -> list[Piece]:
        self.asked.append(request)
        first = self.given.get(request.ids, 0)
        self.given[request.ids] = first + request.n
        pieces = []
        for way in range(first, first + request.n):
            ids = (*request.ids, way)
            ended = len(ids) == self.depth
            name = "+".join(map(str, ids))
            text = f"<answer>{name}</answer>" if ended else name + ","
            finish = "eos" if ended else "step"
            pieces.append(Piece(ids, text, self.cost, -1.0, (self.score(ids),), finish))
        return pieces


def search(method, budget: int, model: Tree, **options) -> tuple[inf.Answer, Run]:
    run = run_of(budget, FakeTokenizer())
    going = method(run, **options)
    try:
        request = next(going)
        while True:
            pieces = model(request)
            request = going.send(charge(run, pieces, [p.scores for p in pieces], 2, run.tokenizer))
    except StopIteration as ended:
        return ended.value, run


def by_way(ids: tuple[int, ...]) -> float:
    """The better, the higher the numbers of the ways; never good enough to stop early."""
    return 0.9 * (1 + sum(ids)) / (1 + 4 * len(ids))


SEARCHES = (inf.beam, inf.dvts, inf.tree, inf.mcts)


@pytest.mark.parametrize("method", SEARCHES)
@pytest.mark.parametrize("budget", [1, 7, 40, 333])
def test_no_search_exceeds_its_budget_and_what_is_pruned_has_been_paid_for(method, budget):
    answer, run = search(method, budget, model := Tree(3, by_way))
    assert answer.cost == run.tokens + run.verifier_tokens <= budget
    [root] = answer.trace
    whole = [node for node in walk(root) if node.piece is not None]
    assert answer.cost >= 10 * len(whole)  # 5 written and 5 read of each, pruned or not
    assert sum(model.given.values()) >= len(whole)


@pytest.mark.parametrize("method", SEARCHES)
def test_the_best_finished_answer_is_never_dropped(method):
    answer, _ = search(method, 600, Tree(2, by_way))
    [root] = answer.trace
    finished = [n for n in walk(root) if n.piece is not None and n.piece.ended]
    best = max(finished, key=lambda n: n.score)
    assert answer.text == best.piece.text and best.state == "chosen"


def test_a_beam_goes_on_from_its_best_alone_even_where_it_is_wider_than_what_is_left():
    model = Tree(3, by_way)
    search(inf.beam, 10 * (4 + 4 + 4), model, width=1, ways=4)
    assert [request.ids for request in model.asked] == [(), (3,), (3, 3)]


def test_a_beam_narrows_as_answers_finish_and_does_not_refill_them():
    class Early(Tree):
        """The best first step is an answer already."""

        def __call__(self, request: Write) -> list[Piece]:
            return [
                Piece(p.ids, "<answer>1+2</answer>", 5, -1.0, (0.9,), "eos") if p.ids == (7,) else p
                for p in super().__call__(request)
            ]

    model = Early(3, by_way)
    answer, _ = search(inf.beam, 10 * 8 + 10 * 8, model, width=2, ways=4)
    assert (7,) not in [request.ids for request in model.asked]
    assert answer.text == "<answer>1+2</answer>"


def test_the_tree_search_comes_back_to_a_place_that_it_had_left():
    """The first way looks best and leads nowhere."""

    def score(ids: tuple[int, ...]) -> float:
        return {0: 0.8, 1: 0.6}.get(ids[0], 0.1) if len(ids) == 1 else 0.05 if ids[0] == 0 else 0.9

    model = Tree(3, score)
    answer, _ = search(inf.tree, 10 * 16, model, ways=4, patience=0.5)
    assert [request.ids for request in model.asked][:3] == [(), (0,), (1,)]
    assert answer.text.startswith("<answer>1+")


def test_what_the_model_itself_rejects_is_left_at_once():
    run = run_of(100)
    root = Node(None)
    [child] = grow(run, root, [Piece((1,), " 4+7=11, 25-11=14 no\n", 9, -1.0, (0.9,), "step")])
    assert child.state == "pruned"


def test_an_answer_that_is_cut_off_is_not_finished():
    run = run_of(100)
    cut = Piece((1,), "<answer>4*7+25</answer>", 9, -1.0, (0.9,), "budget")
    assert grow(run, Node(None), [cut]) == []


def test_mcts_looks_around_while_there_is_budget_and_then_goes_where_the_values_are():
    def on_the_best_way(curiosity: float) -> list[bool]:
        model = Tree(5, lambda ids: 0.9 if set(ids) == {0} else 0.6)
        search(inf.mcts, 900, model, ways=2, curiosity=curiosity)
        return [set(request.ids) <= {0} for request in model.asked]

    never, curious = on_the_best_way(0.0), on_the_best_way(2.0)
    half = len(curious) // 2
    assert sum(curious[:half]) < sum(never[:half])  # it looks elsewhere first
    assert sum(curious[:half]) / half < sum(curious[half:]) / (len(curious) - half)


def test_mcts_opens_a_place_again_as_it_is_passed_more_often():
    """The first ways on are not all: here only the seventh leads anywhere."""
    answer, _ = search(inf.mcts, 3000, Tree(2, lambda ids: 0.96 if ids[0] == 6 else 0.1), ways=2)
    assert answer.text.startswith("<answer>6+")


# -- the driver ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def driver(opened):
    return inf.Driver(Engine(opened.model), opened.tokenizer, TASK, inf.ByChecker(TASK))


@pytest.mark.parametrize("name", [n for n in inf.METHODS if n != "plan-verify"])
@pytest.mark.parametrize("budget", [1, 30, 120])
def test_no_method_exceeds_its_budget(driver, name, budget):
    method, _ = inf.METHODS[name]
    answers = driver.solve(method, TASK.problems("validation", 6), budget)
    assert all(0 < a.cost <= budget for a in answers)


def test_all_methods_draw_the_same_chains(driver):
    problems = TASK.problems("validation", 4)
    votes = driver.solve(inf.majority, problems, 100)
    best = driver.solve(inf.best_of_n, problems, 100)
    for a, b in zip(votes, best, strict=True):
        assert [p.ids for p in a.trace] == [p.ids for p in b.trace]


def test_a_problem_is_answered_alike_alone_and_among_others(opened):
    problems = TASK.problems("validation", 5)
    first, second = (
        inf.Driver(Engine(opened.model), opened.tokenizer, TASK, inf.ByChecker(TASK))
        for _ in range(2)
    )
    together = first.solve(inf.tree, problems, 90)
    alone = [second.solve(inf.tree, [p], 90)[0] for p in problems]
    assert [a.text for a in together] == [a.text for a in alone]
    assert [a.cost for a in together] == [a.cost for a in alone]


def test_each_problem_may_have_a_budget_of_its_own(driver):
    problems = TASK.problems("validation", 3)
    answers = driver.solve(inf.majority, problems, [20, 60, 100])
    assert [a.cost <= b for a, b in zip(answers, [20, 60, 100], strict=True)] == [True] * 3
    with pytest.raises(ValueError, match="at least one token"):
        driver.solve(inf.majority, problems, 0)


@pytest.mark.parametrize("beyond", [0, 2])
def test_a_text_that_fills_the_task_s_limit_is_not_written_on(driver, beyond):
    """Catches: a crash of a chain that is told to wait in its last tokens."""

    def method(run: Run) -> inf.Method:
        pieces = yield run.step((5,) * (TASK.max_new_tokens + beyond))
        return run.answer(None, pieces)

    [answer] = driver.solve(method, TASK.problems("validation", 1), 50)
    assert answer.tokens == 0 and [(p.new, p.finish) for p in answer.trace] == [(0, "length")]


def test_the_exact_checker_finds_more_than_the_likelihood(opened):
    problems = TASK.problems("validation", 40)

    def right(scorer) -> int:
        driver = inf.Driver(Engine(opened.model), opened.tokenizer, TASK, scorer)
        answers = driver.solve(inf.tree, problems, 120)
        return sum(TASK.grade(p, a.text).correct for p, a in zip(problems, answers, strict=True))

    assert right(inf.ByChecker(TASK)) > right(inf.ByLikelihood()) + 5


# -- labels of steps -------------------------------------------------------------------------------


def test_a_step_is_right_if_the_target_can_still_be_reached_not_if_it_is_near():
    problem = make_problem([2, 19, 18], 35)
    assert step_labels(problem, " 19-2=17,") == [True]  # the only parent of 17+18
    assert step_labels(problem, " 18+19=37,") == [True]  # 37-2
    assert step_labels(problem, " 18*2=36, 36-19=17 no\n") == [False, False]


def test_labels_follow_the_attempts():
    text = " 25-7=18, 18+4=22 no\nwait, 4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>"
    assert step_labels(PROBLEM, text) == [False, False, True, True, True, True]
    assert step_labels(PROBLEM, " 4*7=27,") == [False]  # a false sum
    assert step_labels(PROBLEM, " 4*4=16,") == [False]  # a number that is not there
    assert step_labels(PROBLEM, " 4*7=28, 28+25=53 no\n") == [True, False]


def test_the_labels_of_a_right_solution_are_all_true_and_a_slip_ends_them():
    import random

    for name in ("gsm8k-mini", "stories", "countdown", "countdown-4"):
        task = get_task(name)
        for i, problem in enumerate(task.problems("validation", 30)):
            text = task.solution(problem, random.Random(i), "steps")
            assert all(task.step_labels(problem, text)), text
            wrong = task.solution(problem, random.Random(i), "careless")
            assert not task.step_labels(problem, wrong)[-1], wrong


# -- budgets by difficulty -------------------------------------------------------------------------


def test_allocation_is_the_best_of_all_by_enumeration():
    chances, total = [0.9, 0.5, 0.2, 0.05], 6

    def solved(counts: Sequence[int]) -> float:
        return sum(1 - (1 - p) ** n for p, n in zip(chances, counts, strict=True))

    best = max(
        solved(counts)
        for counts in itertools.product(range(total + 1), repeat=len(chances))
        if sum(counts) == total
    )
    assert solved(allocate(chances, total, 1)) == pytest.approx(best)
    assert sum(allocate(chances, total, 1)) == total


def test_a_guess_is_the_mean_of_its_bin():
    table = binned([1, 2, 3, 4], [1.0, 1.0, 0.0, 0.5], bins=2)
    assert [guess(table, x) for x in (0, 2, 3, 99)] == [1.0, 1.0, 0.25, 0.25]
    assert math.isinf(table[-1][0])
