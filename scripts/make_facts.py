"""Write the tables of facts that the task `prices` asks about: data/facts/*.sqlite.

    python scripts/make_facts.py [--out FOLDER]

`test` is what every final figure is measured on: make the tables anew only when the names or the
values themselves have changed, and measure everything again then.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that the clone that holds this script is used, installed or not

from minilrm.tasks.tooled import facts  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "facts", metavar="FOLDER")
    for path in facts.write(parser.parse_args().out):
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
