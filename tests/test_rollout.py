"""Rollouts, and the trainer's log-probs of them."""

import pytest
import torch

from minilrm import checkpoint, objectives
from minilrm.kernels import EXPLICIT_UP_TO
from minilrm.rollout import (
    Episode,
    episode_logprobs,
    fitting,
    group_metrics,
    micro_batches,
    rollout,
)
from minilrm.tasks import get_task
from minilrm.tasks.base import Grade, Problem

CPU = torch.device("cpu")
PROBLEM = Problem("toy", "1 + 1?", "2", "toy:1+1")


@pytest.fixture
def model(base):
    return checkpoint.load(base)[0]


@pytest.fixture
def task():
    return get_task("gsm8k-mini")


def ids(rng, n):
    return torch.randint(40, 1024, (n,), generator=rng).tolist()


def make_episode(
    prompt=(50, 51), completion=(60, 61, 62), mask=None, correct=False, finish="length", **more
):
    completion = list(completion)
    return Episode(
        PROBLEM,
        list(prompt),
        completion,
        mask or [1] * len(completion),
        [-1.0] * len(completion),
        "",
        finish,
        Grade(correct, correct, None, ""),
        False,
        **more,
    )


def mixed_batch(shape):
    """Episodes of a few prompts, of all lengths, in no order."""
    rng = torch.Generator().manual_seed(3)
    prompts, completions = {
        "mixed": ([1, 7, 30, 12], [1, 5, 2, 17, 9, 1, 40]),
        "one token each": ([4, 9], [1, 1, 1]),
        "one": ([6], [8]),
        "long enough for the fused kernel": ([EXPLICIT_UP_TO - 100, 3], [120, 7, 30]),
    }[shape]
    texts = [ids(rng, n) for n in prompts]
    return [make_episode(texts[i % len(texts)], ids(rng, n)) for i, n in enumerate(completions)]


def the_plain_way(model, episode, temperature):
    """Log-probs of a completion by one forward pass over the whole sequence, alone, without padding
    or sharing."""
    row = torch.tensor([episode.prompt_ids + episode.completion_ids])
    return objectives.token_logprobs(model(row), row, temperature)[0, len(episode.prompt_ids) - 1 :]


def gradient(model, loss):
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


# -- the trainer's log-probs -----------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize(
    "shape", ["mixed", "one token each", "one", "long enough for the fused kernel"]
)
def test_sharing_prompts_changes_neither_logprobs_nor_gradients(
    model, full_precision, shape, temperature
):
    """Catches: looking at the padding behind a short prompt, positions counted from the padded
    prompt, the first token's gradient lost, a completion that sees another one's prompt, a batch of
    single tokens with nothing to run."""
    batch = mixed_batch(shape)
    got, mask = episode_logprobs(model, batch, temperature, CPU)
    want = [the_plain_way(model, e, temperature) for e in batch]
    assert mask.tolist() == [[1] * len(row) + [0] * (mask.shape[1] - len(row)) for row in want]
    for row, plain in zip(got, want, strict=True):
        torch.testing.assert_close(row[: len(plain)], plain, atol=1e-5, rtol=1e-5)
    # no two tokens alike, some pushed down
    weights = [torch.linspace(-1, 2, len(row)) for row in want]
    ours = gradient(
        model, sum((row[: len(w)] * w).sum() for row, w in zip(got, weights, strict=True))
    )
    plain = gradient(model, sum((row * w).sum() for row, w in zip(want, weights, strict=True)))
    assert (ours - plain).norm() <= 1e-5 * plain.norm()


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_they_are_the_samplers_own(model, tokenizer, task, full_precision, temperature):
    """Catches: the sampling temperature missing from the trainer's log-probs; any drift between
    cache and none."""
    groups = rollout(
        model,
        tokenizer,
        task,
        task.problems("validation", 3),
        group_size=4,
        max_new_tokens=20,
        seed=5,
        temperature=temperature,
    )
    episodes = [e for group in groups for e in group]
    assert len({e.length for e in episodes}) > 2, "the completions should differ in length"
    for batch in micro_batches(episodes, 64):
        logp, mask = episode_logprobs(model, batch, temperature, CPU)
        other, _ = episode_logprobs(model, batch, 1.5, CPU)
        for e, row, wrong in zip(batch, logp, other, strict=True):
            torch.testing.assert_close(
                row[: e.length], torch.tensor(e.logprobs), atol=1e-5, rtol=1e-5
            )
            assert (
                wrong[: e.length] - row[: e.length]
            ).abs().max() > 0.05  # this test would notice
        assert mask.sum(1).tolist() == [e.length for e in batch]


