"""Does a reward for the check keep the check alive? Multiplication at a learning rate at which
rewards for outcomes alone make the model stop checking.

    python -m studies.aha.remainders outcome 0      right answers alone, at --lr 5e-4
    python -m studies.aha.remainders true 0         and .1 for each of the four remainders of an
                                                    attempt that is true (mean over its attempts)
    python -m studies.aha.remainders form 0         control: .1 for each that is written, true or
                                                    not
    python -m studies.aha.remainders all            everything that is missing

Each finished part is a line of data/results/remainders.jsonl.
"""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

from minilrm import grpo
from minilrm.intervals import mean
from minilrm.rollout import Episode
from studies import common

TASK, SEEDS, N, STEPS, LR = "multiplication", (0, 1, 2), 1000, 60, 5e-4
WORTH = 0.1
CURVES = (
    "reward", "accuracy", "entropy", "completions/mean_length", "reflection/retry_rate",
    "reflection/false_accept", "reflection/first_try_accuracy",
)  # fmt: skip
# 347*86=27760+2092=29852~26~8, 14~5 14~5 5*5~7 no
CHECKED = re.compile(
    r"([0-9]{1,12})\*([0-9]{1,12})=[0-9]{1,12}\+[0-9]{1,12}=([0-9]{1,12})"
    r"~([0-9]{1,2})~([0-9]), ([0-9]{1,2})~([0-9]) ([0-9]{1,2})~([0-9]) ([0-9])\*([0-9])~([0-9])"
)


def checks(text: str) -> list[list[bool]]:
    """For each attempt that is checked: which of its four remainders are true, those of the result,
    of both factors, and of their product.

    >>> checks(" 347*86=27760+2092=29852~26~8, 14~5 14~5 5*5~6 no")
    [[True, True, True, False]]
    """
    found = []
    for match in CHECKED.finditer(text):
        a, b, result, *cast = map(int, match.groups())
        sums = [sum(map(int, str(n))) for n in (result, a, b)]
        true = [
            cast[2 * i] == total and cast[2 * i + 1] == total % 9 for i, total in enumerate(sums)
        ]
        found.append([*true, cast[6:] == [a % 9, b % 9, a * b % 9]])
    return found


def true(episodes: Sequence[Episode]) -> list[float]:
    """The mean number of true remainders in an attempt."""
    return [mean([sum(of) for of in found]) if (found := checks(e.text)) else 0.0 for e in episodes]


def form(episodes: Sequence[Episode]) -> list[float]:
    """As many, true or not: 4 where any attempt is checked."""
    return [4.0 if checks(e.text) else 0.0 for e in episodes]


ARMS: dict[str, Callable[[Sequence[Episode]], list[float]] | None] = {
    "outcome": None,
    "true": true,
    "form": form,
}


def study(arm: str, seed: int) -> dict[str, Any]:
    """A run, and what of the checks is true at its end."""
    own = ARMS[arm]
    reward = {"accuracy": 1.0, "format": 0.1} | ({arm: WORTH} if own else {})
    log = common.run(
        lambda options: grpo.train(options, rewards={arm: own} if own else None),
        grpo.Options,
        common.folder("remainders", arm, seed),
        task=TASK, seed=seed, threads=1, steps=STEPS, lr=LR, reward=reward, eval_n=500,
        eval_every=STEPS, save_every=STEPS, collapse=0.0,
    )  # fmt: skip
    said = [check for s in log.samples() if s["step"] == STEPS for check in checks(s["completion"])]
    return {
        "curves": common.curves(log, CURVES),
        "summary": common.summary(log),
        "true_at_the_end": {"n": len(said), "share": mean([x for of in said for x in of])},
        "test": common.measure(common.last(log), TASK, "test", N, quick=True),
    }


def main() -> None:
    parts = {arm: (functools.partial(study, arm), SEEDS) for arm in ARMS}
    common.measure_missing("remainders", "studies.aha.remainders", __doc__, parts)


if __name__ == "__main__":
    common.command(main)
