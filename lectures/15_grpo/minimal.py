"""GRPO in one file: a language model learns to think, from nothing but right and wrong.

    python lectures/15_grpo/minimal.py        some four minutes on two CPU cores

    for step = 1 .. STEPS:
        draw questions q; sample a group of answers o_1 .. o_G to each q            sample
        r_i = 1 if the answer o_i is right, else 0                                  reward
        A_i = (r_i - mean r) / (std r + eps), within the group                      advantages
        one step of AdamW on the loss, the mean over all tokens t of the batch of   loss
            - min(rho A_i, clip(rho, 1 - e, 1 + e) A_i)
            with rho = p(o_it | q, o_i<t) / what that was when o_i was sampled

An answer that did better than its group becomes more likely, each of its tokens alike; a worse one
less likely. This is GRPO (DeepSeekMath, arXiv 2402.03300) with the mean over all tokens instead of
over each answer first, and without the KL term. The samples are used once, as in the paper, so rho
is 1 here, and the clip acts only if you take several steps on the same samples. `minilrm/grpo.py`
is the same with what a run needs besides: checkpoints, metrics, resuming, speed.
"""

import random

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from minilrm import generate, get_task, load, machine

BASE = machine.data_folder() / "checkpoints" / "gsm8k-mini-base"
STEPS, QUESTIONS, GROUP = 20, 16, 8
LEARNING_RATE, CLIP, EPS = 2e-4, 0.2, 1e-4


def sample(model, tokenizer, task, problems, n, seed):
    """`n` answers to each problem, drawn token by token from the model's own distribution."""
    prompts, limit = [tokenizer.encode(task.render(p)) for p in problems], task.max_new_tokens
    return prompts, generate(model, tokenizer, prompts, n=n, max_new_tokens=limit, seed=seed)


def reward(task, problem, answer) -> float:
    """All the supervision there is: is the number behind #### the right one?"""
    return float(task.grade(problem, answer.sampled_text).correct)


def advantages(rewards: Tensor) -> Tensor:
    """How much better each answer is than its group: rewards [P, G] -> [P, G]."""
    centered = rewards - rewards.mean(1, keepdim=True)  # 0 if all are equal: nothing to learn
    return centered / (rewards.std(1, keepdim=True) + EPS)


def pad(rows) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True)


def logprobs(model, prompt: list[int], answers: list[list[int]]) -> Tensor:
    """log p of each answer's tokens, given all before them: token ids -> [G, T], padded."""
    ids = pad(prompt + answer for answer in answers)
    log_p = model(ids[:, :-1])[:, len(prompt) - 1 :].log_softmax(-1)  # t speaks about t + 1
    return log_p.gather(-1, ids[:, len(prompt) :, None]).squeeze(-1)


def loss(logp: Tensor, old_logp: Tensor, advantage: Tensor, mask: Tensor) -> Tensor:
    """The clipped surrogate, summed over tokens: [G, T], [G, T], [G], [G, T] -> a scalar."""
    ratio, weight = (logp - old_logp).exp(), advantage[:, None]
    gain = torch.minimum(ratio * weight, ratio.clamp(1 - CLIP, 1 + CLIP) * weight)
    return -(gain * mask).sum()


def backward(model, prompts, groups, advantage: Tensor) -> None:
    """The gradient of the loss, added up group by group. groups: the sampled completions."""
    tokens = sum(len(answer.token_ids) for group in groups for answer in group)
    for prompt, group, weights in zip(prompts, groups, advantage, strict=True):
        logp = logprobs(model, prompt, [answer.token_ids for answer in group])
        old_logp, mask = pad(a.logprobs for a in group), pad(a.mask for a in group)
        (loss(logp, old_logp, weights, mask) / tokens).backward()


def accuracy(model, tokenizer, task, n: int = 300) -> float:
    """Share of right answers to validation problems, one sample each."""
    problems = task.problems("validation", n)
    _, groups = sample(model, tokenizer, task, problems, 1, seed=0)
    return sum(reward(task, p, answer) for p, [answer] in zip(problems, groups, strict=True)) / n


def main() -> None:
    (model, tokenizer, _), task = load(BASE), get_task("gsm8k-mini")
    optimizer, rng = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE), random.Random(0)
    print(f"right before: {accuracy(model, tokenizer, task):.1%} of the validation problems")
    for step in range(1, STEPS + 1):
        problems = [task.sample(rng) for _ in range(QUESTIONS)]
        prompts, groups = sample(model, tokenizer, task, problems, GROUP, seed=step)
        table = [[reward(task, p, a) for a in g] for p, g in zip(problems, groups, strict=True)]
        optimizer.zero_grad()
        backward(model, prompts, groups, advantages(torch.tensor(table)))
        optimizer.step()
        print(f"step {step:2}: {torch.tensor(table).mean():.0%} of the samples were right")
    print(f"right after: {accuracy(model, tokenizer, task):.1%}")


if __name__ == "__main__":
    main()