def test_inserted_tokens_are_read_but_neither_graded_nor_learnt(
    model, tokenizer, task, full_precision
):
    problem = task.problems("validation", 1)[0]
    answer = tokenizer.encode(f" #### {problem.answer}")
    asked = []

    def intervene(row, so_far):
        asked.append(row)
        return answer if len(so_far) == 2 else None

    ((e,),) = rollout(
        model,
        tokenizer,
        task,
        [problem],
        max_new_tokens=len(answer) + 5,
        seed=1,
        intervene=intervene,
    )
    assert asked and e.mask == [1, 1] + [0] * len(answer) + [1] * (len(e.mask) - 2 - len(answer))
    assert e.completion_ids[2 : 2 + len(answer)] == answer and e.length == len(e.mask) - len(answer)
    assert "####" not in e.text and not e.grade.correct  # who is handed the answer has not found it
    logp, mask = episode_logprobs(model, [e, make_episode(e.prompt_ids, range(60, 90))], 1.0, CPU)
    logp.retain_grad()
    assert mask[0].tolist() == e.mask + [0] * (30 - len(e.mask))
    chosen = torch.tensor(e.mask, dtype=torch.bool)
    # The sampler's log-probs after the insertion agree only if the inserted tokens were read.
    torch.testing.assert_close(
        logp[0, : len(e.mask)][chosen], torch.tensor(e.logprobs)[chosen], atol=1e-5, rtol=1e-5
    )
    assert not torch.tensor(e.logprobs)[~chosen].any()
    loss, _ = objectives.policy_loss(logp, None, torch.tensor([1.0, -1.0]), mask)
    loss.backward()
    assert (logp.grad[0] != 0).tolist() == [bool(m) for m in mask[0]]


def test_micro_batches_hold_each_episode_once_within_the_budget():
    rng = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 60, (100,), generator=rng).tolist() + [300]
    episodes = [make_episode(completion=ids(rng, n)) for n in lengths]
    batches = list(micro_batches(episodes, 256))
    assert sorted(id(e) for batch in batches for e in batch) == sorted(map(id, episodes))
    sizes = [(len(batch), max(len(e.completion_ids) for e in batch)) for batch in batches]
    assert all(rows * longest <= 256 for rows, longest in sizes[:-1])
    assert sizes[-1] == (1, 300)  # more than the budget by itself: alone, but not lost
    padded = sum(rows * longest for rows, longest in sizes)
    assert padded < 1.25 * sum(lengths), "episodes of like length should share a batch"
    assert list(micro_batches([], 256)) == []


# -- sampling and grading --------------------------------------------------------------------------


def test_a_rollout_is_in_order_and_made_of_its_seed(model, tokenizer, task):
    problems = task.problems("validation", 3)
    first, again, other = (
        rollout(model, tokenizer, task, problems, group_size=2, max_new_tokens=6, seed=seed)
        for seed in (1, 1, 2)
    )
    assert [[e.problem for e in group] for group in first] == [[p, p] for p in problems]
    assert [e.completion_ids for g in first for e in g] == [
        e.completion_ids for g in again for e in g
    ]
    assert [e.completion_ids for g in first for e in g] != [
        e.completion_ids for g in other for e in g
    ]
    # a group is several answers, not one several times
    assert first[0][0].completion_ids != first[0][1].completion_ids
    for e in (e for group in first for e in group):
        assert tokenizer.decode(e.prompt_ids) == task.render(e.problem)
        assert e.grade == task.grade(e.problem, e.text) and e.thinks == task.thinks(e.text)
        assert e.finish_reason == ("eos" if e.completion_ids[-1] == tokenizer.eos_id else "length")


def test_prompts_that_leave_no_room_are_dropped_not_cut(tokenizer, task):
    problems = task.problems("validation", 40)
    lengths = [len(tokenizer.encode(task.render(p))) for p in problems]
    room = sorted(lengths)[20]
    kept = fitting(task, tokenizer, problems, room)
    assert kept == [p for p, n in zip(problems, lengths, strict=True) if n <= room]
    assert 20 < len(kept) < 40  # the one that fits exactly is kept
    assert len(fitting(task, tokenizer, problems, room, "cot")) < len(kept)  # that prompt is longer
    assert fitting(task, tokenizer, problems, 0) == []


# -- metrics ---------------------------------------------------------------------------------------


def test_group_metrics_have_trls_names_and_leave_the_invalid_out():
    groups = [
        [
            make_episode(correct=True, reward=1.0, finish="eos"),
            make_episode(completion=range(60, 65)),
        ],
        [make_episode(reward=0.5), make_episode(reward=0.0, valid=False, mask=[1, 0, 1])],
    ]
    found = group_metrics(groups)
    assert found["reward"] == pytest.approx(0.5) and found["invalid"] == 1
    assert found["accuracy"] == 0.25 and found["completions/clipped_ratio"] == 0.75
    assert found["completions/mean_length"] == (3 + 5 + 3 + 2) / 4
    assert found["entropy"] == 1.0  # minus the mean log-prob of the tokens that were sampled
    assert {
        "reward_std",
        "frac_reward_zero_std",
        "completions/think_rate",
        "accuracy_thinking",
    } <= set(found)
