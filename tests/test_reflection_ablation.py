"""Reflection taken away from a random model, the gain split, the verdict, the command. (Counting:
test_reflection.py.)"""

import json
import random
import re
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minilrm import checkpoint, reflection
from minilrm.cli import run_command
from minilrm.errors import UserError
from minilrm.model import Transformer
from minilrm.reflection import ablation, command, reading
from minilrm.reflection.ablation import reflection_ids
from minilrm.rollout import rollout
from minilrm.sampler import Ban
from minilrm.tasks import TASKS, get_task
from minilrm.tasks.traces import Writer
from tests.conftest import TINY
from tests.test_reflection import (
    AT_ONCE,
    CARELESS,
    FINDS_IT,
    GIVES_UP,
    TOY,
    TRACED,
    episode,
    many,
    measured,
    problem,
)

# -- the ban ---------------------------------------------------------------------------------------


def spellings(tokenizer, text):
    """All ways to write a text as tokens, special ones included."""
    if not text:
        return [[]]
    tokens = {i: tokenizer.token_bytes(i) for i in range(len(tokenizer))}
    return [
        [i, *rest]
        for i, token in tokens.items()
        if text.startswith(token)
        for rest in spellings(tokenizer, text[len(token) :])
    ]


@pytest.mark.parametrize("text", ["\nwait, 3", "wait", " wait", "<wait>", ".wait ", "no wait"])
def test_no_spelling_of_the_word_escapes_the_ban(tokenizer, text):
    """Mistake: banning the one token "wait", whereupon the model says "w", "a", "i", "t"."""
    banned, ways = set(reflection_ids(tokenizer)), spellings(tokenizer, text.encode())
    assert len(ways) >= 2 and all(banned & set(way) for way in ways)


def test_the_ban_leaves_everything_else(tokenizer):
    """Mistake: banning every token with a "w" in it, and with them "<answer>"."""
    banned = set(reflection_ids(tokenizer))
    for text in (
        " 3*4=12, 12+1=13 no\n<answer>3*4+1</answer>",
        "\n#### 12",
        " now two towels know",
        " week",
    ):
        assert not banned & set(tokenizer.encode(text, allow_special=True)), text
    assert len(banned) < 8 and tokenizer.eos_id not in banned


def test_the_hook_answers_at_once_with_the_same_ban(tokenizer):
    hook = reflection.ban_reflection(tokenizer)
    assert isinstance(hook(0, []), Ban) and hook(0, []) is hook(999, [1, 2, 3])
    assert sorted(hook(0, []).ids) == reflection_ids(tokenizer)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Transformer(TINY).eval()


def test_no_banned_token_is_ever_sampled(model, tokenizer):
    """Without the ban this random model says them, and with it never; the rest of what it may say
    stays as likely."""
    problems, banned = [problem(i) for i in range(40)], set(reflection_ids(tokenizer))
    sampling = {"seed": 1, "max_new_tokens": 60, "group_size": 2}
    free = rollout(model, tokenizer, TOY, problems, **sampling)
    bound = reflection.ablate(model, tokenizer, TOY, problems, **sampling)
    said = [
        {i for e in reading.flatten(groups) for i in e.completion_ids} for groups in (free, bound)
    ]
    assert banned & said[0] and not banned & said[1]
    assert len(bound) == 40 and all(len(g) == 2 for g in bound) and len(said[1]) > 900
    assert all("wait" not in e.text for g in bound for e in g)


# -- gap and decomposition -------------------------------------------------------------------------


def groups_of(outcomes):
    """One group a problem; an outcome is the number of right answers among two."""
    return [
        [episode(AT_ONCE if i < right else CARELESS, key) for i in range(2)]
        for key, right in enumerate(outcomes)
    ]


OUTCOMES = st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=40)


