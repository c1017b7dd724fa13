"""Make the Python environment that minilrm runs in, where it is not there yet, then run a command
in it.

    python scripts/setup_env.py --venv .venv --extras dev --run -m pytest -q

`make grpo` and `make test` call this; only the standard library is used, so it works on Linux,
macOS and Windows. torch is the big one (with CUDA: gigabytes), and whoever has one wants to keep
it. So, of the interpreter that runs this script (`make PYTHON=...`):

- "direct": it is in a virtual environment and has a torch >= 2.9. That environment is used as it
is: what is missing is
  installed into it, what is there stays. (An environment made from it would not see its packages.)
- "shared": it has such a torch but is in no virtual environment (a system, a conda environment).
`--venv` is made from
  it with --system-site-packages, so torch is seen from there, and all the rest is installed,
  pinned.
- "own": all other cases, and --fresh. `--venv` is made, torch is installed first by its pin, then
all the rest, pinned.

What was done is noted in a small file inside the environment; as long as pyproject.toml and
constraints.txt stay the same, the next call goes straight to the command.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 11), (3, 14)  # as `requires-python` in pyproject.toml says
NOTE = "minilrm-setup.json"


class SetupError(Exception):
    """Something the user can mend, in one line."""


# -- what is there ---------------------------------------------------------------------------------


def torch_is_suitable(version: str | None) -> bool:
    """True for torch 2.9 and later; not for a pre-release of 2.9 itself, which pip holds to be
    older than 2.9.

    >>> [torch_is_suitable(v) for v in ("2.9.0", "2.13.0+cpu", "3.0.0a0+git12")]
    [True, True, True]
    >>> [torch_is_suitable(v) for v in ("2.9.0a0+nv25", "2.8.1", None)]
    [False, False, False]
    """
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(a|b|rc|\.dev)?", version or "")
    if not match:
        return False
    release = tuple(int(part or 0) for part in match.groups()[:3])
    return release > (2, 9, 0) or (release == (2, 9, 0) and not match.group(4))


def listed_torch() -> str | None:
    """The version of torch that this interpreter lists: a quick look, nothing is imported."""
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None


def imported_torch(python: str) -> str | None:
    """The version of the torch that `python` can import, or None. Imported for real: a broken torch
    is none."""
    answer = subprocess.run(
        [python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True
    )
    return answer.stdout.split()[-1] if answer.returncode == 0 and answer.stdout.split() else None


def in_virtual_environment() -> bool:
    """True if the interpreter running this script is in a virtual environment."""
    return sys.prefix != sys.base_prefix


def choose(in_venv: bool, torch: str | None, fresh: bool) -> str:
    """Which of the three ways of the module's docstring."""
    if fresh or not torch_is_suitable(torch):
        return "own"
    return "direct" if in_venv else "shared"


