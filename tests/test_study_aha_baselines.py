"""studies/aha's baselines: in miniature from a tiny random base, and their numbers from made-up
results."""

import random
import sys

import pytest
from made_up_aha import N, bits, parallel, whole

from minilrm.errors import UserError
from minilrm.tasks import expressions, get_task
from minilrm.tasks.countdown import Countdown, make_problem
from studies import common
from studies.aha import baselines, numbers, rivals, rivals_text, steps
from studies.aha.claims import rival_claims

# -- the study -------------------------------------------------------------------------------------


@pytest.fixture
def study(base, tmp_path, monkeypatch):
    """A tiny model, few problems, three temperatures; results go to a folder of their own."""
    monkeypatch.setattr(Countdown, "max_new_tokens", 8)
    problems = Countdown().problems
    monkeypatch.setattr(
        Countdown, "problems", lambda self, split, n, seed=0: problems("validation", n, seed)
    )
    monkeypatch.setattr(common, "results_file", lambda name: tmp_path / f"{name}.jsonl")
    few = {"N": 22, "MOST": 3, "SEEDS": (0, 1), "BLOCK": 16}
    few |= {"base_of": lambda task, seeded=True: str(base)}
    few["KINDS"] = {
        "forced": (True, (0.0, 1.0)),
        "unrepeated": (False, (1.0,)),
        "draws": (False, (1.0,)),
    }
    for name, value in few.items():
        monkeypatch.setattr(baselines, name, value)
    return baselines


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["baselines", *words])
    baselines.main()


def test_all_parts_run_once_and_the_test_is_asked_at_one_temperature(study, tmp_path, monkeypatch):
    """Mistakes: the temperature chosen on test; a part done twice; records without the outcomes
    that differences need."""
    run(monkeypatch, "countdown", "all")
    lines = (tmp_path / "aha-baselines.jsonl").read_text(encoding="utf-8")
    parts = common.load_results("aha-baselines")
    asked = [(p["kind"], p["seeded"], p["split"], p["temperature"]) for p in parts if "split" in p]
    for kind, seeded in (("forced", True), ("forced", False), ("unrepeated", True)):
        tested = {t for k, s, split, t in asked if (k, s, split) == (kind, seeded, "test")}
        assert tested == {study.chosen("countdown", kind, seeded)}
    assert [p["kind"] for p in parts].count("draws") == 1 + 2 + 1  # the last: unseeded, for pass@k
    for p in parts:
        if p["kind"] in ("forced", "unrepeated"):
            assert len(p["right"]) == len(p["lengths"]) == p["n"] == 22
            assert p["tokens"] == pytest.approx(sum(p["lengths"]) / 22)
        if p["kind"] == "draws":
            assert len(p["counts"]) == 22 and [r["samples"] for r in p["parallel"]] == [1, 2, 3]
            assert p["parallel"][0]["tokens"] == p["parallel"][0]["tokens_all"]
    run(monkeypatch, "countdown", "all")
    assert (tmp_path / "aha-baselines.jsonl").read_text(encoding="utf-8") == lines


# -- the best rule ---------------------------------------------------------------------------------


def test_rules_are_all_expressions_and_no_two_are_one():
    """Mistake: the same rule twice in another order, so that the number of rules is too large."""
    rules = baselines.rules_of("abc")
    places = dict(zip("abc", (13, 29, 7), strict=True))
    assert all(
        sorted(expressions.leaves(baselines.filled(tree, places))) == [7, 13, 29]
        for tree in rules.values()
    )
    values = [expressions.value(baselines.filled(tree, places)) for tree in rules.values()]
    assert len(set(values)) == len(values) == len(rules) == 68
    assert {"a+b+c", "a*b-c", "(b+c)*a"} & set(rules) and "b+a+c" not in rules


def test_a_rule_is_right_where_it_makes_the_target():
    problems = [
        make_problem([3, 25, 4], 32),
        make_problem([2, 3, 4], 9),
        make_problem([2, 3, 4], 14),
    ]
    found = baselines.rules_right(problems)
    assert found["a+b+c"] == found["x+y+z"] == 2
    assert found["a+b*c"] + found["b*c+a"] == 1  # 2 + 3 * 4, a Counter knows but one of them


# -- numbers ---------------------------------------------------------------------------------------


def forced(right, lengths, kind="forced", split="test", temperature=0.6, seed=0, **more):
    return {
        "task": "countdown",
        "kind": kind,
        "base": "countdown-base",
        "seeded": True,
        "split": split,
        "temperature": temperature,
        "seed": seed,
        "accuracy": right.count("1") / len(right),
        "ci": [0.4, 0.6],
        "n": len(right),
        "right": right,
        "lengths": lengths,
        "tokens": sum(lengths) / len(lengths),
        "measures": {},
        "problems_sha256": "ab",
        **more,
    }


def results():
    """The made-up study, as `read_results` has it."""
    kinds = {k: {} for k in ("bases", *numbers.ARMS, "parallel", "timing", "pretraining")}
    for r in whole():
        home, name = numbers.place_of(r, kinds)
        home[name] = r
    return kinds


