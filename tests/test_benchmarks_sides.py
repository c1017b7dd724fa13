"""Each side of the benchmarks at the smallest size: ours, and those of the peers where they are
installed."""

import importlib.util
from pathlib import Path

import pytest
import torch

from benchmarks import grpo, rollout, same, scaling, tokenizer, train
from minilrm.errors import UserError
from minilrm.tasks import get_task


class Script:
    """A link that gives these jobs and keeps the answers."""

    def __init__(self, turns):
        self.jobs, self.answers = [{"turn": turn} for turn in range(turns)], []

    def next(self):
        if not self.jobs:
            raise SystemExit
        return self.jobs.pop(0)

    def answer(self, **result):
        self.answers.append(result)


def answers_of(worker, turns, **settings):
    """What a worker answers to the turns 0, 1, ..., run in this process."""
    link = Script(turns)
    with pytest.raises(SystemExit):
        worker(link, **settings)
    return link.answers


def prompts_of(count):
    task = get_task("gsm8k-mini")
    return [task.render(p) for p in same.training_problems(task, count)]


# -- our sides, at the smallest size ---------------------------------------------------------------


@pytest.mark.parametrize("endless", [False, True])
def test_our_rollout(base, endless):
    a, b = answers_of(
        rollout.ours, 2, folder=base, prompts=prompts_of(2), new_tokens=24, endless=endless
    )
    assert a["work"] == a["tokens"] == a["mean_length"] * 2 * rollout.GROUP and a["seconds"] > 0
    assert (
        a["tokens"] == 24 * 2 * rollout.GROUP
    ) == endless  # an ended row counts up to its end; an endless one never ends
    assert endless or a["tokens"] != b["tokens"]  # every turn draws anew


def test_our_pretraining_step_and_our_grpo_step(base):
    batches = [torch.randint(40, 300, (2, 9)) for _ in range(4)]
    a, b = answers_of(train.ours, 2, folder=base, batches=batches, accumulate=2, steps=1)
    assert a["tokens"] == 2 * 2 * 8 and a["first_loss"] == b["first_loss"] != b["last_loss"]
    work = {"folder": base, "prompts": 2, "max_new_tokens": 4}
    # this looks, too, whether the prompts are the peer's
    (a,) = answers_of(grpo.ours, 1, reward="rule", **work)
    # nobody trained it
    assert a["work"] == 1 and 0 < a["tokens"] <= 2 * grpo.GROUP * 4 and a["reward"] < 0.2
    (a,) = answers_of(grpo.ours, 1, reward="parity", **work)
    assert 0.1 < a["reward"] < 0.9 and a["frac_reward_zero_std"] == 0


def test_scaling_leaves_no_group_out():
    (a,) = answers_of(
        scaling.step_of, 1, scale="pico", sequences=32, length=3, max_tokens_per_batch=256
    )
    assert (
        a["mean_length"] == pytest.approx(3, abs=0.2)
        and a["update"] > 0
        and a["parameters"] > 200_000
    )


def test_ours_learns_what_the_plain_trainer_and_rustbpe_learn_by_either_tie_rule():
    # A tie rule that changes, or a pair counted wrongly where tokens overlap ("aaaa"), shows here.
    texts = [
        "aaaa aaab baaa bbbb abab low lower lowest newer newest wider 12 12 12 <<1+1=2>>"
    ] * 3 + ["ab ba aab abb"]
    ours, by_bytes = tokenizer.train_ours(texts, 40), tokenizer.train_ours(texts, 40, "bytes")
    assert ours == tokenizer.train_plain(texts, 40, "numbers") != by_bytes and len(ours) > 20
    assert by_bytes == tokenizer.train_plain(texts, 40, "bytes")
    if importlib.util.find_spec("rustbpe"):
        assert tokenizer.train_rustbpe(texts, len(ours)) == ours
    if importlib.util.find_spec("tokenizers"):
        assert len(tokenizer.train_tokenizers(texts, len(ours))) == len(ours)


def test_texts_are_cut_to_size_and_hold_no_special_token():
    taken = tokenizer.first_bytes(iter(["one <think> two", "né" * 50, "never read"]), 40)
    assert sum(len(text.encode()) for text in taken) in (39, 40) and len(taken) == 2
    assert "<think>" not in taken[0] and "think>" in taken[0]
    with pytest.raises(UserError, match="choose another --text"):
        tokenizer.texts_of("x", Path("/no/such/file"), 10)


# -- the peers' sides, where they are installed ----------------------------------------------------


def test_the_same_model_in_transformers(base):
    pytest.importorskip("transformers")
    link = Script(1)
    same.same_model(link, base, prompts_of(2), new_tokens=4)
    (found,) = link.answers
    assert found["same_prompt_ids"] and found["logits_max_difference"] < 1e-4 * found["logits_max"]
    assert found["greedy_equal"] == 2


@pytest.mark.parametrize("endless", [False, True])
def test_the_rollout_of_transformers(base, endless):
    pytest.importorskip("transformers")
    (a,) = answers_of(
        rollout.peer,
        1,
        folder=base,
        prompts=prompts_of(2),
        new_tokens=24,
        endless=endless,
        setting="float32 eager",
    )
    assert (a["tokens"] == 24 * 2 * rollout.GROUP) == endless


def test_the_pretraining_step_of_transformers_starts_with_our_loss(base):
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    ids = torch.randint(40, 300, (3, 12))
    ids[1, 8:] = -1  # padding behind a shorter row
    work = {"folder": base, "batches": [ids, ids[:2]], "accumulate": 2, "steps": 1}
    (a,), (b,) = (
        answers_of(train.ours, 1, **work),
        answers_of(train.peer, 1, setting="float32 sdpa", **work),
    )
    train.check_losses([{"ours": a, "peer": b}])
    with pytest.raises(RuntimeError, match="not do the same work"):
        train.check_losses([{"ours": a, "peer": b | {"first_loss": a["first_loss"] * 1.01}}])


def test_the_grpo_step_of_trl(base):
    pytest.importorskip("trl")
    work = {
        "folder": base,
        "prompts": 2,
        "max_new_tokens": 4,
        "steps": 3,
        "setting": "float32 sdpa",
    }
    a, b = answers_of(grpo.peer, 2, reward="parity", **work)
    assert (
        0 < a["tokens"] <= 2 * grpo.GROUP * 4 and a["mean_length"] <= 4 and 0.1 < b["reward"] < 0.9
    )
    (a,) = answers_of(grpo.peer, 1, reward="rule", **work)
    assert a["reward"] < 0.2
