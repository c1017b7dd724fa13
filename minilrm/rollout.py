"""Rollouts: the policy answers problems, and each answer becomes an `Episode`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from minilrm import devices, machine, objectives
from minilrm.batches import fill_batches, pad
from minilrm.kernels import SharedPrefix
from minilrm.model import Transformer
from minilrm.sampler import Engine, generate
from minilrm.tasks.base import Grade, Problem, Task
from minilrm.tokenizer import Tokenizer
from minilrm.tools import Call, Toolbox


@dataclass
class Episode:
    """One answer to one problem, and everything that training computes of it.

    Of the rollout: `completion_ids, mask, logprobs` as in `sampler.Completion`, [T] each; the
    end-of-text token is among them. Of the rewards: `rewards` by name, each without its weight;
    `reward` their weighted sum; `valid` False where no reward could be computed, so that the
    episode counts neither in its group's mean nor in the loss. Of the training, tensors [T], one
    number per completion token, None until they are computed: `old_logprobs` and `ref_logprobs`
    under the policy that sampled and under the reference model, `values` and `returns` of a critic,
    and `advantages`, what the loss weighs each token with. `kl_penalty`: what was taken from the
    reward for the distance to the reference model. `calls`: the tools that were called, with their
    results.
    """

    problem: Problem
    prompt_ids: list[int]
    completion_ids: list[int]
    mask: list[int]
    logprobs: list[float]
    text: str
    finish_reason: str
    grade: Grade
    thinks: bool
    calls: Sequence[Call] = ()
    rewards: dict[str, float] = field(default_factory=dict)
    reward: float = 0.0
    valid: bool = True
    kl_penalty: float = 0.0
    old_logprobs: Tensor | None = None
    ref_logprobs: Tensor | None = None
    values: Tensor | None = None
    returns: Tensor | None = None
    advantages: Tensor | None = None

    @property
    def length(self) -> int:
        """Tokens that the policy itself chose."""
        return sum(self.mask)


def fitting(
    task: Task, tokenizer: Tokenizer, problems: Sequence[Problem], room: int, style: str = "plain"
) -> list[Problem]:
    """The problems whose prompt leaves room for a completion. Prompts are dropped and counted,
    never cut."""
    return [
        p for p in problems if len(task.encode_prompt(tokenizer, task.render(p, style))) <= room
    ]


def rollout(
    model: Transformer | Engine,
    tokenizer: Tokenizer,
    task: Task,
    problems: Sequence[Problem],
    *,
    group_size: int = 1,
    max_new_tokens: int,
    temperature: float = 1.0,
    seed: int,
    style: str = "plain",
    dtype: torch.dtype | None = None,
    tools: Toolbox | None = None,
    **sampling,
) -> list[list[Episode]]:
    """A group of `group_size` graded episodes for each problem.

    style: how the prompt is written (`cot` forces thinking). dtype: precision to decode in.
    tools: what may be called while it writes. Further keywords go to `sampler.generate`.
    """
    prompts = [task.encode_prompt(tokenizer, task.render(p, style)) for p in problems]
    hook = tools.hook(tokenizer, problems, group_size) if tools else None
    if hook:
        sampling["intervene"] = hook
    groups = generate(
        model,
        tokenizer,
        prompts,
        n=group_size,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
        dtype=dtype,
        **sampling,
    )
    return [
        [
            episode(task, problem, prompt, c, hook.made(i * group_size + k) if hook else ())
            for k, c in enumerate(group)
        ]
        for i, (problem, prompt, group) in enumerate(zip(problems, prompts, groups, strict=True))
    ]


def episode(
    task: Task, problem: Problem, prompt_ids: list[int], completion, calls: Sequence[Call] = ()
) -> Episode:
    """Grade a completion. Only what the model itself sampled is graded."""
    text = completion.sampled_text
    return Episode(
        problem,
        prompt_ids,
        completion.token_ids,
        completion.mask,
        completion.logprobs,
        text,
        completion.finish_reason,
        task.grade(problem, text),
        task.thinks(text),
        calls,
    )


def micro_batches(episodes: Sequence[Episode], max_tokens: int) -> Iterator[list[Episode]]:
    """Episodes of like length together, each batch at most `max_tokens` of completions with their
    padding."""
    lengths = np.array([len(e.completion_ids) for e in episodes])
    order = np.argsort(lengths, kind="stable")
    for rows in fill_batches(order, lengths[order], max_tokens):
        yield [episodes[i] for i in rows]


def episode_logprobs(
    model: Transformer, batch: Sequence[Episode], temperature: float, device
) -> tuple[Tensor, Tensor]:
    """log p(completion token | prompt, tokens before) [B, T], with gradients, and the mask of
    chosen tokens [B, T]."""
    states, targets, mask = episode_states(model, batch, device)
    return state_logprobs(model, states, targets, temperature, device), mask


def state_logprobs(
    model: Transformer, states: Tensor, targets: Tensor, temperature: float, device: torch.device
) -> Tensor:
    """log p of each target in the state before it: hidden states [..., D], targets [...] -> [...].

    Of a large vocabulary the logits are never there as a whole.
    """

    def logprobs(states: Tensor, targets: Tensor) -> Tensor:
        with machine.autocast(device):
            logits = model.lm_head(states)
        return objectives.selected_logprobs(logits, targets, temperature)

    vocabulary = model.config.vocab_size
    if vocabulary < objectives.LARGE_VOCABULARY:
        return logprobs(states, targets)
    rows = objectives.by_rows(logprobs, vocabulary, states.flatten(0, -2), targets.flatten())
    return torch.cat(rows).view(targets.shape)


def episode_states(
    model: Transformer, batch: Sequence[Episode], device
) -> tuple[Tensor, Tensor, Tensor]:
    """What the model knows before each completion token: hidden states [B, T, D], the tokens [B,
    T], their mask [B, T].

    Every prompt is read once, whatever the number of its completions, and states are computed for
    completion tokens alone: the first token is chosen in the prompt's last state, token t in that
    of token t - 1.
    """
    prompts = list(dict.fromkeys(tuple(e.prompt_ids) for e in batch))
    line = {prompt: i for i, prompt in enumerate(prompts)}
    rows = torch.tensor([line[tuple(e.prompt_ids)] for e in batch], device=device)
    lengths = torch.tensor([len(p) for p in prompts], device=device)
    targets = pad([e.completion_ids for e in batch]).to(device)
    mask = pad([e.mask for e in batch]).to(device)
    with machine.autocast(device):
        prefix = SharedPrefix()
        hidden = model.hidden(pad(prompts).to(device), cache=prefix)
        states = [hidden[rows, lengths[rows] - 1][:, None]]
        prefix.expand(rows)
        new = targets.shape[1] - 1
        if new:  # where every completion is one token, nothing stands before it but the prompt
            positions = lengths[rows, None] + torch.arange(new, device=device)
            states.append(
                model.hidden(
                    targets[:, :-1],
                    positions=positions,
                    cache=prefix,
                    mask=seen_after_prompt(lengths[rows], hidden.shape[1], new),
                )
            )
        return torch.cat(states, dim=1), targets, mask


def seen_after_prompt(lengths: Tensor, width: int, new: int) -> Tensor:
    """[B, 1, new, width + new]: a completion token sees its prompt (not the padding behind it) and
    itself causally."""
    column = torch.arange(new, device=lengths.device)
    prompt = torch.arange(width, device=lengths.device) < lengths[:, None]
    own = column[None, :] <= column[:, None]
    return torch.cat(
        (prompt[:, None, None].expand(-1, 1, new, -1), own.expand(len(lengths), 1, -1, -1)), dim=-1
    )


def valid_episodes(groups: Sequence[Sequence[Episode]]) -> list[Episode]:
    """The episodes of all groups that have a reward."""
    return [e for group in groups for e in group if e.valid]


def stack(batch: Sequence[Episode], name: str, like: Tensor) -> Tensor:
    """What the episodes keep under a field's name, one row each, as one matrix [B, T] padded like
    another."""
    out = torch.zeros_like(like)
    for i, e in enumerate(batch):
        row = torch.as_tensor(getattr(e, name))
        out[i, : len(row)] = row
    return out


def unstack(batch: Sequence[Episode], name: str, rows: Tensor) -> None:
    """Keep each row of a matrix [B, T] with its episode, without the padding: `stack` backwards."""
    for e, row in zip(batch, rows, strict=True):
        setattr(e, name, row[: len(e.completion_ids)])


def group_metrics(groups: Sequence[Sequence[Episode]]) -> dict[str, float | None]:
    """What a batch of groups looks like, under TRL's names where it has one. Of several processes
    each gives its groups, and gets the figures of all."""
    episodes = [e for g in groups for e in g]
    valid = [e for e in episodes if e.valid]
    thinking = [e for e in episodes if e.thinks]
    spread = [float(np.std([e.reward for e in g], ddof=1)) for g in groups if len(g) > 1]
    equal = [len({e.reward for e in g}) == 1 for g in groups]
    logps = [x for e in episodes for x, m in zip(e.logprobs, e.mask, strict=True) if m]
    cases: dict[str, Sequence[float]] = {
        "reward": [e.reward for e in valid],
        "reward_std": spread,
        "frac_reward_zero_std": equal,
        "accuracy": [e.grade.correct for e in episodes],
        "completions/mean_length": [e.length for e in episodes],
        "completions/clipped_ratio": [e.finish_reason == "length" for e in episodes],
        "completions/think_rate": [e.thinks for e in episodes],
        "accuracy_thinking": [e.grade.correct for e in thinking],
        # Minus the mean log-prob of what was sampled is an unbiased estimate of the policy's
        # entropy per token.
        "entropy": [-x for x in logps],
    }
    figures = devices.means(cases)
    figures["reward"] = figures["reward"] or 0.0
    return figures | {"invalid": devices.total(len(episodes) - len(valid))}
