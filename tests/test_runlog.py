"""The run folder, its files, and what stands around a training loop: Ctrl-C, the progress bar,
studies' results."""

import io
import json
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from minilrm import runlog
from minilrm.errors import UserError
from minilrm.files import append_jsonl, read_json, read_jsonl, write_json_atomic
from minilrm.progress import Interrupt, Progress, track
from minilrm.runlog import RunLog


@pytest.fixture
def log(tmp_path):
    return RunLog.create(
        "grpo", "countdown", {"steps": 3, "out": Path("x"), "lr": 0.123456789}, out=tmp_path / "run"
    )


# -- the folder ------------------------------------------------------------------------------------


def test_create_writes_a_config_with_which_the_run_can_be_repeated(log):
    config = read_json(log.folder / "config.json")
    assert config == log.config == RunLog.open(log.folder).config
    assert (config["command"], config["task"]) == ("grpo", "countdown")
    assert config["options"] == {"steps": 3, "out": "x", "lr": 0.123456789}  # not rounded
    assert config["machine"]["cores"] >= 1 and config["version"] and config["started"][:2] == "20"


def test_the_default_folder_is_named_after_the_run_and_never_taken_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runlog.time, "strftime", lambda form: "20250131-142500")
    names = [RunLog.create("grpo", task, {}).folder.as_posix() for task in ("a/b", "a/b", None)]
    assert names == [
        "runs/grpo-a-b-20250131-142500",
        "runs/grpo-a-b-20250131-142500-2",
        "runs/grpo-20250131-142500",
    ]


def test_create_takes_an_empty_folder_but_never_one_with_something_in_it(tmp_path):
    (tmp_path / "empty").mkdir()
    RunLog.create("sft", "countdown", {}, out=tmp_path / "empty")
    before = (tmp_path / "empty" / "config.json").read_bytes()
    with pytest.raises(UserError, match="not empty.*--out.*--resume"):
        RunLog.create("grpo", "countdown", {}, out=tmp_path / "empty")
    assert (tmp_path / "empty" / "config.json").read_bytes() == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        RunLog.create("grpo", "countdown", {}, out=tmp_path / "file")
    with pytest.raises(UserError, match="cannot make the run folder"):
        RunLog.create("grpo", "countdown", {}, out=tmp_path / "file" / "below")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot make the run folder .*: permission denied"):
        RunLog.create("grpo", "countdown", {}, out=tmp_path / "run")


def test_open_says_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match="there is no run folder"):
        RunLog.open(tmp_path / "none")
    with pytest.raises(UserError, match="not a run folder"):
        RunLog.open(tmp_path)
    (tmp_path / "config.json").write_text('{"command": "gr')
    with pytest.raises(UserError, match="config.json is not valid JSON"):
        RunLog.open(tmp_path)
    (tmp_path / "config.json").write_text('{"options": {}}')
    with pytest.raises(UserError, match="does not say which command made the run; restore the f"):
        RunLog.open(tmp_path, "grpo")
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(UserError, match="JSON object"):
        RunLog.open(tmp_path)


def test_checkpoints_are_listed_by_step_and_half_written_ones_are_not(log):
    assert log.checkpoints() == []
    assert log.checkpoint_path(123) == log.folder / "checkpoints" / "step-000123"
    for name in (
        "step-000010",
        "step-000002",
        "step-1000000",
        "step-000003.tmp",
        "step-x",
        ".step-000004",
    ):
        (log.folder / "checkpoints" / name).mkdir(parents=True)
    (log.folder / "checkpoints" / "step-000005").write_text("a file")
    assert [step for step, _ in log.checkpoints()] == [2, 10, 1_000_000]
    assert log.checkpoints()[1][1] == log.checkpoint_path(10)


def test_seconds_go_on_from_before_a_resume(log, monkeypatch):
    now = runlog.time.monotonic()
    monkeypatch.setattr(runlog.time, "monotonic", lambda: now)
    resumed = RunLog.open(log.folder)
    now += 5
    assert resumed.seconds == 5
    resumed.seconds_before = 100.0
    assert resumed.seconds == 105


