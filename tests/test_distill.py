"""Distillation: the one loss behind the three ways, whom it moves and whither, what becomes of the
teacher's traces, and that nothing that happens to a run on the way changes what comes out."""

import json
import math
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from miniature import SUMMARY_KEYS, is_the_same_run, weights

from minilrm import batches, checkpoint, distill, objectives, traces
from minilrm.cli import run_command
from minilrm.distill import trainer as distill_trainer
from minilrm.errors import UserError
from minilrm.files import read_json, read_jsonl
from minilrm.loop import run as loop_run
from minilrm.model import SCALES, ModelConfig, Transformer
from minilrm.optim import Guard
from minilrm.rollout import Episode, rollout
from minilrm.runlog import RunLog
from minilrm.tasks import get_task
from minilrm.tasks.base import Grade
from minilrm.tasks.gsm8k_mini import GSM8KMini
from minilrm.tokenizer import Tokenizer
from studies import common
from studies import distill as study_distill

BOTH = {"way": "on-policy", "lmbda": 0.7, "samples": 4}  # a run with batches of both kinds
SMALL = ModelConfig(
    dim=16, n_layers=1, n_heads=2, n_kv_heads=1, head_dim=8, ffn_dim=32, max_seq_len=320
)


@pytest.fixture(scope="session")
def student(tokenizer, tmp_path_factory):
    """The folder of a student of a few weights that nobody trained."""
    torch.manual_seed(1)
    return checkpoint.save(
        tmp_path_factory.mktemp("student") / "small", Transformer(SMALL), tokenizer
    )


@pytest.fixture
def small(monkeypatch):
    """Short answers, of which a random teacher gets half right; no page at the end, which takes
    longer than the run."""
    make_small(monkeypatch)
    monkeypatch.setattr(loop_run, "write_report", lambda folder: folder)
    return monkeypatch


def make_small(patch):
    patch.setattr(GSM8KMini, "max_new_tokens", 8)
    patch.setattr(
        GSM8KMini,
        "grade",
        lambda self, problem, text: Grade(len(text) % 2 == 0, True, text, "parity"),
    )


def never(*args, **how):
    pytest.fail("this should not have been called")


def options(base, student, out=None, **more):
    few = {
        "steps": 5,
        "prompts": 24,
        "samples": 2,
        "batch": 6,
        "lr": 1e-2,
        "warmup": 2,
        "max_tokens_per_batch": 400,
        "eval_every": 2,
        "eval_n": 3,
        "save_every": 2,
        "threads": 1,
        "device": "cpu",
    }
    return distill.Options(
        **few | {"teacher": str(base), "student": str(student), "out": out} | more
    )


def table(logits):
    """A model that says the same at each place, whatever it reads: logits [T, V] are its
    parameter."""
    parameter = torch.nn.Parameter(torch.tensor(logits, dtype=torch.float64))
    return SimpleNamespace(
        config=SimpleNamespace(vocab_size=parameter.shape[1]),
        norm=SimpleNamespace(weight=parameter),
        lm_head=lambda hidden: hidden,
        logits=parameter,
        hidden=lambda ids: parameter[: ids.shape[1]].expand(len(ids), -1, -1),
    )


def one_token_loss(student, teacher, token=0, **how):
    """loss_of one completion token behind a prompt of one."""
    how = {"hard": 0.0, "beta": 0.0, "temperature": 1.0, "denominator": 1} | how
    return distill.loss_of(
        student, teacher, torch.tensor([[2, token]]), torch.tensor([[False, True]]), **how
    )


# -- the loss --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "beta, value", [(0, 0.432278), (1, 0.474321), (0.1, 0.038708), (0.5, 0.108578), (0.9, 0.041568)]
)
def test_the_divergence_has_its_golden_values_and_its_gradient_leads_to_the_teacher(beta, value):
    """Catches: student and teacher the wrong way round, beta weighing the other one, a gradient up
    the hill."""
    student, teacher = table([[1.0, 0.0, -1.0]]), table([[0.0, 1.0, 0.0]])
    loss = one_token_loss(student, teacher, beta=beta)
    assert loss.item() == pytest.approx(value, abs=1e-6)
    loss.backward()
    assert teacher.logits.grad is None
    student.logits.data -= 0.1 * student.logits.grad
    assert (
        one_token_loss(student, teacher, beta=beta) < value - 1e-4
        and one_token_loss(student, teacher, beta=1.0) < 0.474321
    )


