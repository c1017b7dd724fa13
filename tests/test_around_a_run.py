"""What people expect around a run: TensorBoard, a model card in each checkpoint, several runs on
one page."""

import doctest
import json
import sys

import miniature
import pytest
from miniature import options

from minilrm import checkpoint, report, sft
from minilrm.checkpoint import card
from minilrm.errors import UserError
from minilrm.files import write_json_atomic
from minilrm.model import ModelConfig, Transformer
from minilrm.report import comparison
from minilrm.runlog import OnlookersLog, RunLog

small, runs = miniature.small, miniature.runs


# -- TensorBoard -----------------------------------------------------------------------------------


class Writer:
    """Stands in for TensorBoard's writer."""

    made: list = []

    def __init__(self, folder, purge_step):
        self.folder, self.purge_step, self.scalars, self.closed = folder, purge_step, {}, False
        Writer.made.append(self)

    def add_scalar(self, name, value, step):
        assert not self.closed and (name, step) not in self.scalars
        self.scalars[name, step] = value

    def close(self):
        self.closed = True


@pytest.fixture
def board(monkeypatch):
    Writer.made = []
    monkeypatch.setattr("minilrm.runlog.tensorboard_writer", lambda: Writer)
    monkeypatch.setattr("minilrm.loop.run.tensorboard_writer", lambda: Writer)
    return Writer.made


def test_tensorboard_is_told_every_number_of_the_log(board, small, base, tmp_path):
    folder = sft.train(options("sft", base, tmp_path / "run", log="tensorboard")).folder
    [writer] = board
    assert writer.closed and writer.folder == str(folder / "tensorboard") and writer.purge_step == 1
    told = {
        (f"{line['event']}/{name}", line["step"]): value
        for line in RunLog.open(folder).metrics()
        for name, value in line.items()
        if isinstance(value, (int, float)) and name != "step"
    }
    assert writer.scalars == told
    assert {("train/loss", 6), ("eval/accuracy", 0)} <= set(told)


def test_a_resumed_run_forgets_there_too_what_it_will_log_again(board, small, base, tmp_path):
    small.setattr(sft.Trainer, "update_weights", interrupted(sft.Trainer.update_weights, at=3))
    asked = options("sft", base, tmp_path / "run", log="tensorboard", save_every=1)
    with pytest.raises(KeyboardInterrupt):
        sft.train(asked)
    assert board[0].closed
    sft.train(sft.Options(resume=tmp_path / "run"))
    assert board[1].purge_step == 3  # after the checkpoint of step 2
    assert ("train/loss", 2) not in board[1].scalars and ("train/loss", 3) in board[1].scalars


def interrupted(function, at):
    calls = []

    def hooked(*args):
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return function(*args)

    return hooked