# -- metrics, samples, summary ---------------------------------------------------------------------


def test_metrics_come_back_rounded_with_null_for_what_is_no_number(log):
    log.log(
        1,
        {
            "reward": 0.123456789,
            "kl": float("nan"),
            "loss": float("-inf"),
            "n": 12345678,
            "none": None,
        },
    )
    log.log(
        1,
        {"accuracy": torch.tensor(0.25), "accuracy_ci": (np.float32(0.5), 1e-9 / 3)},
        event="eval",
    )
    train, evaluation = log.metrics()
    assert train == {
        "step": 1,
        "event": "train",
        "reward": 0.123457,
        "kl": None,
        "loss": None,
        "n": 12345678,
        "none": None,
    }
    assert evaluation["accuracy"] == 0.25 and evaluation["accuracy_ci"] == [0.5, 3.33333e-10]
    assert log.metrics("eval") == [evaluation] and log.metrics("other") == []
    assert "NaN" not in (log.folder / "metrics.jsonl").read_text()


def test_samples_keep_any_text_a_model_can_write(log):
    texts = ["año ✓ 猫", "line\nfeed\r\u2028\u0085", "half a pair: \ud83d", "\x00", '"quoted" \\']
    log.sample(0, [{"event": "eval", "completion": text} for text in texts])
    assert [sample["completion"] for sample in log.samples()] == texts
    assert all(sample["step"] == 0 for sample in log.samples())


def test_nothing_logged_is_empty_not_an_error(log):
    assert log.metrics() == [] and log.samples() == []
    log.truncate_after(0)


def test_a_torn_last_line_is_passed_over_and_never_glued_to_the_next(log):
    log.log(1, {"reward": 0.5})
    with open(log.folder / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 2, "rew')
    assert [line["step"] for line in log.metrics()] == [1]
    log.log(3, {"reward": 0.5})
    lines = (log.folder / "metrics.jsonl").read_bytes().split(b"\n")
    assert lines[1] == b'{"step": 2, "rew' and json.loads(lines[2])["step"] == 3
    # in the middle it is no longer harmless
    with pytest.raises(UserError, match="metrics.jsonl, line 2"):
        log.metrics()


def test_truncate_after_forgets_later_lines_and_a_torn_one(log):
    for step in range(5):
        log.log(step, {"reward": step / 4})
        log.sample(step, [{"key": "a"}, {"key": "b"}])
    log.log(2, {"accuracy": 0.5}, event="eval")  # later in the file, not in the run
    with open(log.folder / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 1, "re')
    kept = log.metrics()
    log.truncate_after(2)
    assert log.metrics() == [line for line in kept if line["step"] <= 2]
    assert [line["step"] for line in log.metrics()] == [0, 1, 2, 2]
    assert [sample["step"] for sample in log.samples()] == [0, 0, 1, 1, 2, 2]
    log.log(3, {"reward": 1.0})
    assert log.metrics()[-1]["step"] == 3
    assert sorted(path.name for path in log.folder.iterdir()) == [
        "config.json",
        "metrics.jsonl",
        "samples.jsonl",
    ]


def test_summary_is_replaced_whole(log):
    log.summary({"accuracy_after": 0.5, "best": Path("a")})
    log.summary({"accuracy_after": float("nan")})
    assert read_json(log.folder / "summary.json") == {"accuracy_after": None}


def test_a_failed_atomic_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    write_json_atomic(path, {"old": 1})

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(UserError, match="cannot write .*summary.json: no space left on device"):
        write_json_atomic(path, {"new": 1})
    assert read_json(path) == {"old": 1} and list(tmp_path.iterdir()) == [path]


# -- JSONL of users --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b'{"a": 1}\n\n{"a": \n', "line 3"),
        (b'{"a": 1}\n[1, 2]\n', "line 2: a JSON object"),
        (b'{"a": "\xff"}\n', "line 1"),
        (b"[" * 100_000, "line 1"),
        # what is forgiven in our own logs is not in a user's file
        (b'{"a": 1}\n{"a": 2', "line 2"),
        (b"", "is empty"),
        (b"\n \n", "is empty"),
    ],
)
def test_read_jsonl_names_the_bad_line(tmp_path, text, complaint):
    path = tmp_path / "data.jsonl"
    path.write_bytes(text)
    with pytest.raises(UserError, match=f"data.jsonl.*{complaint}"):
        read_jsonl(path)


