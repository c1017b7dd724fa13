"""A new task is one class: here is one, and every command works with it.

It lives in this file alone. What it leaves out (prompts, votes, what a question looks like, where
to start, what a base reads, how an answer is found in a transcript) are the defaults of `Task`.
"""

import inspect
import random
from pathlib import Path

import pytest

from minilrm import ask, cli, corpus, distill, doctor, evaluate, grpo, ppo, pretrain, sft
from minilrm.corpus import Solved, corpus_of
from minilrm.errors import UserError
from minilrm.files import read_json, read_jsonl
from minilrm.tasks import TASKS, Grade, Problem, Task, get_task, register, split_of


class Backwards(Task):
    """Write a number backwards: 482 is 284."""

    name, max_new_tokens = "backwards", 16

    def sample(self, rng, split="train"):
        while True:
            digits = "".join(rng.choices("123456789", k=4 if split == "ood" else 3))
            if split in ("ood", split_of(key := f"backwards:{digits}")):
                return Problem(self.name, f"Write {digits} backwards.", digits[::-1], key)

    def solution(self, problem, rng, style="steps"):
        answer = problem.answer if style != "careless" else problem.answer[1:]
        worked = "" if style == "reflex" else "\n" + " ".join(answer)
        return f"{worked}\n#### {answer}"

    def grade(self, problem, completion):
        answer = self.read_answer(completion)
        if answer is None:
            return Grade(False, False, None, "no answer")
        correct, formatted = answer == problem.answer, not self.after_answer(completion).strip()
        return Grade(correct, formatted, answer, "right" if correct else "wrong answer")


TASK = Backwards()
TINY = {"threads": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def known():
    """The one registry entry."""
    register(Backwards)
    yield
    del TASKS["backwards"]


@pytest.fixture(scope="module")
def runs(known, tmp_path_factory):
    """A base that has read the task's own solved problems, tuned on them, then trained by rewards:
    a few steps each."""
    folder = tmp_path_factory.mktemp("runs")
    pretrain.train(
        pretrain.Options(
            task="backwards",
            scale="pico",
            tokens=10_000,
            max_tokens_per_batch=512,
            accumulate=1,
            context=64,
            eval_n=20,
            out=folder / "pretrain",
            **TINY,
        )
    )
    sft.train(
        sft.Options(
            task="backwards",
            init=str(folder / "pretrain"),
            steps=2,
            batch=8,
            eval_n=20,
            out=folder / "sft",
            **TINY,
        )
    )
    grpo.train(
        grpo.Options(
            task="backwards",
            init=str(folder / "sft"),
            steps=10,
            prompts=2,
            group_size=2,
            eval_n=20,
            eval_quick=20,
            out=folder / "grpo",
            **TINY,
        )
    )
    return folder


# -- what it costs ---------------------------------------------------------------------------------


def test_it_is_at_most_30_lines_and_one_entry():
    assert len(inspect.getsource(Backwards).splitlines()) <= 30


def test_it_has_all_that_is_asked_of_a_task(known):
    assert type(get_task("backwards")) is Backwards
    problems = TASK.problems("test", 30)
    assert len({p.key for p in problems}) == 30 and all(split_of(p.key) == "test" for p in problems)
    assert TASK.render(problems[0], "cot").endswith("backwards.\nAnswer: Let's think step by step.")
    for style, right in (("reflex", True), ("careless", False), ("steps", True)):
        grade = TASK.grade(problems[0], TASK.solution(problems[0], random.Random(0), style))
        assert (grade.correct, grade.formatted) == (right, True)
    assert TASK.vote_key(problems[0], "284") == "284" and TASK.vote_key(problems[0], None) is None
    assert TASK.from_record(TASK.to_record(problems[0])) == problems[0]


# -- every command ---------------------------------------------------------------------------------


def test_its_base_reads_its_own_solved_problems_in_several_styles(known):
    corpus = corpus_of("backwards", seed=0)
    pages = [corpus.document(i) for i in range(200)]
    assert isinstance(corpus, Solved) and pages[7] == corpus_of("backwards", seed=0).document(7)
    assert {page.kind for page in pages} == set(corpus.mix)
    frames = ("backwards.\nAnswer:", "backwards.\nSolution:")
    assert all(any(frame in p.text for frame in frames) for p in pages)
    assert all(split_of(p.problems[0]) == "train" for p in pages)
    shown = corpus.document(0, "steps").text
    assert shown.startswith("Question: Write ") and "\n#### " in shown


@pytest.mark.parametrize(
    "command",
    [pretrain, sft, grpo, ppo, distill, evaluate, ask, corpus],
    ids=lambda module: module.__name__.partition(".")[2],
)
def test_it_can_be_named_on_the_command_line(known, command):
    argv = ["--checkpoint", "anything"] if command is evaluate else []
    argv += ["--task", "backwards"]
    assert cli.parse(command.Options, argv, prog="it", description="").task == "backwards"


@pytest.mark.parametrize("command", ["pretrain", "sft", "grpo"])
def test_it_can_be_trained_on(runs, command):
    summary = read_json(runs / command / "summary.json")
    assert summary["task"] == "backwards" and summary["eval_n"] == 20
    assert 0 <= summary["accuracy_after"] <= 1


@pytest.mark.parametrize("command", ["pretrain", "sft", "grpo"])
def test_its_runs_have_a_report(runs, command):
    page = (runs / command / "report.html").read_text(encoding="utf-8")
    assert "backwards" in page
    if command != "pretrain":
        assert "Write " in page
        assert {sample["mark"] for sample in read_jsonl(runs / command / "samples.jsonl")} == {
            "####"
        }


def test_it_can_be_measured(runs, capsys):
    evaluate.main(
        evaluate.Options(checkpoint=str(runs / "grpo"), n=20, samples=2, quick=True, **TINY)
    )
    assert "backwards, test split: 20 problems" in capsys.readouterr().out


def test_it_can_be_asked(runs, capsys):
    ask.main(
        ask.Options(
            checkpoint=str(runs / "grpo"), task="backwards", question="Write 482 backwards.", **TINY
        )
    )
    assert capsys.readouterr().out.strip()  # an answer, or "no answer"
    ask.main(
        ask.Options(
            checkpoint=str(runs / "grpo"), task="backwards", question="482?", samples=4, **TINY
        )
    )
    assert "(of 4)" in capsys.readouterr().out


def test_its_newest_run_is_the_one_that_is_asked(runs, tmp_path):
    assert ask.default_checkpoint("backwards", runs) == str(runs / "grpo")
    with pytest.raises(UserError, match="name a checkpoint with --checkpoint"):
        ask.default_checkpoint("backwards", tmp_path)


def test_the_doctor_reads_its_runs(runs, capsys):
    doctor.examine(doctor.Options(run=Path(runs / "grpo")))
    told = capsys.readouterr().out
    assert "10 steps of backwards" in told and "diagnosis: " in told
