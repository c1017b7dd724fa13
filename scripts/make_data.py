"""Write the problem sets that are shipped: data/gsm8k-mini/{test,ood,train_sample}.jsonl.

    python scripts/make_data.py

The files are in GSM8K's schema, with three fields more (key, difficulty, meta). `test` and `ood` are what every final
figure is measured on: make them anew only when the stories themselves have changed, and measure everything again then.
`train_sample` is to look at, and to try `--data` with.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that the clone that holds this script is used, installed or not

from minilrm.runlog import write_bytes_atomic  # noqa: E402
from minilrm.tasks.gsm8k_mini import GSM8KMini, to_record  # noqa: E402

FILES = {"test": "test", "ood": "ood", "train_sample": "train"}  # file -> split


def lines(split: str, n: int) -> list[str]:
    """The first `n` problems of a split, made from seed 0, a line of compact JSON each."""
    return [json.dumps(to_record(problem), ensure_ascii=False, separators=(",", ":"))
            for problem in GSM8KMini().make(split, n, seed=0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "gsm8k-mini", help="folder to write to")
    parser.add_argument("--n", type=int, default=1000, help="problems a file (default: 1000)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, split in FILES.items():
        data = "".join(line + "\n" for line in lines(split, options.n)).encode()
        write_bytes_atomic(options.out / f"{name}.jsonl", data)
        print(f"{options.out / name}.jsonl: {options.n} problems, {len(data):,} bytes")


if __name__ == "__main__":
    main()
