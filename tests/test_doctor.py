"""The doctor: right on recorded runs whose state is known, on either side of every threshold, and
on logs it cannot read."""

import json
from pathlib import Path

import numpy as np
import pytest

from minilrm import doctor
from minilrm.doctor import checks, recordings
from minilrm.doctor.run import Run
from minilrm.runlog import RunLog

RECORDED = Path(__file__).parent.parent / "data" / "doctor"
STEPS = 40
STATES = {check.__name__ for check in doctor.CHECKS} - {"no_progress", "loss_is_zero"}


def line(start, end):
    """A figure that goes straight from one value to another."""
    return list(np.linspace(start, end, STEPS))


def wiggle(size, seed=0):
    """Batches differ: some are easier than others. No trend. `make` gives accuracy that of seed
    0."""
    return np.random.default_rng(seed).normal(0.0, size, STEPS)


def make(options=None, samples=("<<1+2=3>>3\n#### 3",) * 8, **figures):
    """A healthy run, but for what is given. Reward follows from accuracy unless it is given too."""
    accuracy = np.clip(np.array(figures.pop("accuracy", line(0.3, 0.8))) + wiggle(0.03), 0, 1)
    names = {
        "length": "completions/mean_length",
        "cut": "completions/clipped_ratio",
        "equal": "frac_reward_zero_std",
        "differ": "sampling/logp_difference",
        "clipped": "clip_ratio/region_mean",
    }
    train = {
        "accuracy": accuracy,
        "reward": accuracy + 0.09,
        "entropy": line(0.25, 0.1),
        "grad_norm": line(0.5, 0.4),
        "completions/mean_length": line(14, 22),
        "completions/clipped_ratio": line(0.02, 0.0),
        "loss": line(0.0, 0.0),
        "frac_reward_zero_std": line(0.1, 0.4),
        "sampling/logp_difference": line(0.002, 0.004),
        "clip_ratio/region_mean": line(0, 0),
        **{names.get(key, key): value for key, value in figures.items()},
    }
    options = {"task": "sums", "lr": 5e-4, "max_new_tokens": 40} | (options or {})
    return Run(
        "made",
        options,
        {key: list(map(float, values)) for key, values in train.items()},
        tuple({"completion": text} for text in samples),
    )


def verdict(run):
    return doctor.state_of(doctor.diagnose(run))


# -- recorded runs ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged():
    return [(r, verdict(r.run)) for r in recordings.load(RECORDED)]


def test_at_least_sixty_real_runs_of_every_state_are_recorded(judged):
    assert len(judged) >= 60
    assert {r.state for r, _ in judged} == STATES | {doctor.HEALTHY}
    for state in STATES | {doctor.HEALTHY}:
        runs = [r.run for r, _ in judged if r.state == state]
        assert len(runs) >= 5, state
        assert len({tuple(run.train["entropy"]) for run in runs}) == len(runs), (
            f"{state}: one run twice"
        )


@pytest.mark.parametrize("half", ["chosen", "tested"])
def test_it_is_right_on_95_in_100_and_raises_no_false_alarm(judged, half):
    """ "tested" are the seeds that no threshold was chosen on."""
    ours = [(r.state, v, r.run.name) for r, v in judged if r.half == half]
    wrong = [(state, v, name) for state, v, name in ours if state != v]
    assert len(ours) >= 25 and len(wrong) <= 0.05 * len(ours), wrong
    assert not [entry for entry in wrong if entry[0] == doctor.HEALTHY]


def test_healthy_on_policy_runs_are_told_that_a_loss_of_zero_is_fine(judged):
    told = [
        "loss_is_zero" in {f.name for f in doctor.diagnose(r.run)}
        for r, _ in judged
        if r.state == doctor.HEALTHY and r.run.steps_per_batch == 1
    ]
    assert any(told)


def test_recordings_are_small():
    assert sum(file.stat().st_size for file in RECORDED.iterdir()) < 1_500_000


# -- every check, on either side of its threshold --------------------------------------------------

