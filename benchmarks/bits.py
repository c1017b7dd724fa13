"""Does a change of the code leave every bit where it was? Twenty steps of each training command,
hashed.

    python -m benchmarks.bits                          this tree: a line a run
    python -m benchmarks.bits --tree OTHER --json F    another checkout (before a change, say), kept
                                                       in a file
    python -m benchmarks.bits --against F              this tree beside what was kept: which differ

What is hashed are the tensors of the last checkpoint: the weights, the optimizers' states, and the
critic where there is one. The commands are called as a user calls them, so that two trees can be
compared whose insides have nothing in common. The same seed gives the same bits on the same machine
with the same number of threads only: compare on one machine.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import safetensors

ROOT = Path(__file__).resolve().parent.parent
THREADS = (1, 2)
FEW = ["--eval-n", "16", "--eval-every", "10"]
ROLLOUTS = ["--steps", "20", "--prompts", "8", "--group-size", "8", "--eval-quick", "16", *FEW]
DISTILL = [
    "--teacher",
    "gsm8k-mini-base",
    "--student-scale",
    "pico",
    "--steps",
    "20",
    "--prompts",
    "48",
    "--batch",
    "16",
    *FEW,
]
# name -> (command, options)
RUNS = {
    "pretrain": (
        "pretrain",
        ["--scale", "pico", "--tokens", "40000", "--max-tokens-per-batch", "1024", "--eval-n", "0"],
    ),
    "pretrain countdown": (
        "pretrain",
        [
            "--task",
            "countdown",
            "--scale",
            "pico",
            "--tokens",
            "40000",
            "--max-tokens-per-batch",
            "1024",
            "--eval-n",
            "0",
        ],
    ),
    "sft": ("sft", ["--steps", "20", "--batch", "16", *FEW]),
    "sft countdown": (
        "sft",
        ["--task", "countdown", "--init", "countdown-base", "--steps", "20", "--batch", "16", *FEW],
    ),
    "grpo gsm8k-mini": ("grpo", ["--max-new-tokens", "64", *ROLLOUTS]),
    "grpo countdown": ("grpo", ["--task", "countdown", "--max-new-tokens", "96", *ROLLOUTS]),
    "grpo with all its terms": (
        "grpo",
        [
            "--max-new-tokens",
            "64",
            "--updates",
            "2",
            "--kl-coef",
            "0.05",
            "--dynamic-sampling",
            "1",
            "--overlong-cache",
            "16",
            *ROLLOUTS,
        ],
    ),
    "ppo": ("ppo", ["--max-new-tokens", "64", "--updates", "2", "--kl-coef", "0.01", *ROLLOUTS]),
    "distill traces": ("distill", ["--way", "traces", *DISTILL]),
    "distill logits": ("distill", ["--way", "logits", *DISTILL]),
    "distill on-policy": (
        "distill",
        ["--way", "on-policy", "--student", "gsm8k-mini-base", *DISTILL],
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tree", type=Path, default=ROOT, help="the checkout to run; this one if not given"
    )
    parser.add_argument(
        "--only", nargs="+", default=list(RUNS), choices=list(RUNS), help="which runs"
    )
    parser.add_argument("--json", type=Path, help="keep the hashes in this file")
    parser.add_argument("--against", type=Path, help="a file kept earlier: say which differ")
    chosen = parser.parse_args()
    earlier = json.loads(chosen.against.read_text()) if chosen.against else {}
    found = {}
    for name in chosen.only:
        for threads in THREADS:
            key = f"{name}, {threads} thread{'s' if threads > 1 else ''}"
            found[key] = hash_of_run(chosen.tree.resolve(), *RUNS[name], threads)
            said = (
                ""
                if key not in earlier
                else "  as before"
                if earlier[key] == found[key]
                else f"  WAS {earlier[key][:16]}"
            )
            print(f"{key:40} {found[key][:16]}{said}", flush=True)
            if chosen.json:
                chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    return int(any(earlier.get(key, value) != value for key, value in found.items()))


def hash_of_run(tree: Path, command: str, options: list[str], threads: int) -> str:
    """Run a training command of a checkout and hash the tensors of its last checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        words = [
            sys.executable,
            "-m",
            f"minilrm.{command}",
            *options,
            "--threads",
            str(threads),
            "--device",
            "cpu",
            "--out",
            str(out),
        ]
        environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": str(threads)}
        ended = subprocess.run(words, cwd=tree, env=environment, capture_output=True, text=True)
        if ended.returncode:
            return f"failed: {ended.stderr.strip().splitlines()[-1]}"
        return hash_of_tensors(max(out.glob("checkpoints/step-*")))


def hash_of_tensors(checkpoint: Path) -> str:
    """sha256 of all tensors of a checkpoint, by name."""
    digest = hashlib.sha256()
    for file in sorted(checkpoint.glob("*.safetensors")):
        with safetensors.safe_open(file, framework="numpy") as tensors:
            for name in sorted(tensors.keys()):
                digest.update(f"{file.name} {name}".encode())
                digest.update(tensors.get_tensor(name).tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
