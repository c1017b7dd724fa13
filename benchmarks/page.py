"""The page that runs a model: its size, and how many tokens a second it writes under node.

Each of two models, in plain JavaScript and with the SIMD kernel, one chain alone and 16 side by
side; the median of some runs, the first of which is thrown away. Nothing stands beside it: what
others have of this kind runs other models.

    python -m benchmarks.page
"""

import json
import shutil
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilrm import machine
from minilrm.cli import run_command
from minilrm.errors import UserError
from minilrm.files import write_json_atomic
from minilrm.options import option
from minilrm.page import pack, thinking_page
from minilrm.sampler import uniform_noise

ROOT = Path(__file__).resolve().parent.parent
WEB, DRIVER = ROOT / "minilrm" / "page" / "web", ROOT / "tests" / "page_driver.js"
SCRIPTS = ("page.js", "kernel.js", "judge.js", "tree.js")
MODELS, CHAINS = ("countdown-base", "gsm8k-mini-base"), (1, 16)


@dataclass
class Options:
    """Size and speed of the page that runs a model."""

    runs: int = option(5, "runs of each setting, besides the one that warms up", minimum=1)
    tokens: int = option(60, "tokens of a chain, at most", minimum=1)
    out: Path | None = option(None, "JSON file to write; data/results/bench-page.json if not given")


def speeds(node: str, entry: dict[str, Any], chains: int, options: Options) -> list[float]:
    """Tokens a second of each run, the first left out."""
    prompts = [problem["prompt"] for problem in entry["task"]["problems"]][:chains]
    asked = [
        {"uniform": uniform_noise(chains, options.tokens, seed).tolist()}
        for seed in range(options.runs + 1)
    ]
    request = {
        "scripts": SCRIPTS, "call": "complete", "each": asked, "entry": entry, "prompts": prompts,
        "longest": options.tokens, "temperature": 1,
    }  # fmt: skip
    done = subprocess.run(
        [node, str(DRIVER), str(WEB)], input=json.dumps(request), capture_output=True,
        encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        raise UserError(f"node failed: {done.stderr.strip().splitlines()[-1]}")
    return [found["speed"] for found in json.loads(done.stdout)][1:]


def run(options: Options) -> None:
    node = shutil.which("node")
    if node is None:
        raise UserError("this benchmark needs node on the path")
    cases = []
    for name in MODELS:
        entry = pack(name, n_problems=max(CHAINS))
        size = len(thinking_page([entry]))
        for kernel in ("plain", "simd"):
            for chains in CHAINS:
                found = speeds(node, {**entry, "plain": kernel == "plain"}, chains, options)
                cases.append({"model": name, "page_bytes": size, "kernel": kernel,
                              "chains": chains, "tokens_per_second": found})  # fmt: skip
                print(
                    f"{name:<18}{size / 1e6:5.1f} MB  {kernel:<6}{chains:3} chains"
                    f"{statistics.median(found):8.0f} tokens/s "
                    f"({min(found):.0f} to {max(found):.0f})",
                    flush=True,
                )
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    out = options.out or machine.data_folder() / "results" / "bench-page.json"
    write_json_atomic(out, {"node": version, "machine": machine.describe(), "cases": cases})
    print(f"written: {out}")


if __name__ == "__main__":
    run_command(run, Options, prog="python -m benchmarks.page", description=Options.__doc__)
