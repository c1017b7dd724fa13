"""Write the problem sets that are shipped: data/<task>/{test,ood}.jsonl, and a sample of the
training problems of gsm8k-mini.

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
from minilrm.tasks import countdown, get_task, gsm8k_mini, multiplication  # noqa: E402

TO_RECORD = {  # task -> how a problem is written as a line
    "gsm8k-mini": gsm8k_mini.to_record,
    "countdown": countdown.to_record,
    "multiplication": multiplication.to_record,
}
FILES = {task: {"test": "test", "ood": "ood"} for task in TO_RECORD}  # task -> file -> split
FILES["gsm8k-mini"]["train_sample"] = "train"


def lines(task: str, split: str, n: int) -> list[str]:
    """The first `n` problems of a split, made from seed 0, a line of compact JSON each."""
    return [compact(TO_RECORD[task](problem)) for problem in get_task(task).make(split, n, seed=0)]


def compact(record: dict) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    parser = argparse.ArgumentParser(description=" ".join(__doc__.split("\n\n")[0].split()))
    parser.add_argument("--task", choices=FILES, help="make the files of this task only")
    words = "write to a folder for each task in this one"
    parser.add_argument("--out", type=Path, default=ROOT / "data", help=words)
    parser.add_argument("--n", type=int, default=1000, help="problems a file (default: 1000)")
    options = parser.parse_args()
    for task in [options.task] if options.task else FILES:
        folder = options.out / task
        folder.mkdir(parents=True, exist_ok=True)
        for name, split in FILES[task].items():
            data = "".join(line + "\n" for line in lines(task, split, options.n)).encode()
            write_bytes_atomic(folder / f"{name}.jsonl", data)
            print(f"{folder / name}.jsonl: {options.n} problems, {len(data):,} bytes")


if __name__ == "__main__":
    main()