def test_read_jsonl_reads_what_people_have(tmp_path):
    path = tmp_path / "data.jsonl"
    # A byte-order mark, the line ends of Windows, no newline at the end.
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": "\xc3\xb1"}')
    assert read_jsonl(path) == [{"a": 1}, {"a": "ñ"}]
    append_jsonl(path, {"a": 3})
    assert read_jsonl(path)[1:] == [{"a": "ñ"}, {"a": 3}]
    with pytest.raises(UserError, match="cannot read .*none.jsonl"):
        read_jsonl(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="cannot read"):
        read_jsonl(tmp_path)


# -- Ctrl-C ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_first_signal_asks_and_the_second_stops(name, capsys):
    number = getattr(signal, name)
    before = [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        with Interrupt() as interrupt:
            assert not interrupt.requested
            signal.raise_signal(number)
            assert interrupt.requested
            assert "stopping after this step" in capsys.readouterr().err
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)] == before


def test_handlers_are_put_back_after_a_quiet_end_too():
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        assert signal.getsignal(signal.SIGINT) == interrupt._ask
    assert signal.getsignal(signal.SIGINT) == before and not interrupt.requested


def test_a_signal_that_was_switched_off_stays_off():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGINT)
        assert not interrupt.requested and signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_it_does_nothing():
    seen = []

    def work():
        with Interrupt() as interrupt:
            seen.append(interrupt.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


# -- the bar ---------------------------------------------------------------------------------------


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_where_there_is_no_terminal_it_writes_few_plain_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Progress(1000, initial=400, label="grpo") as progress:
        for _ in range(600):
            progress.update(reward=0.41234, length=38.5, note="x")
        progress.note("  step 1000: accuracy 0.5")
    text = sys.stderr.getvalue()
    assert "\r" not in text and len(text.splitlines()) <= 4  # at 10 seconds a line
    assert "\n  step 1000: accuracy 0.5\n" in text
    last = text.splitlines()[-1]
    assert "grpo" in last and "1000/1000" in last and "reward=0.412 length=38.5 note=x" in last
    assert "400/1000" in text.splitlines()[0]


def test_a_last_step_that_goes_past_the_total_ends_at_100_percent(monkeypatch):
    """Catches: `distill: 1601step` without a percentage, where batches are of whole completions."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Progress(1500, label="distill") as progress:
        progress.update(1400)
        progress.update(201)
    assert "100%" in sys.stderr.getvalue() and "1500/1500" in sys.stderr.getvalue()


def test_items_that_are_tracked_come_in_order_and_are_counted_on_stdout_in_a_notebook(
    monkeypatch, capsys
):
    """Catches: bars in a notebook on stderr, which it shows on pink as if they were errors."""
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert list(track("abc", "letters")) == ["a", "b", "c"]
    shown = capsys.readouterr()
    assert shown.err == "" and "3/3" in shown.out.splitlines()[-1] and "letters" in shown.out


def test_in_a_terminal_it_redraws_itself(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Screen())
    with Progress(2) as progress:
        progress.update()
        progress.note("above")
        progress.update(accuracy=torch.tensor(0.5))
    assert "\r" in sys.stderr.getvalue() and "above\n" in sys.stderr.getvalue()
    assert "accuracy=0.5" in sys.stderr.getvalue() and "2/2" in sys.stderr.getvalue()
