"""The study of tools: its figures, from finished parts that are made up here."""

import pytest

from minilrm.errors import UserError
from studies import common
from studies.tools import figures, study

PAGE = "".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in figures.BLOCKS)


def cell(right, calls, made_up=None):
    level = {"call_rate": min(1.0, calls), "calls": calls, "accuracy": 0.5, "n": 40}
    tools = {"calls": calls, "by_level": {"1": level}, "made_up": made_up, "facts_n": 40}
    return {"accuracy": right.count("1") / len(right), "right": right, "tools": tools}


def part(kind, name, on, off, **more):
    return {
        "kind": kind,
        "seed": more.pop("seed", 0),
        "test": {name: {"on": on, "off": off}},
        **more,
    }


PARTS = [
    part("base", "prices", cell("0110" * 10, 0.5, 0.25), cell("0010" * 10, 0.0, 0.75)),
    *(
        part(
            "grpo-prices", "prices", cell("1110" * 10, 1.5, 0.0), cell("0000" * 10, 0.0, 0.5),
            task="prices", seed=seed, curves={"tools/call_rate/level-1": [0.5, None, 1.0]},
        )
        for seed in (0, 1)
    ),
]  # fmt: skip


@pytest.fixture
def summary(monkeypatch):
    monkeypatch.setattr(common, "load_results", lambda study: PARTS)
    return figures.summarise()


def test_the_gain_is_that_of_the_same_problems(summary):
    base = summary["prices"]["base"][0]
    assert base["gain"]["value"] == 0.25 and "right" not in base["on"]
    assert [seed["gain"]["value"] for seed in summary["prices"]["grpo"]] == [0.75, 0.75]


def test_each_block_tells_what_was_measured(summary):
    page = figures.filled(PAGE, summary)
    assert "| prices: the base | 50.0 % | 25.0 % | +25.0, 1 of 1 | 0.50 |" in page
    assert "| one to look up | 50.0 % / 50.0 % | 100.0 % / 50.0 % |" in page
    assert "| the base | 25.0 % | 75.0 % | 40 |" in page
    assert "Not measured yet" not in page
    assert figures.draw(summary).startswith(b"\x89PNG")


def test_what_is_missing_says_how_to_make_it(monkeypatch):
    monkeypatch.setattr(common, "load_results", lambda study: [])
    page = figures.filled(PAGE, figures.summarise())
    assert page.count("Not measured yet: `python -m studies.tools all`") == 3
    with pytest.raises(UserError, match="none of the markers"):
        figures.filled("nothing", {})


def test_a_price_of_nearly_nothing_pushes_as_hard_as_a_high_one_under_std():
    rows = [line for line in figures.price_block({}).splitlines() if line.startswith("| all right")]
    std, none = ([float(x) for x in row.split("|")[2:5]] for row in rows)
    assert std[0] == none[0] == 0 and std[1] < -0.7 and none[1] > -0.01


def test_a_price_comes_behind_the_run_that_it_goes_on_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="studies.tools grpo-long-sums 1"):
        study.study_grpo("price", "long-sums", 1)


def test_every_part_has_its_name():
    assert {"base", "zero-shot", "sft", "grpo-long-sums", "price-loops", "alone-prices"} <= set(
        study.STUDIES
    )