@given(OUTCOMES)
@settings(derandomize=True, deadline=None, max_examples=10)
def test_the_parts_of_the_gain_add_up(outcomes):
    """Mistake: sharpening against the base with its own ban, or parts over different problems: they
    miss the gain."""
    before, after, banned = (groups_of(column) for column in zip(*outcomes, strict=True))
    parts = reflection.decompose(before, after, banned)
    assert parts["sharpening"]["difference"] + parts["retrying"]["difference"] == pytest.approx(
        parts["gain"]["difference"], abs=1e-12
    )
    gap = reflection.ablation_gap(after, banned)
    assert {name: parts["retrying"][name] for name in gap} == gap
    shares = [parts[name]["share"] for name in ("sharpening", "retrying")]
    assert (
        shares == [None, None]
        if parts["gain"]["share"] is None
        else sum(shares) == pytest.approx(1)
    )


def test_a_known_decomposition():
    before, after, banned = (
        groups_of([0] * 80 + [2] * 20),
        groups_of([2] * 80 + [0] * 20),
        groups_of([2] * 35 + [0] * 65),
    )
    parts = reflection.decompose(before, after, banned)
    assert {name: round(part["difference"], 3) for name, part in parts.items()} == {
        "gain": 0.6,
        "sharpening": 0.15,
        "retrying": 0.45,
    }
    assert parts["sharpening"]["share"] == pytest.approx(0.25) and parts["retrying"][
        "share"
    ] == pytest.approx(0.75)
    for part in parts.values():
        assert (
            part["ci"][0] < part["difference"] < part["ci"][1]
            and part["n"] == 100
            and not part["too_few"]
        )


def test_there_are_no_shares_of_no_gain():
    """Mistake: dividing by a gain that may be 0, which gives "300 % sharpening"."""
    same = groups_of([1] * 50)
    assert {
        part["share"] for part in reflection.decompose(same, same, groups_of([0] * 50)).values()
    } == {None}
    few = reflection.decompose(groups_of([0] * 9), groups_of([2] * 9), groups_of([2] * 9))
    assert few["gain"]["too_few"] and few["gain"]["share"] is None


def test_only_the_same_problems_are_compared():
    """Mistake: pairing runs over other problems, or in another order."""
    groups = groups_of([0, 2] * 20)
    with pytest.raises(ValueError, match="same problems"):
        reflection.ablation_gap(groups, groups[::-1])
    with pytest.raises(ValueError, match="same problems"):
        reflection.ablation_gap(groups, groups[:-1])


# -- the verdict -----------------------------------------------------------------------------------

BASE = measured(*[GIVES_UP] * 19, FINDS_IT)  # retries 20 of 400
REFLECTS = measured(*[FINDS_IT] * 9, GIVES_UP)
GAP = {"difference": 0.4, "ci": [0.36, 0.44], "n": 1000, "too_few": False}
NO_GAP = {"difference": 0.01, "ci": [-0.01, 0.03], "n": 1000, "too_few": False}


def judged(before=BASE, after=REFLECTS, gap=GAP):
    found = reflection.verdict(before, after, gap)
    json.dumps(found, allow_nan=False)
    return found["verdict"], found["failed"]


def test_load_bearing():
    assert judged() == ("load-bearing", [])


def test_the_evidence_stands_beside_the_verdict():
    evidence = reflection.verdict(BASE, REFLECTS, GAP)["evidence"]
    assert evidence == {
        "retry_rate_before": BASE["retry_rate"],
        "retry_rate_after": REFLECTS["retry_rate"],
        "corrected": 180,
        "spoiled": 0,
        "ablation_gap": GAP,
    }


def test_more_waiting_that_the_answer_does_not_need_is_superficial():
    """Mistake: "it says wait more often, so it reflects"; and a gap above 0 whose interval is
    not."""
    assert judged(gap=NO_GAP) == ("superficial", ["ablation_gap_above_0"])
    assert judged(gap={**GAP, "ci": [0.0, 0.8]}) == ("superficial", ["ablation_gap_above_0"])


@pytest.mark.parametrize(
    "corrected, spoiled, word",
    [
        (100, 20, "load-bearing"),
        (99, 20, "superficial"),
        (100, 0, "load-bearing"),
        (0, 0, "superficial"),  # mistake: 0 >= 5 x 0 holds
        (0, 9, "superficial"),
        (20, 100, "superficial"),
    ],
)
def test_five_must_be_corrected_for_one_spoiled(corrected, spoiled, word):
    """Mistake: corrected > spoiled, or spoiled against corrected."""
    assert judged(after={**REFLECTS, "corrected": corrected, "spoiled": spoiled})[0] == word