def python_of(environment: Path) -> Path:
    """Where a virtual environment has its interpreter."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def digest() -> str:
    """Changes when what is to be installed changes, or the clone is moved."""
    content = (ROOT / "pyproject.toml").read_bytes() + (ROOT / "constraints.txt").read_bytes()
    return hashlib.sha256(content + str(ROOT).encode()).hexdigest()


def read_note(environment: Path) -> dict:
    """What this script noted about an environment; empty if it made or filled none there."""
    try:
        return json.loads((environment / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write_note(environment: Path, note: dict) -> None:
    """Keep the note. An environment we may not write to just is checked again next time."""
    try:
        (environment / NOTE).write_text(json.dumps(note, indent=1), encoding="utf-8")
    except OSError:
        pass


# -- which versions --------------------------------------------------------------------------------


def normalized(name: str) -> str:
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """constraints.txt as {package: line}.

    >>> pins("# head\\ntorch==2.13.0\\nPyYAML==6.0.3  # note\\n")
    {'torch': 'torch==2.13.0', 'pyyaml': 'PyYAML==6.0.3'}
    """
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return {normalized(line.split("==")[0]): line for line in lines if line}


def wanted_pins(kind: str, torch: str | None, present: set[str]) -> dict[str, str]:
    """The pins for this kind of environment. A torch that is there is pinned to itself, so nothing
    can replace it."""
    wanted = pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    if kind == "direct":  # someone's own environment: what is there stays, and is not pinned
        wanted = {name: line for name, line in wanted.items() if name not in present}
    if torch_is_suitable(torch):
        wanted["torch"] = f"torch=={torch}"
    return wanted


# -- doing it --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """Which environment to use, and how it came or comes about."""

    kind: str  # direct, shared or own
    environment: Path
    python: str
    # Of a shared one: the installation it was made from. One with a torch of its own goes with any.
    base: str = ""

    def is_met(self, note: dict, fresh: bool) -> bool:
        """True if an environment with this note is what we want."""
        ours = note.get("kind") in ("own", "shared")
        if self.kind == "direct" or not (ours or fresh):
            return True  # someone else made it: take it as it is, never remake it
        if self.kind == "shared" or fresh:
            return ours and (note["kind"], note["base"]) == (self.kind, self.base)
        return True


def make_plan(venv: Path, torch: str | None, fresh: bool) -> Plan:
    """The plan for the interpreter that runs this script, given its torch."""
    kind = choose(in_virtual_environment(), torch, fresh)
    if kind == "direct":
        return Plan(kind, Path(sys.prefix), sys.executable)
    return Plan(
        kind,
        venv,
        str(python_of(venv)),
        os.path.realpath(sys.base_prefix) if kind == "shared" else "",
    )


def is_ready(plan: Plan, extras: str, fresh: bool) -> bool:
    """True if the planned environment is there and holds what these extras need (the plain install
    is part of any)."""
    note = read_note(plan.environment)
    done = note.get("done", {})
    installed = any(done.get(name) == digest() for name in ([extras] if extras else done))
    return installed and plan.is_met(note, fresh) and Path(plan.python).exists()


def call(*command: object) -> None:
    """Run a command of the set-up; its failure ends the set-up with one line."""
    words = [str(word) for word in command]
    if subprocess.call(words):
        raise SetupError(
            f"this step of the set-up failed (its own words are above): {shlex.join(words)}"
        )


def make_environment(plan: Plan, fresh: bool) -> None:
    """Make the virtual environment, unless a good one is there. One that we made for other ends is
    made anew."""
    folder = plan.environment
    if Path(plan.python).exists() and plan.is_met(read_note(folder), fresh):
        return
    if (
        folder.exists()
        and not (folder / "pyvenv.cfg").exists()
        and (folder.is_file() or any(folder.iterdir()))
    ):
        raise SetupError(
            f"{folder} is there and is no virtual environment; name another folder: make test "
            "VENV=..."
        )
    flags = ["--clear"] + (["--system-site-packages"] if plan.kind == "shared" else [])
    try:
        call(sys.executable, "-m", "venv", *flags, folder)
    except SetupError as error:
        raise SetupError(
            "could not make a virtual environment (see above); on Debian or Ubuntu, first: apt-get "
            f"install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        ) from error
    write_note(folder, {"kind": plan.kind, "base": plan.base, "done": {}})


def install(plan: Plan, extras: str) -> None:
    """Install torch by its pin if it is missing, then minilrm with its extras, all under the wanted
    versions."""
    torch = imported_torch(plan.python)
    present = {normalized(found.metadata["Name"] or "") for found in metadata.distributions()}
    wanted = wanted_pins(plan.kind, torch, present)
    if subprocess.call(
        [plan.python, "-m", "pip", "--version"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ):
        # other tools make environments without pip
        call(plan.python, "-m", "ensurepip", "--upgrade")
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "constraints.txt"
        listed.write_text("\n".join(wanted.values()) + "\n", encoding="utf-8")
        quiet = [] if sys.stdout.isatty() else ["-q"]
        pip = [
            plan.python,
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            *quiet,
            "-c",
            listed,
        ]
        if not torch_is_suitable(torch):
            # first and alone, so that no other, newer build is even looked at
            call(*pip, wanted["torch"])
        call(*pip, "-e", f"{ROOT}[{extras}]" if extras else ROOT)


def set_up(venv: Path, extras: str, fresh: bool) -> str:
    """Make the environment ready where it is not, and return the path of its interpreter."""
    plan = make_plan(venv, listed_torch(), fresh)
    if is_ready(plan, extras, fresh):
        return plan.python
    if plan.kind != "own":  # look closely, now that it matters: importing torch takes seconds
        plan = make_plan(venv, imported_torch(sys.executable), fresh)
        if is_ready(plan, extras, fresh):
            return plan.python
    print(f"setting up {plan.environment} for minilrm (once; some minutes) ...", flush=True)
    if plan.kind != "direct":
        make_environment(plan, fresh)
    install(plan, extras)
    # No note yet: we did not make this environment, so it is noted as one to take as it is
    # ("direct").
    note = {"kind": "direct", "base": "", "done": {}, **read_note(plan.environment)}
    write_note(plan.environment, {**note, "done": {**note["done"], extras: digest()}})
    return plan.python


def run(command: list[str]) -> int:
    """Run the command in our place, so that Ctrl-C reaches it alone and it can save what it has."""
    print("+ " + shlex.join(command), flush=True)
    if os.name != "nt":
        os.execv(command[0], command)
    # Windows has no real exec: wait, and leave Ctrl-C to the command
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def main() -> int:
    """Read the command line, set up, run."""
    parser = argparse.ArgumentParser(
        description="Set up the environment of minilrm, then run a command in it."
    )
    parser.add_argument(
        "--venv", type=Path, default=ROOT / ".venv", help="folder of the environment (.venv)"
    )
    parser.add_argument(
        "--extras", default="", help="extras of pyproject.toml to install too, such as dev"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="install a torch of its own, whatever is there"
    )
    parser.add_argument(
        "--run", nargs=argparse.REMAINDER, default=[], help="what to run with its interpreter"
    )
    options = parser.parse_args()
    try:
        if not OLDEST <= sys.version_info[:2] <= NEWEST:
            raise SetupError(
                f"minilrm needs Python 3.{OLDEST[1]} to 3.{NEWEST[1]}, and {sys.executable} is "
                f"{sys.version.split()[0]}; name another: make test PYTHON=/path/to/python3.11"
            )
        python = set_up(options.venv.absolute(), options.extras, options.fresh)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the next call goes on with the set-up", file=sys.stderr)
        return 130
    return run([python, *options.run]) if options.run else 0


if __name__ == "__main__":
    sys.exit(main())
