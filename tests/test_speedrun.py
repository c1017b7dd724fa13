"""From random weights through everything at toy size: killed in its stages, it ends as if nothing
had been."""

import dataclasses
import json

import pytest
from conftest import TINY, pay
from miniature import interrupt_in_step

from minilrm import corpus, manner, pipeline, sft, speedrun, traces
from minilrm.errors import UserError
from minilrm.loop import run as loop_run
from minilrm.model import SCALES
from minilrm.pipeline import r1
from minilrm.pipeline.stages import Done, Stage
from minilrm.speedrun import Size, everything
from minilrm.speedrun.card import card
from minilrm.tasks.bilingual import Bilingual
from minilrm.tokenizer import EOS, SPECIALS

NAMES = ["tokenizer", "pretrain", "sft", "grpo", "pipeline", "distill", "evaluation"]
TOY = Size(
    texts=200, tokens=6_000, batch=512, sft_steps=2, rl_steps=2, questions=2, prompts=6,
    student="pico", distill_steps=2, eval_n=2, test_n=3,
)  # fmt: skip


def keep_all(episodes, seen):
    """In the place of `keep_right`, for a model that is never right: every answer, given an end and
    held for a thought."""
    kept = []
    for e in episodes:
        ended = dataclasses.replace(
            e, completion_ids=[*e.completion_ids, SPECIALS.index(EOS)], mask=[*e.mask, 1]
        )
        ended.thinks = True
        kept.append(ended if e.finish_reason == "length" else e)
    tokens = sum(e.length for e in kept)
    return kept, dict(sampled=len(kept), kept=len(kept), tokens=tokens)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few documents, a tiny model, short answers, and no pages of runs."""
    build = corpus.build
    monkeypatch.setattr(
        corpus, "build", lambda words, tokens, pages: build(words, 6_000, pages, chunk=20)
    )
    monkeypatch.setattr(Bilingual, "max_new_tokens", 6)
    monkeypatch.setitem(everything.SIZES, "pico", TOY)
    monkeypatch.setitem(SCALES, "pico", TINY)
    monkeypatch.setattr(r1, "keep_right", keep_all)
    monkeypatch.setattr(traces, "keep_right", keep_all)
    monkeypatch.setattr(r1, "readable", lambda episodes: [True] * len(episodes))
    monkeypatch.setattr(manner, "READ", 40)
    monkeypatch.setattr(loop_run, "write_report", lambda folder: folder)
    monkeypatch.setattr(pipeline, "write_page", lambda *_: None)
    pay(monkeypatch)


def go(out, **more):
    """The command's exit code."""
    options = {"scale": "pico", "out": out, "threads": 1, "device": "cpu"}
    return speedrun.make(speedrun.Options(**options | more))


def stages_of(folder):
    return {name: json.loads((folder / name / "stage.json").read_text()) for name in NAMES}


def hashes(folder):
    return {name: stage["sha256"] for name, stage in stages_of(folder).items()}


class Killed(BaseException):
    """As `kill -9`: nobody saves anything."""


def test_killed_in_any_stage_it_ends_with_the_same_artefacts(tmp_path, monkeypatch, capsys):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert go(whole) == 0
    printed = capsys.readouterr().out
    page = (whole / "card.md").read_text(encoding="utf-8")
    assert page in printed and all(f"| {name} |" in page for name in NAMES)
    assert "base + R1's recipe" in page and "too few (n = 3)" in page

    codes = []
    with monkeypatch.context() as patch:
        for command, step in (("pretrain", 3), ("grpo", 3), ("distill", 1)):
            interrupt_in_step(patch, command, step)  # the third of grpo is one of the pipeline
            codes.append(go(broken))
            if command == "pretrain":
                die_in_second_step(patch)
                with pytest.raises(Killed):
                    go(broken)
    assert [*codes, go(broken)] == [130, 130, 130, 0]
    assert hashes(broken) == hashes(whole)
    torn = {name for name, stage in stages_of(broken).items() if stage["resumed"]}
    assert torn == {"pretrain", "sft", "pipeline", "distill"}
    assert not any(stage["resumed"] for stage in stages_of(whole).values())

    # Only --record leaves anything in the folder of data, and only times that are whole.
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    assert go(whole) == 0 and not list((tmp_path / "data").iterdir())
    (tmp_path / "data" / "results").mkdir()
    with pytest.raises(UserError, match="pretrain was interrupted"):
        go(broken, record=True)
    assert go(whole, record=True) == 0
    [line] = (tmp_path / "data" / "results" / "speedrun.jsonl").read_text().splitlines()
    assert list(json.loads(line)["stages"]) == NAMES

    damaged_or_unknown(whole, monkeypatch)