def test_the_gradient_of_logits_is_what_that_of_traces_is_on_average():
    """Catches: a forward KL with the roles exchanged, and a hard loss that is softened too."""
    student, teacher = table([[1.0, 0.0, -1.0]]), table([[0.0, 1.0, 0.5]])
    one_token_loss(student, teacher).backward()
    soft, mean = student.logits.grad.clone(), torch.zeros(1, 3)
    for token, p in enumerate(teacher.logits[0].softmax(-1).tolist()):
        student.logits.grad = None
        one_token_loss(student, teacher, token, hard=1.0, temperature=7.0).backward()
        mean = mean + p * student.logits.grad
    assert torch.allclose(soft, mean, atol=1e-12) and soft.norm() > 0.1


@pytest.mark.parametrize("temperature", [100.0, 1000.0])
def test_at_high_temperatures_the_gradient_neither_vanishes_nor_grows(temperature):
    """Hinton et al., equation 4: with the factor tau^2 it tends to the difference of the centred
    logits, over V. Catches: no factor (10,000 times too small), tau (100 times), and tau^2 on one
    of the two only."""
    student, teacher = table([[1.0, 0.0, -4.0]]), table([[0.0, 1.0, 2.0]])
    one_token_loss(student, teacher, temperature=temperature).backward()
    s, t = student.logits.detach(), teacher.logits.detach()
    assert torch.allclose(
        student.logits.grad, ((s - s.mean()) - (t - t.mean())) / 3, rtol=0.05, atol=0.01
    )


def test_hard_and_soft_are_mixed_by_their_weights():
    student, teacher = table([[1.0, 0.0, -1.0]]), table([[0.0, 1.0, 0.0]])
    hard, soft, mixed = (
        one_token_loss(student, teacher, hard=w, temperature=2.0, beta=0.3).item()
        for w in (1, 0, 0.25)
    )
    assert mixed == pytest.approx(0.25 * hard + 0.75 * soft) and hard == pytest.approx(
        0.407606, abs=1e-6
    )


def episodes_of(tokenizer):
    """Completions of several lengths behind prompts of several; one has two tokens that a tool
    wrote."""
    return [
        batches.Example(tokenizer.encode(prompt), ids, mask)
        for prompt, ids, mask in (
            ("Question: 2 + 2?\nAnswer:", [300, 301, 302, tokenizer.eos_id], [1, 0, 0, 1]),
            ("Q:", [310, tokenizer.eos_id], [1, 1]),
            (
                "Question: what is 17 times 3, please?\nAnswer:",
                [320, 321, 322, 323, 324, 325],
                [1] * 6,
            ),
        )
    ]