def test_what_did_not_rise_is_absent():
    """Mistake: a high retry rate taken for one that rose; the base may have had it already."""
    assert judged(before=REFLECTS, after=REFLECTS) == ("absent", ["retry_rate_rose"])
    assert judged(before=REFLECTS, after=BASE, gap=NO_GAP)[0] == "absent"
    never = measured(GIVES_UP)
    assert judged(never, never, NO_GAP)[0] == "absent"


def test_rose_means_that_the_intervals_are_apart():
    """Mistake: comparing the two rates: 20 against 25 in 100 is noise."""
    low, high = (
        measured(*[FINDS_IT] * 4, *[GIVES_UP] * 16, times=5),
        measured(*[FINDS_IT] * 5, *[GIVES_UP] * 15, times=5),
    )
    assert (
        low["retry_rate"]["rate"] == 0.2 < high["retry_rate"]["rate"]
        and judged(low, high)[0] == "absent"
    )


def test_too_few_failures_make_no_verdict():
    """Mistakes: an exception; "absent", which is a finding; or a comparison with None."""
    perfect = measured(AT_ONCE)
    assert judged(after=perfect) == ("too few", ["corrected_5_times_spoiled"])
    # unknown is not failed
    assert judged(before=perfect) == judged(gap={**GAP, "too_few": True}) == ("too few", [])
    # What the missing cases could not change is said all the same.
    assert (
        judged(gap={**GAP, "too_few": True}, after={**REFLECTS, "spoiled": 100})[0] == "superficial"
    )
    assert judged(BASE, BASE, {**GAP, "too_few": True})[0] == "absent"


def test_a_claim_holds_if_it_holds_in_every_seed():
    """Mistakes: the best seed; the majority of seeds; one seed."""
    strong, weak = (
        reflection.verdict(BASE, REFLECTS, GAP),
        reflection.verdict(BASE, REFLECTS, NO_GAP),
    )
    flat, few = (
        reflection.verdict(BASE, BASE, GAP),
        reflection.verdict(BASE, measured(AT_ONCE), GAP),
    )
    over = reflection.verdict_over_seeds
    assert over([strong] * 3)["verdict"] == "load-bearing" and over([strong] * 3)["claim"]
    assert (
        over([strong, weak, strong])["verdict"] == "superficial"
        and over([strong, weak, strong])["claim"] is False
    )
    assert over([weak] * 3)["claim"] and not over([strong, flat, strong])["claim"]
    assert over([strong, flat, strong])["verdict"] == over([weak, flat, few])["verdict"] == "absent"
    assert over([strong, few, weak])["verdict"] == "too few"
    assert over([strong, strong])["claim"] is False
    with pytest.raises(ValueError):
        over([])


def test_seeds_are_shown_each_with_mean_and_range():
    found = reflection.verdict_over_seeds(
        [reflection.verdict(BASE, REFLECTS, {**GAP, "difference": d}) for d in (0.3, 0.5, 0.4)]
    )
    assert found["ablation_gap"] == {
        "mean": pytest.approx(0.4),
        "minimum": 0.3,
        "maximum": 0.5,
        "each": [0.3, 0.5, 0.4],
    }
    assert (
        found["retry_rate"]["each"] == [0.9] * 3
        and found["each"] == ["load-bearing"] * 3
        and found["failed"] == [[]] * 3
    )
    few = reflection.verdict(BASE, measured(AT_ONCE), GAP)
    assert reflection.verdict_over_seeds([few])["retry_rate"] is None


# -- from end to end -------------------------------------------------------------------------------


