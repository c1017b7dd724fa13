"""The machine: memory, threads, precision, seeds, data; and the script that sets up the
environment."""

import importlib.util
import json
import os
import platform
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from minilrm import machine
from minilrm.errors import UserError
from minilrm.sampler import workers

ROOT = Path(__file__).resolve().parent.parent
GLIBC = sys.platform.startswith("linux") and platform.libc_ver()[0] == "glibc"

spec = importlib.util.spec_from_file_location("setup_env", ROOT / "scripts" / "setup_env.py")
setup_env = importlib.util.module_from_spec(spec)
sys.modules["setup_env"] = setup_env  # its dataclass looks its module up
spec.loader.exec_module(setup_env)


@pytest.fixture(autouse=True)
def same_threads_afterwards():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


# -- memory ----------------------------------------------------------------------------------------

STEPS = """
import resource
import torch
from minilrm import machine

def step():
    kept = [torch.ones(k * 1_000_000) for k in (9, 10, 9)]  # above 32 MiB: never kept by default

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

assert machine.raise_malloc_thresholds()
for _ in range(10):
    step()
before = faults()
for _ in range(5):
    step()
print(faults() - before)
"""


@pytest.mark.skipif(not GLIBC, reason="a setting of glibc")
def test_freed_memory_is_kept_for_the_next_step(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", STEPS]
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert int(answer.stdout) < 100  # page faults; without the setting about 137,000


def test_malloc_is_left_alone_elsewhere(monkeypatch):
    monkeypatch.setattr(machine.sys, "platform", "darwin")
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: pytest.fail("touched the C library"))
    assert machine.raise_malloc_thresholds() is False


def test_another_c_library_is_no_error(monkeypatch):
    monkeypatch.setattr(machine.sys, "platform", "linux")
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: object())
    assert machine.raise_malloc_thresholds() is False


def test_a_refused_threshold_turns_mappings_off(monkeypatch):
    calls = []

    class OldGlibc:
        def mallopt(self, name, value):
            calls.append((name, value))
            return int(name != machine.M_MMAP_THRESHOLD)

    monkeypatch.setattr(machine.sys, "platform", "linux")
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: OldGlibc())
    assert machine.raise_malloc_thresholds() is True
    assert calls[-1] == (machine.M_MMAP_MAX, 0)
    assert all(value < 2**31 for _, value in calls)


def test_memory_figures():
    peak, whole = machine.peak_memory_mb(), machine.memory_gb()
    if os.name == "nt":
        assert peak is None and whole is None
    else:
        assert peak > 10  # torch alone is more
        assert whole * 1000 > peak


# -- device, threads, precision --------------------------------------------------------------------


def test_choose_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine.choose_device("auto") == machine.choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="auto or cpu"):
        machine.choose_device("cuda")
    with pytest.raises(UserError, match="'gpu'"):
        machine.choose_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert machine.choose_device("auto") == machine.choose_device("cuda") == torch.device("cuda")
    assert machine.choose_device("cpu") == torch.device("cpu")