@pytest.mark.parametrize("hard, beta, tau", [(1.0, 0.0, 1.0), (0.0, 0.0, 2.0), (0.3, 0.5, 1.5)])
def test_the_gradient_is_the_formulas_however_the_batch_is_cut(
    base, student, tokenizer, full_precision, hard, beta, tau
):
    """Catches: a shift by one, the end of text left out, prompt, padding or tool text learnt, means
    of micro-batches."""
    (teacher, pupil), rows = (
        (checkpoint.load(where)[0] for where in (base, student)),
        episodes_of(tokenizer),
    )
    count, total = sum(sum(r.mask) for r in rows), 0.0
    assert count == 10
    for r in rows:  # one by one, nothing padded, a term for each token that counts
        ids = torch.tensor([[*r.prompt_ids, *r.completion_ids]])
        own, goal = pupil(ids)[0], teacher(ids)[0].detach()
        for i, (token, chosen) in enumerate(zip(r.completion_ids, r.mask, strict=True)):
            at = len(r.prompt_ids) + i - 1
            cross = -own[at].log_softmax(-1)[token]
            soft = objectives.generalized_jsd(
                own[at : at + 1], goal[at : at + 1], beta, torch.ones(1), tau
            )
            total = total + chosen * (hard * cross + (1 - hard) * tau**2 * soft) / count
    expected = torch.autograd.grad(total, list(pupil.parameters()))
    for budget in (256, 40, 1):
        parts = [
            distill.loss_of(
                pupil, teacher, *batch, hard=hard, beta=beta, temperature=tau, denominator=count
            )
            for batch in batches.example_batches(rows, budget)
        ]
        assert len(parts) == {256: 1, 40: 2, 1: 3}[budget]
        assert sum(parts).item() == pytest.approx(total.item(), rel=1e-5)
        for found, wanted in zip(
            torch.autograd.grad(sum(parts), list(pupil.parameters())), expected, strict=True
        ):
            assert (found - wanted).norm() <= 1e-4 * wanted.norm() + 1e-9


def test_prompt_padding_and_inserted_tokens_have_a_gradient_of_exactly_zero(
    base, student, tokenizer, full_precision
):
    (teacher, pupil), seen = (checkpoint.load(where)[0] for where in (base, student)), []
    pupil.hidden = lambda ids: seen.append(Transformer.hidden(pupil, ids)) or seen[-1]
    ((ids, learnt),) = batches.example_batches(episodes_of(tokenizer), 256)
    loss = distill.loss_of(
        pupil, teacher, ids, learnt, hard=0.5, beta=0.5, temperature=1.0, denominator=10
    )
    (gradient,) = torch.autograd.grad(loss, seen)
    assert (
        gradient[~learnt[:, 1:]].eq(0).all()
        and gradient[learnt[:, 1:]].ne(0).any(-1).all()
        and learnt.sum() == 10
    )


@pytest.mark.parametrize("way", distill.WAYS)
def test_a_step_moves_the_student_alone_and_by_the_loss_alone(
    base, student, small, full_precision, way
):
    """Catches: a gradient that reaches the teacher, a score-function term for the sampling, another
    way's loss."""
    # nobody learns his own samples by heart
    own = {"lmbda": 1.0, "hard_weight": 0.4} if way == "on-policy" else {}
    run = distill.Trainer(distill.Trainer.complete(options(base, student, way=way, **own), {}))
    rows = run.sample(
        run.model if own else run.teacher, run.task.problems("train", 6), 1, "test", 0
    )
    run.own_samples, run.pool = lambda step: (rows, {}), traces.Pool(rows)
    caught, before = [], [p.clone() for p in run.teacher.parameters()]
    run.guard.step = lambda model, *_: (
        caught.extend(p.grad.clone() for p in model.parameters()) or model.zero_grad() or 1.0
    )
    run.step(0)
    count = sum(e.length for e in rows)
    how = {
        "hard": float(way == "traces"),
        "beta": 0.5 if own else 0.0,
        "temperature": 1.0,
        "denominator": count,
    }
    loss = distill.loss_of(
        run.model, run.teacher, *next(batches.example_batches(rows, 10_000)), **how
    )
    for found, wanted in zip(
        caught, torch.autograd.grad(loss, list(run.model.parameters())), strict=True
    ):
        assert (found - wanted).norm() <= 1e-4 * wanted.norm() + 1e-9
    assert any(g.norm() > 0 for g in caught)
    for p, was in zip(run.teacher.parameters(), before, strict=True):
        assert p.grad is None and not p.requires_grad and p.equal(was)


# -- traces ----------------------------------------------------------------------------------------


def answer(text, correct=True, formatted=True, reason="eos", prompt=(1, 2)):
    return Episode(
        None,
        prompt,
        [5, 0],
        [1, 1],
        [0.0, 0.0],
        text,
        reason,
        Grade(correct, formatted, text, ""),
        True,
    )