ON = "\n<<1+2=3>>3\n#### 3\n\nQuestion: What is"
OPEN = "\n<<1+2=3>>3\n<<3+4"
FLAT = line(0.3, 0.3)
SIDES = {
    "reward_noise": (
        dict(accuracy=FLAT, reward=0.5 + wiggle(0.05, seed=1)),
        dict(accuracy=line(0.3, 0.8)),
    ),
    "sampler_mismatch": (dict(differ=line(0.04, 0.04)), dict(differ=line(0.025, 0.025))),
    "stale_policy": (dict(differ=line(0.001, 0.2)), dict(differ=line(0.001, 0.02))),
    "eos_not_learnt": (
        dict(cut=line(0.6, 0.6), accuracy=FLAT, samples=(ON,) * 8),
        dict(cut=line(0.15, 0.05), samples=(ON,) * 8),
    ),
    "truncation": (
        dict(cut=line(0.5, 0.3), accuracy=FLAT, samples=(OPEN,) * 8),
        dict(cut=line(0.3, 0.0)),
    ),
    "length_runaway": (
        dict(length=line(14, 38), cut=line(0.0, 0.5), accuracy=line(0.3, 0.5)),
        dict(length=line(14, 30), cut=line(0.0, 0.0), accuracy=line(0.3, 0.9)),
    ),
    "format_only": (
        dict(accuracy=FLAT, reward=np.array(FLAT) + wiggle(0.03) + line(0.02, 0.09)),
        dict(
            accuracy=line(0.3, 0.6),
            reward=np.array(line(0.3, 0.6)) + wiggle(0.03) + line(0.02, 0.09),
        ),
    ),
    "too_hard": (
        dict(accuracy=line(0.0, 0.0), reward=line(0.0, 0.0), equal=line(0.9, 0.9)),
        dict(accuracy=line(0.05, 0.3)),
    ),
    "saturated": (
        dict(accuracy=line(0.97, 0.99), equal=line(0.8, 0.9)),
        dict(accuracy=line(0.6, 0.99)),
    ),
    "kl_pinning": (
        dict(options={"kl_coef": 3.0}, accuracy=FLAT, kl=line(0, 0.004), length=line(14, 14)),
        dict(options={"kl_coef": 0.02}, kl=line(0, 0.004)),
    ),
    "entropy_collapse": (
        dict(accuracy=FLAT, entropy=line(0.3, 0.0), equal=line(0.2, 1.0), length=line(14, 14)),
        dict(accuracy=line(0.3, 0.95), entropy=line(0.3, 0.0), equal=line(0.2, 1.0)),
    ),
    "lr_too_high": (
        dict(options={"lr": 5e-3}, accuracy=line(0.5, 0.05), length=line(14, 14)),
        dict(options={"lr": 5e-3}, accuracy=line(0.5, 0.7)),
    ),
    "no_progress": (dict(accuracy=FLAT, length=line(14, 14)), dict(accuracy=line(0.3, 0.5))),
}


def test_every_state_has_two_sides():
    assert set(SIDES) == STATES | {"no_progress"}


@pytest.mark.parametrize("state", SIDES)
def test_a_state_is_found_on_one_side_and_not_on_the_other(state):
    ill, well = SIDES[state]
    assert verdict(make(**ill)) == state
    assert verdict(make(**well)) == doctor.HEALTHY


@pytest.mark.parametrize("state", SIDES)
def test_evidence_has_figures_and_advice_has_words(state):
    finding = doctor.diagnose(make(**SIDES[state][0]))[0]
    assert (
        finding.name == state
        and any(c.isdigit() for c in finding.evidence)
        and len(finding.advice.split()) > 5
    )
    assert "nan" not in finding.evidence


RUN_ON = {
    "gsm8k-mini": "\n<<3*4=12>>12 pens\n#### 12\n\nQuestion: Ana has",
    "arithmetic": "\n<<3*4=12>>12\n#### 12 12 12 12",
    "multiplication": " 47*86=3760+282=4042~10~1, 11~2 14~5 2*5~1 ok\n#### 4042\nwait, 47*86",
    "countdown": " 4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>\n\nQuestion: Make 12",
    "general": " Hello, Ana!\n\nQuestion: Copy: red",
}


