"""The five training loops, run in miniature: what they leave behind, and that nothing that happens
on the way (Ctrl-C, kill -9, a damaged file, a NaN) changes what comes out."""

import json
import math
import shutil

import miniature
import pytest
from miniature import LOOPS, SUMMARY_KEYS, interrupt_in_step, is_the_same_run, options, weights

from minilrm import beginnings, checkpoint, grpo, machine, pretrain, sft
from minilrm.distill import trainer as distill_trainer
from minilrm.errors import UserError
from minilrm.optim import Guard, lr_factor
from minilrm.runlog import RunLog

small, runs = miniature.small, miniature.runs
TRL_KEYS = {
    "reward",
    "reward_std",
    "frac_reward_zero_std",
    "entropy",
    "clip_ratio/region_mean",
    "completions/mean_length",
    "completions/clipped_ratio",
    "loss",
    "grad_norm",
    "learning_rate",
}


# -- what a run leaves behind ----------------------------------------------------------------------


@pytest.mark.parametrize("name", LOOPS)
def test_a_run_folder_has_all_it_should(runs, name):
    folder = runs(name)
    config = json.loads((folder / "config.json").read_text())
    assert (
        config["command"] == name
        and config["options"]["seed"] == 0
        and config["version"]
        and config["machine"]
    )
    summary = json.loads((folder / "summary.json").read_text())
    assert SUMMARY_KEYS <= set(summary)
    assert summary["steps"] > 5 and summary["tokens_trained"] > 0 and summary["seconds"] > 0
    for which in ("best", "last"):
        model, tokenizer, info = checkpoint.load(folder / "checkpoints" / summary[which])
        assert tokenizer is not None and info.task == "gsm8k-mini"
    assert (
        summary["last"]
        == RunLog(folder, {}).checkpoints()[-1][1].name
        == f"step-{summary['steps']:06d}"
    )
    page = (folder / "report.html").read_text()
    assert "<svg" in page and "has not ended" not in page


def test_the_metrics_of_a_grpo_run(runs):
    log = RunLog.open(runs("grpo"))
    train, evals = log.metrics("train"), log.metrics("eval")
    assert [line["step"] for line in train] == [1, 2, 3, 4, 5, 6]
    # step 0, always
    assert [(line["step"], line["n"]) for line in evals] == [(0, 5), (2, 3), (4, 3), (6, 5)]
    assert all(TRL_KEYS <= set(line) for line in train if line["frac_reward_zero_std"] < 1)
    # On-policy, one step a batch: the ratio is 1, however many groups had nothing to say.
    assert all(
        line["ratio/mean"] == pytest.approx(1) and line["clip_ratio/region_mean"] == 0
        for line in train
    )
    assert [line["learning_rate"] for line in train] == pytest.approx(
        [grpo.Options.lr * f for f in (0.2, 0.4, 0.6, 0.8, 1, 1)]
    )
    assert {"accuracy", "accuracy_ci", "think_rate", "greedy"} <= set(evals[0]) & set(evals[-1])
    samples = log.samples()
    assert {s["step"] for s in samples} == {0, 2, 4, 6}
    assert {"prompt", "completion", "answer", "correct", "reward", "key"} <= set(samples[0])
    lengths = [line["completions/mean_length"] for line in train]
    generated = json.loads((log.folder / "summary.json").read_text())["tokens_generated"]
    assert generated == pytest.approx(sum(lengths) * 12, abs=0.5)


def test_the_metrics_of_the_supervised_loops(runs):
    log = RunLog.open(runs("sft"))
    assert [line["step"] for line in log.metrics("train")] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in log.metrics("eval")] == [0, 2, 4, 6]
    assert {"loss", "grad_norm", "learning_rate"} <= set(log.metrics("train")[0])
    rates = [line["learning_rate"] for line in log.metrics("train")]
    assert rates == pytest.approx(
        [3e-4 * lr_factor(step, 6, 2, final=0.1) for step in range(6)], rel=1e-4
    )
    assert {s["step"] for s in log.samples()} == {0, 2, 4, 6}
    log = RunLog.open(runs("pretrain"))
    assert [line["step"] for line in log.metrics("train")] == [25]  # the mean of 25 steps, every 25
    assert {"loss", "grad_norm", "learning_rate", "tokens"} <= set(log.metrics("train")[0])
    assert (
        0
        < log.metrics("train")[0]["learning_rate"]
        < 0.02 * (1 - log.metrics("train")[0]["tokens"] * 0.9 / 10_000)
    )
    losses = [line["val_loss"] for line in log.metrics("eval")]
    assert losses == sorted(losses, reverse=True) and losses[0] < math.log(1024)


