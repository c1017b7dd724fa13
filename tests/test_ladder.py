"""`python -m minilrm.evaluate --ladder`: every rung with its own interval, and what is refused."""

import json

import pytest

from minilrm import cli, evaluate
from minilrm.evaluate.ladder import WAYS
from minilrm.tasks import get_task
from studies import ladders
from studies.stories import figures
from studies.stories.study import with_one_left_open

RUNGS = get_task("stories").rungs


def run(base, *argv):
    words = ["--checkpoint", str(base), "--device", "cpu", "--threads", "1", *map(str, argv)]
    options = cli.parse(evaluate.Options, words, prog="evaluate", description="")
    return evaluate.main(options)


@pytest.fixture(scope="module")
def result(base, tmp_path_factory):
    out = tmp_path_factory.mktemp("ladder") / "ladder.json"
    own = out.with_name("own.jsonl")
    lines = [
        {"question": "1 + 1?", "answer": "<<1+1=2>>2\n#### 2"},
        {"question": "Much?", "answer": "\n".join("<<1+1=2>>2" for _ in range(4)) + "\n#### 2"},
    ]
    own.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run(base, "--task", "stories", "--ladder", "--n", 2, "--max-new-tokens", 8, "--data", own,
        "--out", out)  # fmt: skip
    return json.loads(out.read_text())


def test_every_rung_is_answered_in_every_way(result):
    assert list(result["rungs"]) == [*RUNGS, "own.jsonl"]
    for name, rung in result["rungs"].items():
        assert rung["meaning"] == RUNGS.get(name, "problems of own.jsonl of at most 3 steps")
        assert all(rung[way]["n"] == len(rung[way]["outcomes"]) for way in WAYS)
        assert rung["greedy"]["n"] == (2 if name in RUNGS else 1)  # the long one is left out
        assert rung["greedy"]["ci"][0] <= rung["greedy"]["accuracy"] <= rung["greedy"]["ci"][1]


def test_no_rate_of_fewer_than_20(result):
    shown = evaluate.ladder.ladder_table(result)
    assert shown.count("too few (n = 2)") == len(RUNGS) and "%" not in shown.splitlines()[1]


@pytest.mark.parametrize("task", ["countdown", "gsm8k-mini"])
def test_a_task_without_a_ladder_is_one_line(base, task, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.run_command(
            evaluate.main,
            evaluate.Options,
            prog="evaluate",
            description="",
            argv=["--checkpoint", str(base), "--task", task, "--ladder"],
        )
    assert stop.value.code == 2
    assert f"{task} has no ladder; it is for stories" in capsys.readouterr().err


def test_the_figures_are_those_of_the_results(result):
    rungs = {name: result["rungs"][name] for name in RUNGS}
    records = [
        {"kind": "base", "seed": 0, "ladder": rungs},
        *({"kind": "grpo", "seed": seed, "ladder": rungs} for seed in (0, 1)),
    ]
    summary = figures.summarise(records)
    first = summary["rungs"]["new stories"]
    assert first["base"]["greedy"]["accuracy"] == rungs["new stories"]["greedy"]["accuracy"]
    assert first["grpo"]["greedy"]["seeds"] == [rungs["new stories"]["greedy"]["accuracy"]] * 2
    assert ladders.draw(figures.rows(summary)).startswith(b"\x89PNG")
    assert figures.table(summary).count("\n") == 2 + len(RUNGS)


def test_a_near_neighbour_differs_in_one_relation():
    assert with_one_left_open("more(has)") == {"?(has)", "more(?)"}
    assert with_one_left_open("more(has)") & with_one_left_open("fewer(has)")
    assert not with_one_left_open("more(has)") & with_one_left_open("fewer(boxes)")
