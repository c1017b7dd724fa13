"""GSM8K itself, with real weights: does GRPO gain anything over its own fine-tuned start, on
problems that nobody here wrote?

    python -m studies.gsm8k --model DIR --data FOLDER base      the model as it is
    python -m studies.gsm8k --model DIR --data FOLDER sft 0     fine-tuned on training solutions
    python -m studies.gsm8k --model DIR --data FOLDER grpo 0    GRPO from there, rewarded by rule
    python -m studies.gsm8k --model DIR --data FOLDER all       everything that is missing
    python -m studies.gsm8k table                               what is there so far

DIR is a model's folder, such as SmolLM2-135M-Instruct out of a GGUF file (`python -m
minilrm.checkpoint import FILE.gguf --out DIR`); FOLDER has GSM8K's train.jsonl and test.jsonl. All
train on the training file's own 80 %, choose nothing, and are asked all 1,319 test problems, as the
user's turn of the model's chat template: greedily, and SAMPLES times at temperature 1. --n N asks
fewer and notes it. On two cores a seed takes hours: 135 million parameters are fifty times the
model of the lectures. Each finished part is a line of data/results/gsm8k.jsonl; a run that was
interrupted goes on from its last checkpoint in runs/.
"""

from functools import partial
from pathlib import Path
from typing import Any

from minilrm import checkpoint, evaluate, grpo, intervals, machine, sft
from minilrm.errors import UserError
from minilrm.tasks import get_task
from studies import common
from studies.common import bits

SEEDS, SAMPLES = (0, 1), 8
WHOLE = 1319  # problems of the test file
LONGEST = 200  # tokens of an answer; two reference solutions in a hundred are longer
ALIKE: dict[str, Any] = {
    "task": "gsm8k",
    "chat": True,
    "eval_n": 50,
    "max_tokens_per_batch": 4096,
}
SFT = {"steps": 200, "batch": 16, "lr": 5e-5}
GRPO = {
    "steps": 60, "prompts": 8, "group_size": 8, "lr": 1e-5, "lr_hold": 60, "eval_every": 60,
    "max_new_tokens": LONGEST,
}  # fmt: skip
KEPT = (
    "n", "split", "samples", "accuracy", "accuracy_ci", "greedy", "greedy_ci", "pass_at_k",
    "mean_length", "tokens", "seconds", "peak_memory_mb", "problems_sha256", "outcomes",
)  # fmt: skip


def ask(where: str | Path, data: Path, n: int) -> dict[str, Any]:
    """A model on the test file."""
    opened = checkpoint.open_model(where)
    if ALIKE["chat"]:
        opened.tokenizer.start_chat()
    file = data / "test.jsonl"
    options = evaluate.Options(
        checkpoint=str(where), task="gsm8k", data=file, split="all", n=n, samples=SAMPLES,
        max_new_tokens=LONGEST, quick=True, chat=ALIKE["chat"],
    )  # fmt: skip
    task = get_task("gsm8k", data=file, split_all=True)
    problems = task.problems("test", n)
    found = evaluate.evaluate(opened.model, opened.tokenizer, task, problems, options, report=print)
    return {key: found[key] for key in KEPT if key in found}


def trained(log: Any, data: Path, n: int) -> dict[str, Any]:
    """A run's costs, its curve and its last model's answers."""
    whole = common.summary(log)
    costs = {key: whole.get(key) for key in ("seconds", "tokens_trained", "tokens_generated")}
    curve = common.curves(log, ("loss", "reward", "accuracy", "completions/mean_length"))
    return costs | {
        "peak_memory_mb": machine.peak_memory_mb(),
        "curves": curve,
        "test": ask(common.last(log), data, n),
    }


def study_base(model: str, data: Path, n: int, seed: int) -> dict[str, Any]:
    return {"test": ask(model, data, n)}


def tuned(model: str, data: Path, seed: int) -> Any:
    return common.run(
        sft.train, sft.Options, common.folder("gsm8k", "sft", seed), init=model, seed=seed,
        data=data / "train.jsonl", **ALIKE, **SFT,
    )  # fmt: skip


def study_sft(model: str, data: Path, n: int, seed: int) -> dict[str, Any]:
    return trained(tuned(model, data, seed), data, n)


def study_grpo(model: str, data: Path, n: int, seed: int) -> dict[str, Any]:
    start = common.last(tuned(model, data, seed))
    log = common.run(
        grpo.train, grpo.Options, common.folder("gsm8k", "grpo", seed), init=str(start), seed=seed,
        data=data / "train.jsonl", **ALIKE, **GRPO,
    )  # fmt: skip
    return trained(log, data, n)


STUDIES = {"base": study_base, "sft": study_sft, "grpo": study_grpo}


def table() -> str:
    """Accuracies of all parts, and for each seed what GRPO gains over its own start."""
    parts = {(r["kind"], r["seed"]): r["test"] for r in common.load_results("gsm8k")}
    if not parts:
        return "nothing has been measured yet"
    lines = [f"{'':<6} seed  sampled  95 %              greedy  95 %              one of {SAMPLES}"]
    for (kind, seed), test in parts.items():
        sampled, greedy = (
            f"{test[key]:>7.1%}  {test[f'{key}_ci'][0]:>5.1%} to {test[f'{key}_ci'][1]:<6.1%}  "
            for key in ("accuracy", "greedy")
        )
        best = test["pass_at_k"][str(SAMPLES)]
        lines.append(f"{kind:<6} {seed:>4}  {sampled}{greedy}{best:.1%}")
    for seed in SEEDS:
        if ("sft", seed) in parts and ("grpo", seed) in parts:
            lines.append(f"seed {seed}: {gain(parts['sft', seed], parts['grpo', seed])}")
    return "\n".join(lines)


def gain(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What GRPO adds to its start, on the same problems, with its interval."""
    said = []
    for way in ("sampled", "greedy"):
        pair = (bits(of["outcomes"][way]) for of in (after, before))
        difference, low, high = intervals.paired_bootstrap(*pair)
        said.append(f"{way} {difference:+.1%} ({low:+.1%} to {high:+.1%})")
    return "GRPO less its start: " + ", ".join(said)


def main() -> None:
    parser = common.parser("studies.gsm8k", __doc__)
    parser.add_argument("what", choices=(*STUDIES, "all", "table"))
    parser.add_argument("seed", nargs="?", type=int)
    parser.add_argument("--model", help="the folder of a real model")
    parser.add_argument("--data", type=Path, help="the folder with GSM8K's two files")
    parser.add_argument("--n", type=int, default=WHOLE, help="test problems")
    chosen = parser.parse_args()
    if chosen.what != "table":
        if not (chosen.model and chosen.data):
            parser.error("--model and --data must be given")
        missing = [f for f in ("train.jsonl", "test.jsonl") if not (chosen.data / f).is_file()]
        if missing:
            raise UserError(f"{chosen.data} has no {missing[0]}; GSM8K's own two files are wanted")
        about = (chosen.model, chosen.data, chosen.n)
        parts: dict[str, common.Part] = {
            kind: (partial(study, *about), (0,) if kind == "base" else SEEDS)
            for kind, study in STUDIES.items()
        }
        common.measure_parts("gsm8k", parts, chosen.what, chosen.seed)
    print(table())


if __name__ == "__main__":
    common.command(main)
