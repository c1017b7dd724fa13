"""DeepSeek-R1's recipe in miniature (arXiv 2501.12948v2, section 2.3 and figure 2).

    r1-zero              GRPO on the base: right answers alone
    cold-start           R1-Zero's answers, kept where they are right, readable and in one language
    sft-1                fine-tuning of the *base* on them
    rl-1                 GRPO: right answers, and one language
    rejection-sampling   many answers of rl-1: the right ones, each once; and general requests
    sft-2                fine-tuning of the base again, on these
    rl-2                 GRPO for all: word problems; in its last quarter general requests, too

The report starts both fine-tunings from the base. Popular accounts start the second one from rl-1:
`--sft2-from rl-1`.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilrm import grpo, loop, machine, manner, sft
from minilrm.beginnings import named_or_base
from minilrm.checkpoint import open_model
from minilrm.errors import UserError
from minilrm.files import write_bytes_atomic
from minilrm.options import device_option, option, seed_option, threads_option
from minilrm.pipeline.stages import Outcome, Stage, outcome_of
from minilrm.rollout import Episode, fitting, rollout
from minilrm.tasks import TASKS, get_task
from minilrm.tasks.base import problem_rng
from minilrm.tasks.mixture import mixture_of
from minilrm.tokenizer import Tokenizer
from minilrm.traces import as_record, keep_right

READABLE = -0.5  # the lowest `repetition` of an answer that may be learnt from
MOST_EACH = 4  # answers to one problem that are kept
REASONING_TO_GENERAL = 3  # examples of reasoning to one of the others


@dataclass
class Options:
    """DeepSeek-R1's recipe in miniature, stage by stage."""

    recipe: str = option("r1", "which recipe", choices=("r1",))
    task: str = option("gsm8k-mini", "whose word problems", choices=TASKS)
    base: str | None = option(None, "where it begins; the task's base if not given")
    out: Path = option(Path("runs/r1"), "the pipeline's folder; one that is there is gone on with")
    only: str | None = option(None, "run this stage alone")
    from_: str | None = option(None, "make this stage and all behind it anew")
    rl_steps: int = option(60, "steps of each reinforcement learning", minimum=1, group="size")
    sft_steps: int = option(120, "steps of each fine-tuning", minimum=1, group="size")
    prompts: int = option(
        2000, "training problems that are answered for examples", minimum=1, group="size"
    )
    samples: int = option(4, "answers to each of them", minimum=1, group="size")
    group_size: int = option(8, "completions per question (G)", minimum=2, group="size")
    questions: int = option(32, "questions per step", minimum=1, group="size")
    eval_n: int = option(300, "validation problems for each figure", minimum=1, group="size")
    language: float = option(0.2, "weight of the reward for one language in rl-1", minimum=0)
    sft2_from: str = option("base", "where the second fine-tuning starts", choices=("base", "rl-1"))
    seed: int = seed_option("seed of all stages")
    device: str = device_option()
    threads: int | None = threads_option()


