"""Recorded runs whose state is known, and how the doctor fares on them.

A recording is a line of a `.jsonl` file, one file per state: the options that were not the default,
the figures of every training step, a few transcripts, and how the run was made.
`python -m studies.doctor record` makes them; the runs of some seeds were used to choose the
thresholds ("chosen"), those of the others only to test them ("tested").
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilrm.doctor.run import NEEDED, Run
from minilrm.errors import UserError
from minilrm.files import read_jsonl
from minilrm.intervals import wilson_interval

# What is kept of a training line.
KEPT = (
    *NEEDED,
    "reward_std",
    "frac_reward_zero_std",
    "completions/clipped_ratio",
    "completions/think_rate",
    "loss",
    "grad_norm",
    "kl",
    "clip_ratio/region_mean",
    "sampling/logp_difference",
    "invalid",
)


@dataclass(frozen=True)
class Recording:
    """A run, the state it is in, how it was brought there, and which half it belongs to ("chosen"
    or "tested")."""

    state: str
    half: str
    how: str
    run: Run


def pack(
    state: str, half: str, how: str, seed: int, run: Run, samples: int = 12, length: int = 240
) -> dict[str, Any]:
    """A recording as a JSON object: what no check reads is left out, figures keep four digits."""
    figures = {
        key: [None if x is None else float(f"{x:.4g}") for x in run.train[key]]
        for key in KEPT
        if key in run.train
    }
    texts = [text[:length] for text in run.texts[:samples]]
    return {
        "state": state,
        "half": half,
        "how": how,
        "seed": seed,
        "options": dict(run.options),
        "train": figures,
        "completions": texts,
    }


def unpack(record: dict[str, Any]) -> Recording:
    name = f"{record['state']}, seed {record['seed']}"
    run = Run(
        name,
        record["options"],
        record["train"],
        tuple({"completion": text} for text in record["completions"]),
    )
    return Recording(record["state"], record["half"], record["how"], run)


def load(folder: Path) -> list[Recording]:
    """All recordings of a folder, by state. UserError if there is none, or one cannot be read."""
    files = sorted(Path(folder).glob("*.jsonl"))
    if not files:
        raise UserError(
            f"{folder} has no recorded runs (*.jsonl); `python -m studies.doctor record` "
            "in a clone makes them"
        )
    found = []
    for file in files:
        try:
            found += [unpack(record) for record in read_jsonl(file)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{file} holds no recorded runs (no {error}); make it anew with "
                "`python -m studies.doctor`"
            ) from error
    return found


def confusion(judged: Sequence[tuple[Recording, str]], healthy: str) -> str:
    """The table: a row a true state, a column a verdict, and the rates on either half of the
    seeds."""
    states = sorted({r.state for r, _ in judged}, key=lambda state: (state != healthy, state))
    others = sorted({v for _, v in judged} - set(states))
    width = max(map(len, states)) + 2
    heads = [f"{i + 1:>3}" for i in range(len(states))] + [f" {other}" for other in others]
    lines = [
        f"{'the run is':<{width + 4}}" + "the doctor says",
        f"{'':<{width + 4}}" + "".join(heads),
    ]
    for i, state in enumerate(states):
        said = Counter(v for r, v in judged if r.state == state)
        cells = [f"{said[v] or '.':>3}" for v in states] + [
            f"{said[v] or '.':>{len(v) + 1}}" for v in others
        ]
        lines.append(f"{i + 1:>2}  {state:<{width}}" + "".join(cells))
    lines += [
        "",
        *(
            rate(name, [pair for pair in judged if part in (None, pair[0].half)], healthy)
            for name, part in (
                ("thresholds chosen on", "chosen"),
                ("tested on", "tested"),
                ("all", None),
            )
        ),
    ]
    return "\n".join(lines)


def rate(name: str, judged: Sequence[tuple[Recording, str]], healthy: str) -> str:
    """`tested on: 35 of 36 runs right (97 %, 95 % interval 86 to 100), 0 false alarms on 6 healthy
    ones`."""
    right = sum(r.state == v for r, v in judged)
    well = [v for r, v in judged if r.state == healthy]
    low, high = wilson_interval(right, len(judged)) if judged else (0.0, 1.0)
    share = f"{right / len(judged):.0%}" if judged else "-"
    return (
        f"{name}: {right} of {len(judged)} runs right ({share}, 95 % interval {low:.0%} to "
        f"{high:.0%}), {sum(v != healthy for v in well)} false alarms on {len(well)} healthy ones"
    )