def die_in_second_step(patch):
    draw = sft.Trainer.draw

    def hooked(trainer, step):
        if step == 1 and trainer.options.pool is None:
            patch.setattr(sft.Trainer, "draw", draw)
            raise Killed
        return draw(trainer, step)

    patch.setattr(sft.Trainer, "draw", hooked)


def damaged_or_unknown(whole, monkeypatch):
    """One line, and what is damaged is made anew when that is asked for."""
    made = hashes(whole)
    figures = whole / "evaluation" / "figures.json"
    figures.write_text(figures.read_text().replace('"n": 3', '"n": 4'))
    with pytest.raises(UserError, match="evaluation made has been changed.*--from evaluation"):
        go(whole)
    assert go(whole, from_="evaluation") == 0 and hashes(whole) == made
    with pytest.raises(UserError, match="no stage is called 'rl-2'; there are tokenizer, pretrain"):
        go(whole, only="rl-2")
    with pytest.raises(UserError, match="was made with --seed 0, not 1"):
        go(whole, seed=1)


def test_a_trained_stage_is_made_anew_from_nothing(tmp_path):
    """What is left of a run would be taken for the whole of it."""
    for _ in range(2):
        assert go(tmp_path / "run", only="tokenizer") == 0
    assert go(tmp_path / "run", only="pretrain") == 0
    first = tmp_path / "run" / "pretrain"
    [*_, last] = sorted((first / "run" / "checkpoints").iterdir())
    before = (last / "model.safetensors").read_bytes()
    (last / "model.safetensors").write_bytes(before[:-1])
    with pytest.raises(UserError, match="pretrain made has been changed"):
        go(tmp_path / "run", only="sft")
    assert go(tmp_path / "run", only="pretrain", from_="pretrain") == 0
    assert (last / "model.safetensors").read_bytes() == before


def test_the_card_says_what_was_interrupted_and_how_sure_a_figure_is():
    stage = Stage("sft", "learns", (), None)
    done = {"sft": Done("x", "", {}, 130.0, {"steps": 5, "tokens_trained": 1234}, resumed=True)}
    figures = {
        "sft": {
            "accuracy": 0.5, "accuracy_ci": (0.4, 0.6), "greedy": 0.75, "second wording": 0.25,
            "general": 1.0, "mixing": None, "length": 61.4, "n": 100, "parameters": 12345,
        }
    }  # fmt: skip
    machine = dict(cores=2, processor="P", threads=2, platform="L", torch="2", device="cpu")
    page = card("nano", 0, machine, [stage], done, figures)
    assert "| sft | learns | 2.2 minutes* | 5 steps, 1,234 learnt from |" in page
    assert "last stretch" in page
    row = "| base + SFT | 12,345 | 50.0 % (40.0 to 60.0) | 75.0 % | 25.0 % | 100.0 % | – | 61 |"
    assert row in page


@pytest.mark.parametrize(
    "asked, message",
    [
        ({"budget": 10, "table": True}, "--budget and --table are two things"),
        ({"budget": 10, "only": "sft"}, "--only is for the stages"),
        ({"budget": 10, "threads": 3}, "records are for 2 cores"),
        ({"budget": 7, "record": True}, "has 10 and 30 minutes"),
        ({"budget": 10, "device": "cuda"}, "processors alone"),
    ],
)
def test_what_makes_no_sense_together_is_refused(asked, message, tmp_path):
    options = speedrun.Options(**{"out": tmp_path / "run"} | asked)
    with pytest.raises(UserError, match=message):
        speedrun.make(options)
    assert not (tmp_path / "run").exists()
