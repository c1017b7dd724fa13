"""Write the problem sets of multiplication that are shipped: data/multiplication/{test,ood}.jsonl.

    python scripts/make_data_multiplication.py

In GSM8K's schema, with three fields more (key, difficulty, meta). Final figures are measured on
these files: make them anew only when the task poses other problems, and measure everything again
then.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that the clone that holds this script is used, installed or not

from minilrm.files import write_bytes_atomic  # noqa: E402
from minilrm.tasks.multiplication import Multiplication, to_record  # noqa: E402


def lines(split: str, n: int) -> list[str]:
    """The first `n` problems of a split, made from seed 0, a line of compact JSON each."""
    return [
        json.dumps(to_record(problem), separators=(",", ":"))
        for problem in Multiplication().make(split, n)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=ROOT / "data" / "multiplication", help="folder to write to"
    )
    parser.add_argument("--n", type=int, default=1000, help="problems a file (default: 1000)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for split in ("test", "ood"):
        data = "".join(line + "\n" for line in lines(split, options.n)).encode()
        write_bytes_atomic(options.out / f"{split}.jsonl", data)
        print(f"{options.out / split}.jsonl: {options.n} problems, {len(data):,} bytes")


if __name__ == "__main__":
    main()