def test_a_study_asks_the_same_problems_three_times(model, tokenizer):
    problems = [problem(i) for i in range(24)]
    result = reflection.study(
        model, model, tokenizer, TOY, problems, seed=3, samples=2, max_new_tokens=12
    )
    json.dumps(result, allow_nan=False)
    # one model, one seed: the noise is the same, so nothing differs
    assert result["before"] == result["after"]
    assert (
        result["decomposition"]["gain"]["difference"] == 0
        and result["n"] == 24
        and result["after"]["n"] == 48
    )
    assert result["verdict"]["verdict"] == "too few" and len(result["right"]["after_banned"]) == 24
    assert result["after_banned"]["reflection_rate"]["count"] == 0
    alone = reflection.study(
        None, model, tokenizer, TOY, problems, seed=3, samples=2, max_new_tokens=12
    )
    assert alone["after"] == result["after"] and "verdict" not in alone and "before" not in alone


def test_only_the_third_pass_is_banned_and_all_draw_the_same_numbers(model, tokenizer, monkeypatch):
    """Mistakes: the ban forgotten, or laid on both sides of the gap; seeds that differ, which adds
    their noise to it."""
    calls = []
    monkeypatch.setattr(
        ablation,
        "rollout",
        lambda model, *rest, **how: calls.append((model, how)) or rollout(model, *rest, **how),
    )
    other = Transformer(TINY).eval()
    reflection.study(
        other, model, tokenizer, TOY, [problem(0)], seed=3, temperature=0.5, max_new_tokens=2
    )
    assert [called is model for called, _ in calls] == [False, True, True]
    assert ["allowed" in how for _, how in calls] == [False, False, True]
    assert {(how["seed"], how["temperature"], how["max_new_tokens"]) for _, how in calls} == {
        (3, 0.5, 2)
    }


def test_a_study_without_room_says_so(model, tokenizer):
    """Mistake: looking at the trained model's context alone."""
    short = Transformer(replace(TINY, max_seq_len=40))
    for models, limit in (((None, model), 400), ((short, model), 39), ((model, short), 39)):
        with pytest.raises(UserError, match=f"no prompt leaves room for {limit}"):
            reflection.study(*models, tokenizer, TOY, [problem(0)], max_new_tokens=limit)


@pytest.fixture
def folder(model, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "toy", "tests.test_reflection:Toy")
    return str(
        checkpoint.save(tmp_path / "toy-model", model, tokenizer, info=checkpoint.Info(task="toy"))
    )


def run(*argv):
    run_command(
        command.main,
        reflection.Options,
        [*map(str, argv), "--threads", "1"],
        prog="reflection",
        description="",
    )


def test_the_command_prints_a_table_and_writes_json(folder, tmp_path, capsys):
    out = tmp_path / "found.json"
    run("--checkpoint", folder, "--before", folder, "--n", 30, "--max-new-tokens", 8, "--out", out)
    said = capsys.readouterr().out
    result = json.loads(out.read_text(encoding="utf-8"))
    assert {
        "before",
        "after",
        "after_banned",
        "ablation_gap",
        "decomposition",
        "verdict",
        "version",
    } <= set(result)
    assert (
        "tries again after failing  too few (0/0)" in said
        and "ablation gap" in said
        and "+0.0 points" in said
    )
    assert (
        'does not reflect: "wait" opens no attempt in 30 answers' in said
        and "of 0 failed first tries 0" in said
    )
    assert "verdict: too few; not shown: retry rate rose (too few cases)" in said
    assert max(map(len, said.splitlines())) < 160


def test_the_table_shows_rates_with_intervals_and_counts():
    groups, banned = (
        [[e] for e in many(*[FINDS_IT] * 9, GIVES_UP)],
        [[e] for e in many(*[GIVES_UP] * 10)],
    )
    before = [[e] for e in many(*[GIVES_UP] * 9, FINDS_IT)]
    figures = {
        name: reflection.measures(TOY, g)
        for name, g in (("before", before), ("after", groups), ("after_banned", banned))
    }
    gap = reflection.ablation_gap(groups, banned)
    text = command.table(
        {
            "task": "toy",
            "split": "test",
            "n": 200,
            "samples": 1,
            "temperature": 1.0,
            "too_long": 3,
            "seconds": 1.0,
            **figures,
            "ablation_gap": gap,
            "verdict": reflection.verdict(figures["before"], figures["after"], gap),
            "decomposition": reflection.decompose(before, groups, banned),
        }
    )
    assert re.search(
        r"tries again after failing +10\.0% 7-15 \(20/200\) +90\.0% 85-93 \(180/200\) "
        r"+0\.0% 0-2 \(0/200\)",
        text,
    )
    assert (
        re.search(r"ablation gap +\+90\.0 points", text)
        and "verdict: load-bearing" in text
        and "not shown" not in text
    )
    assert (
        re.search(r"sharpening +-10\.0 points .* -12% of the gain", text)
        and "(3 prompts too long" in text
    )
    assert (
        re.search(r"rejects a right attempt +0\.0% 0-16 \(0/20\)", text)
        and "does not reflect" not in text
    )


