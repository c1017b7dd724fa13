"""The stages from random weights to a small student of a reasoning model.

    tokenizer     byte-pair encoding, learnt from samples of all that the project reads
    pretrain      a base from random weights: word problems in two languages, told by people
    sft           the base learns worked solutions
    grpo          and is rewarded for right answers; these two are the usual way
    pipeline      DeepSeek-R1's recipe, from the same base: seven stages of its own
    distill       a smaller student, from random weights, learns what the last model answers
    evaluation    the test split, for each of the five models

The scale is the one dial: it sets the model, and how much of everything there is (`SIZES`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilrm import checkpoint, distill, grpo, loop, machine, pipeline, pretrain, sft
from minilrm.corpus import tokenizer_texts
from minilrm.errors import UserError
from minilrm.files import write_json_atomic
from minilrm.model import count_parameters
from minilrm.pipeline.page import look
from minilrm.pipeline.stages import Outcome, Stage, finished, outcome_of
from minilrm.tasks import get_task
from minilrm.tokenizer import Tokenizer

TASK = "bilingual"  # its base mixes languages: what the recipe of R1 repairs
VOCABULARY = 1024
GROUP = 8  # completions per question
LOSS_EVERY = 2000  # steps of pretraining between validation losses, which cost 15 seconds each


@dataclass(frozen=True)
class Size:
    """How much of everything a scale takes.

    texts: samples that the tokenizer learns from; tokens: that the base reads, in steps of at most
    `batch` tokens; rl_steps: of each reinforcement learning, with so many `questions` a step;
    prompts: training problems that are answered for examples, four times in the pipeline and once
    by the teacher; student: its scale; eval_n, test_n: problems for figures on the way, at the end.
    """

    texts: int
    tokens: int
    batch: int
    sft_steps: int
    rl_steps: int
    questions: int
    prompts: int
    student: str
    distill_steps: int
    eval_n: int
    test_n: int


#: Many small steps: at this size their number counts more than their noise (LOG.md, "a base that
#: mixes languages"). pico is for trying the stages out: its models are right a few times in a
#: hundred.
SIZES = {
    "pico": Size(2_000, 1_500_000, 2048, 10, 3, 8, 1_500, "pico", 20, 40, 40),
    "nano": Size(24_000, 9_000_000, 2048, 100, 50, 32, 2_000, "pico", 250, 200, 1_000),
    "micro": Size(24_000, 20_000_000, 2048, 150, 80, 32, 3_000, "nano", 300, 300, 1_000),
}


@dataclass(frozen=True)
class Everything:
    """The stages of one speedrun, each with its work (`pipeline/stages.py` runs them)."""

    scale: str
    out: Path
    seed: int = 0
    device: str = "auto"
    threads: int | None = None

    @property
    def size(self) -> Size:
        return SIZES[self.scale]

    def stages(self) -> tuple[Stage, ...]:
        models = ("pretrain", "sft", "grpo", "pipeline", "distill")
        return (
            Stage("tokenizer", "byte-pair encoding", (), self.tokenizer, 0.3),
            Stage("pretrain", "a base, from random weights", ("tokenizer",), self.pretrain, 15),
            Stage("sft", "the base learns worked solutions", ("pretrain",), self.sft, 1.5),
            Stage("grpo", "and is rewarded for right answers", ("sft",), self.grpo, 2.5),
            Stage("pipeline", "DeepSeek-R1's recipe, on the base", ("pretrain",), self.r1, 11),
            Stage("distill", "a student of its last model", ("pipeline",), self.distill, 2.5),
            Stage("evaluation", "test problems for all", models, self.evaluation, 2.5),
        )

    # -- from nothing to a base ------------------------------------------------------------------

    def tokenizer(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        texts = tokenizer_texts(self.seed, self.size.texts)
        tokenizer = Tokenizer.train(texts, vocab_size=VOCABULARY)
        tokenizer.save(place)
        return place / "tokenizer.json", {"vocabulary": len(tokenizer)}

    def pretrain(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        return self.train(
            pretrain.train, pretrain.Options, place, scale=self.scale, tokens=self.size.tokens,
            tokenizer=str(inputs["tokenizer"].parent.resolve()), accumulate=1,
            max_tokens_per_batch=self.size.batch, eval_every=LOSS_EVERY, save_every=500,
        )  # fmt: skip

    # -- from a base to reasoning ----------------------------------------------------------------

    def sft(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        return self.train_on(sft, place, self.size.sft_steps, init=str(inputs["pretrain"]))

    def grpo(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        return self.train_on(
            grpo, place, self.size.rl_steps, init=str(inputs["sft"]), prompts=self.size.questions,
            group_size=GROUP,
        )  # fmt: skip

    def r1(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        """The whole of `python -m minilrm.pipeline r1`, which has stages and a page of its own."""
        size = self.size
        options = pipeline.Options(
            task=TASK, base=str(inputs["pretrain"].resolve()), out=place / "r1", seed=self.seed,
            device=self.device, threads=self.threads, rl_steps=size.rl_steps,
            sft_steps=size.sft_steps, prompts=size.prompts, questions=size.questions,
            group_size=GROUP, eval_n=size.eval_n,
        )  # fmt: skip
        try:
            code = pipeline.make(options)
        except UserError as error:
            again = "here --from pipeline makes all of it anew"
            raise UserError(f"in the stage pipeline: {error}; {again}") from error
        last = pipeline.R1(options).stages()[-1]
        done = finished(options.out, last.name)
        if code or done is None:
            return None
        return options.out / last.name / done.artefact, done.figures

    def distill(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        return self.train_on(
            distill, place, self.size.distill_steps, teacher=str(inputs["pipeline"]),
            student_scale=self.size.student, prompts=self.size.prompts,
        )  # fmt: skip

    def train_on(self, command: Any, place: Path, steps: int, **chosen: Any) -> Outcome:
        """A run of so many steps, measured before and after."""
        every = {"steps": steps, "eval_every": steps, "save_every": max(1, steps // 4)}
        return self.train(command.train, command.Options, place, **every, **chosen)

    def train(
        self, train: Callable[..., loop.Result], make: Any, place: Path, **chosen: Any
    ) -> Outcome:
        """A run in a stage's folder, from its beginning or from where it was interrupted."""
        result = loop.carry_on(
            train, make, place / "run", task=TASK, seed=self.seed, device=self.device,
            threads=self.threads, eval_n=self.size.eval_n, **chosen,
        )  # fmt: skip
        return outcome_of(result)

    # -- what came of it -------------------------------------------------------------------------

    def evaluation(self, place: Path, inputs: Mapping[str, Path]) -> Outcome:
        """The figures of each model on the test split: a file without times, so that it is the same
        whenever it is made."""
        machine.set_threads(self.threads)
        task, found = get_task(TASK), {}
        for name, model in inputs.items():
            print(f"measuring {name} on {self.size.test_n} test problems ...", flush=True)
            figures = look(
                model, task, split="test", n=self.size.test_n, seed=self.seed, device=self.device
            )
            parameters = count_parameters(checkpoint.open_model(model).model)
            found[name] = {"parameters": parameters, **figures}
        path = place / "figures.json"
        write_json_atomic(path, found)
        return path, {}
