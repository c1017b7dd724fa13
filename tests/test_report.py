"""The report of a run: what it says and shows, and that nothing a model wrote can act in it."""

import doctest
import re
import warnings
from html.parser import HTMLParser

import matplotlib
import pytest

from minilrm import curves, report
from minilrm.errors import UserError
from minilrm.report import panels, plot_run, transcripts, write_report
from minilrm.report.outcome import outcome
from minilrm.report.panels import points
from minilrm.report.transcripts import choose_problems
from minilrm.report.words import duration
from minilrm.runlog import RunLog

SUMMARY = {
    "task": "countdown",
    "seed": 0,
    "steps": 40,
    "eval_n": 1000,
    "accuracy_before": 0.207,
    "accuracy_before_ci": [0.183, 0.233],
    "accuracy_after": 0.781,
    "accuracy_after_ci": [0.754, 0.806],
    "greedy_before": 0.52,
    "greedy_after": 0.84,
    "length_before": 17.0,
    "length_after": 62.25,
    "tokens_generated": 8_500_000,
    "tokens_trained": 2_100_000,
    "seconds": 612.0,
    "device": "cpu",
}
# Right (1) or wrong (0), before and after.
FATES = {
    "a": (0, 1),
    "b": (0, 0),
    "c": (1, 1),
    "d": (0, 1),
    "e": (1, 0),
    "f": (0, 1),
    "g": (0, 1),
    "h": (0, 1),
    "i": (0, 0),
}


def sample(key, step, correct, **more):
    return {
        "step": step,
        "event": "eval",
        "key": key,
        "prompt": f"Problem {key}?",
        "answer": "12",
        "completion": f"3*4 = 12\nok\n#### {12 if correct else 13}",
        "correct": bool(correct),
        **more,
    }


def eval_samples(step, last):
    return [sample(key, step, fate[last]) for key, fate in FATES.items()]


def train_line(step):
    return {
        "reward": step / 50,
        "accuracy": step / 50,
        "completions/think_rate": 0.5,
        "completions/mean_length": 17 + step,
        "entropy": 0.5,
        "frac_reward_zero_std": 0.2,
        "kl": None,
        "loss": 0.001,
        "learning_rate": 3e-4,
    }


@pytest.fixture
def log(tmp_path):
    """A short reinforcement learning run, complete."""
    log = RunLog.create(
        "grpo", "countdown", {"steps": 40, "init": "<i>base</i>"}, out=tmp_path / "run"
    )
    for step in range(41):
        if step:
            log.log(step, train_line(step))
        if step % 20 == 0:
            log.log(
                step,
                {
                    "accuracy": 0.2 + step / 80,
                    "accuracy_ci": [0.18 + step / 80, 0.22 + step / 80],
                    "greedy": 0.5,
                    "think_rate": 0.4,
                    "mean_length": 17 + step,
                    "n": 1000,
                },
                event="eval",
            )
            log.sample(step, eval_samples(step, last=step == 40))
    log.summary(SUMMARY)
    return log


def shown_panels(page):
    return re.findall(r'<svg role="img" aria-label="([^"]*), over steps"', page)


def page_of(log):
    path = write_report(log.folder)
    assert path == log.folder / "report.html"
    return path.read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Collects tags and attributes, as a browser would find them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


# -- what it says ----------------------------------------------------------------------------------


def test_the_outcome_is_told_with_intervals_and_cost(log):
    page = re.sub(r"<[^>]*>", "", page_of(log))
    assert (
        "Sampled accuracy on 1,000 problems went from 20.7 % (95 % interval 18.3–23.3) to 78.1 % "
        "(95 % interval 75.4–80.6). Greedy decoding: 52.0 % before, 84.0 % after. Tokens per "
        "completion: 17.0 before, 62.2 after. It took 10.2 minutes on cpu: 8,500,000 tokens "
        "generated, 2,100,000 tokens trained on."
    ) in page
    assert "overlap" not in page and "not ended" not in page


def test_it_says_so_if_the_figures_settle_nothing():
    assert "overlap" in outcome(SUMMARY | {"accuracy_after_ci": [0.23, 0.27]}, [])
    few = outcome(SUMMARY | {"eval_n": 19}, [])
    assert "too few" in few and "%" not in few  # of so few cases no rate is told


