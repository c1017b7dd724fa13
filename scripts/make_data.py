"""Write the problem sets that are shipped, for each task that has some (`Task.shipped`):
data/gsm8k-mini/{test,ood,train_sample}.jsonl, data/countdown/{test,ood}.jsonl,
data/multiplication/{test,ood}.jsonl.

    python scripts/make_data.py                      all of them
    python scripts/make_data.py --task countdown     those of one task

The files of gsm8k-mini and multiplication are in GSM8K's schema, with three fields more (key,
difficulty, meta); those of countdown have the numbers, the target and one right answer. `test` and
`ood` are what every final figure is measured on: make them anew only when the problems themselves
have changed, and measure everything again then. `train_sample` is to look at, and to try `--data`
with.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that the clone that holds this script is used, installed or not

from minilrm.files import write_bytes_atomic  # noqa: E402
from minilrm.tasks import TASKS, get_task, task_class  # noqa: E402

SAMPLES = {"gsm8k-mini": {"train_sample": "train"}}  # task -> further files, each with its split


def files_of(task: str) -> dict[str, str]:
    """The files of a task, each with its split."""
    return {split: split for split in task_class(task).shipped} | SAMPLES.get(task, {})


def lines(task: str, split: str, n: int) -> list[str]:
    """The first `n` problems of a split, made from seed 0, a line of compact JSON each."""
    made = get_task(task)
    return [
        json.dumps(made.to_record(problem), ensure_ascii=False, separators=(",", ":"))
        for problem in made.make(split, n)
    ]


def main() -> None:
    tasks = [name for name in TASKS if task_class(name).shipped]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=tasks, help="make the files of this task only")
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "data",
        help="write to a folder for each task in this one",
    )
    parser.add_argument("--n", type=int, default=1000, help="problems a file (default: 1000)")
    options = parser.parse_args()
    for task in [options.task] if options.task else tasks:
        folder = options.out / task
        folder.mkdir(parents=True, exist_ok=True)
        for name, split in files_of(task).items():
            data = "".join(line + "\n" for line in lines(task, split, options.n)).encode()
            write_bytes_atomic(folder / f"{name}.jsonl", data)
            print(f"{folder / name}.jsonl: {options.n} problems, {len(data):,} bytes")


if __name__ == "__main__":
    main()
