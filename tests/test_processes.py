"""Two processes, with gloo between them, share a step as one would take it alone, agree on what
they refuse and on when they stop, and do not wait for one that has died.

All of it happens once, in one pair of processes (`two_processes.py`); the tests read what the pair
has noted. `test_devices.py` has the same with threads in their place, which say which call one of
two devices does not make.
"""

import json
import os
import socket
import subprocess
import sys

import miniature
import pytest
import two_processes
from miniature import options

from minilrm import checkpoint, cli, devices, objectives, sft
from minilrm.errors import UserError
from minilrm.runlog import RunLog

small = miniature.small
SECONDS = 300  # for the whole pair, on a busy machine; a hang would last a day


@pytest.fixture(scope="module")
def pair(base, tmp_path_factory):
    """The folder that the pair has filled, and the Popen of each, with what it wrote to stderr."""
    folder = tmp_path_factory.mktemp("pair")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common["OMP_NUM_THREADS"] = "1"  # two processes on two cores
    words = [sys.executable, two_processes.__file__, folder, base]
    processes = [
        subprocess.Popen(
            words,
            env={**os.environ, **common, "RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=open(folder / f"{rank}.err", "w"),
        )
        for rank in (0, 1)
    ]
    try:
        for process in processes:
            process.wait(SECONDS)
    finally:
        for process in processes:
            process.kill()
    codes = [process.returncode for process in processes]
    assert codes == [2, 9], [(folder / f"{rank}.err").read_text() for rank in (0, 1)]
    return folder


def noted(pair, rank=0):
    """What a process has found, by the name of the case."""
    lines = (pair / f"{rank}.jsonl").read_text().splitlines()
    return {found["case"]: found for found in map(json.loads, lines)}


# -- the gradient of a step ------------------------------------------------------------------------


def names():
    """The cases of policy optimisation that the table has to have."""
    for objective in objectives.OBJECTIVES:
        for aggregation in objectives.AGGREGATIONS:
            for equal in ("", " equal"):
                how = f"objective={objective} aggregation={aggregation} normalize=std{equal}"
                yield f"grpo {how}"
    for normalize in two_processes.NORMALIZATIONS:
        for aggregation in objectives.AGGREGATIONS:
            for equal in ("", " equal"):
                how = f"objective=grpo aggregation={aggregation} normalize={normalize}{equal}"
                yield f"grpo {how}"


def test_the_gradient_of_two_processes_is_that_of_one(pair):
    """Every objective, aggregation and normalisation, with groups without variance in process 1
    and without; and every other command."""
    table = {name: found for name, found in noted(pair).items() if "distance" in found}
    assert set(names()) <= set(table) and len(table) > 85
    commands = {name.split()[0] for name in table}
    learning = {"grpo", "ppo", "sft", "pretrain", "distill", "dpo"}
    assert commands == learning | {"reward_model", "preference_model"}
    for name, found in table.items():
        assert found["norm"] > 1e-3, name  # there is something to compare
        # Of several steps each records log-probs anew, in batches of another shape.
        assert found["distance"] <= (3e-6 if "updates" in name else 1e-6), name


def test_both_processes_are_given_the_same_gradient(pair):
    """Catches: a sum that only one of them gets."""
    one, other = (
        {name: found.get("distance") for name, found in noted(pair, rank).items()}
        for rank in (0, 1)
    )
    assert one == other


def test_muon_is_the_same_in_both_and_weights_that_are_not_are_noticed(pair):
    one, other = (noted(pair, rank)["muon"]["sums"] for rank in (0, 1))
    assert one == other and len(one) > 10
    assert all("drifted apart" in noted(pair, rank)["drift"]["said"] for rank in (0, 1))


# -- a run of both ---------------------------------------------------------------------------------


def test_ctrl_c_in_one_stops_both_at_one_step_and_one_process_goes_on(
    pair, base, small, full_precision, tmp_path
):
    """The run of two processes, resumed by one, ends where an uninterrupted run of one does."""
    for rank in (0, 1):
        found = noted(pair, rank)["interrupted"]
        assert not found["finished"] and found["steps"] == 3
        assert found["folder"] == str(pair / "run")
    log = RunLog.open(pair / "run")
    assert [line["step"] for line in log.metrics("train")] == [1, 2, 3]
    assert sft.train(sft.Options(resume=pair / "run")).finished
    alone = RunLog.open(sft.train(options("sft", base, tmp_path / "alone")).folder)
    found, wanted = (
        {line["step"]: line["loss"] for line in each.metrics("train")} for each in (log, alone)
    )
    assert found == pytest.approx(wanted, rel=1e-3) and len(found) == 6
    one, other = (checkpoint.load(each.checkpoints()[-1][1])[0] for each in (log, alone))
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert (a - b).norm() <= 1e-3 * b.norm()


def test_a_pool_of_two_processes_has_the_answers_of_both(pair):
    """Those that one process would have. Catches: a pool of the first process's share alone."""
    assert all(noted(pair, rank)["distilled"]["finished"] for rank in (0, 1))
    found, wanted = (
        [json.loads(line) for line in (pair / name / "traces.jsonl").read_text().splitlines()]
        for name in ("distilled", "distilled-alone")
    )
    for counts in (found[0], wanted[0]):
        assert counts["sampled"] == miniature.FEW["distill"]["prompts"]
        assert counts["kept"] > 2
    same = ("sampled", "kept", "tokens")
    assert [found[0][name] for name in same] == [wanted[0][name] for name in same]
    assert {r["completion"] for r in found[1:]} == {r["completion"] for r in wanted[1:]}


# -- what goes wrong -------------------------------------------------------------------------------


def test_what_one_refuses_all_refuse(pair):
    first, second = (noted(pair, rank)["refused"]["said"] for rank in (0, 1))
    assert first[:2] == ["no such file, says 0", "in process 1: no such file, says 1"]
    assert second[:2] == ["in process 0: no such file, says 0", "no such file, says 1"]
    assert first[2] == second[2] and first[2].startswith("--prompts 1 cannot be shared among 2")
    assert first[3] == (
        "process 1 has seed 1, and process 0 has 0: start all of them with the same options"
    )
    assert not noted(pair)["refused"]["folder"]


def test_where_one_dies_the_other_ends_with_a_line(pair):
    """The exit codes, and that it took no day, the fixture has seen."""
    said = [line for line in (pair / "0.err").read_text().splitlines() if "error" in line]
    assert len(said) == 1 and said[0].startswith("error: process 0 has lost the others")
    assert (pair / "dead" / "checkpoints" / "step-000000").is_dir()


# -- how torchrun starts them ----------------------------------------------------------------------


def torchrun(monkeypatch, rank):
    for name, value in {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cli, "SECONDS_TO_SPEAK", 0)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("words", [["--stepps", "3"], ["--steps", "none"]])
def test_a_mistake_on_the_command_line_is_one_line_of_process_0(monkeypatch, capsys, rank, words):
    torchrun(monkeypatch, rank)
    with pytest.raises(SystemExit) as ended:
        cli.run_command(sft.main, sft.Options, words, prog="sft", description="")
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == (rank == 0)


def test_a_command_whose_work_is_not_shared_is_refused(monkeypatch, capsys):
    from minilrm.evaluate import Options

    torchrun(monkeypatch, 0)
    with pytest.raises(SystemExit):
        cli.run_command(pytest.fail, Options, [], prog="python -m evaluate", description="")
    assert "torchrun shares the training commands" in capsys.readouterr().err


def test_more_processes_than_gpus_and_apples_gpu_are_refused(monkeypatch):
    torchrun(monkeypatch, 1)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(UserError, match="than it has GPUs .1.; use --nproc-per-node 1"):
        devices.backend_for("cuda")
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    with pytest.raises(UserError, match="Apple's GPU"):
        devices.backend_for("mps")


def test_each_process_takes_the_gpu_of_its_number(monkeypatch):
    torchrun(monkeypatch, 1)
    taken = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", taken.append)
    monkeypatch.setattr("torch.distributed.is_nccl_available", lambda: True)
    assert devices.backend_for("auto") == "cpu:gloo,cuda:nccl" and taken == [1]