def test_traces_are_kept_if_right_and_well_ended_and_only_once():
    """Catches: wrong answers taught, a cut-off trace that teaches never to stop, the same text for
    another question dropped."""
    first, again, other, seen = (
        answer(" #### 4"),
        answer(" #### 4"),
        answer(" #### 4", prompt=(1, 3)),
        set(),
    )
    bad = [
        answer(" #### 5", correct=False),
        answer(" #### 4\nBye", formatted=False),
        answer(" #### 4 ", reason="length"),
    ]
    kept, counts = traces.keep_right([bad[0], first, bad[1], other, bad[2]], seen)
    none, more = traces.keep_right([again], seen)
    assert kept == [first, other] and none == [] and more["duplicates"] == 1
    assert counts == {
        "sampled": 5,
        "kept": 2,
        "wrong": 1,
        "untidy": 2,
        "duplicates": 0,
        "tokens": 10,
    }


def test_every_round_visits_each_trace_once_in_an_order_of_its_own():
    """Catches: drawing with replacement, a round that begins anew at each step, the same order in
    every round."""
    walk = [
        place for step in range(7) for place in traces.walk(10, seed=3, first=step * 6, count=6)
    ]
    rounds = [walk[i : i + 10] for i in range(0, 40, 10)]
    assert all(sorted(r) == list(range(10)) for r in rounds) and len(set(map(tuple, rounds))) == 4
    assert traces.walk(4, 0, 0, 10)[:4] == traces.walk(4, 0, 0, 4)
    assert traces.walk(10, 3, 0, 10) != traces.walk(10, 4, 0, 10)


def test_a_problem_that_is_too_long_gives_way_to_another_of_its_number():
    task = get_task("gsm8k-mini")
    plain = traces.draw_problems(task, lambda p: True, 0, range(6), "own")
    most = len(plain[2].prompt)
    short = traces.draw_problems(task, lambda p: len(p.prompt) < most, 0, range(1, 6), "own")
    assert all(
        len(b.prompt) < most and (b == a or len(a.prompt) >= most)
        for a, b in zip(plain[1:], short, strict=True)
    )
    with pytest.raises(UserError, match="hardly any problem"):
        traces.draw_problems(task, lambda p: False, 0, range(1), "own")