def test_without_the_package_it_is_refused_before_the_work(monkeypatch, base, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        sft.train(options("sft", base, tmp_path / "run", log="tensorboard"))
    assert not (tmp_path / "run").exists()


def test_the_real_writer_writes_a_file(base, small, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = sft.train(options("sft", base, tmp_path / "run", log="tensorboard")).folder
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    losses = [line["loss"] for line in RunLog.open(folder).metrics("train")]
    assert [e.value for e in events.Scalars("train/loss")] == pytest.approx(losses)


# -- model cards -----------------------------------------------------------------------------------


def test_each_checkpoint_of_a_run_has_a_card_for_the_hub(runs):
    folder = RunLog.open(runs("sft")).checkpoints()[-1][1]
    text = (folder / "README.md").read_text()
    head, body = text.removeprefix("---\n").split("\n---\n", 1)
    assert head.splitlines()[:2] == [
        "library_name: transformers",
        "pipeline_tag: text-generation",
    ]
    assert '- "gsm8k-mini"' in head and "license" not in head  # nobody has said under which
    assert "51,424 parameters (Qwen3ForCausalLM)" in body and "step 6" in body
    options = json.loads(body.split("```json\n")[1].split("```")[0])
    assert options["steps"] == 6 and options["lr"] == sft.Options.lr
    record = json.loads((folder / "minilrm.json").read_text())
    assert "README.md" in record["files"]


def test_a_card_names_no_folder_of_the_machine(tmp_path):
    info = checkpoint.Info(
        task="countdown",
        init=f"{tmp_path}/base; teacher of 5 parameters",
        options={"lr": 0.1, "data": f"{tmp_path}/mine.jsonl", "chat": True, "out": "C:\\me\\run"},
        scores={"accuracy_after": 0.25, "accuracy_after_ci": [0.2, 0.3], "task": "countdown"},
    )
    model = Transformer(ModelConfig(vocab_size=40, dim=8, n_layers=1, n_heads=1, n_kv_heads=1))
    text = (checkpoint.save(tmp_path / "a", model, None, info=info) / "README.md").read_text()
    assert str(tmp_path) not in text and "C:" not in text
    assert "Training began at: base; teacher of 5 parameters." in text
    assert "| accuracy_after | 0.25 |" in text and '"lr": 0.1' in text


def test_worked_examples():
    assert doctest.testmod(card).failed == 0


# -- several runs on one page ----------------------------------------------------------------------


def a_run(folder, accuracy, ended=True, **asked):
    """A run folder with two steps and two evaluations, written by hand."""
    log = RunLog.create("grpo", "countdown", {"lr": 0.1, "steps": 2, "seed": 0, **asked}, folder)
    for step in (0, 2):
        log.log(step, {"accuracy": accuracy * step, "accuracy_ci": [0.0, 0.9], "n": 40}, "eval")
    for step in (1, 2):
        log.log(step, {"reward": 0.5, "accuracy": 0.5, "entropy": accuracy}, "train")
    if ended:
        facts = {"eval_n": 40, "accuracy_before": 0.0, "accuracy_after": 2 * accuracy}
        log.summary(facts | {"accuracy_after_ci": [0.1, 0.9], "seconds": 75})
    return log.folder


def test_a_page_compares_runs(tmp_path, capsys, monkeypatch):
    one = a_run(tmp_path / "one", 0.1, lr=0.1)
    two = a_run(tmp_path / "two <b>", 0.4, ended=False, lr=0.3)
    monkeypatch.chdir(tmp_path)
    report.main([str(one), str(two)])
    assert capsys.readouterr().out == "compared.html\n"
    page = (tmp_path / "compared.html").read_text()
    assert "two &lt;b&gt;" in page and "two <b>" not in page
    assert "<b>20.0 %</b> (95 % interval 10.0–90.0)" in page and "<b>80.0 %</b>" in page
    assert "<tr><td>lr<td>0.1<td>0.3" in page
    assert "<td>steps<td>" not in page and "<td>seed<td>" not in page  # the same in both
    assert "2, not ended" in page and page.count("<svg") == 3  # reward, accuracy, entropy


def test_what_is_held_out_is_compared_where_it_was_measured(tmp_path):
    """Catches: the accuracy of one run's training beside another's evaluation, or greedy ones."""
    log = RunLog.open(a_run(tmp_path / "one", 0.1))
    accuracy = next(p for p in comparison.WHEN_REINFORCED if p.title == "Accuracy")
    assert comparison.curve_of(accuracy, log.metrics()) == [
        (0, 0.0, (0.0, 0.9)),
        (2, 0.2, (0.0, 0.9)),
    ]
    trained = [line for line in log.metrics() if line["event"] == "train"]
    found = comparison.curve_of(accuracy, trained)
    assert [p[0] for p in found] == [1, 2] and [p[1] for p in found] == pytest.approx([0.5, 0.5])
    greedy = [{"step": 1, "event": "eval", "greedy": 0.5}]
    assert comparison.curve_of(accuracy, greedy) == []


def test_runs_that_differ_in_nothing(tmp_path):
    pages = comparison.render_comparison([a_run(tmp_path / name, 0.1) for name in "ab"])
    assert "asked for in the same way" in pages


@pytest.mark.parametrize(
    "words, said",
    [
        (["a", "a"], "named twice"),
        (["a", *"bcdefgh"], "8 runs are too many"),
        (["a", "missing"], "no run folder missing"),
        (["a", "--out", "page.html"], "--out is for several"),
        (["a", "b", "--out", "there.html"], "there already"),
    ],
)
def test_what_cannot_be_compared_is_one_line(tmp_path, monkeypatch, capsys, words, said):
    for name in "ab":
        a_run(tmp_path / name, 0.1)
    write_json_atomic(tmp_path / "there.html", {})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        report.main(words)
    told = capsys.readouterr().err
    assert ended.value.code == 2 and said in told and told.count("\n") == 1


def test_a_process_that_looks_on_writes_nothing(tmp_path):
    folder = a_run(tmp_path / "run", 0.1)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    log = OnlookersLog.open(folder)
    with log.lock(), log.tensorboard(after=0):
        log.log(3, {"loss": 1.0})
        log.sample(3, [{"a": 1}])
        log.summary({})
        log.truncate_after(0)
        log.forget(2, "eval")
        log.resume_with({"lr": 5})
        log.discard()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert len(log.metrics()) == 4
