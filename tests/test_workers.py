"""Decoding in several processes: the same completions as in one, whatever becomes of the others."""

from dataclasses import replace

import pytest
import torch

from minilrm.model import SCALES, Transformer
from minilrm.sampler import Completion, generate, workers
from minilrm.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def policy():
    torch.manual_seed(0)
    tokenizer = Tokenizer.train(["what is 12 + 7? the answer is 19. "] * 20, vocab_size=400)
    return Transformer(
        replace(SCALES["pico"], vocab_size=len(tokenizer), max_seq_len=64)
    ).eval(), tokenizer


@pytest.fixture(scope="module")
def helper():
    return workers.Workers(1)


PROMPTS = [f"what is {i} + {i}?" for i in range(9)]
HOW = {"n": 8, "max_new_tokens": 12, "seed": 3}


def without_logprobs(groups: list[list[Completion]]) -> list:
    return [
        [(c.text, c.sampled_text, c.token_ids, c.mask, c.finish_reason) for c in group]
        for group in groups
    ]


@pytest.mark.parametrize("temperature", [1.0, 0.0])
def test_who_decodes_a_row_does_not_matter(policy, helper, temperature):
    """Catches: a worker that counts its rows from 0, and so draws the first share's random numbers
    once more."""
    model, tokenizer = policy
    alone = generate(model, tokenizer, PROMPTS, temperature=temperature, **HOW)
    shared = generate(model, tokenizer, PROMPTS, temperature=temperature, workers=helper, **HOW)
    assert len(helper.processes) == 1 and helper.peaks_mb[0] > 10
    assert without_logprobs(shared) == without_logprobs(alone)
    for a, b in zip([c for g in shared for c in g], [c for g in alone for c in g], strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)
    if temperature:
        assert len({tuple(c.token_ids) for g in shared for c in g}) > 60  # no share repeats another


def test_new_weights_are_used_at_once(policy, helper):
    """Catches: a worker that keeps the weights of the first step."""
    model, tokenizer = policy
    before = model.embed_tokens.weight.detach().clone()
    try:
        with torch.no_grad():
            model.embed_tokens.weight.mul_(3)
        alone = generate(model, tokenizer, PROMPTS, **HOW)
        assert without_logprobs(
            generate(model, tokenizer, PROMPTS, workers=helper, **HOW)
        ) == without_logprobs(alone)
    finally:
        model.embed_tokens.weight.data.copy_(before)


def test_few_rows_and_hooks_stay_in_this_process(policy):
    """Catches: a hook that is silently not asked."""
    model, tokenizer = policy
    idle = workers.Workers(1)
    seen: list[int] = []
    generate(model, tokenizer, PROMPTS[:2], workers=idle, **HOW)
    generate(
        model,
        tokenizer,
        PROMPTS,
        workers=idle,
        stream=lambda row, i, sampled: seen.append(row),
        **HOW,
    )
    assert idle.processes is None and len(set(seen)) == len(PROMPTS) * HOW["n"]


def test_an_interrupted_batch_leaves_no_answer_behind(policy, helper, monkeypatch):
    """Catches: after Ctrl-C, completions of the batch before, taken for those of the next
    prompts."""
    model, tokenizer = policy

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    threads = torch.get_num_threads()
    with monkeypatch.context() as broken:
        broken.setattr(workers, "decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            generate(model, tokenizer, PROMPTS, workers=helper, **HOW)
    assert torch.get_num_threads() == threads
    others = [prompt.replace("what", "that") for prompt in PROMPTS]
    alone = without_logprobs(generate(model, tokenizer, others, **HOW))
    assert without_logprobs(generate(model, tokenizer, others, workers=helper, **HOW)) == alone


def test_a_worker_that_dies_costs_nothing_but_time(policy, helper, capsys):
    """Catches: a run that hangs, or loses a share, when a process is killed (by the system, for
    memory)."""
    model, tokenizer = policy
    alone = without_logprobs(generate(model, tokenizer, PROMPTS, **HOW))
    generate(model, tokenizer, PROMPTS, workers=helper, **HOW)
    helper.processes[0].kill()
    helper.processes[0].wait()
    threads = torch.get_num_threads()
    assert without_logprobs(generate(model, tokenizer, PROMPTS, workers=helper, **HOW)) == alone
    assert "going on without" in capsys.readouterr().err and helper.processes == []
    assert without_logprobs(generate(model, tokenizer, PROMPTS, workers=helper, **HOW)) == alone
    assert torch.get_num_threads() == threads