def test_threads_default_to_the_free_cores_up_to_four(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for cores, threads in [(1, 1), (2, 2), (64, 4)]:
        monkeypatch.setattr(machine, "available_cores", lambda cores=cores: cores)
        assert machine.default_threads() == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert machine.default_threads() == 7
    monkeypatch.setenv("OMP_NUM_THREADS", "a few")
    assert machine.default_threads() == 4


def test_set_threads_twice_and_wrongly():
    assert machine.set_threads(1) == torch.get_num_threads() == 1
    # interop threads can be set once: no error
    assert machine.set_threads(2) == torch.get_num_threads() == 2
    with pytest.raises(UserError, match="at least 1"):
        machine.set_threads(0)


def test_a_container_s_share_of_the_cores_counts(tmp_path, monkeypatch):
    assert machine.cores_of_quota(tmp_path) is None
    for text, cores in [("max 100000", None), ("150000 100000", 1.5), ("nonsense", None)]:
        (tmp_path / "cpu.max").write_text(text)
        assert machine.cores_of_quota(tmp_path) == cores
    monkeypatch.setattr(machine, "cores_of_quota", lambda: 0.5)
    assert machine.available_cores() == 1
    monkeypatch.setattr(machine, "cores_of_quota", lambda: None)
    assert machine.available_cores() >= 1


def test_cpu_flags(tmp_path):
    file = tmp_path / "cpuinfo"
    assert machine.cpu_flags(file) == frozenset()
    file.write_text("processor : 0\nmodel name\t: Some CPU: fast\nflags\t\t: fpu avx512_bf16 sse\n")
    assert machine.cpu_flags(file) == {"fpu", "avx512_bf16", "sse"}
    assert machine.processor_name(file) == "Some CPU: fast"
    file.write_text("no such line\n")
    assert machine.cpu_flags(file) == frozenset()


@pytest.mark.parametrize(
    ("flags", "pays"), [({"avx2"}, False), ({"avx512_bf16"}, True), ({"amx_bf16", "avx2"}, True)]
)
def test_bfloat16_is_used_only_where_it_pays(monkeypatch, flags, pays):
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset(flags))
    machine.bfloat16_pays.cache_clear()
    try:
        cpu = torch.device("cpu")
        assert machine.bfloat16_pays(cpu) is pays
        with machine.autocast(cpu):
            product = torch.ones(2, 2) @ torch.ones(2, 2)
        assert product.dtype == (torch.bfloat16 if pays else torch.float32)
        assert machine.bfloat16_pays(torch.device("meta")) is False
    finally:
        machine.bfloat16_pays.cache_clear()  # the answer for the real machine is asked anew


def test_seed_everything():
    def draw():
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    machine.seed_everything(5)
    first = draw()
    machine.seed_everything(5)
    assert draw() == first
    machine.seed_everything(2**40 + 6)  # more than NumPy takes
    assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_describe_is_json_and_complete():
    words = machine.describe("cpu")
    assert json.loads(json.dumps(words)) == words
    assert set(words) == {
        "platform",
        "processor",
        "cores",
        "memory_gb",
        "python",
        "torch",
        "device",
        "threads",
    }
    assert words["device"] == "cpu" and words["torch"] == torch.__version__ and words["processor"]


def test_apples_gpu_is_chosen_by_name_alone_and_computes_in_float32(monkeypatch):
    with pytest.raises(UserError, match="Apple's GPU cannot be used here"):
        machine.choose_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    device = machine.choose_device("mps")
    assert device == torch.device("mps") and machine.choose_device("auto").type != "mps"
    assert not machine.bfloat16_pays(device) and machine.together(device) == 1
    with machine.autocast(device):
        assert torch.ones(1).dtype == torch.float32
    assert workers.beside_this(device) is None
    assert machine.describe(device)["device"] == "mps"


def test_what_metal_lacks_falls_back_to_the_cpu():
    """Set as the package is imported: torch reads it once."""
    assert os.environ["PYTORCH_ENABLE_MPS_FALLBACK"] == "1"


# -- shipped data ----------------------------------------------------------------------------------


def test_data_is_found_from_the_package_or_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    assert machine.data_folder() == tmp_path
    monkeypatch.delenv("MINILRM_DATA")
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "minilrm" / "machine.py"))
    (tmp_path / "data").mkdir()
    assert machine.data_folder() == tmp_path.resolve() / "data"
    (tmp_path / "minilrm" / "data").mkdir(parents=True)  # as in a wheel
    assert machine.data_folder() == tmp_path.resolve() / "minilrm" / "data"


def test_missing_data_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="MINILRM_DATA names .*nowhere"):
        machine.data_folder()
    monkeypatch.delenv("MINILRM_DATA")
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "minilrm" / "machine.py"))
    with pytest.raises(UserError, match="from a clone"):
        machine.data_folder()


# -- scripts/setup_env.py: a torch that is there is reused, never replaced -------------------------


