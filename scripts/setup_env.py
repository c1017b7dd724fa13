"""Make the environment that minilrm runs in, where it is not there yet; then run a command in it.

    python scripts/setup_env.py --venv .venv --extras dev --run -m pytest -q

`make` calls this. It needs the standard library alone, so it works on Linux, macOS and Windows.
torch is the big download, so one that is there is kept. If the interpreter that runs this script
(`make PYTHON=...`) has a torch >= 2.9 and is in a virtual environment, that one is used, and what
is missing is installed into it. If it has such a torch and is in none (a system, conda), `--venv`
is made with --system-site-packages, which sees it. In all other cases, and with --fresh, it gets
everything by its pin, torch first. A stamp in the environment notes what was done for which
pyproject.toml and constraints.txt; with it, the next call goes straight to the command.
"""

import argparse
import hashlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 11), (3, 14)  # as `requires-python` in pyproject.toml says
# In an environment: how it was made, then a line "EXTRAS DIGEST" for each time it was filled.
STAMP = "minilrm-setup.txt"
AS_IT_IS, OWN = "as it is", "own"  # how; the third is "shared BASE"


class SetupError(Exception):
    """Something the user can mend, in one line."""


# -- which environment -----------------------------------------------------------------------------


def torch_is_suitable(version: str | None) -> bool:
    """True for torch 2.9 and later; not for a pre-release of 2.9.0 itself, which pip takes for
    older."""
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(a|b|rc|\.dev)?", version or "")
    release = tuple(int(part or 0) for part in match.groups()[:3]) if match else ()
    return release > (2, 9, 0) or bool(match and release == (2, 9, 0) and not match[4])


def listed_torch() -> str | None:
    """The torch that this interpreter lists. Quick: nothing is imported."""
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None


def imported_torch(python: str | Path = sys.executable) -> str | None:
    """The torch that an interpreter can import; a broken one is none. Takes seconds."""
    words = [python, "-c", "import torch; print(torch.__version__)"]
    said = subprocess.run(words, capture_output=True, text=True).stdout.split()
    return said[-1] if said else None


def plan(venv: Path, torch: str | None, fresh: bool) -> tuple[Path, str]:
    """The environment to use, and how it is to be made."""
    if fresh or not torch_is_suitable(torch):
        return venv, OWN
    if sys.prefix != sys.base_prefix:  # in a virtual environment
        return Path(sys.prefix), AS_IT_IS
    return venv, f"shared {os.path.realpath(sys.base_prefix)}"


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def read_stamp(environment: Path) -> list[str]:
    try:
        return (environment / STAMP).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def serves(environment: Path, how: str, fresh: bool) -> bool:
    """Whether what is there can be used. What somebody else made is taken as it is; with --fresh
    nothing is."""
    if not python_of(environment).exists():
        return False
    made = next(iter(read_stamp(environment)), AS_IT_IS)
    if how == AS_IT_IS or (not fresh and AS_IT_IS == made):
        return True
    return made == how or (how == OWN and not fresh)  # one with torch at hand serves, too


def is_ready(environment: Path, how: str, extras: str, fresh: bool) -> bool:
    """Whether it holds what these extras need; the bare install is a part of any."""
    filled = [line.rpartition(" ") for line in read_stamp(environment)[1:]]
    done = [of for of, _, what in filled if what == digest()]
    return (extras in done or bool(done and not extras)) and serves(environment, how, fresh)


def digest() -> str:
    """Changes with what is to be installed, and with the place of the clone."""
    content = (ROOT / "pyproject.toml").read_bytes() + (ROOT / "constraints.txt").read_bytes()
    return hashlib.sha256(content + str(ROOT).encode()).hexdigest()


# -- making and filling it -------------------------------------------------------------------------


def call(*words: object) -> None:
    """Run a command of the set-up; its failure ends the set-up with one line."""
    command = [str(word) for word in words]
    if subprocess.call(command):
        raise SetupError(f"this failed (its own words are above): {shlex.join(command)}")