def test_a_run_without_a_summary_is_told_from_its_last_evaluation(log):
    (log.folder / "summary.json").unlink()
    with open(log.folder / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 41, "rew')
    page = page_of(log)
    assert "has not ended" in page and "as of step 40" in page
    assert "<b>20.0 %</b>" in page and "<b>70.0 %</b> (95 % interval 68.0–72.0)" in page


def test_a_pretraining_run_is_told_by_its_losses(tmp_path):
    log = RunLog.create("pretrain", "countdown", {}, out=tmp_path / "run")
    for step in range(1, 1001):
        log.log(step, {"loss": 7 - step / 200, "learning_rate": 1e-3})
    log.log(1000, {"val_loss": 2.25}, event="eval")
    page = page_of(log)
    assert "Training loss: 6.995 at first, <b>2.000</b> at last" in page
    assert "Held-out loss: 2.250 at first, <b>2.250</b> at last" in page
    assert shown_panels(page) == ["Loss, nats per token", "Learning rate"]


@pytest.mark.parametrize(
    "metrics",
    [
        [],
        [{"step": 1, "event": "train"}],
        [{"event": "eval", "accuracy": "high"}],
        [{"step": 0, "event": "eval", "accuracy": 0.5, "accuracy_ci": [None, 1]}] * 2,
    ],
)
def test_little_or_odd_content_still_makes_a_page(tmp_path, metrics):
    log = RunLog.create("grpo", None, {}, out=tmp_path / "run")
    for line in metrics:
        log.log(line.get("step"), line, event=line.get("event"))
    log.sample(0, [{}, {"completion": None, "prompt": 3}])
    assert "has not ended" in page_of(log)
    plot_run(log.folder, tmp_path / "figure.png")


def test_what_is_no_run_folder_is_one_line(tmp_path, capsys):
    with pytest.raises(UserError, match="not a run folder"):
        write_report(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        report.main([str(tmp_path)])
    assert stopped.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_the_command_takes_the_folder_with_and_without_its_name(log, capsys):
    for words in ([str(log.folder)], ["--run", str(log.folder)]):
        report.main(words)
        assert capsys.readouterr().out.strip() == str(log.folder / "report.html")


# -- what a model wrote ----------------------------------------------------------------------------


def test_nothing_that_was_written_can_act_in_the_page(tmp_path):
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&</pre></details>"
    log = RunLog.create(evil, evil, {evil: evil}, out=tmp_path / "run")
    for step, correct in ((0, 0), (9, 1)):
        log.sample(
            step,
            [
                sample(
                    evil, step, correct, prompt=evil, answer=evil, completion=f"{evil}\n#### {evil}"
                )
            ],
        )
        log.log(step, {"accuracy": 0.5, evil: evil}, event="eval")
    log.summary({"device": evil, "seconds": 5, "steps": evil, "tokens_trained": evil})
    page = page_of(log)
    tags = Tags(page)
    assert "script" not in tags.tags and "img" not in tags.tags
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 10  # it is shown, though
    assert tags.tags.count("details") == page.count("</details>")
    assert "default-src 'none'" in page


def test_the_page_needs_nothing_from_elsewhere(log):
    tags = Tags(page_of(log))
    assert not {"link", "script", "img", "iframe", "object"} & set(tags.tags)
    named = [
        value for name, value in tags.attributes if name in ("src", "href", "xlink:href", "data")
    ]
    assert all(value.startswith("#") for value in named)


def test_thinking_is_folded_away_and_the_verdict_is_a_word(log):
    log.sample(40, [sample("j", 40, 1, completion="#### 12")])
    log.sample(0, [sample("j", 0, 0, completion="")])
    page = page_of(log)
    assert "<details><summary>thinking: 4 words</summary><pre>3*4 = 12\nok</pre></details>" in page
    assert "<pre class=answer>#### 12</pre><b>✓ right</b>" in page
    assert "<pre class=answer>#### 13</pre><b>✗ wrong</b>" in page


def test_problems_are_chosen_to_teach_and_all_are_counted():
    chosen, counts = choose_problems(eval_samples(40, 1) + eval_samples(20, 0) + eval_samples(0, 0))
    # 4 mended, 1 not, 1 spoiled
    assert [before["key"] for before, _ in chosen] == ["a", "d", "f", "g", "b", "e"]
    assert all(before["step"] == 0 and after["step"] == 40 for before, after in chosen)
    assert counts == {"wrong → right": 5, "stays wrong": 2, "right → wrong": 1, "stays right": 1}


def test_few_problems_are_all_shown_and_only_those_sampled_at_both_ends():
    both = [
        sample("b", 0, 0),
        sample("c", 0, 1),
        sample("x", 0, 1),
        sample("b", 9, 0),
        sample("c", 9, 1),
    ]
    chosen, counts = choose_problems(
        both + [sample("b", 9, 1)] + [sample("c", 50, 1) | {"event": "train"}]
    )
    assert [(before["key"], after["correct"]) for before, after in chosen] == [
        ("b", False),
        ("c", True),
    ]
    assert sum(counts.values()) == 2
    assert choose_problems(both[:3]) == ([], {}) and choose_problems([]) == ([], {})


def test_with_one_evaluation_the_last_samples_stand_alone(log):
    log.truncate_after(0)
    page = page_of(log)
    assert "picked to be instructive" not in page and page.count("<article>") == 3


# -- the curves ------------------------------------------------------------------------------------


def drawn(metrics, panel):
    _, (axes,) = curves.panels(1)
    panels.draw_panel(axes, panel, metrics)
    return axes


def test_panels_follow_what_was_logged(log):
    page = page_of(log)
    # No kl was logged, and the loss means nothing here.
    assert shown_panels(page) == [
        "Reward",
        "Accuracy",
        "Completions that think",
        "Mean length, tokens",
        "Entropy, nats per token",
        "Zero-std groups",
    ]
    assert page == page_of(log)  # the same folder, the same page


@pytest.mark.parametrize("layout", ["figure.constrained_layout.use", "figure.autolayout"])
def test_the_page_is_drawn_without_a_warning(log, layout):
    """Whatever the user's matplotlibrc says. Catches: a layout engine that is not let go before
    the margins are set, of which matplotlib complains in the midst of a run's last lines."""
    with warnings.catch_warnings(), matplotlib.rc_context({layout: True}):
        warnings.simplefilter("error")
        assert page_of(log).count("<svg") >= 6


def test_a_panel_suits_a_dark_page_as_well(log):
    """Catches: black text on a page that is black in the dark; names that two pictures share, so
    that one is clipped as the other."""
    pictures = panels.curves_svg(log.metrics())
    for picture in pictures:
        drawn = picture.lower()
        assert "currentcolor" in drawn and "var(--look-0, " in drawn
        assert not any(ink.lower() in drawn for ink in (curves.INK, *(k.ink for k in curves.LOOKS)))
    names = [set(re.findall(r'id="([^"]*)"', picture)) for picture in pictures]
    assert sum(map(len, names)) == len(set.union(*names))


def test_interval_bars_reach_from_end_to_end():
    metrics = [{"step": 5, "event": "eval", "accuracy": 0.5, "accuracy_ci": [0.4, 0.7]}]
    axes = drawn(metrics, panels.ACCURACY)
    ends = axes.collections[0].get_segments()[0]
    assert ends[:, 1] == pytest.approx([0.4, 0.7])


def test_a_long_run_is_drawn_by_means_of_neighbours():
    metrics = [{"step": step, "event": "train", "reward": 1.0} for step in range(10_000)]
    axes = drawn(metrics, panels.REWARD)
    assert {len(line.get_xdata()) for line in axes.lines} == {400}
    panels.draw_curve(axes, panels.TRAIN, points(metrics, "reward"))
    assert axes.lines[-1].get_ydata() == pytest.approx([1.0] * 400)


def test_smoothing_leaves_a_slope_as_it_is_at_its_ends_too():
    metrics = [{"step": step, "event": "train", "learning_rate": 0.5 * step} for step in range(100)]
    axes = drawn(metrics, panels.WHEN_FITTED[1])
    assert axes.lines[-1].get_ydata() == pytest.approx([0.5 * step for step in range(100)])


def test_plot_run_writes_a_png(log, tmp_path):
    path = plot_run(log.folder, tmp_path / "figure.png", title="countdown")
    assert path.read_bytes().startswith(b"\x89PNG")


# -- small pieces ----------------------------------------------------------------------------------


def test_the_examples_in_the_docstrings_hold():
    for module in (panels, transcripts):
        assert doctest.testmod(module).failed == 0 < doctest.testmod(module).attempted


@pytest.mark.parametrize(
    ("mark", "completion", "thinking", "answer"),
    [
        ("####", "#### 5", "", "#### 5"),
        ("####", "", "", ""),
        ("####", "a\nb", "a", "b"),
        ("####", "#### 1\nno: 2\n#### 2\nbye", "#### 1\nno: 2", "#### 2\nbye"),
        (
            "<answer>",
            "4+7=11 ok\n<answer>4+7</answer>\nbye",
            "4+7=11 ok",
            "<answer>4+7</answer>\nbye",
        ),
        ("", "Hello, Ana!\nHow are you?", "", "Hello, Ana!\nHow are you?"),
    ],
)
def test_the_answer_begins_where_the_tasks_own_mark_stands(mark, completion, thinking, answer):
    assert transcripts.split_answer(completion, mark) == (thinking, answer)


def test_a_run_written_without_a_mark_is_shown_by_that_of_gsm8k():
    shown = transcripts.render_version({"completion": "3*4=12\n#### 12\nbye"})
    assert "<pre class=answer>#### 12\nbye</pre>" in shown
    assert "<p class=none>no thinking" in transcripts.render_version(
        {"completion": "Hi\nyou", "mark": ""}
    )


def test_durations_are_told_in_fitting_units():
    assert [duration(s) for s in (42.4, 612, 7200)] == ["42 seconds", "10.2 minutes", "2.0 hours"]


def test_traces_are_shown_whole_with_their_second_thoughts_marked():
    """Catches: an attempt marked by what its writer says of it; a piece of a stranger's text that
    is not escaped."""
    pieces = [
        [" 4+7=11, 11*5=55", "attempt-wrong"],
        [" no\n", "plain"],
        ["wait,", "reflection"],
        [" 5<b>", "attempt-right"],
        ["<answer>5</answer>", "answer"],
    ]
    card = transcripts.render_version(
        {"step": 3, "completion": "x", "pieces": pieces, "correct": True}
    )
    assert "<mark>wait,</mark>" in card and "<i class=wrong> 4+7=11, 11*5=55</i> ✗" in card
    assert (
        "<i class=right> 5&lt;b&gt;</i> ✓" in card
        and "<b>&lt;answer&gt;5&lt;/answer&gt;</b>" in card
        and "✓ right" in card
    )
    assert transcripts.render_pieces([["a"], 5, ["<i>", "unknown"]]) == "&lt;i&gt;"
