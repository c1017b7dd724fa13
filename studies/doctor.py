"""Records the runs that the doctor is tested on: real runs of the toy task with a known failure
switched on.

    python -m studies.doctor record                       all that are missing (about 5 s of an idle
                                                          core each)
    python -m studies.doctor record truncation            those of one state
    python -m studies.doctor table                        what the doctor makes of them
    python -m studies.doctor adopt healthy FOLDER ...     add runs that were made elsewhere, known
                                                          to be in this state

A recording is a line of data/doctor/<state>.jsonl; what stands there is not run again, nor is
a run that is still among `--runs`. Each state has several PLANS, so that a threshold cannot fit one
strength of the failure; seed s takes plan s modulo their number. The thresholds in
minilrm/doctor/checks.py were chosen with an eye on CHOSEN and on runs from elsewhere, most of full
size; the seeds of TESTED were run when the rules stood, and only test them.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from minilrm import checkpoint, doctor, grpo, machine
from minilrm.doctor import recordings
from minilrm.failures import faults, toy
from minilrm.failures.faults import Fault
from minilrm.files import write_bytes_atomic
from minilrm.options import to_dict
from minilrm.runlog import RunLog
from studies import common

# The doctor reads the training lines; transcripts of the end are enough.
CHEAP = {"eval_n": 24, "eval_every": 1000}
STEPS = {0: 40}  # by seed; 24 for the others, since a diagnosis should not need a long run
CHOSEN, TESTED = range(9), range(9, 13)  # the seeds of each state
HEALTHY_CHOSEN, HEALTHY_TESTED = range(22), range(22, 36)
ADOPTED = "adopted"  # how recordings are marked that were not made here


@dataclass(frozen=True)
class Plan:
    """One way to bring a run into a state: grpo's options, a fault, the corpus of the base."""

    how: str
    options: Mapping = field(default_factory=dict)
    fault: Fault = faults.none
    corpus: str = "plain"


PLANS = {
    "healthy": [
        Plan("the default"),
        Plan("Dr. GRPO", {"objective": "dr_grpo", "normalize": "none", "aggregation": "constant"}),
        Plan("two updates a batch", {"updates": 2}),
        Plan("a little KL", {"kl_coef": 0.02}),
        Plan("RLOO", {"objective": "reinforce", "normalize": "rloo"}),
        Plan("DAPO", {"objective": "dapo", "lr": 3e-4}),
        Plan("GSPO", {"objective": "gspo", "aggregation": "sequence", "updates": 4}),
    ],
    "too_hard": [
        Plan("numbers of three digits", {"task": "sums-hard"}),
        Plan(
            "numbers of three digits, no pay for the form",
            {"task": "sums-hard", "reward": {"accuracy": 1.0}},
        ),
    ],
    "saturated": [
        Plan("a base that always works the sum out", corpus="expert"),
        Plan("the same, slower", {"lr": 1e-4}, corpus="expert"),
    ],
    "truncation": [
        Plan(f"a limit of {n} tokens", {"max_new_tokens": n}, corpus=corpus)
        for n, corpus in ((14, "plain"), (18, "expert"), (10, "plain"))
    ],
    "eos_not_learnt": [
        Plan("a base that has read no end of text", corpus="endless"),
        Plan("the same, longer limit", {"max_new_tokens": 60}, corpus="endless"),
    ],
    "length_runaway": [
        Plan(f"{x} a token", {"max_new_tokens": n}, lambda x=x: faults.length_bonus(x))
        for x, n in ((0.03, 72), (0.06, 48), (0.1, 60))
    ],
    "format_only": [
        Plan(
            f"format {f}, accuracy {a}",
            {"reward": {"accuracy": a, "format": f}, "normalize": "none"},
            corpus="sloppy",
        )
        for f, a in ((1.0, 0.1), (1.0, 0.0), (0.5, 0.05))
    ],
    "kl_pinning": [Plan(f"kl_coef {k}", {"kl_coef": k}) for k in (5.0, 10.0, 30.0)],
    "lr_too_high": [Plan(f"learning rate {x}", {"lr": x}) for x in (5e-3, 1e-2, 3e-2)],
    "stale_policy": [
        Plan("weights 10 steps old", fault=lambda: faults.stale_rollouts(10)),
        Plan("weights 20 steps old", fault=lambda: faults.stale_rollouts(20)),
        Plan("16 passes over a batch", {"epochs": 16}),
    ],
    "reward_noise": [
        Plan("40 % flipped", fault=lambda: faults.reward_noise(flipped=0.4)),
        Plan("half flipped", fault=lambda: faults.reward_noise(flipped=0.5)),
        Plan("normal noise of 1.5", fault=lambda: faults.reward_noise(spread=1.5)),
    ],
    "sampler_mismatch": [
        Plan(f"sampled at {t}, trained at 1", {"temperature": t}, faults.temperature_forgotten)
        for t in (0.5, 1.5, 0.7)
    ],
    "entropy_collapse": [
        Plan(f"entropy taken for a cost, weight {w}", fault=lambda w=w: faults.entropy_sign(w))
        for w in (5.0, 10.0, 20.0)
    ],
}
# Documents that never end, but go on with other questions. That alone is not enough: the expert
# from which this base reads on has known the end of text, and finds back to it within ten steps,
# even if it is masked in the loss. So it is forgotten too.
toy.CORPORA["endless"] = {"guess": 0.3, "steps": 0.7, "no_end": 1.0}