class R1:
    """The stages, each with its work. A stage's folder holds its runs and its artefact."""

    def __init__(self, options: Options):
        self.options = options
        self.task = get_task(options.task)
        self.base = named_or_base(options.base, self.task, "--base")

    def stages(self) -> tuple[Stage, ...]:
        second = ("rejection-sampling", *(("rl-1",) if self.options.sft2_from == "rl-1" else ()))
        return (
            Stage("r1-zero", "GRPO on the base", (), self.r1_zero, 3),
            Stage("cold-start", "its readable answers", ("r1-zero",), self.cold_start, 0.5),
            Stage("sft-1", "the base learns them", ("cold-start",), self.sft_1, 0.7),
            Stage("rl-1", "GRPO, and one language", ("sft-1",), self.rl_1, 3),
            Stage("rejection-sampling", "right ones of many", ("rl-1",), self.reject, 0.5),
            Stage("sft-2", "the base learns these", second, self.sft_2, 0.7),
            Stage("rl-2", "GRPO for all", ("sft-2",), self.rl_2, 3),
        )

    # -- reinforcement learning ------------------------------------------------------------------

    def r1_zero(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        return self.rl(place / "run", self.options.task, self.base)

    def rl_1(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        rewards = {"accuracy": 1.0, "format": 0.1, "language": self.options.language}
        return self.rl(place / "run", self.options.task, inputs["sft-1"], reward=rewards)

    def rl_2(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        """Three quarters on word problems, then a quarter on all, at a lower temperature."""
        last = max(1, self.options.rl_steps // 4)
        first = max(1, self.options.rl_steps - last)
        cool = {"temperature": 0.7}
        words = self.rl(
            place / "run-words", self.options.task, inputs["sft-2"], steps=first, **cool
        )
        if words is None:
            return None
        everything = mixture_of({self.options.task: 1, "general": 1})
        return self.rl(place / "run-all", everything, words[0], steps=last, **cool)

    def rl(self, where: Path, task: str, init: Any, **chosen: Any) -> Outcome:
        o = self.options
        size = {"steps": o.rl_steps, "group_size": o.group_size, "prompts": o.questions}
        return self.train(
            grpo.train, grpo.Options, where, task=task, init=str(init), **size | chosen
        )

    # -- fine-tuning -----------------------------------------------------------------------------

    def sft_1(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        return self.tune(place / "run", self.base, inputs["cold-start"])

    def sft_2(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        start = inputs.get("rl-1", self.base)
        return self.tune(place / "run", start, inputs["rejection-sampling"])

    def tune(self, where: Path, init: Any, pool: Path) -> Outcome:
        steps = {"steps": self.options.sft_steps, "pool": pool}
        return self.train(
            sft.train, sft.Options, where, task=self.options.task, init=str(init), **steps
        )

    def train(
        self, train: Callable[..., loop.Result], make: Any, where: Path, **chosen: Any
    ) -> Outcome:
        """A run, from its beginning or from where it was interrupted; its last model and what it
        cost."""
        o = self.options
        steps = chosen["steps"]
        result = loop.carry_on(
            train, make, where, seed=o.seed, device=o.device, threads=o.threads,
            eval_n=o.eval_n, eval_every=steps, save_every=max(1, steps // 4), **chosen,
        )  # fmt: skip
        return outcome_of(result)

    # -- examples --------------------------------------------------------------------------------

    def cold_start(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        """Right answers of R1-Zero that a person would want to read."""
        tokenizer, groups = self.answers(inputs["r1-zero"], "cold-start")
        kept, counts = self.choose(groups, readable)
        return self.write(place, tokenizer, kept, counts, general=0)

    def reject(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        """The right answers of rl-1, and a third as many general requests with their answers."""
        tokenizer, groups = self.answers(inputs["rl-1"], "rejection-sampling")
        kept, counts = self.choose(groups, lambda episodes: [True] * len(episodes))
        return self.write(place, tokenizer, kept, counts, general=len(kept) // REASONING_TO_GENERAL)

    def answers(self, where: Path, what: str) -> tuple[Tokenizer, list[list[Episode]]]:
        """Several answers to each of many training problems, the same ones each time."""
        o, device = self.options, machine.choose_device(self.options.device)
        machine.set_threads(o.threads)
        _, model, tokenizer, _ = open_model(where, device)
        drawn = [problem_rng(o.seed, i, f"{o.task}/{what}") for i in range(o.prompts)]
        room = model.config.max_seq_len - self.task.max_new_tokens
        problems = fitting(
            self.task, tokenizer, [self.task.sample(rng, "train") for rng in drawn], room
        )
        groups = rollout(
            model, tokenizer, self.task, problems, group_size=o.samples,
            max_new_tokens=self.task.max_new_tokens, seed=o.seed,
        )  # fmt: skip
        return tokenizer, groups

    def choose(
        self,
        groups: Sequence[Sequence[Episode]],
        wanted: Callable[[Sequence[Episode]], Sequence[bool]],
    ) -> tuple[list[Episode], Counter[str]]:
        """Right, well-formed, thinking answers that are wanted, each once, and at most MOST_EACH a
        problem."""
        seen: set[Any] = set()
        kept, counts = [], Counter[str]()
        for group in groups:
            right, found = keep_right(group, seen)
            counts.update(found)
            right = [e for e in right if e.thinks]
            chosen = [e for e, want in zip(right, wanted(right), strict=True) if want]
            counts["unwanted"] += found["kept"] - len(chosen)
            kept += chosen[:MOST_EACH]
        counts["kept"] = len(kept)
        return kept, counts

    def write(
        self,
        place: Path,
        tokenizer: Tokenizer,
        kept: Sequence[Episode],
        counts: Counter[str],
        general: int,
    ) -> Outcome:
        """A pool of traces, as `sft --pool` reads it. UserError if nothing was kept."""
        if not kept:
            raise UserError(
                f"none of {counts['sampled']} answers is right, well-formed and wanted: nothing to "
                "learn from; try more --rl-steps, --prompts or --samples, or a better --base"
            )
        records = [as_record(tokenizer, e) for e in kept]
        task = get_task("general")
        for i in range(general):
            rng = problem_rng(self.options.seed, i, "general/pipeline")
            problem = task.sample(rng, "train")
            answer = task.solution(problem, rng)
            ids = [*task.encode(tokenizer, answer), tokenizer.eos_id]
            record = {"key": problem.key, "prompt": task.render(problem)}
            records.append(record | {"completion": answer, "completion_ids": ids})
        random.Random(self.options.seed).shuffle(records)
        head = {"task": self.options.task, **counts, "general": general, "seconds": 0.0}
        path = place / "traces.jsonl"
        lines = [json.dumps(record) + "\n" for record in (head, *records)]
        write_bytes_atomic(path, "".join(lines).encode())
        return path, dict(counts) | {"general": general}


def readable(episodes: Sequence[Episode]) -> list[bool]:
    """Which answers are in one language and do not repeat themselves."""
    clean, repeats = manner.one_language(episodes), manner.repetition(episodes)
    return [c == 1 and r >= READABLE for c, r in zip(clean, repeats, strict=True)]