# -- runs ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(base, student, tmp_path_factory):
    """One uninterrupted run on traces and own samples, with its page."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        return distill.train(
            options(base, student, tmp_path_factory.mktemp("distill") / "run", **BOTH)
        ).folder


def kl_to_teacher(base, folder, tokenizer):
    """Mean KL(teacher || student) a token on texts that the teacher writes."""
    teacher, pupil = checkpoint.load(base)[0], checkpoint.load(checkpoint.resolve(folder))[0]
    task = get_task("gsm8k-mini")
    groups = rollout(
        teacher, tokenizer, task, task.problems("validation", 32), max_new_tokens=8, seed=7
    )
    with torch.no_grad():
        ((ids, learnt),) = batches.example_batches([e for g in groups for e in g], 10**6)
        return float(
            objectives.generalized_jsd(pupil(ids[:, :-1]), teacher(ids[:, :-1]), 0.0, learnt[:, 1:])
        )


@pytest.mark.parametrize("way", distill.WAYS)
def test_each_way_brings_the_student_nearer_to_its_teacher(
    base, student, small, tokenizer, tmp_path, way
):
    how = {
        "steps": 20,
        "batch": 12,
        "eval_every": 99,
        "eval_n": 1,
        "save_every": 99,
        "lr": 2e-2,
        "prompts": 60,
    }
    folder = distill.train(options(base, student, tmp_path / "run", way=way, **how)).folder
    assert kl_to_teacher(base, folder, tokenizer) < 0.9 * kl_to_teacher(base, student, tokenizer)


def test_what_a_run_leaves_behind(whole, base, tokenizer):
    summary, log = read_json(whole / "summary.json"), RunLog.open(whole, "distill")
    assert SUMMARY_KEYS <= set(summary) and summary["way"] == "on-policy" and summary["steps"] == 5
    assert (
        summary["teacher_parameters"] > 2 * summary["parameters"] > 0
        and 0 <= summary["teacher_accuracy"] <= 1
    )
    assert (whole / "report.html").stat().st_size > 10_000
    evals, train = log.metrics("eval"), log.metrics("train")
    assert [e["step"] for e in evals] == [0, 2, 4, 5] and [m["step"] for m in train] == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert {m["own"] for m in train} == {0.0, 1.0} and all(
        ("accuracy" in m) == bool(m["own"]) for m in train
    )
    assert {s["step"] for s in log.samples()} == {0, 2, 4, 5} and log.metrics("teacher")[0][
        "n"
    ] == 3
    assert train[0]["learning_rate"] == pytest.approx(0.5 * 1e-2) and train[-1][
        "learning_rate"
    ] == pytest.approx(0.28 * 1e-2)
    counts, *traces = read_jsonl(whole / "traces.jsonl")
    assert (
        counts["sampled"]
        == 96
        == sum(counts[name] for name in ("kept", "wrong", "untidy", "duplicates"))
    )
    assert (
        len(traces) == counts["kept"] == summary["traces"]["kept"] > 0
        and summary["traces_kept"] == counts["kept"] / 96
    )
    assert all(tokenizer.decode(t["completion_ids"][:-1]) == t["completion"] for t in traces)
    assert all(
        len(t["completion"]) % 2 == 0 and t["completion_ids"][-1] == tokenizer.eos_id
        for t in traces
    )
    assert len({(t["prompt"], t["completion"]) for t in traces}) == len(traces)
    own = sum(m["completions/mean_length"] * 6 for m in train if m["own"])
    assert summary["tokens_generated"] == pytest.approx(counts["tokens"] + own)
    assert checkpoint.load(whole / "checkpoints" / summary["last"])[0].config == SMALL


def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    whole, base, student, small, tmp_path
):
    is_the_same_run(distill.train(options(base, student, tmp_path / "0", **BOTH)).folder, whole)
    other = distill.train(options(base, student, tmp_path / "1", **BOTH, seed=1)).folder
    assert not weights(other)["model/model.norm.weight"].equal(
        weights(whole)["model/model.norm.weight"]
    )
    assert read_jsonl(other / "traces.jsonl")[1] != read_jsonl(whole / "traces.jsonl")[1]


@pytest.mark.parametrize("where", ["sample", "step"])
def test_ctrl_c_saves_and_resume_loses_nothing(
    whole, base, student, small, tmp_path, capsys, where
):
    """While the teacher writes, and in the middle of a step. Catches: a pool made anew in another
    order, the coin or the samples of a step depending on what was drawn before, momentum or
    counters lost, options forgotten."""
    owner, number = (distill.Trainer, 1) if where == "sample" else (Guard, 3)
    original, calls = getattr(owner, where), []

    def hooked(*args):
        calls.append(1)
        if len(calls) == number:
            signal.raise_signal(signal.SIGINT)
        return original(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, where, hooked)
        stopped = distill.train(options(base, student, tmp_path / "run", **BOTH))
    step, folder = 0 if where == "sample" else 3, stopped.folder
    assert not stopped.finished and stopped.exit_code == 130
    assert (
        f"stopped at step {step}; resume with: python -m minilrm.distill --resume {folder}"
        in capsys.readouterr().err
    )
    assert not (folder / "summary.json").exists() and (folder / "traces.jsonl").exists() == (
        step > 0
    )
    if step:  # the pool is used again, not made again
        small.setattr(distill_trainer, "write_pool", never)
    distill.train(distill.Options(resume=folder))
    is_the_same_run(folder, whole)


def test_a_run_can_end_by_tokens_use_an_earlier_pool_and_never_sample(
    whole, base, student, small, tmp_path
):
    small.setattr(distill.Trainer, "own_samples", never)
    small.setattr(distill_trainer, "write_pool", never)
    folder = distill.train(
        options(
            base, student, tmp_path / "run", way="logits", tokens=100, pool=whole / "traces.jsonl"
        )
    ).folder
    summary, lengths = (
        read_json(folder / "summary.json"),
        [m["tokens"] for m in RunLog.open(folder).metrics("train")],
    )
    assert (
        lengths[-2] < 100 <= lengths[-1] == summary["tokens_trained"]
        and not (folder / "traces.jsonl").exists()
    )
    assert summary["traces"] == read_jsonl(whole / "traces.jsonl")[0]


def test_a_student_that_writes_all_itself_needs_no_traces_and_may_start_from_nothing(
    base, small, tmp_path
):
    small.setattr(distill_trainer, "write_pool", never)
    how = {"student_scale": "pico", "way": "on-policy", "lmbda": 1.0, "steps": 1}
    folder = distill.train(options(base, "scratch", tmp_path / "run", **how)).folder
    summary = read_json(folder / "summary.json")
    config = checkpoint.load_config(folder / "checkpoints" / summary["last"])
    assert (config.dim, config.vocab_size, config.max_seq_len) == (80, 1024, 320)
    assert (
        summary["traces"]["sampled"] == 0
        and summary["traces_kept"] is None
        and summary["tokens_generated"] > 0
    )


def test_a_nan_loss_skips_the_step_and_is_counted(base, student, small, tmp_path):
    original, factors = distill.loss_of, iter([math.nan] + [1.0] * 9)
    small.setattr(
        distill_trainer, "loss_of", lambda *args, **how: original(*args, **how) * next(factors)
    )
    folder = distill.train(options(base, student, tmp_path / "run", steps=2)).folder
    assert read_json(folder / "summary.json")["skipped_steps"] == 1
    assert all(tensor.isfinite().all() for tensor in weights(folder).values())


# -- what a user can do wrong ----------------------------------------------------------------------


@pytest.fixture
def refused(capsys, tmp_path, monkeypatch):
    """Run the command in an empty folder, where it must fail; returns its one line."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")

    def run(*argv):
        with pytest.raises(SystemExit) as stopped:
            run_command(
                distill.main,
                distill.Options,
                [*map(str, argv), "--threads", "1"],
                prog="",
                description="",
            )
        err = [
            line for line in capsys.readouterr().err.splitlines() if not line.startswith("traces:")
        ]
        assert (
            stopped.value.code == 2
            and len(err) == 1
            and err[0].startswith("error: ")
            and len(err[0]) < 500
        )
        return err[0]

    return run


