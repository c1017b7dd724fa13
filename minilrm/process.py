"""Rewards for single steps: process supervision (DeepSeekMath, arXiv 2402.03300, section 4.1.3).

    r_j    for each step of a completion: what a judge says of it; for the last one, the reward of
           the outcome
    A_t    from the steps that end at token t or later, compared within the group
           (`objectives.process_advantages`)

A judge is the task's own exact labels, or a reward model (`minilrm.reward_model`). It says of a
step whether the right answer can still be reached behind it. With outcome rewards alone, a right
step of a failed completion is punished like the wrong one that followed.
"""

from collections.abc import Sequence

import torch

from minilrm import devices, objectives
from minilrm.labels import exact_label
from minilrm.rollout import Episode
from minilrm.scorers import ByModel, Written, open_judge, share_tokenizer, step_enders
from minilrm.tasks import Task
from minilrm.tokenizer import Tokenizer

EXACT = "exact"  # the name of the task's own labels


class StepRewards:
    """Gives each token of a group the advantage of its step.

    judge: "exact", or the folder of a reward model. credit: see `objectives.process_advantages`.
    UserError for a task that does not judge steps, and for a reward model of another tokenizer.
    """

    def __init__(
        self, judge: str, credit: str, task: Task, tokenizer: Tokenizer, device: torch.device
    ):
        self.task, self.tokenizer, self.credit = task, tokenizer, credit
        self.ends_step = step_enders(task, tokenizer)
        self.model: ByModel | None = None
        if judge == EXACT:
            task.step_labels(task.problems("validation", 1)[0], "")  # refused now, if ever
        else:
            self.model = open_judge(judge, task, device)
            share_tokenizer(self.model, judge, tokenizer)

    def set_advantages(self, groups: Sequence[Sequence[Episode]]) -> dict[str, float]:
        """Set `advantages` of all valid episodes. Returns what to log: `process/steps` per
        completion and `process/reward` per step, the outcome's left out of both."""
        valid = [[e for e in group if e.valid] for group in groups]
        episodes = [e for group in valid for e in group]
        judged = iter(self.judged(episodes))
        verdicts = []
        for group in valid:
            own = [next(judged) for _ in group]
            verdicts += [scores for _, scores in own]
            rewards = [
                [*scores, e.reward - e.kl_penalty]
                for e, (_, scores) in zip(group, own, strict=True)
            ]
            lengths = [len(e.completion_ids) for e in group]
            ends = [places for places, _ in own]
            found = objectives.process_advantages(rewards, ends, lengths, self.credit)
            for e, advantages in zip(group, found, strict=True):
                e.advantages = advantages
        steps = devices.total(sum(len(v) for v in verdicts))
        reward = devices.total(sum(sum(v) for v in verdicts))
        count = devices.total(len(verdicts))
        return {"process/steps": steps / max(1, count), "process/reward": reward / max(1, steps)}

    def judged(self, episodes: list[Episode]) -> list[tuple[list[int], list[float]]]:
        """Of each completion the places where its steps end, and what the judge says of all but
        the last. What a tool has inserted is no step: nobody chose it."""
        ends = [self.step_ends(e) for e in episodes]
        found = []
        for e, places, scores in zip(episodes, ends, self.verdicts(episodes, ends), strict=True):
            own = [k for k, place in enumerate(places[:-1]) if e.mask[place]]
            found.append(([*(places[k] for k in own), places[-1]], [scores[k] for k in own]))
        return found

    def step_ends(self, e: Episode) -> list[int]:
        """The places of a completion's tokens that end a step; its last token always does."""
        last = len(e.completion_ids) - 1
        return [t for t, i in enumerate(e.completion_ids[:last]) if self.ends_step[i]] + [last]

    def verdicts(self, episodes: list[Episode], ends: list[list[int]]) -> list[list[float]]:
        """What the judge says of all steps but the last, in [0, 1]."""
        if self.model is None:
            return [
                [
                    exact_label(self.task, self.tokenizer, e, len(e.prompt_ids) + t)
                    for t in places[:-1]
                ]
                for e, places in zip(episodes, ends, strict=True)
            ]
        pieces = [
            (e.problem, Written(tuple(e.completion_ids), e.text, len(e.completion_ids), 0.0))
            for e in episodes
        ]
        # A judge gives no number for a last token that ends no step.
        return [
            list(scores[: len(places) - 1])
            for scores, places in zip(self.model(pieces), ends, strict=True)
        ]