@pytest.mark.parametrize("task", RUN_ON)
def test_answers_that_run_on_are_seen_by_the_tasks_own_mark(task):
    """Mistake: a countdown run whose answers run on was called no_progress, as only `####` was
    known to mark an answer."""
    figures = dict(cut=line(0.6, 0.6), accuracy=FLAT)
    assert verdict(make({"task": task}, (RUN_ON[task],) * 8, **figures)) == "eos_not_learnt"
    ended = RUN_ON[task].partition("\n\n")[0].partition("\nwait")[0].removesuffix(" 12 12 12")
    assert verdict(make({"task": task}, (ended,) * 8, **figures)) != "eos_not_learnt"


@pytest.mark.parametrize(
    ("task", "text", "words"),
    [
        ("countdown", " 4*7=28, 28+2", "8 of 8 transcripts have no answer behind <answer>"),
        ("countdown", "\n<answer>4*7+", "8 of 8 transcripts have no answer behind <answer>"),
        ("gsm8k-mini", OPEN, "8 of 8 transcripts have no answer behind ####"),
        ("general", " ", "8 of 8 transcripts have no answer"),
    ],
)
def test_completions_cut_off_before_their_answer_are_counted_by_the_tasks_own_mark(
    task, text, words
):
    figures = dict(cut=line(0.5, 0.3), accuracy=FLAT)
    found = doctor.diagnose(make({"task": task}, (text,) * 8, **figures))
    assert found[0].name == "truncation" and found[0].evidence.endswith(words)


def test_many_passes_over_a_batch_are_allowed_to_move_away_from_the_sampler_but_not_far():
    often = {"epochs": 8}
    assert (
        verdict(make(options=often, differ=line(0.03, 0.05), clipped=line(0.02, 0.05)))
        == doctor.HEALTHY
    )
    assert (
        verdict(make(options=often, differ=line(0.06, 0.09), clipped=line(0.02, 0.05)))
        == "stale_policy"
    )
    assert (
        verdict(make(options=often, differ=line(0.03, 0.05), clipped=line(0.1, 0.3)))
        == "stale_policy"
    )


def test_gspo_clips_a_third_of_the_tokens_and_is_well():
    """Mistake: the clip share of a token's ratio taken for that of a sequence's, whose range is a
    thousandth of it."""
    often = {"updates": 4, "objective": "gspo"}
    assert verdict(make(options=often, clipped=line(0.3, 0.4))) == doctor.HEALTHY
    assert (
        verdict(make(options=often, clipped=line(0.3, 0.4), accuracy=line(0.6, 0.1)))
        == "stale_policy"
    )


def test_the_loss_of_a_critic_says_something():
    """Mistake: PPO's loss, in which the critic's is, called 0 by the rule for GRPO."""
    said = [
        {f.name for f in doctor.diagnose(make(options=options))}
        for options in ({}, {"value_coef": 0.5})
    ]
    assert [("loss_is_zero" in names) for names in said] == [True, False]


def test_a_leash_that_costs_as_much_as_answers_earn_pins_even_a_run_that_gains_a_little():
    short = dict(accuracy=line(0.3, 0.45), kl=line(0, 0.006))
    assert verdict(make(options={"kl_coef": 5.0}, **short)) == "kl_pinning"
    assert verdict(make(options={"kl_coef": 0.02}, **short)) == doctor.HEALTHY


def test_rewards_shuffled_on_purpose_are_named():
    assert verdict(make(options={"shuffle_rewards": True})) == "reward_noise"


def test_other_pay_is_not_noise_as_long_as_accuracy_shows_in_it():
    """A length bonus makes the reward another one than the options say; that alone is no noise."""
    accuracy = np.clip(np.array(line(0.3, 0.8)) + wiggle(0.03), 0, 1)
    assert verdict(make(reward=accuracy + np.array(line(0.4, 0.7)))) == doctor.HEALTHY


def test_the_overlong_penalty_lowers_the_reward_and_is_no_noise():
    low = dict(accuracy=FLAT, reward=0.1 + wiggle(0.05, seed=1))
    assert "reward_noise" in {f.name for f in doctor.diagnose(make(**low))}
    assert "reward_noise" not in {
        f.name for f in doctor.diagnose(make(options={"overlong_cache": 8}, **low))
    }


def test_no_progress_is_said_only_where_nothing_explains_it():
    """Its advice is a higher learning rate, which would be the wrong one beside lr_too_high."""
    assert "no_progress" not in {f.name for f in doctor.diagnose(make(**SIDES["lr_too_high"][0]))}