def test_a_result_is_never_written_over(folder, tmp_path, capsys, monkeypatch):
    """Refused before a model is opened."""
    out = tmp_path / "found.json"
    out.write_text("mine")
    monkeypatch.setattr(command, "open_model", lambda *args: pytest.fail("it was opened"))
    with pytest.raises(SystemExit) as ended:
        run("--checkpoint", folder, "--out", out)
    assert ended.value.code == 2 and out.read_text() == "mine"
    assert f"--out {out} is there already; choose another name" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--task", "arithmetic"], "'arithmetic' has no traces"),
        (["--task", "countdwn"], "--task cannot be 'countdwn'"),
        (["--n", "0"], "--n must be at least 1"),
        (["--out", "/nowhere/x.json"], "must name a file"),
        (["--before", "nobodys-model"], "no checkpoint 'nobodys-model'"),
    ],
)
def test_a_users_mistake_is_one_line(folder, argv, message, capsys):
    with pytest.raises(SystemExit) as ended:
        run("--checkpoint", folder, *argv)
    said = capsys.readouterr().err
    assert ended.value.code == 2 and message in said and said.count("\n") == 1


# -- the project's own tasks: writers whose habits are known ---------------------------------------


def written(task, writer, n=300):
    """What one kind of writer puts down for n problems."""
    rng, answers = random.Random(0), []
    for _ in range(n):
        asked = task.sample(rng)
        answers.append(episode(task.write(asked, rng, writer), task=task, asked=asked))
    return reflection.measures(task, answers)


@pytest.mark.parametrize("name", TRACED)
def test_writers_are_measured_as_they_write(name):
    task, writer = get_task(name), Writer(skill=0.4, careless=0.0)
    leaves, goes_on = written(task, writer), written(task, replace(writer, reflects=True))
    for figures in (leaves, goes_on):
        assert (
            figures["well_formed"]["rate"] == 1
            and sum(figures["transitions"]["none"].values()) == 0
        )
        assert figures["first_try_accuracy"]["rate"] == pytest.approx(0.4, abs=0.08)
        assert figures["false_reject"]["rate"] == 0 and figures["spoiled"] == 0
        assert not figures["repeated_attempts"]["count"]
    assert leaves["retry_rate"]["rate"] == 0 and leaves["corrected"] == 0
    assert (
        goes_on["retry_rate"]["rate"] > 0.8
        and goes_on["reflection_rate"]["rate"] > 0.4
        and goes_on["corrected"] > 60
    )
    assert judged(leaves, goes_on) == ("load-bearing", [])


@pytest.mark.parametrize("name", TRACED)
def test_careless_writers_accept_what_is_wrong(name):
    task = get_task(name)
    careful, careless = (written(task, Writer(skill=0.2, careless=c)) for c in (0.0, 0.5))
    assert careless["false_accept"]["rate"] > careful["false_accept"]["rate"] + 0.3


@pytest.mark.parametrize("name", TRACED)
def test_what_a_writer_puts_down_can_be_shown(name):
    task, rng = get_task(name), random.Random(1)
    asked = task.sample(rng)
    text = next(
        t
        for t in (task.write(asked, rng, Writer(skill=0.5, reflects=True)) for _ in range(50))
        if "wait" in t
    )
    pieces = reflection.highlight(task, asked, text)
    assert "".join(piece for piece, _ in pieces) == text
    assert {"attempt-wrong", "reflection", "answer"} <= {kind for _, kind in pieces}