def test_old_checkpoints_go_but_not_the_best(runs):
    """Catches: pruning by age alone, which loses the policy that the summary calls the best."""
    folder = runs("grpo")
    names = [path.name for _, path in RunLog(folder, {}).checkpoints()]
    best = json.loads((folder / "summary.json").read_text())["best"]
    assert (
        best in names
        and names[-2:] == ["step-000004", "step-000006"]
        and len(names) == len({best, *names[-2:]})
    )


# -- the same run again ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOOPS)
def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    runs, small, base, tmp_path, name
):
    is_the_same_run(LOOPS[name].train(options(name, base, tmp_path / "again")).folder, runs(name))
    short = {"tokens": 300, "eval_n": 0} if name == "pretrain" else {"steps": 1, "eval_n": 1}
    one, other = (
        weights(
            LOOPS[name].train(options(name, base, tmp_path / f"{seed}", seed=seed, **short)).folder
        )
        for seed in (0, 1)
    )
    assert not any(
        one[key].equal(other[key]) for key in one if key.startswith("model/") and "embed" in key
    )


@pytest.mark.parametrize(
    "name, number", [("pretrain", 13), *((name, 3) for name in LOOPS if name != "pretrain")]
)
def test_ctrl_c_saves_says_how_to_go_on_and_loses_nothing(
    runs, small, base, tmp_path, capsys, name, number
):
    """Catches: a resumed run with the options' defaults in place of its own, momentum or counters
    lost, the order of the data begun anew, a log line written twice, a mean of losses that forgets
    those before the interruption."""
    folder, module = tmp_path / "run", LOOPS[name]
    with pytest.MonkeyPatch.context() as patch:
        interrupt_in_step(patch, name, number)
        stopped = module.train(options(name, base, folder))
    assert not stopped.finished and stopped.exit_code == 130  # so that `sft && grpo` stops
    err = capsys.readouterr().err
    assert (
        f"stopped at step {number}; resume with: python -m minilrm.{name} --resume {folder}" in err
    )
    assert not (folder / "summary.json").exists()
    assert [step for step, _ in RunLog(folder, {}).checkpoints()][-1] == number
    whole = module.train(module.Options(resume=folder))  # just what was said, nothing else
    assert whole.finished and whole.exit_code == 0 and whole.folder == folder
    is_the_same_run(folder, runs(name))