def test_the_primary_finding_is_first_and_notes_are_last():
    found = doctor.diagnose(make(**SIDES["truncation"][0]))
    assert [f.name for f in found][:1] == ["truncation"]
    severities = [f.severity for f in found]
    assert severities == sorted(severities, reverse=True) and found[-1].name == "loss_is_zero"


@pytest.mark.parametrize("missing", sorted(set(make().train) - set(doctor.run.NEEDED)))
def test_a_figure_that_was_not_logged_raises_no_alarm(missing):
    run = make()
    for train in (
        {k: v for k, v in run.train.items() if k != missing},
        {**run.train, missing: [None] * STEPS},
    ):
        assert verdict(Run("made", run.options, train, run.samples)) == doctor.HEALTHY


def test_a_short_run_is_too_short_to_tell():
    run = make()
    cut = Run("made", run.options, {k: v[: doctor.FEWEST - 1] for k, v in run.train.items()})
    assert verdict(cut) == "too_short"


def test_windows_and_the_best_stretch():
    run = Run("made", {}, {"reward": [0.0] * 10 + [1.0] * 20 + [0.5] * 10, "kl": [None] * 40})
    assert (run.window, run.start("reward"), run.end("reward"), run.best("reward")) == (
        8,
        0.0,
        0.5,
        1.0,
    )
    assert np.isnan(run.end("kl")) and np.isnan(run.best("never"))


def test_what_explains_a_reward():
    rng = np.random.default_rng(0)
    accuracy, length, noise = rng.random(40), 50 * rng.random(40), rng.random(40)
    assert checks.explained_share(accuracy + 0.03 * length, accuracy, length) > 0.999
    assert checks.explained_share(noise, accuracy, length) < 0.3
    assert checks.explained_share(np.ones(40), accuracy) == 1.0  # nothing to explain
    assert np.isnan(checks.explained_share(np.full(40, np.nan), accuracy))


def test_pay_for_length_is_no_noise_even_where_accuracy_goes_down():
    length, accuracy = (
        np.array(line(15, 60)) + wiggle(3),
        np.clip(np.array(line(0.3, 0.0)) + wiggle(0.03), 0, 1),
    )
    run = make(
        accuracy=np.array(line(0.3, 0.0)),
        length=length,
        cut=line(0.0, 0.9),
        reward=accuracy + 0.03 * length,
    )
    assert verdict(run) == "length_runaway"


def test_accuracy_that_was_there_and_is_lost_is_not_too_hard():
    """Broken within three steps: the mean over the run is as low as that of a hopeless task."""
    lost = np.array([0.25] * 2 + [0.0] * (STEPS - 2)) - wiggle(0.03)  # make() adds the same again
    assert verdict(make(options={"lr": 0.02}, accuracy=lost, length=line(14, 14))) == "lr_too_high"


# -- reading a run ---------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """A run folder with the healthy run in it."""
    log = RunLog.create("grpo", "sums", {"task": "sums", "lr": 5e-4}, out=tmp_path / "run")
    write(log, make())
    return log.folder


def write(log, run):
    for step in range(run.steps):
        log.log(step + 1, {key: values[step] for key, values in run.train.items()})
        if step % 20 == 0:
            log.sample(step, [{"event": "eval", "completion": f"step {step}"}])


def fails(capsys, *argv):
    with pytest.raises(SystemExit) as end:
        doctor.main([str(word) for word in argv])
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count("\n") == 1 and "Traceback" not in said
    return said


def test_a_run_folder_comes_in_as_it_was_logged(folder):
    run = doctor.from_log(RunLog.open(folder))
    assert run.steps == STEPS and run.option("lr") == 5e-4 and run.texts == ["step 20"]
    np.testing.assert_allclose(run.column("reward"), make().column("reward"), rtol=1e-5)