def test_an_answer_that_is_cut_off_is_wrong_and_costs_its_limit():
    """Mistakes: counted as right since it would have been; its full length charged; refused
    attempts for nothing."""
    part = forced("1101", [10, 40, 20, 30])
    rows, tokens = rivals.cut([part], 30)
    assert rows == [[1, 0, 0, 1]] and tokens == [(10 + 30 + 20 + 30) / 4]
    rows, tokens = rivals.cut([part | {"refused_each": [25, 0, 0, 0]}], 30)
    assert rows == [[0, 0, 0, 1]] and tokens == [(30 + 30 + 20 + 30) / 4]
    assert rivals.limit_for(part, 22.5) == 30 and rivals.limit_for(part, 25.0) is None


def test_the_rival_is_the_temperature_of_validation():
    """Mistake: the best test line, whatever its temperature."""
    tried = [
        forced(bits(rate, 1), [20] * N, split="validation", temperature=t)
        for t, rate in ((0.3, 0.8), (0.6, 0.7))
    ]
    tests = [forced(bits(0.9, 2), [20] * N), forced(bits(0.75, 3), [20] * N, temperature=0.3)]
    found = rivals.of([*tried, *tests], "forced", True)
    assert [p["temperature"] for p in found["test"]] == [0.3]


def test_what_is_left_of_the_gain(monkeypatch):
    """Half of the made-up gain is there without training: a difference only beside the base cut
    off to GRPO's tokens."""
    monkeypatch.setattr(rivals, "AT", (1, 2, 4))
    lengths = [30] * (N // 2) + [130] * (N // 2)
    tried = [forced(bits(0.9, 9), lengths, split="validation")]
    parts = tried + [forced(bits(0.9, s), lengths, seed=s) for s in range(3)]
    found = rivals.summarise(results(), parts)
    assert found["policy"]["tokens"] == 60.0
    assert found["forced"]["seeded"]["equal"]["limit"] == 90
    assert found["forced"]["seeded"]["equal"]["tokens"] == 60.0
    free, equal = (found["differences"][f"GRPO less forced{x}"] for x in ("", ", equal tokens"))
    assert free["significant"] is False and equal["significant"] is True
    assert equal["difference"] == pytest.approx(0.45, abs=0.05)
    claims = {c["claim"]: c["holds"] for c in rival_claims({"rivals": found})}
    assert [v for k, v in claims.items() if "above 0" in k] == [False, True]
    worth = found["counterfactuals"]["0"]
    assert worth["worth by the ban"] == pytest.approx(0.4)
    assert worth["worth in training"] == pytest.approx(0.9 - 0.5)
    assert worth["share of the gain, trained without"] == pytest.approx(0.25 / 0.65)


def test_what_is_not_measured_is_said_so():
    kinds = results()
    summary = {"bases": {}, "arms": {}, "rivals": rivals.summarise(kinds, [])}
    page = "\n".join(rivals_text.block("countdown", summary))
    assert page.count("not measured yet") >= 3 and "studies.aha.baselines countdown all" in page


def test_results_on_other_problems_are_not_compared():
    with pytest.raises(UserError, match="different problems"):
        rivals.summarise(results(), [forced("1" * N, [9] * N, problems_sha256="cd")])


def test_pass_at_k_of_a_policy_is_any_of_its_first_draws():
    kinds = results()
    rows = [{**parallel(0)["parallel"][0], "samples": n, "oracle": n / 20} for n in range(1, 17)]
    kinds["parallel"] = {s: {**parallel(0), "parallel": rows} for s in "012"}
    found = rivals.pass_figures(kinds, [])
    assert found["RL, unseeded"]["8"] == {"mean": pytest.approx(0.4), "min": 0.4, "max": 0.4}
    assert "base, seeded" not in found


# -- the weight of a number ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "task, text",
    [
        ("countdown", " 25-7=18, 18+4=22 no\nwait, 4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>"),
        (
            "multiplication",
            " 347*86=27760+2092=29852~26~8, 14~5 14~5 5*5~7 no\n"
            "wait, 347*86=27760+2082=29842~25~7, 14~5 14~5 5*5~7 ok\n#### 29842",
        ),
    ],
)
def test_each_number_of_the_last_attempt_has_a_name(task, text):
    """Mistake: names that slip by one, so that a row's effect is told of the sum."""
    rng, traced = random.Random(0), get_task(task)
    trace = traced.parse_trace(text)
    found = {k: text[a:b] for k, a, b in steps.places(traced, trace, text, rng)}
    assert list(found) == [*steps.KINDS[task], steps.EARLIER]
    last = {"second step: its result": "53"} if task == "countdown" else {"the sum": "29842"}
    assert {k: found[k] for k in last} == last
    assert all(
        len(steps.changed(n, rng)) == len(n) and steps.changed(n, rng) != n for n in found.values()
    )
