"""Write the problem sets that are shipped: data/gsm8k-mini/{test,ood,train_sample}.jsonl,
data/countdown/{test,ood}.jsonl.

    python scripts/make_data.py                      all of them
    python scripts/make_data.py --task countdown     those of one task

The files of gsm8k-mini are in GSM8K's schema, with three fields more (key, difficulty, meta); those
of countdown have the numbers, the target and one right answer. `test` and `ood` are what every
final figure is measured on: make them anew only when the problems themselves have changed, and
measure everything again then. `train_sample` is to look at, and to try `--data` with.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that the clone that holds this script is used, installed or not

from minilrm.files import write_bytes_atomic  # noqa: E402
from minilrm.tasks import countdown, gsm8k_mini  # noqa: E402

FILES = {"test": "test", "ood": "ood", "train_sample": "train"}  # of gsm8k-mini: file -> split
COUNTDOWN_FILES = {"test": "test", "ood": "ood"}


def lines(split: str, n: int) -> list[str]:
    """The first `n` problems of a split of gsm8k-mini, made from seed 0, a line of compact JSON
    each."""
    return [
        compact(gsm8k_mini.to_record(problem))
        for problem in gsm8k_mini.GSM8KMini().make(split, n, seed=0)
    ]


def countdown_lines(split: str, n: int) -> list[str]:
    """The same of countdown."""
    return [
        compact(countdown.to_record(problem))
        for problem in countdown.Countdown().make(split, n, seed=0)
    ]


def compact(record: dict) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


MAKERS = {"gsm8k-mini": (FILES, lines), "countdown": (COUNTDOWN_FILES, countdown_lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=MAKERS, help="make the files of this task only")
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "data",
        help="write to a folder for each task in this one",
    )
    parser.add_argument("--n", type=int, default=1000, help="problems a file (default: 1000)")
    options = parser.parse_args()
    for task in [options.task] if options.task else MAKERS:
        files, make = MAKERS[task]
        folder = options.out / task
        folder.mkdir(parents=True, exist_ok=True)
        for name, split in files.items():
            data = "".join(line + "\n" for line in make(split, options.n)).encode()
            write_bytes_atomic(folder / f"{name}.jsonl", data)
            print(f"{folder / name}.jsonl: {options.n} problems, {len(data):,} bytes")


if __name__ == "__main__":
    main()