def test_text_and_json(folder, capsys):
    doctor.main([str(folder)])
    text = capsys.readouterr().out
    assert "diagnosis: healthy" in text and "loss is zero (note)" in text
    doctor.main([str(folder), "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record["verdict"] == "healthy" and record["findings"][0]["name"] == "loss_is_zero"


def test_a_run_of_ppo_is_read_too(tmp_path, capsys):
    log = RunLog.create("ppo", "sums", {"task": "sums", "lr": 5e-3}, out=tmp_path / "run")
    write(log, make(**SIDES["lr_too_high"][0]))
    doctor.main([str(log.folder)])
    assert "diagnosis: lr too high" in capsys.readouterr().out


def test_nothing_named_or_nothing_there(tmp_path, capsys):
    assert "name a run folder" in fails(capsys)
    assert "there is no run folder" in fails(capsys, tmp_path / "nowhere")
    assert "it has no config.json" in fails(capsys, tmp_path)
    assert "has no recorded runs" in fails(capsys, "--table", "--recordings", tmp_path)


def test_a_run_of_another_command_or_of_another_program(tmp_path, capsys):
    other = RunLog.create("pretrain", "gsm8k-mini", {}, out=tmp_path / "pretrain").folder
    assert "is a run of pretrain; the doctor reads runs of grpo and ppo" in fails(capsys, other)
    (tmp_path / "config.json").write_text('{"model_type": "qwen3"}')
    assert "was not written by minilrm" in fails(capsys, tmp_path)


def test_an_empty_run_and_a_log_with_other_figures(tmp_path, capsys):
    log = RunLog.create("grpo", "sums", {"task": "sums"}, out=tmp_path / "run")
    assert "is empty: no training step" in fails(capsys, log.folder)
    log.log(1, {"loss": 1.0, "epoch": 0.1})
    assert "training line 1: no number under 'reward'; this is a log of another program" in fails(
        capsys, log.folder
    )


def test_a_figure_that_was_not_finite_is_no_sign_of_another_program(folder):
    """NaN is null in a log. A run that has broken down is the one that is brought to the doctor."""
    RunLog.open(folder).log(STEPS + 1, {key: float("nan") for key in doctor.run.NEEDED})
    run = doctor.from_log(RunLog.open(folder))
    assert run.steps == STEPS + 1 and verdict(run) == doctor.HEALTHY


def test_options_of_an_odd_type_count_as_unset():
    run = make(options={"lr": "fast", "kl_coef": None, "max_new_tokens": [1]})
    assert run.option("lr", 1e-4) == 1e-4 and verdict(run) == doctor.HEALTHY


@pytest.mark.parametrize(
    "content",
    ["no json", '{"state": "healthy"}', '{"state": "healthy", "seed": 0, "options": 1}', ""],
)
def test_a_damaged_recording_is_one_line(tmp_path, capsys, content):
    (tmp_path / "healthy.jsonl").write_text(content)
    assert "healthy.jsonl" in fails(capsys, "--table", "--recordings", tmp_path)


# -- recordings ------------------------------------------------------------------------------------


def test_a_recording_comes_back_as_it_was(tmp_path):
    run = make()
    record = recordings.pack("healthy", "tested", "as ever", 3, run)
    (tmp_path / "healthy.jsonl").write_text(json.dumps(record) + "\n")
    (back,) = recordings.load(tmp_path)
    assert (back.state, back.half, back.how, back.run.options) == (
        "healthy",
        "tested",
        "as ever",
        run.options,
    )
    np.testing.assert_allclose(back.run.column("reward"), run.column("reward"), rtol=1e-3)
    assert [f.name for f in doctor.diagnose(back.run)] == [f.name for f in doctor.diagnose(run)]


def test_the_confusion_table_counts():
    made = [
        ("healthy", "chosen", "healthy"),
        ("healthy", "tested", "too_hard"),
        ("too_hard", "tested", "too_hard"),
        ("too_hard", "tested", "no_progress"),
    ]
    judged = [(recordings.Recording(state, half, "", make()), said) for state, half, said in made]
    table = recordings.confusion(judged, "healthy").splitlines()
    assert table[1].split() == ["1", "2", "no_progress"]
    assert table[2].split() == ["1", "healthy", "1", "1", "."]
    assert table[3].split() == ["2", "too_hard", ".", "1", "1"]
    assert (
        "thresholds chosen on: 1 of 1 runs right" in table[5]
        and "0 false alarms on 1 healthy" in table[5]
    )
    assert "tested on: 1 of 3 runs right (33 %" in table[6].replace("33%", "33 %")
    assert "1 false alarms on 1 healthy" in table[6]


def test_the_worked_example_of_a_run():
    import doctest

    from minilrm.doctor import run

    assert doctest.testmod(run).attempted >= 2 and not doctest.testmod(run).failed
