"""What came of each stage: one page, OUT/report.html.

Every model is asked the same validation problems: as in training, under a second wording of the
prompt (reinforcement learning binds a policy to its template), general requests, and some rungs of
the ladder where the task has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minilrm import checkpoint, curves, files, machine, manner
from minilrm.intervals import mean
from minilrm.measure import Scores, measure
from minilrm.pipeline.stages import WEIGHTS, Done, fingerprint
from minilrm.report.page import PAGE, STYLE, section
from minilrm.report.words import escape
from minilrm.rollout import Episode
from minilrm.tasks import Problem, Task, get_task

if TYPE_CHECKING:
    from minilrm.pipeline.r1 import R1, Options

SHOWN = 3  # problems whose answers stand on the page
RUNGS = ("new shapes", "6 steps", "to 600", "hand-written")
COLUMNS = {
    "accuracy": "right, sampled",
    "greedy": "right, greedily",
    "second wording": "greedily, second wording",
    "general": "general requests",
    "mixing": "mixes languages",
    "mixing, Spanish": "asked in Spanish",
    "repetition": "words that repeat",
    "length": "tokens an answer",
    "seconds": "seconds",
}


def write_page(options: Options, recipe: R1, done: Mapping[str, Done]) -> Path:
    """Measure every model that has not been measured yet, and write the page."""
    models = {"base": checkpoint.resolve(recipe.base)}
    models |= {
        name: options.out / name / d.artefact
        for name, d in done.items()
        if (options.out / name / d.artefact / WEIGHTS).is_file()
    }
    known_path = options.out / "figures.json"
    known = files.read_json(known_path) if known_path.is_file() else {}
    for name, place in models.items():
        key = f"{fingerprint(place)}/{options.eval_n}"
        if known.get(name, {}).get("of") != key:
            print(f"measuring {name} ...", flush=True)
            found = look(
                place,
                recipe.task,
                split="validation",
                n=options.eval_n,
                seed=options.seed,
                device=options.device,
            )
            known[name] = {"of": key, **found}
            files.write_json_atomic(known_path, known)
    for name, d in done.items():
        if name in models:
            known[name]["seconds"] = d.seconds
    path = options.out / "report.html"
    page = render({name: known[name] for name in models}, done)
    files.write_bytes_atomic(path, page.encode("utf-8", "replace"))
    return path


# -- measuring -------------------------------------------------------------------------------------


def look(
    place: str | Path, task: Task, *, split: str, n: int, seed: int, device: str = "auto"
) -> dict[str, Any]:
    """The figures of one model on n problems of a split, and what it answers to a few of them."""
    _, model, tokenizer, _ = checkpoint.open_model(place, machine.choose_device(device))
    problems = task.problems(split, n)

    def ask(of: Task, asked: list[Problem], **how: Any) -> tuple[Scores, list[Episode]]:
        limit = of.max_new_tokens
        return measure(model, tokenizer, of, asked, seed=seed, max_new_tokens=limit, **how)

    sampled, episodes = ask(task, problems)
    greedy, shown = ask(task, problems, temperature=0.0)
    textbook, _ = ask(task, problems, temperature=0.0, style="textbook")
    talk = get_task("general")
    general, _ = ask(talk, talk.problems(split, n), temperature=0.0)
    thinking = [e for e in episodes if e.thinks]
    abroad = [e for e in thinking if e.problem.meta.get("language") == "es"]
    found: dict[str, Any] = {
        "accuracy": sampled.accuracy,
        "accuracy_ci": sampled.accuracy_ci,
        "greedy": greedy.accuracy,
        "second wording": textbook.accuracy,
        "general": general.accuracy,
        "mixing": mixing(thinking),
        "mixing, Spanish": mixing(abroad),
        "repetition": -mean(manner.repetition(episodes)),
        "length": sampled.mean_length,
        "n": sampled.n,
        "rungs": {},
        "answers": [[e.problem.prompt, e.problem.answer, e.text] for e in shown[:SHOWN]],
    }
    for rung in (rung for rung in RUNGS if rung in task.rungs):
        found["rungs"][rung] = ask(task, task.rung_problems(rung, n), temperature=0.0)[0].accuracy
    return found


def mixing(answers: Sequence[Episode]) -> float | None:
    """The share of answers in more than one language; None of none."""
    return 1 - mean(manner.one_language(answers)) if answers else None


# -- the page --------------------------------------------------------------------------------------


def render(figures: Mapping[str, dict[str, Any]], done: Mapping[str, Done]) -> str:
    rungs = [r for r in RUNGS if any(r in f["rungs"] for f in figures.values())]
    n = next(iter(figures.values()))["n"]
    body = [
        "<h1>From the base to R1, stage by stage</h1>",
        f"<p class=where>{n} validation problems, the same for all; nothing was tuned on them "
        "here.</p>",
        section("Accuracy", f"<div class=curves>{curve(figures)}</div>"),
        section("Figures", figures_table(figures, rungs)),
        section("Examples that were kept", kept_table(done)),
        section("The same problems, answered by each", answers(figures)),
    ]
    return PAGE.format(title="pipeline", style=STYLE, body="\n".join(body))


@curves.style()
def curve(figures: Mapping[str, dict[str, Any]]) -> str:
    """Right answers, general requests and mixing over the stages: is there a dip?"""
    figure, [axes] = curves.panels(1, height=3.0)
    names = list(figures)
    for key, look_ in zip(("accuracy", "general", "mixing"), curves.LOOKS, strict=False):
        values = [figures[name][key] for name in names]
        known = [(i, v) for i, v in enumerate(values) if v is not None]
        curves.line(axes, [i for i, _ in known], [v for _, v in known], look_, COLUMNS[key])
    axes.set_xticks(range(len(names)), names, rotation=30)
    curves.frame(axes, "Stage by stage", share=True)
    axes.legend()
    return curves.svg(figure, "right answers, general requests and mixing over the stages")


def figures_table(figures: Mapping[str, dict[str, Any]], rungs: list[str]) -> str:
    head = "".join(f"<th>{escape(words)}" for words in (*COLUMNS.values(), *rungs))
    rows = []
    for name, found in figures.items():
        cells = [cell(key, found.get(key)) for key in COLUMNS]
        cells += [cell("rung", found["rungs"].get(rung)) for rung in rungs]
        rows.append(f"<tr><th>{escape(name)}" + "".join(f"<td>{c}" for c in cells))
    return f"<table><tr><th>{head}{''.join(rows)}</table>"


def cell(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if key in ("length", "seconds") else f"{value:.1%}"


def kept_table(done: Mapping[str, Done]) -> str:
    rows = []
    for name, d in done.items():
        if "sampled" in d.figures:
            said = ", ".join(f"{what} {n}" for what, n in d.figures.items() if what != "tokens")
            rows.append(f"<tr><th>{escape(name)}<td>{escape(said)}")
    return f"<table>{''.join(rows)}</table>" if rows else ""


def answers(figures: Mapping[str, dict[str, Any]]) -> str:
    """What each model answers to a few problems, greedily."""
    parts = []
    for i, (prompt, answer, _) in enumerate(next(iter(figures.values()))["answers"]):
        of = "".join(
            f"<div><h4>{escape(name)}</h4><pre>{escape(found['answers'][i][2].strip())}</pre></div>"
            for name, found in figures.items()
        )
        parts.append(
            f"<article><p>{escape(prompt)} <span class=answer>{escape(answer)}</span></p>"
            f"<div class=pair>{of}</div></article>"
        )
    return "".join(parts)