def make(environment: Path, how: str) -> None:
    """A new virtual environment. SetupError rather than to clear a folder that is none."""
    there = environment.is_file() or (environment.exists() and any(environment.iterdir()))
    if there and not (environment / "pyvenv.cfg").exists():
        raise SetupError(
            f"{environment} is there and is no virtual environment; name another: VENV=folder"
        )
    flags = ["--clear"] if how == OWN else ["--clear", "--system-site-packages"]
    try:
        call(sys.executable, "-m", "venv", *flags, environment)
    except SetupError as error:
        version = ".".join(map(str, sys.version_info[:2]))
        hint = f"on Debian or Ubuntu, first: apt-get install python{version}-venv"
        raise SetupError(f"could not make a virtual environment (see above); {hint}") from error


def wanted_versions(how: str, torch: str | None) -> list[str]:
    """The lines that pip is held to. A torch that is there is pinned to itself, so that nothing
    replaces it; somebody's own environment is held to nothing else."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not torch_is_suitable(torch):
        return pins
    others = [] if how == AS_IT_IS else [line for line in pins if not line.startswith("torch==")]
    return [f"torch=={torch}", *others]


def install(environment: Path, how: str, extras: str) -> None:
    """torch, if it is missing, first and alone, so that no other build of it is even looked at;
    then minilrm with its extras."""
    python = python_of(environment)
    torch = imported_torch(python)
    quietly = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if subprocess.call([python, "-m", "pip", "--version"], **quietly):
        call(python, "-m", "ensurepip", "--upgrade")  # some tools make environments without pip
    with tempfile.TemporaryDirectory() as folder:
        versions = Path(folder, "constraints.txt")
        versions.write_text("\n".join(wanted_versions(how, torch)) + "\n", encoding="utf-8")
        quiet = [] if sys.stdout.isatty() else ["-q"]
        pip = [python, "-m", "pip", "install", "--disable-pip-version-check", *quiet]
        if not torch_is_suitable(torch):
            call(*pip, "-c", versions, "torch")
        call(*pip, "-c", versions, "-e", f"{ROOT}[{extras}]" if extras else ROOT)


def set_up(venv: Path, extras: str, fresh: bool) -> Path:
    """Make and fill the environment where it is not ready; the path of its interpreter."""
    for look in (listed_torch, imported_torch):  # the slow look only where it matters
        environment, how = plan(venv, look(), fresh)
        if is_ready(environment, how, extras, fresh):
            return python_of(environment)
    print(f"setting up {environment} for minilrm (once; some minutes) ...", flush=True)
    stamp = read_stamp(environment) or [AS_IT_IS]
    if not serves(environment, how, fresh):
        make(environment, how)
        stamp = [how]
        write_stamp(environment, stamp)
    install(environment, how, extras)
    write_stamp(environment, [*stamp, f"{extras} {digest()}"])
    return python_of(environment)


def write_stamp(environment: Path, lines: list[str]) -> None:
    """An environment that we may not write to is just looked at again the next time."""
    try:
        (environment / STAMP).write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError:
        pass


# -- the command -----------------------------------------------------------------------------------


def run(command: list[str]) -> int:
    """Run the command in our place, so that Ctrl-C reaches it alone and it can save what it has."""
    print("+ " + shlex.join(command), flush=True)
    if os.name != "nt":
        os.execv(command[0], command)
    process = subprocess.Popen(command)  # Windows has no real exec: wait, and leave Ctrl-C to it
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="the environment")
    parser.add_argument("--extras", default="", help="extras of pyproject.toml, such as dev")
    parser.add_argument("--fresh", action="store_true", help="reuse nothing that is there")
    parser.add_argument("--run", nargs=argparse.REMAINDER, default=[], help="what to run in it")
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
    return run([str(python), *options.run]) if options.run else 0


if __name__ == "__main__":
    sys.exit(main())