@pytest.mark.parametrize("name", LOOPS)
def test_after_kill_9_the_run_goes_on_from_its_last_checkpoint(runs, small, tmp_path, name):
    """As if the process had died after a later step was logged, in the middle of a line."""
    folder, module = tmp_path / "run", LOOPS[name]
    shutil.copytree(runs(name), folder)
    for left in ("summary.json", "report.html"):
        (folder / left).unlink()
    *_, (_, earlier), (_, last) = RunLog(folder, {}).checkpoints()
    shutil.rmtree(last)
    checkpoint.disk.hidden_sibling(last).mkdir()  # what a save that was killed leaves
    with open(folder / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 99, "event": "tr')
    module.train(module.Options(resume=folder))
    is_the_same_run(folder, runs(name))
    assert earlier.exists() and not list(last.parent.glob(".*"))


@pytest.mark.parametrize("name", LOOPS)
def test_a_truncated_checkpoint_is_skipped_and_made_again(runs, small, tmp_path, capsys, name):
    """Catches: a run that goes on past the broken checkpoint, finds its name taken, and calls it
    its last one."""
    folder, module = tmp_path / "run", LOOPS[name]
    shutil.copytree(runs(name), folder)
    (folder / "summary.json").unlink()
    last = RunLog(folder, {}).checkpoints()[-1][1]
    file = last / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    module.train(module.Options(resume=folder))
    err = capsys.readouterr().err
    assert f"skipped {last}: " in err and "model.safetensors" in err and err.count("skipped") == 1
    is_the_same_run(folder, runs(name))
    checkpoint.newest_valid(folder / "checkpoints")
    assert checkpoint.resolve(folder) == last


def test_a_grpo_run_that_died_at_once_evaluates_step_0_only_once(runs, small, base, tmp_path):
    """Catches: the figures before the first step forgotten in the first checkpoint, and so logged a
    second time."""
    folder = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(grpo.Trainer, "step", lambda self, step: 1 / 0)
        grpo.train(options("grpo", base, folder))
    grpo.train(grpo.Options(resume=folder))
    is_the_same_run(folder, runs("grpo"))


def test_a_finished_run_can_be_made_longer(runs, small, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(runs("grpo"), folder)
    grpo.train(grpo.Options(resume=folder, steps=8))
    log = RunLog.open(folder)
    assert [line["step"] for line in log.metrics("train")] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert json.loads((folder / "summary.json").read_text())["steps"] == 8


def test_a_run_is_gone_on_with_by_its_own_command_alone(runs, small):
    for name in LOOPS:
        other = "sft" if name == "grpo" else "grpo"
        with pytest.raises(UserError, match=f"is a run of {name}, not of {other}"):
            LOOPS[other].train(LOOPS[other].Options(resume=runs(name)))


# -- NaN -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOOPS)
def test_a_nan_loss_skips_the_step_and_is_counted(small, base, tmp_path, name):
    """Catches: one NaN that spreads to all weights, and a skipped step that nobody hears of."""
    rollouts = name in ("grpo", "ppo")
    owner = distill_trainer if name == "distill" else LOOPS[name]
    owner, attribute = (owner.Trainer, "loss") if rollouts else (owner, "loss_of")
    original, guarded, calls = getattr(owner, attribute), Guard.step, []

    def poisoned(*args, **more):
        result = original(*args, **more)
        calls.append(1)
        if len(calls) != 1:
            return result
        return (result[0] * math.nan, result[1]) if rollouts else result * math.nan

    unchanged = []

    def watched(self, model, optimizers, loss):
        before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        norm = guarded(self, model, optimizers, loss)
        unchanged.append(
            all(tensor.equal(before[key]) for key, tensor in model.state_dict().items())
        )
        return norm

    small.setattr(owner, attribute, poisoned)
    small.setattr(Guard, "step", watched)
    more = {"tokens": 1500, "eval_every": 99} if name == "pretrain" else {"steps": 3, "eval_n": 2}
    with pytest.MonkeyPatch.context() as patch:
        interrupt_in_step(patch, name, 2)  # and a resumed run remembers it
        folder = LOOPS[name].train(options(name, base, tmp_path / "run", **more)).folder
    LOOPS[name].train(LOOPS[name].Options(resume=folder))
    in_a_step = 2 if name == "ppo" else 1  # policy and critic
    assert all(unchanged[:in_a_step]) and not any(unchanged[in_a_step:])
    assert len(unchanged) > 2 * in_a_step
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["skipped_steps"] == 1
    if name != "pretrain":  # which logs means of 25
        lines = RunLog.open(folder).metrics("train")
        assert [line["loss"] is None for line in lines] == [True, False, False]
    assert all(tensor.isfinite().all() for tensor in weights(folder).values())


def test_ten_nan_steps_stop_the_run_and_leave_the_last_healthy_checkpoint(small, base, tmp_path):
    original = sft.loss_of
    small.setattr(sft, "loss_of", lambda *args: original(*args) * math.nan)
    with pytest.raises(UserError, match="10 steps in a row"):
        sft.train(options("sft", base, tmp_path / "run", steps=50, eval_every=99, save_every=5))
    _, path, skipped = checkpoint.newest_valid(tmp_path / "run" / "checkpoints")
    saved, start = checkpoint.load(path)[0].state_dict(), checkpoint.load(base)[0].state_dict()
    assert (
        path.name == "step-000005"
        and not skipped
        and all(saved[key].equal(start[key]) for key in start)
    )


# -- the starting points ---------------------------------------------------------------------------


def test_from_nothing_at_all(small, tmp_path):
    folder = grpo.train(
        options("grpo", "scratch", tmp_path / "run", scale="pico", steps=1, eval_n=1)
    ).folder
    assert checkpoint.load_config(folder / "checkpoints" / "step-000001").dim == 80
    assert json.loads((folder / "summary.json").read_text())["init"] == "scratch"


def test_the_exported_base_is_a_starting_point(small, base, tmp_path):
    """Catches: an export that the next stage cannot open, and one that is refused after the
    training, not before."""
    export = tmp_path / "export"
    pretrain.train(options("pretrain", base, tmp_path / "run", export=export, tokens=1500))
    assert checkpoint.load(export)[2].scores["steps"] > 2
    trainer = grpo.Trainer(options("grpo", export, tmp_path / "unused"))
    last = (
        tmp_path
        / "run"
        / "checkpoints"
        / json.loads((tmp_path / "run" / "summary.json").read_text())["last"]
    )
    for name, tensor in checkpoint.load(last)[0].state_dict().items():
        # bfloat16
        assert (
            trainer.model.state_dict()[name].sub(tensor).abs().max() <= 0.005 * tensor.abs().max()
        )
    with pytest.raises(UserError, match="--export .* is there already"):
        pretrain.train(options("pretrain", base, tmp_path / "another", export=export))
    assert not (tmp_path / "another").exists()


def test_the_shipped_base_is_a_starting_point():
    folder = machine.data_folder() / "checkpoints" / "gsm8k-mini-base"
    if not folder.is_dir():
        pytest.skip("the base is not shipped yet")
    policy, tokenizer, origin = beginnings.starting_point(grpo.Options())
    assert policy.config.vocab_size == len(tokenizer) and origin == "base"