def test_a_teacher_must_be_named_and_be_there_and_a_run_keeps_its_way(refused, whole, tmp_path):
    assert "that run began with on-policy" in refused("--resume", whole, "--way", "logits")
    assert "--teacher must be given" in refused()
    assert "no checkpoint 'nobody' is shipped" in refused("--teacher", "nobody")
    assert "where" in refused("--teacher", tmp_path / "no" / "where")
    assert not list(tmp_path.glob("cwd/*"))


def test_teacher_and_student_must_share_tokenizer_vocabulary_and_context(
    refused, base, student, tokenizer, tmp_path, small
):
    def model(name, tokens=tokenizer, **shape):
        return checkpoint.save(tmp_path / name, Transformer(replace(SMALL, **shape)), tokens)

    other = model("other", Tokenizer.train(["a cat and a hat on a mat"] * 9, 300))
    assert "different tokenizers" in refused("--teacher", base, "--student", other)
    assert "different tokenizers" in refused("--teacher", other, "--student", base)
    assert "has no tokenizer" in refused("--teacher", model("mute", None), "--student", student)
    line = refused("--teacher", base, "--student", model("wide", vocab_size=1100))
    assert "logits for 1024 tokens and the student for 1100" in line
    assert "fit into 12 tokens" in refused(
        "--teacher", base, "--student", model("short", max_seq_len=12)
    )
    assert not list(tmp_path.glob("cwd/*"))


