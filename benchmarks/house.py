"""How the code stands: how long it is, and how much of it one step of GRPO enters.

    python -m benchmarks.house                    this tree
    python -m benchmarks.house --tree OTHER       another checkout: lay the two side by side

Both sides have to be formatted alike (`ruff format`, 100 columns), or lines say nothing. The
sentences of the stories are left out of the count, and so is what grades the course, wherever it
stands.
"""

import argparse
import ast
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_COUNTED = ("tasks/templates/", "grade/", "course.py")  # sentences; the grader of the course

# One step of GRPO in the tree's own words, with every call into the package noted.
STEP = """
import json, sys, threading
from pathlib import Path
import minilrm
from minilrm import grpo
home = str(Path(minilrm.__file__).parent)
entered = set()
def note(frame, event, argument):
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(home) and not code.co_name.startswith("<"):
        entered.add((code.co_filename[len(home) + 1 :], code.co_name, code.co_firstlineno))
trainer = grpo.Trainer(
    grpo.Options(prompts=4, group_size=4, max_new_tokens=24, threads=1, device="cpu")
)
trainer.step(0)  # what is done once is done
sys.setprofile(note)
threading.setprofile(note)
trainer.step(1)
sys.setprofile(None)
print(json.dumps(sorted(entered)))
"""
OUTSIDE_LOOP = ("model", "kernels", "sampler", "tokenizer", "tasks")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tree", type=Path, default=ROOT, help="the checkout; this one if not given"
    )
    tree = parser.parse_args().tree.resolve()
    for name, value in {**lengths(tree / "minilrm"), **one_step(tree)}.items():
        print(f"{name:66} {value}")
    return 0


def lengths(package: Path) -> dict[str, object]:
    """Lines of the package, and its longest file and function."""
    files = {
        path.relative_to(package).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(package.rglob("*.py"))
    }
    counted = {name: text for name, text in files.items() if not name.startswith(NOT_COUNTED)}
    sizes = {name: len(text.splitlines()) for name, text in counted.items()}
    functions = {
        f"{name}: {node.name}": node.end_lineno - node.lineno + 1
        for name, text in counted.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    longest, largest = max(sizes, key=sizes.get), max(functions, key=functions.get)
    return {
        "files, without sentences and the course": len(sizes),
        "lines, without sentences and the course": f"{sum(sizes.values()):,}",
        "longest file": f"{sizes[longest]} ({longest})",
        "longest function": f"{functions[largest]} ({largest})",
        "mean lines per function": f"{sum(functions.values()) / len(functions):.1f}",
    }


def one_step(tree: Path) -> dict[str, object]:
    """Files and functions that one step of GRPO enters."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", STEP], cwd=tree, env=environment, capture_output=True, text=True
    )
    if ended.returncode:
        raise SystemExit(f"the step failed: {ended.stderr.strip().splitlines()[-1]}")
    entered = json.loads(ended.stdout.splitlines()[-1])
    loop = [e for e in entered if not e[0].startswith(OUTSIDE_LOOP)]
    return {
        "one step of GRPO: files entered": len({file for file, _, _ in entered}),
        "one step of GRPO: functions entered": len(entered),
        "... without model, sampler, tokenizer, tasks: files": len({f for f, _, _ in loop}),
        "... without model, sampler, tokenizer, tasks: functions": len(loop),
    }


if __name__ == "__main__":
    sys.exit(main())
