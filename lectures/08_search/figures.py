"""The figure and numbers of lecture 8: what searches of the shipped base buy on countdown, with the
exact checker and with the model's own likelihood, and one tree in full.

    python lectures/08_search/figures.py            measure (minutes of one core), and draw
    python lectures/08_search/figures.py --draw     only draw what was measured

It asks `countdown-base` 200 validation problems with three numbers, writes
data/results/lecture-08.json and, from that file, lectures/08_search/search.png.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import checkpoint, curves, inference
from minilrm.compare import compare, worth
from minilrm.curves import LOOKS
from minilrm.inference import Driver
from minilrm.inference.search import walk
from minilrm.inference.shown import tree_lines
from minilrm.sampler import Engine
from minilrm.tasks import get_task
from studies.lecture import main, save

HERE = Path(__file__).resolve().parent

N, SEED = 200, 0
WORTHS = (1, 2, 4, 8, 16)  # samples' worth of tokens
METHODS = ("weighted", "beam", "dvts", "tree", "mcts")
STEPS, RIGHT, WAYS = 3, 0.3, 4  # of the arithmetic in section 2


def one_tree(driver: Driver, problems, budget: int) -> dict:
    """The first problem whose tree search comes back to a place that it had left, and solves it."""
    for problem in problems:
        [answer] = driver.solve(inference.tree, [problem], budget, ways=2)
        [root] = answer.trace
        nodes = walk(root)
        again = any(node.visits > 1 for node in nodes if node is not root)
        if driver.task.grade(problem, answer.text).correct and (again or 8 < len(nodes) < 14):
            lines = list(tree_lines(root))
            return {"problem": problem.prompt, "tokens": answer.tokens, "lines": lines}
    return {}


def measure() -> dict:
    _, model, tokenizer, _ = checkpoint.open_model("countdown-base")
    task, engine = get_task("countdown"), Engine(model)
    problems = task.problems("validation", N)
    drivers = {"checker": Driver(engine, tokenizer, task, inference.ByChecker(task), SEED)}
    written = drivers["checker"].written  # the same pieces for both verifiers
    likely = Driver(engine, tokenizer, task, inference.ByLikelihood(), SEED, written)
    drivers["likelihood"] = likely
    unit = worth(likely, problems)
    budgets = [round(k * unit) for k in WORTHS]
    found = {}
    for verifier, driver in drivers.items():
        found[verifier] = compare(driver, problems, METHODS, budgets)["methods"]
        for rows in found[verifier].values():
            for row in rows:
                row.pop("seconds", None)
    chain = RIGHT**STEPS
    return {
        "n": N,
        "seed": SEED,
        "split": "validation",
        "unit": unit,
        "methods": found,
        "tree": one_tree(drivers["checker"], problems, budgets[-1]),
        "steps": {
            "of chains until one is right": STEPS / chain,
            "of a search until one is right": STEPS / RIGHT,
            "a beam of one place": (1 - (1 - RIGHT) ** WAYS) ** STEPS,
            "as many chains": 1 - (1 - chain) ** WAYS,
        },
    }


def draw(result: dict) -> None:
    figure, panels = curves.panels(2, height=3.3, sharey=True)
    titles = {"checker": "Exact checker", "likelihood": "The model's likelihood"}
    for axes, (verifier, title) in zip(panels, titles.items(), strict=True):
        for name, look in zip(METHODS, LOOKS, strict=False):
            rows = result["methods"][verifier][name]
            x = [row["tokens"] + row["verifier_tokens"] for row in rows]
            curves.line(axes, x, [row["accuracy"] for row in rows], look, name)
        axes.set_xscale("log", base=2)
        curves.frame(axes, title, x="tokens a problem", share=True)
    panels[1].legend(loc="upper left", fontsize=8)
    save(figure, HERE / "search.png")


if __name__ == "__main__":
    main(__file__, measure, draw)