def test_a_teacher_that_is_never_right_teaches_nothing(refused, base, student, small, tmp_path):
    small.setattr(GSM8KMini, "grade", lambda self, problem, text: Grade(False, True, text, ""))
    line = refused("--teacher", base, "--student", student, "--prompts", 3, "--eval-n", 1)
    assert "none of the teacher's 3 answers is right" in line


def test_a_pool_of_another_kind_is_refused(refused, whole, base, student, small, tmp_path):
    lines = (whole / "traces.jsonl").read_text().splitlines()
    damaged = json.loads(lines[1]) | {"completion_ids": [5, 6, 7, 0]}
    for text in (
        lines[0],
        lines[1],
        "\n".join([lines[0], json.dumps(damaged)]),
        lines[0] + '\n{"prompt": 3}',
        "[]",
        "{",
    ):
        Path("pool.jsonl").write_text(text + "\n")  # in the empty folder
        assert "pool.jsonl" in refused(
            "--teacher", base, "--student", student, "--eval-n", 1, "--pool", "pool.jsonl"
        )
    assert not Path("runs").exists()  # found out before anything is measured or written
    Path("pool.jsonl").write_text(
        "\n".join([json.dumps(json.loads(lines[0]) | {"task": "countdown"}), *lines[1:]]) + "\n"
    )
    assert "they are of the task countdown" in refused(
        "--teacher", base, "--student", student, "--pool", "pool.jsonl"
    )


def test_what_the_way_does_not_use_is_refused_and_not_ignored(refused, base, student):
    for way, option in (("traces", ("--beta", 0.5)), ("traces", ("--loss-temperature", 2))):
        assert "of the divergence" in refused(
            "--teacher", base, "--student", student, "--way", way, *option
        )
    settled = distill.Trainer.complete(
        distill.Options(teacher=str(base), hard_weight=0.5, beta=0.5), {}
    )
    assert (settled.hard_weight, settled.beta) == (0.5, 0.5)


def test_the_study_in_miniature(base, student, small, tmp_path):
    """Its ways begin at one base, share a seed's traces, and learn from as many tokens; what is
    there is not run again."""
    small.setenv("MINILRM_DATA", str(tmp_path))
    small.chdir(tmp_path)
    small.setattr(study_distill, "student_base", lambda: student)
    small.setattr(study_distill, "parameter_share", lambda teacher: 0.25)
    small.setattr(common.evaluate.figures, "baselines", lambda *args: {})
    for name, value in {"TOKENS": 150, "PROMPTS": 60, "EVAL_N": 2, "N": 40, "SEEDS": (4,)}.items():
        small.setattr(study_distill, name, value)
    small.setattr(sys, "argv", ["distill", "--teacher", str(base), "all"])
    study_distill.main()
    found = {r["kind"]: r for r in common.load_results("distill")}
    assert list(found) == ["teacher", "base", "traces", "logits", "on-policy"]
    # even the seconds: it is one pool
    assert len({json.dumps(found[way]["summary"]["traces"]) for way in distill.WAYS}) == 1
    assert all(150 <= found[way]["summary"]["tokens_trained"] < 800 for way in distill.WAYS)
    assert [p.name for p in tmp_path.glob("runs/*/traces.jsonl")] == ["traces.jsonl"] and str(
        tmp_path
    ) not in json.dumps(found)
    assert (
        study_distill.table().count("\n") == 5
        and "to" in study_distill.table().splitlines()[-1].split("(")[1]
    )
    small.setattr(study_distill, "measure", never)
    study_distill.main()
    assert len(common.load_results("distill")) == 5


def test_the_studys_student_is_at_most_a_quarter_of_its_teacher(base, tokenizer, tmp_path):
    micro = checkpoint.save(tmp_path / "micro", Transformer(SCALES["micro"]), tokenizer)
    assert 0.24 < study_distill.parameter_share(micro) <= 0.25
    with pytest.raises(UserError, match="more than a quarter"):
        study_distill.parameter_share(base)
