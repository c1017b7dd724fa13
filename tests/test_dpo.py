"""Learning from pairs: the losses against values worked out by hand, their gradients, and a run."""

import json
import math

import pytest
import torch

from minilrm import checkpoint, dpo, objectives
from minilrm.errors import UserError
from minilrm.rollout import rollout
from minilrm.tasks import get_task

PAIR = [torch.tensor([x], dtype=torch.float64, requires_grad=True) for x in (-3.0, -5.0)]
REFERENCE = [torch.tensor([x], dtype=torch.float64) for x in (-5.0, -4.0)]  # differences 2 and -1


def test_dpo_has_the_value_and_the_gradient_worked_out_by_hand():
    loss, margins = objectives.dpo_loss(*PAIR, *REFERENCE, beta=0.1)
    assert loss.item() == pytest.approx(0.554355, abs=1e-6)
    assert margins.item() == pytest.approx(0.3)
    [gradient] = torch.autograd.grad(loss, PAIR[0])
    assert gradient.item() == pytest.approx(-0.0425557, abs=1e-7)


def test_dpo_without_its_reference_is_another_loss():
    zero = torch.zeros(1, dtype=torch.float64)
    without, _ = objectives.dpo_loss(*PAIR, zero, zero, beta=0.1)
    assert without.item() != pytest.approx(0.554355, abs=1e-3)


def test_dpo_prefers_the_chosen_answer_not_the_rejected_one():
    loss, _ = objectives.dpo_loss(*PAIR, *REFERENCE)
    better, worse = torch.autograd.grad(loss, PAIR)
    assert better.item() < 0 < worse.item()


def test_bradley_terry_sees_differences_alone():
    scores, others = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 0.5])
    loss = objectives.bradley_terry_loss(scores, others)
    expected = sum(math.log1p(math.exp(-d)) for d in (1.5, -1.5)) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert objectives.bradley_terry_loss(scores + 7, others + 7).item() == pytest.approx(
        loss.item()
    )


def test_the_log_probability_of_an_answer_is_a_sum_over_its_tokens_not_a_mean():
    opened, task = checkpoint.open_model("countdown-base"), get_task("countdown")
    groups = rollout(
        opened.model, opened.tokenizer, task, task.problems("validation", 4),
        max_new_tokens=60, seed=0, workers=None,
    )  # fmt: skip
    episodes = [group[0] for group in groups]
    with torch.no_grad():
        found = dpo.summed(opened.model, episodes, torch.device("cpu"))
    expected = [sum(e.logprobs) for e in episodes]
    assert found.tolist() == pytest.approx(expected, rel=0.05, abs=0.1)  # one of them in bfloat16


def test_a_run_learns_the_order_of_its_pairs(tmp_path, monkeypatch):
    options = dpo.Options(
        task="countdown", init="countdown-base", pairs=8, samples=4, eval_n=20, threads=1, lr=3e-4,
        warmup=1, steps=6, out=tmp_path / "run",
    )  # fmt: skip
    drawn: list[list[dpo.Pair]] = []
    fresh = dpo.Trainer.draw

    def same(self, step):
        drawn.append(drawn[0] if drawn else fresh(self, step))
        return drawn[0]

    monkeypatch.setattr(dpo.Trainer, "draw", same)
    run = dpo.train(options)
    assert all(better.grade.correct and not worse.grade.correct for better, worse in drawn[0])
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").open()]
    trained = [line for line in lines if "rewards/margins" in line]
    assert trained[0]["rewards/margins"] == 0 and trained[0]["loss"] == pytest.approx(math.log(2))
    assert trained[-1]["rewards/margins"] > 0.2 and trained[-1]["rewards/accuracies"] == 1


def test_a_model_that_is_never_right_has_no_pairs(tmp_path, base):
    options = dpo.Options(
        task="countdown", init=str(base), pairs=2, samples=2, threads=1, out=tmp_path / "run"
    )
    trainer = dpo.Trainer(options)
    trainer.max_new_tokens = 4
    with pytest.raises(UserError, match="no pairs to learn from"):
        trainer.draw(0)