@pytest.mark.parametrize(
    ("version", "suitable"),
    [
        ("2.9.0", True),
        ("2.13.0+cpu", True),
        ("2.10", True),
        ("3.0.0a0+git12", True),
        ("2.9.1rc1", True),
        ("2.9.0a0+nv25.9", False),
        ("2.9.0.dev20250901", False),
        ("2.8.1", False),
        ("1.13.1", False),
        ("", False),
        (None, False),
    ],
)
def test_which_torch_is_suitable(version, suitable):
    assert setup_env.torch_is_suitable(version) is suitable


@pytest.mark.parametrize(
    ("in_venv", "torch_version", "fresh", "how"),
    [
        (False, None, False, "own"),
        (True, None, False, "own"),
        (False, "2.8.0", False, "own"),
        (False, "2.10.0", False, "shared"),
        (True, "2.10.0", False, "as it is"),
        (False, "2.10.0", True, "own"),
        (True, "2.10.0", True, "own"),
    ],
)
def test_which_environment_is_used(monkeypatch, tmp_path, in_venv, torch_version, fresh, how):
    monkeypatch.setattr(setup_env.sys, "base_prefix", "/usr" if in_venv else sys.prefix)
    environment, found = setup_env.plan(tmp_path, torch_version, fresh)
    assert found.split(" /")[0] == how
    assert environment == (Path(sys.prefix) if how == "as it is" else tmp_path)


def test_the_torch_that_is_there_is_pinned_to_itself():
    assert "torch==2.13.0" in setup_env.wanted_versions("own", None)
    shared = setup_env.wanted_versions("shared /usr", "2.10.0+cu128")
    assert shared[0] == "torch==2.10.0+cu128" and any(line[:7] == "numpy==" for line in shared)
    assert [line for line in shared if line.startswith("torch")] == shared[:1]
    assert setup_env.wanted_versions("as it is", "2.10.0+cu128") == ["torch==2.10.0+cu128"]


@pytest.fixture
def environment(tmp_path):
    """A folder with an interpreter, as a virtual environment has it."""
    python = setup_env.python_of(tmp_path)
    python.parent.mkdir()
    python.write_text("")
    return tmp_path


def test_an_environment_is_ready_only_for_what_was_installed(environment, monkeypatch):
    ready = setup_env.is_ready
    assert not ready(environment, "own", "", False)
    setup_env.write_stamp(environment, ["own", f"dev {setup_env.digest()}"])
    assert ready(environment, "own", "dev", False) and ready(environment, "own", "", False)
    assert ready(environment, "own", "dev", True)
    assert not ready(environment, "own", "bench", False)
    assert not ready(environment, "shared /opt/conda", "dev", False)  # its torch is wanted now
    monkeypatch.setattr(setup_env, "digest", lambda: "pyproject.toml has changed")
    assert not ready(environment, "own", "dev", False)


def test_somebodys_own_environment_is_taken_as_it_is_and_never_cleared(environment, monkeypatch):
    """Catches: a .venv made by hand, as the README says, cleared by `make test`."""
    done = []
    monkeypatch.setattr(setup_env, "plan", lambda *asked: (environment, "own"))
    monkeypatch.setattr(setup_env, "install", lambda *asked: done.append(asked))
    monkeypatch.setattr(setup_env, "call", lambda *words: pytest.fail(f"called {words}"))
    setup_env.set_up(environment, "dev", False)
    assert done == [(environment, "own", "dev")]
    setup_env.set_up(environment, "dev", False)  # the stamp says that nothing is to do
    assert len(done) == 1 and setup_env.read_stamp(environment)[0] == "as it is"
    assert not setup_env.serves(environment, "own", fresh=True)


def test_a_folder_that_is_no_environment_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(setup_env.SetupError, match="no virtual environment"):
        setup_env.make(tmp_path, "own")
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_one_version_of_everything():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    bare = [line.split("#")[0].strip() for line in lines]
    pins = {line.split("==")[0].lower(): line for line in bare if line}
    low, high = setup_env.OLDEST, setup_env.NEWEST
    assert f'requires-python = ">={low[0]}.{low[1]},<{high[0]}.{high[1] + 1}"' in project
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins.values())
    assert f'"{pins["transformers"]}"' in project
    assert not [
        name for name in pins if name.startswith(("nvidia", "cuda", "triton", "setuptools"))
    ]
