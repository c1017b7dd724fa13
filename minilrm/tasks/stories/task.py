"""Word problems composed of relations: the test split is stories whose structure is new.

A story is drawn as a graph of relations (`graph.py`), gets numbers (`numbers.py`), a theme with its
things and verbs (`themes.py`), names (`names.py`) and sentences (`english.py`, `spanish.py`,
`telling.py`). Its key is the graph alone; so no story of the test split has a structure that
training has seen, in whatever theme and with whatever numbers.
"""

import random
from dataclasses import replace

from minilrm.tasks.base import PlanMarks, Problem, Task, split_of
from minilrm.tasks.gsm8k_mini import (
    GSM8KMini,
    chain_labels,
    plan_marks,
    worked_steps,
    write_solution,
)
from minilrm.tasks.stories import graph as graphs
from minilrm.tasks.stories.graph import PEOPLE, PRODUCTS, Graph, Node
from minilrm.tasks.stories.ladder import HAND_WRITTEN, HAND_WRITTEN_MEANING, LADDER, Rung
from minilrm.tasks.stories.numbers import LARGEST, Solved, draw_numbers
from minilrm.tasks.stories.telling import Telling, recall, tell
from minilrm.tasks.stories.themes import THEMES, Theme
from minilrm.tasks.templates.template import solve

DRILLED_TO = 2000  # half of the sums that are drilled have numbers up to here


class Stories(Task):
    """Word problems of 1 to 5 steps whose structures are composed anew.

    spanish: share of the problems that are told in Spanish.
    """

    name = "stories"
    max_new_tokens = 288
    base = "stories-base"
    corpus = "web"
    web_of = "stories"
    repeats = True  # a structure may come again with other numbers
    rungs = {name: rung.meaning for name, rung in LADDER.items()} | {
        HAND_WRITTEN: HAND_WRITTEN_MEANING
    }

    def __init__(self, spanish: float = 0.25):
        self.spanish = spanish

    # -- problems ----------------------------------------------------------------------------------

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        if split == "ood":
            unseen = [rung for rung in self.rungs if rung not in ("new stories", "seen stories")]
            return self.sample_rung(rng, rng.choice(unseen))
        return self.draw(rng, Rung("", split))

    def sample_rung(self, rng: random.Random, rung: str, split: str = "test") -> Problem:
        """A problem of one rung of the ladder; a new story is one of that split."""
        if rung == HAND_WRITTEN:
            problem = GSM8KMini(self.spanish).sample(rng, "test")
            return Problem(
                self.name, problem.prompt, problem.answer, problem.key, problem.difficulty,
                problem.meta | {"ood": rung},
            )  # fmt: skip
        chosen = LADDER[rung]
        problem = self.draw(rng, replace(chosen, split=split) if chosen.split == "test" else chosen)
        problem.meta["ood"] = rung
        return problem

    def draw(self, rng: random.Random, rung: Rung) -> Problem:
        """A story of a rung: structure, numbers, words."""
        while True:  # some short structures have no numbers of the size that a rung asks for
            theme, graph = draw_structure(rng, rung, rung.draw_steps(rng))
            solved = draw_numbers(graph, rng, rung.largest, rung.above)
            if solved is None:
                continue
            problem = self.pose(rng, theme, graph, solved, rung.telling)
            if rung.telling.reordered < 1 or problem.meta["reordered"]:
                return problem

    def pose(
        self, rng: random.Random, theme: Theme, graph: Graph, solved: Solved, telling: Telling
    ) -> Problem:
        """Words for a structure and its numbers."""
        language = "es" if rng.random() < self.spanish else "en"
        told = tell(theme, graph, solved, rng, language, telling)
        meta = {
            "language": language,
            "theme": theme.name,
            "numbers": solved.numbers,
            "expressions": solved.steps,
            "sentences": told.working,
            "plan": told.plan,
            "distractor": told.irrelevant,
            "reordered": told.reordered,
        }
        answer = str(solve(solved.steps, solved.numbers)[f"s{len(solved.steps)}"])
        key = graphs.key(graph)
        return Problem(self.name, told.question, answer, key, len(solved.steps), meta)

    # -- solutions ---------------------------------------------------------------------------------

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        return write_solution(problem, rng, style)

    def plan_marks(self, problem: Problem) -> PlanMarks:
        return plan_marks(problem)

    def step_labels(self, problem: Problem, completion: str) -> list[bool]:
        return chain_labels(problem, completion)

    def drill(self, rng: random.Random, split: str) -> Problem:
        """A problem without words, whose single steps are worth learning as bare sums: half of the
        time with larger numbers than stories have."""
        largest = DRILLED_TO if rng.random() < 0.5 else LARGEST
        rung = Rung("", split)
        while True:
            _, graph = draw_structure(rng, rung, rung.draw_steps(rng))
            if solved := draw_numbers(graph, rng, largest):
                meta = {"numbers": solved.numbers, "expressions": solved.steps}
                return Problem(self.name, "", "", graphs.key(graph), meta=meta)

    def reading(self, rng: random.Random) -> str:
        """A page on which facts are read and written down again: who has how many. Nothing on it is
        a problem, so it belongs to no split."""
        theme = rng.choice(THEMES)
        told = ["has", "has", "has", *(r for r in PRODUCTS if r in theme.relations)]
        graph = tuple(Node(rng.choice(told), (), i, theme.kind) for i in range(PEOPLE))
        while (solved := draw_numbers(graph, rng)) is None:
            pass
        language = "es" if rng.random() < self.spanish else "en"
        text, facts = recall(theme, graph, solved, rng, language)
        meta = {"numbers": solved.numbers, "expressions": solved.steps}
        sums = iter(worked_steps(Problem(self.name, "", "", "", meta=meta)))
        lines = []
        for fact in facts:
            if "{calc}" in fact:
                expression, result = next(sums)
                fact = fact.replace("{calc}", f"<<{expression}={result}>>{result}")
            lines.append(fact)
        rng.shuffle(lines)
        return text + "\n" + "\n".join(lines)


def draw_structure(rng: random.Random, rung: Rung, steps: int) -> tuple[Theme, Graph]:
    """A theme and a graph of the rung's split, with exactly the unseen parts that it asks for."""
    while True:
        theme = rng.choice(THEMES)
        if steps > theme.longest:
            continue
        graph = graphs.draw_graph(rng, theme, steps)
        if graphs.unseen_parts(graph) != set(rung.parts):
            continue
        if rung.parts or rung.steps or split_of(graphs.key(graph)) == rung.split:
            return theme, graph
