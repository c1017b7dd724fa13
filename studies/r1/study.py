"""DeepSeek-R1's recipe in miniature, on word problems whose base mixes languages.

    python -m studies.r1 pipeline 0    seed 0: all stages; each stage's model on the test split
    python -m studies.r1 language 0    GRPO on the base with the reward for one language, without
                                       any stage before it: what does the reward cost?
    python -m studies.r1 even 0        the control: a base for which mixing does not pay, and GRPO
                                       on it
    python -m studies.r1 all           everything that is missing, one after another

Each finished part is a line of data/results/r1.jsonl. One thread; nothing was tuned on test.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from minilrm import grpo, pipeline, pretrain
from minilrm.pipeline.page import look
from minilrm.pipeline.stages import finished
from minilrm.tasks import get_task, register
from minilrm.tasks.bilingual import Bilingual
from studies import common

TASK, BASE, SEEDS, N = "bilingual", "bilingual-base", (0, 1, 2), 1000
STEPS = 60  # of each reinforcement learning, as in the pipeline
EVEN = {
    "tokens": 11_000_000,
    "accumulate": 1,
    "max_tokens_per_batch": 2048,
}  # the base's own recipe
LANGUAGE = 0.2  # the weight of the reward for one language, as in the pipeline


@register
class EvenMixing(Bilingual):
    """The same words, and as much mixing, but those who mix are right no more often."""

    name, base, web_of = "bilingual-even", None, "bilingual-even"
    right_mixed = Bilingual.right_alone


def figures(where: str | Path, seed: int) -> dict[str, Any]:
    """A model on the test split, in both wordings of the prompt; general requests; mixing."""
    found = look(where, get_task(TASK), split="test", n=N, seed=seed, device="cpu")
    return {key: value for key, value in found.items() if key != "answers"}


def study_pipeline(seed: int) -> dict[str, Any]:
    """All stages, and the model of each that has one."""
    where = common.folder("r1", "pipeline", seed)
    options = pipeline.Options(
        recipe="r1", task=TASK, base=BASE, out=where, seed=seed, threads=1, rl_steps=STEPS,
        device="cpu",
    )  # fmt: skip
    if pipeline.make(options):
        raise KeyboardInterrupt
    stages = {"base": figures(BASE, seed)}
    for stage in pipeline.R1(options).stages():
        done = finished(where, stage.name)
        assert done
        stages[stage.name] = {"seconds": done.seconds, "kept": done.figures}
        if (where / stage.name / done.artefact).is_dir():
            stages[stage.name] |= figures(where / stage.name / done.artefact, seed)
    return {"stages": stages}


def study_language(seed: int) -> dict[str, Any]:
    reward = {"accuracy": 1.0, "format": 0.1, "language": LANGUAGE}
    return rl("language", seed, BASE, TASK, reward=reward)


def study_even(seed: int) -> dict[str, Any]:
    """The control's base is trained first, from the same seed."""
    base = common.folder("r1", "even-base", seed)
    log = common.run(
        pretrain.train, pretrain.Options, base, task=EvenMixing.name, scale="nano", seed=seed,
        threads=1, eval_n=100, **EVEN,
    )  # fmt: skip
    before = figures(common.last(log), seed)
    return {"base": before, **rl("even", seed, str(common.last(log)), TASK)}


def rl(kind: str, seed: int, base: str, task: str, **how: Any) -> dict[str, Any]:
    """GRPO as the pipeline's first stage has it; then the test split."""
    log = common.run(
        grpo.train, grpo.Options, common.folder("r1", kind, seed), task=task, init=base, seed=seed,
        threads=1, steps=STEPS, save_every=STEPS, eval_every=STEPS, eval_n=300, **how,
    )  # fmt: skip
    curves = common.curves(log, ("reward", "accuracy", "completions/mean_length"))
    return {"curves": curves, "after": figures(common.last(log), seed)}


STUDIES: dict[str, Callable[[int], dict[str, Any]]] = {
    "pipeline": study_pipeline,
    "language": study_language,
    "even": study_even,
}


def main() -> None:
    parts = {kind: (study, SEEDS) for kind, study in STUDIES.items()}
    common.measure_missing("r1", "studies.r1", __doc__, parts)


if __name__ == "__main__":
    common.command(main)
