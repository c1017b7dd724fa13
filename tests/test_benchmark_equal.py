"""The benchmark that holds the loss and the gradient of a step to TRL's."""

from pathlib import Path

import pytest

from benchmarks import equal


def test_every_loss_is_trls(base, tmp_path, capsys):
    pytest.importorskip("trl")
    o = equal.Options(
        checkpoint=str(base), prompts=2, max_new_tokens=8, out=tmp_path / "equal.json"
    )
    assert equal.main(o) == 0, capsys.readouterr().out


def test_the_readme_shows_what_was_found():
    text = Path(equal.__file__).with_name("README.md").read_text(encoding="utf-8")
    reports = equal.found()
    assert {r["model"] for r in reports} >= {"gsm8k-mini-base", "smollm2"}
    assert equal.table(reports) in text
    assert all(r["worst"] <= equal.LARGEST for r in reports)
