"""The gallery of failures: every bug is explained, named after a test that is there, and changes
what is learnt."""

import doctest
import importlib
import random
import re
import signal
from pathlib import Path

import pytest
from conftest import parity

from minilrm import failures, grpo, machine, objectives, progress, rewards, tasks
from minilrm.errors import UserError
from minilrm.failures import FAILURES, faults, toy
from minilrm.objectives import policy
from minilrm.tasks import get_task
from tests import test_grpo_step

make_trainer = test_grpo_step.make_trainer  # a fixture, which the tests that are named want
NAMES = [failure.name for failure in FAILURES]
BUGS = [failure for failure in FAILURES if not failure.is_setting]
LOGGED = {
    "entropy",
    "grad_norm",
    "kl",
    "reward_std",
    "frac_reward_zero_std",
    "clip_ratio/region_mean",
    "sampling/logp_difference",
    "completions/mean_length",
    "completions/clipped_ratio",
    "completions/think_rate",
}


@pytest.fixture
def small(monkeypatch):
    """Rewards that a random model can earn, and short answers."""
    monkeypatch.setitem(rewards.REWARDS, "accuracy", parity)
    monkeypatch.setitem(
        rewards.REWARDS,
        "format",
        lambda episodes: [float(len(e.completion_ids) % 2) for e in episodes],
    )
    for name, value in {
        "prompts": 3,
        "group_size": 4,
        "max_new_tokens": 8,
        "eval_n": 2,
        "eval_quick": 2,
    }.items():
        monkeypatch.setitem(toy.DEFAULTS, name, value)


# -- the gallery -----------------------------------------------------------------------------------


def test_there_are_at_least_ten_of_different_names():
    assert len(set(NAMES)) == len(NAMES) >= 10


@pytest.mark.parametrize("failure", FAILURES, ids=NAMES)
def test_each_has_a_paragraph_and_a_figure_to_watch(failure):
    assert failure.title and len(failure.why.split()) >= 40
    assert failure.watch in LOGGED and failure.corpus in toy.CORPORA
    assert failure.fault is not faults.none or failure.wrong, "nothing is wrong in it"
    # options that grpo has
    grpo.Options(**toy.DEFAULTS | dict(failure.options) | dict(failure.wrong))


def named_test(failure, request):
    """The test that the failure names, ready to be called: with its fixtures, and with its first
    parameters if it has some."""
    file, name = failure.test.split("::")
    name, _, case = name.rstrip("]").partition("[")
    module = importlib.import_module("tests." + Path(file).stem)
    function = getattr(module, name)
    if case:  # test_objectives[table_of_clips] is check_table_of_clips(objectives)
        check = next(c for c in module.CHECKS if c.__name__ == "check_" + case)
        return lambda: check(objectives)
    marks = {
        mark.args[0]: mark.args[1][0]
        for mark in getattr(function, "pytestmark", ())
        if mark.name == "parametrize"
    }
    wanted = function.__code__.co_varnames[: function.__code__.co_argcount]
    given = {
        name: marks[name] if name in marks else request.getfixturevalue(name) for name in wanted
    }
    return lambda: function(**given)


@pytest.mark.parametrize("failure", BUGS, ids=[failure.name for failure in BUGS])
def test_the_test_it_names_fails_on_it(failure, request):
    """Mistake: a gallery that names a test which would have let the bug pass."""
    named = named_test(failure, request)
    with failure.fault(), pytest.raises((AssertionError, pytest.fail.Exception)):
        named()


@pytest.mark.parametrize(
    "failure", [f for f in FAILURES if f.is_setting], ids=lambda failure: failure.name
)
def test_the_fact_behind_a_setting_is_tested(failure):
    file, name = failure.test.split("::")
    name, _, case = name.rstrip("]").partition("[")
    module = importlib.import_module("tests." + Path(file).stem)
    assert callable(getattr(module, name)) and (
        not case or "check_" + case in [c.__name__ for c in module.CHECKS]
    )


@pytest.mark.parametrize("failure", FAILURES, ids=NAMES)
def test_after_a_fault_everything_is_as_before(failure):
    def state():
        return [dict(vars(module)) for module in (objectives, policy, rewards, grpo)]

    before = state()
    with pytest.raises(KeyError), failure.fault():
        assert (state() != before) == (failure.fault is not faults.none)
        raise KeyError
    assert state() == before


@pytest.fixture(scope="module")
def healthy_weights():
    """What the healthy runs of the test below have learnt, by their options."""
    return {}


