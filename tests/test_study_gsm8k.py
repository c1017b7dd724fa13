"""studies/gsm8k.py in miniature: a file of problems goes through all parts, once."""

import json
import sys

import pytest

from minilrm.errors import UserError
from minilrm.loop import run as loop_run
from studies import common, gsm8k


@pytest.fixture
def small(base, tmp_path, monkeypatch):
    """Sums for GSM8K, and a tiny model that has no chat template."""
    for name in ("train.jsonl", "test.jsonl"):
        lines = [
            json.dumps({"question": f"{i} plus 1?", "answer": f"It is {i} + 1.\n#### {i + 1}"})
            for i in range(60)
        ]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gsm8k, "ALIKE", gsm8k.ALIKE | {"chat": False, "eval_n": 2, "threads": 1})
    monkeypatch.setattr(gsm8k, "SFT", {"steps": 1, "batch": 2})
    rollouts = {"steps": 1, "prompts": 2, "group_size": 2, "max_new_tokens": 8}
    monkeypatch.setattr(gsm8k, "GRPO", rollouts)
    monkeypatch.setattr(gsm8k, "LONGEST", 8)
    monkeypatch.setattr(loop_run, "write_report", lambda folder: folder)

    def run(*words):
        asked = ["gsm8k", "--model", str(base), "--data", str(tmp_path), "--n", "25", *words]
        monkeypatch.setattr(sys, "argv", asked)
        gsm8k.main()

    return run


def test_every_part_is_measured_once_and_grpo_is_compared_with_its_own_start(small, capsys):
    small("base")
    small("all", "1")
    small("all", "1")
    found = common.load_results("gsm8k")
    assert [(r["kind"], r["seed"]) for r in found] == [("base", 0), ("sft", 1), ("grpo", 1)]
    assert all(len(r["test"]["outcomes"]["greedy"]) == 25 for r in found)
    assert len({r["test"]["problems_sha256"] for r in found}) == 1
    assert found[2]["tokens_generated"] > 0 and found[1]["peak_memory_mb"] > 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].startswith("sft       1") and "one of 8" in lines[-5]
    pair = (found[1]["test"], found[2]["test"])
    assert gsm8k.gain(*pair).startswith("GRPO less its start: sampled ")


def test_a_folder_without_the_files_is_one_line(small, tmp_path):
    (tmp_path / "test.jsonl").unlink()
    with pytest.raises(UserError, match="has no test.jsonl"):
        small("base")