def base(runs: Path, corpus: str) -> Path:
    """The toy base of a corpus; that of endless documents gives the end of text the logit 0, far
    below the usual."""
    path, mute = toy.make_base(runs, corpus), runs / "base-mute"
    if corpus != "endless" or mute.exists():
        return path if corpus != "endless" else mute
    model, tokenizer, _ = checkpoint.load(path)
    with torch.no_grad():
        model.embed_tokens.weight[tokenizer.eos_id] = 0.0
    return checkpoint.save(
        mute,
        model,
        tokenizer,
        info=checkpoint.Info(task=toy.Sums.name, notes={"corpus": "endless, mute"}),
    )


def file_of(state: str) -> Path:
    return machine.data_folder() / "doctor" / f"{state}.jsonl"


def read(state: str) -> list[dict]:
    path = file_of(state)
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if path.exists()
        else []
    )


def write(state: str, records: list[dict]) -> None:
    """The same records give the same bytes: sorted by half and seed, no time stamp."""
    path = file_of(state)
    path.parent.mkdir(parents=True, exist_ok=True)
    order = sorted(records, key=lambda r: (r["half"], r["seed"], r["how"]))
    text = "".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in order)
    write_bytes_atomic(path, text.encode())


def halves(state: str) -> tuple[range, range]:
    return (HEALTHY_CHOSEN, HEALTHY_TESTED) if state == doctor.HEALTHY else (CHOSEN, TESTED)


def record(state: str, seed: int, runs: Path) -> dict:
    """Run a plan, unless it was run already, and pack what it logged."""
    plans, half = PLANS[state], "chosen" if seed in halves(state)[0] else "tested"
    plan, folder = plans[seed % len(plans)], runs / f"{state}-{seed}"
    if not (folder / "summary.json").exists():
        shutil.rmtree(folder, ignore_errors=True)  # half a run
        options = {"seed": seed, "steps": STEPS.get(seed, 24), **CHEAP, **plan.options}
        toy.run(folder, base(runs, plan.corpus), plan.fault, **options)
        if not (folder / "summary.json").exists():
            raise KeyboardInterrupt
        shutil.rmtree(folder / "checkpoints")
    return recordings.pack(state, half, plan.how, seed, shortened(RunLog.open(folder)))


def shortened(log: RunLog) -> doctor.Run:
    """The run, with those of its options that are not the default, and without places on this
    machine."""
    run = doctor.from_log(log)
    default = to_dict(grpo.Options())
    options = {
        k: v
        for k, v in run.options.items()
        if k not in ("out", "init", "resume") and v != default.get(k)
    }
    return doctor.Run(
        run.name,
        {"task": run.options["task"], "lr": run.options["lr"]} | options,
        run.train,
        run.samples,
    )


def record_missing(states: list[str], runs: Path, seeds: range) -> None:
    # Seed by seed, so that a study that is broken off has some of every state.
    for seed in seeds:
        for state in states:
            done = read(state)
            there = any(r["seed"] == seed and not r["how"].startswith(ADOPTED) for r in done)
            if any(seed in half for half in halves(state)) and not there:
                write(state, [*done, record(state, seed, runs)])
                print(f"{state}, seed {seed}: recorded", flush=True)


def adopt(state: str, folder: Path, half: str) -> None:
    """A run that was made elsewhere joins the recordings: "tested", if no threshold was chosen with
    an eye on it."""
    log = RunLog.open(folder)
    seed, name = (
        log.config["options"]["seed"],
        folder.parent.name if folder.name == "run" else folder.name,
    )
    how = f"{ADOPTED}: {log.config['task']}, {name}"
    done = [r for r in read(state) if (r["how"], r["seed"]) != (how, seed)]
    write(state, [*done, recordings.pack(state, half, how, seed, shortened(log))])


def main() -> None:
    parser = common.parser("studies.doctor", __doc__)
    parser.add_argument("what", choices=("record", "table", "adopt"))
    parser.add_argument("state", nargs="?", choices=tuple(PLANS))
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/doctor"), help="where the bases and runs are kept"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs=2,
        default=(0, 36),
        metavar=("FROM", "TO"),
        help="only these, TO left out",
    )
    parser.add_argument(
        "--half", choices=("chosen", "tested"), default="tested", help="of adopted runs (see above)"
    )
    chosen = parser.parse_args()
    common.one_thread()
    if chosen.what == "record":
        record_missing(
            [chosen.state] if chosen.state else list(PLANS), chosen.runs, range(*chosen.seeds)
        )
    elif chosen.what == "adopt":
        for folder in chosen.folders:
            adopt(chosen.state, folder, chosen.half)
    else:
        doctor.main(["--table"])


if __name__ == "__main__":
    common.command(main)