@pytest.mark.parametrize("failure", FAILURES, ids=NAMES)
def test_each_changes_what_is_learnt(failure, base, small, healthy_weights):
    """Weights after two steps, with and without the fault; after one, a policy that samples late is
    not late yet."""

    def learnt(fault, **wrong):
        options = (
            toy.DEFAULTS
            | {"init": str(base), "lr": 1e-2, "warmup": 0}
            | dict(failure.options)
            | wrong
        )
        options["epochs"] = min(3, options.get("epochs", 1))
        with toy.toy_tasks(), toy.float32(), fault():
            trainer = grpo.Trainer(grpo.Options(**options))
            for step in range(2):
                trainer.step(step)
        return trainer.model.embed_tokens.weight.detach().clone()

    kind = str(failure.options)
    if kind not in healthy_weights:
        healthy_weights[kind] = learnt(faults.none)
    wrong = dict(failure.wrong) | ({"lr": 1e-1} if "lr" in failure.wrong else {})
    assert not learnt(failure.fault, **wrong).allclose(healthy_weights[kind], atol=1e-6)


def test_several_updates_on_stale_rollouts_know_who_wrote_them(base, small, monkeypatch):
    """Mistake: the old log-probs of the policy that learns, with which the ratio hides how late the
    sampler is."""
    asked, original = [], grpo.Trainer.record_logprobs

    def hooked(self, groups, old):
        asked.append(self.model is self.sampling)
        return original(self, groups, old)

    monkeypatch.setattr(grpo.Trainer, "record_logprobs", hooked)
    with toy.toy_tasks(), toy.float32(), faults.stale_rollouts(5):
        trainer = grpo.Trainer(
            grpo.Options(
                **toy.DEFAULTS | {"init": str(base), "updates": 2, "lr": 1e-2, "warmup": 0}
            )
        )
        ratios = [trainer.step(step)["ratio/mean"] for step in range(3)]
    assert asked == [True] * 3 and trainer.model is trainer.learning
    assert abs(ratios[-1] - 1) > 1e-3


# -- two tests of the training that the gallery names ----------------------------------------------


def test_each_step_samples_from_the_policy_as_it_is(make_trainer, full_precision):
    """Mistake: a sampler that is told of the updates late, so that the ratio is not 1 where the
    loss takes it for 1."""
    trainer = make_trainer(lr=3e-3)
    assert [trainer.step(step)["sampling/logp_difference"] for step in range(3)] == pytest.approx(
        [0, 0, 0], abs=1e-4
    )


def test_each_answer_earns_what_the_options_say(make_trainer, full_precision):
    """Mistake: something between the reward function and the advantages that adds noise, or pays
    for length."""
    groups = test_grpo_step.answered(make_trainer())
    assert [[e.reward for e in g] for g in groups] == [parity(g) for g in groups]


# -- the command -----------------------------------------------------------------------------------


def test_a_failure_beside_the_healthy_run(base, small, tmp_path, monkeypatch, capsys):
    """old-not-detached has a gradient of exactly 0, the healthy run has not; what is finished is
    not run again."""
    monkeypatch.setattr(toy, "make_base", lambda folder, corpus: base)
    command = ["old-not-detached", "--steps", "5", "--out", str(tmp_path)]
    failures.main(command)
    said = capsys.readouterr().out
    place = tmp_path / "old-not-detached-seed=0-steps=5"
    assert (place / "failure.png").read_bytes()[:4] == b"\x89PNG"
    text = (place / "failure.txt").read_text()
    assert text.strip() in said and failures.get("old-not-detached").why[:60] in said
    row = next(line for line in text.splitlines() if line.startswith("grad_norm"))
    healthy, broken = re.findall(r"(\S+) -> (\S+)", row)
    assert broken == ("0", "0") and min(map(float, healthy)) > 0

    monkeypatch.setattr(toy, "run", lambda *args, **more: pytest.fail("it ran again"))
    failures.main(command)
    assert text.strip() in capsys.readouterr().out


def test_failures_of_the_same_options_share_a_healthy_run(base, small, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(toy, "make_base", lambda folder, corpus: base)
    monkeypatch.setattr(
        failures, "run_once", lambda folder, base, fault, options: made.append((folder, options))
    )
    for name in ("wrong-sign", "learning-rate", "temperature-forgotten", "eos-masked"):
        failures.compare(failures.get(name), tmp_path, seed=3, steps=5)
    healthy = [folder for folder, _ in made[::2]]
    assert (
        healthy[0] == healthy[1]
        and len(set(healthy)) == 3
        and len({folder for folder, _ in made[1::2]}) == 4
    )
    assert {(options["seed"], options["steps"]) for _, options in made} == {(3, 5)}
    assert made[2][1] == made[0][1] | {} and made[3][1] == made[2][1] | {"lr": 1e-2}


def test_ctrl_c_ends_it_at_once_and_leaves_nothing_behind(base, small, tmp_path, monkeypatch):
    """Mistake: the first Ctrl-C ends the healthy run alone, which then passes for a whole one."""

    class Interrupted(grpo.Trainer):
        def step(self, step):
            signal.raise_signal(signal.SIGINT)
            return super().step(step)

    kept = progress.Interrupt
    monkeypatch.setattr(grpo, "Trainer", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        failures.run_once(tmp_path / "run", base, faults.none, {"steps": 3})
    assert list(tmp_path.iterdir()) == [] and progress.Interrupt is kept


def test_what_is_in_the_way_is_never_thrown_away(base, small, tmp_path):
    (tmp_path / "config.json").write_text(
        '{"command": "grpo", "task": "gsm8k-mini", "options": {}}'
    )
    with pytest.raises(UserError, match="no finished run: choose another --out"):
        failures.run_once(tmp_path, base, faults.none, {"steps": 1})
    assert (tmp_path / "config.json").is_file()


def test_a_run_of_other_options_is_not_taken_for_this_one(base, small, tmp_path):
    """Mistake: after a change of the gallery an old broken run stands beside a new healthy one."""
    failures.run_once(tmp_path / "run", base, faults.none, {"steps": 1, "lr": 1e-3})
    assert (
        len(
            failures.run_once(
                tmp_path / "run", base, faults.none, {"steps": 1, "lr": 1e-3}
            ).metrics("train")
        )
        == 1
    )
    with pytest.raises(UserError, match="was run with other options"):
        failures.run_once(tmp_path / "run", base, faults.none, {"steps": 1, "lr": 1e-2})


def test_without_a_name_the_gallery_is_listed(capsys):
    failures.main([])
    said = capsys.readouterr().out
    assert all(f.name in said and f.title in said for f in FAILURES)


@pytest.mark.parametrize(
    "name, said",
    [
        ("inverted_clipp", "did you mean inverted-clip?"),
        ("noise", "did you mean reward-noise?"),
        ("zebra", "'zebra' (python -m"),
    ],
)
def test_an_unknown_failure_is_one_line_with_near_names(name, said, capsys):
    with pytest.raises(SystemExit) as end:
        failures.main([name])
    line = capsys.readouterr().err
    assert end.value.code == 2 and line.count("\n") == 1 and said in line


def test_a_name_may_be_written_otherwise():
    assert (
        failures.get("Learning Rate").name == failures.get("learning_rate").name == "learning-rate"
    )


def test_a_folder_that_cannot_be_is_found_out_before_anything_is_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(failures, "compare", lambda *args: pytest.fail("it ran"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as end:
        failures.main(["wrong-sign", "--out", str(tmp_path / "file")])
    line = capsys.readouterr().err
    assert end.value.code == 2 and line.count("\n") == 1 and "choose another with --out" in line


# -- the toy ---------------------------------------------------------------------------------------


def test_the_toy_tasks_are_known_inside_only():
    with toy.toy_tasks():
        assert [get_task(name).name for name in toy.NAMES] == ["sums", "sums-hard"]
    assert not set(toy.NAMES) & set(tasks.TASKS)


@pytest.mark.parametrize("cls", [toy.Sums, toy.HardSums])
def test_the_sums_are_right_and_never_negative(cls):
    task = cls()
    for seed in range(100):
        problem = task.sample(random.Random(seed))
        numbers = [int(n) for n in re.findall(r"\d+", problem.meta["expression"])]
        assert len(numbers) == 3 and task.smallest <= min(numbers) <= max(numbers) <= task.largest
        assert int(problem.answer) >= 0
        assert (
            task.grade(problem, task.solution(problem, random.Random(0), "steps")).reason == "right"
        )


def test_what_the_corpora_hold(tokenizer):
    """Guesses are mostly wrong, sloppy answers right but not well formed, and a restless corpus
    often does not end."""
    task, reasons = toy.Sums(), {}
    for way in ("guess", "steps", "ramble", "sloppy"):
        problems = [task.sample(random.Random(seed)) for seed in range(60)]
        reasons[way] = [
            task.grade(p, toy.answer(task, p, random.Random(i), way)).reason
            for i, p in enumerate(problems)
        ]
    assert 0 < reasons["guess"].count("right") < 20
    assert set(reasons["steps"]) == set(reasons["ramble"]) == {"right"}
    assert set(reasons["sloppy"]) == {"text after the answer"}

    def ended(corpus):
        texts = toy.documents(task, tokenizer, corpus, 0)
        return [e.completion_ids[-1] == tokenizer.eos_id for e in texts]

    restless = ended("restless")
    assert 0.2 < sum(restless) / len(restless) < 0.6
    assert all(ended("plain"))


def test_an_unknown_corpus_is_an_error(tmp_path):
    with pytest.raises(UserError, match="there is no corpus 'bible'; there are: expert, plain"):
        toy.make_base(tmp_path, "bible")


def test_a_base_is_made_once_and_read_again(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(toy, "read", lambda *args, **more: read.append(args[2]))
    place = toy.make_base(tmp_path, "sloppy")
    assert read == ["expert", "sloppy"] and place == tmp_path / "base-sloppy"
    assert toy.make_base(tmp_path, "sloppy") == place and len(read) == 2


def test_float32_is_for_the_toy_alone():
    before = machine.autocast, machine.bfloat16_pays
    with toy.float32():
        assert not machine.bfloat16_pays(None)
    assert (machine.autocast, machine.bfloat16_pays) == before


@pytest.mark.parametrize("module", [failures, toy])
def test_worked_examples(module):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed
