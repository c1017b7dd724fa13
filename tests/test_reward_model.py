"""Reward models: what they learn from, and that they learn it; and the sessions in which people
judge."""

import json

import pytest
import torch

from minilrm import checkpoint, feedback, machine, reward_model
from minilrm.errors import UserError
from minilrm.inference.requests import Piece
from minilrm.labels import (
    Judged,
    Verdicts,
    against_the_truth,
    best_threshold,
    exact_label,
    read_feedback,
    standing,
    step_places,
)
from minilrm.model import ScalarHead
from minilrm.reward_model import judging_loss, micro_batches
from minilrm.rollout import episode
from minilrm.sampler.decoding import Completion
from minilrm.scorers import ByModel, open_judge
from minilrm.tasks import get_task
from minilrm.tasks.base import problem_rng
from minilrm.tasks.countdown import make_problem

TASK = get_task("countdown")
PROBLEM = make_problem([4, 7, 25], 53)
TEXT = " 25-7=18, 18+4=22 no\nwait, 4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>"


@pytest.fixture(scope="module")
def opened():
    return checkpoint.open_model("countdown-base")


def written(tokenizer, text: str, ended: bool = True):
    """An answer as a policy would have written it."""
    ids = [*TASK.encode(tokenizer, text), *([tokenizer.eos_id] if ended else [])]
    ones = [1] * len(ids)
    reason = "eos" if ended else "length"
    completion = Completion(text, text, ids, ones, [0.0] * len(ids), reason)
    return episode(TASK, PROBLEM, TASK.encode(tokenizer, TASK.render(PROBLEM)), completion)


# -- the measure ---------------------------------------------------------------------------------


def test_the_first_wrong_step_counts_and_nothing_behind_it():
    """Catches: a judge that is praised for some wrong step, or punished for what follows."""
    rows = [
        Verdicts([0.9, 0.1, 0.9], [True, False, True]),  # named
        Verdicts([0.9, 0.9, 0.1], [True, False, False]),  # missed: a later one is named
        Verdicts([0.9, 0.4], [True, True]),  # a right answer, doubted
        Verdicts([0.9, 0.6], [True, True]),
    ]
    found = against_the_truth(rows)
    assert found["error_accuracy"] == found["right_accuracy"] == found["f1"] == 0.5
    assert found["step_accuracy"] == 6 / 8 and (found["n_wrong"], found["n_right"]) == (2, 2)


def test_the_threshold_is_the_one_with_the_greatest_f1():
    rows = [Verdicts([0.35, 0.05], [True, False]), Verdicts([0.35, 0.3], [True, True])]
    assert against_the_truth(rows)["f1"] != 1  # half of the right steps are below one half
    assert 0.05 <= best_threshold(rows) < 0.3 and against_the_truth(rows, 0.2)["f1"] == 1


# -- labels ----------------------------------------------------------------------------------------


def test_every_step_has_its_place_and_the_last_token_always_does(opened):
    judge = ByModel(opened.model, ScalarHead(128), opened.tokenizer, TASK)
    e = written(opened.tokenizer, TEXT)
    ids = [*e.prompt_ids, *e.completion_ids]
    ends = [opened.tokenizer.decode(ids[p : p + 1]) for p in step_places(e, judge)]
    assert len(ends) == 6 and all("," in t or "\n" in t for t in ends[:-1])
    assert step_places(e, judge)[-1] == len(ids) - 1
    cut = written(opened.tokenizer, " 25-7=18, 18+4", ended=False)
    assert step_places(cut, judge)[-1] == len(cut.prompt_ids) + len(cut.completion_ids) - 1


def test_exact_labels_are_the_tasks_own(opened):
    judge = ByModel(opened.model, ScalarHead(128), opened.tokenizer, TASK)
    e = written(opened.tokenizer, TEXT)
    found = [exact_label(TASK, opened.tokenizer, e, p) for p in step_places(e, judge)]
    assert found == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]


def trainer(tmp_path, **chosen):
    options = reward_model.Options(
        task="countdown", init="countdown-base", prompts=3, samples=2, eval_n=4, threads=1,
        out=tmp_path / "run", **chosen,
    )  # fmt: skip
    return reward_model.Trainer(options)


def test_soft_labels_are_shares_and_hard_ones_say_whether_any_is_right(tmp_path):
    soft, hard = trainer(tmp_path, labels="soft"), trainer(tmp_path, labels="hard")
    shares = [y for j in soft.labelled(0) for y in j.labels]
    verdicts = [y for j in hard.labelled(0) for y in j.labels]
    assert all((8 * y).is_integer() for y in shares) and len(set(shares)) > 2
    assert verdicts == [float(y > 0) for y in shares]


def test_outcome_labels_stand_on_the_last_token_alone(tmp_path):
    for judged in trainer(tmp_path, labels="outcome").labelled(0):
        assert judged.places == [len(judged.ids) - 1]


def test_noise_turns_labels_round(tmp_path):
    right = trainer(tmp_path, labels="exact").labelled(0)
    turned = trainer(tmp_path, labels="exact", noise=1.0).labelled(0)
    assert [[1 - y for y in j.labels] for j in right] == [j.labels for j in turned]


# -- the loss --------------------------------------------------------------------------------------


def test_branches_go_on_from_right_steps_and_teach_what_is_new_in_them(tmp_path):
    """Catches: labels of the prefix learnt twice; continuations of wrong steps; answers of one
    problem graded as another's."""
    made = trainer(tmp_path, branch=1.0)
    problems = [TASK.sample(problem_rng(0, i, "test"), "train") for i in range(6)]
    answers = [e for group in made.write(problems, 4, 0) for e in group]
    judged = made.label(answers, 0)
    found = made.branches(answers, judged, 0)
    right = {
        tuple(j.ids[: place + 1])
        for j in judged
        for place, label in zip(j.places[:-1], j.labels, strict=False)
        if label == 1
    }
    assert 0 < len(found) <= len(answers)
    for j in found:
        starts = [n for n in range(len(j.ids)) if tuple(j.ids[:n]) in right]
        assert starts and min(j.places) >= min(starts)
        again = [p for p in range(min(j.places), len(j.ids)) if made.judge.ends_step[j.ids[p]]]
        assert set(j.places) <= {*again, len(j.ids) - 1}
    more = [len(made.labelled(1)), len(trainer(tmp_path).labelled(1))]
    assert more[0] > more[1]


def test_branches_need_exact_labels(tmp_path):
    with pytest.raises(UserError, match="--labels exact"):
        trainer(tmp_path, branch=1.0, labels="soft")


def test_the_loss_is_the_mean_over_steps_however_it_is_cut(opened):
    head = ScalarHead(128)
    with torch.no_grad():
        head.linear.weight.normal_(generator=torch.Generator().manual_seed(0))
    judged = [
        Judged([5, 6, 7, 8], [1, 3], [1.0, 0.0]),
        Judged([5, 9], [1], [0.5]),
        Judged([5, 6, 9, 9, 9], [4], [1.0]),
    ]
    cpu = torch.device("cpu")
    whole = judging_loss(opened.model, head, judged, 4, cpu).item()
    parts = micro_batches(judged, 5)
    assert len(parts) == 3
    cut = sum(judging_loss(opened.model, head, part, 4, cpu).item() for part in parts)
    assert cut == pytest.approx(whole, rel=1e-2)  # bfloat16 rounds by the batch
    expected = 0.0
    for j in judged:
        with torch.no_grad(), machine.autocast(cpu):
            states = opened.model.hidden(torch.tensor([j.ids]))
        scores = head(states.float())[0].detach().sigmoid()
        for place, y in zip(j.places, j.labels, strict=True):
            s = float(scores[place])
            expected -= y * torch.tensor(s).log() + (1 - y) * torch.tensor(1 - s).log()
    assert whole == pytest.approx(float(expected) / 4, rel=1e-2)


def test_a_judge_learns_saves_and_opens_again(tmp_path, opened):
    options = reward_model.Options(
        task="countdown", init="countdown-base", steps=10, prompts=8, lr=3e-3, warmup=2, eval_n=6,
        threads=1, out=tmp_path / "run",
    )  # fmt: skip
    run = reward_model.train(options)
    losses = [json.loads(line) for line in (run.folder / "metrics.jsonl").open() if "loss" in line]
    assert losses[-1]["loss"] < 0.9 * losses[0]["loss"]
    judge = open_judge(str(run.folder), TASK)
    e = written(opened.tokenizer, TEXT)
    piece = Piece(tuple(e.completion_ids), e.text, len(e.completion_ids), 0.0, (), "eos")
    [scores] = judge([(PROBLEM, piece)])
    assert len(scores) == 6 and all(0 < s < 1 for s in scores)
    # what is read beside longer texts is read as if alone
    longer = Piece((*piece.ids, *piece.ids), "", 2 * piece.new, 0.0, (), "length")
    assert judge([(PROBLEM, longer), (PROBLEM, piece)])[1] == pytest.approx(scores, abs=1e-5)


def test_a_task_without_steps_is_refused_and_a_checkpoint_without_a_head(tmp_path):
    with pytest.raises(UserError, match="does not judge single steps"):
        reward_model.Trainer(reward_model.Options(task="general", init="gsm8k-mini-base"))
    with pytest.raises(UserError):
        open_judge("countdown-base", TASK)


# -- people ----------------------------------------------------------------------------------------


class Silent:
    def __init__(self):
        self.said = ""

    def paint(self, text: str, style: str = "") -> None:
        self.said += text


def session(tmp_path, opened, keys: str, texts=(TEXT, TEXT)):
    """A session in which these keys are pressed, and what it showed."""
    pressed = iter(keys)
    options = feedback.Options(task="countdown", out=tmp_path / "thumbs.jsonl", n=len(texts))
    answers = [written(opened.tokenizer, text) for text in texts]
    painter = Silent()
    found = feedback.Session(
        options, TASK, opened.tokenizer, answers, painter, lambda: next(pressed, "q")
    )
    found.run()
    return painter.said, options.out


def labels(path) -> list[tuple[int, int, str]]:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [(r["answer"], r["step"], r["label"]) for r in standing(records)]


def test_an_answer_ends_at_its_first_wrong_step(tmp_path, opened):
    _, path = session(tmp_path, opened, "ud" + "d")
    assert labels(path) == [(0, 0, "up"), (0, 1, "down"), (1, 0, "down")]


def test_back_takes_a_label_back_and_the_file_is_only_added_to(tmp_path, opened):
    _, path = session(tmp_path, opened, "u")
    before = path.read_text()
    _, path = session(tmp_path, opened, "ubd")
    assert path.read_text().startswith(before)
    assert labels(path) == [(0, 0, "up"), (0, 1, "down")]


def test_a_session_goes_on_where_it_was_left_also_behind_a_torn_line(tmp_path, opened):
    _, path = session(tmp_path, opened, "uu")
    with path.open("ab") as file:
        file.write(b'{"task": "coun')
    _, path = session(tmp_path, opened, "u")
    assert [step for _, step, _ in labels_of_whole_lines(path)] == [0, 1, 2]


def labels_of_whole_lines(path):
    records = []
    for line in path.read_text().splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return [(r["answer"], r["step"], r["label"]) for r in standing(records)]


def test_agreement_is_shown_where_there_are_enough_test_steps(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(feedback, "GOLD", 1.0)
    said, _ = session(tmp_path, opened, "d" * 25, texts=(TEXT,) * 25)
    assert "agreement with the truth on 25 test steps: 100%" in said  # the first step is wrong


def test_a_reward_model_learns_from_the_labels_that_stand(tmp_path, opened):
    _, path = session(tmp_path, opened, "u?bnd")
    [judged] = read_feedback(path, TASK)
    assert judged.labels == [1.0, 1.0, 0.0] and len(judged.places) == 3
    assert judged.places[-1] == len(judged.ids) - 1
    with pytest.raises(UserError, match="not for gsm8k-mini"):
        read_feedback(path, get_task("gsm8k-mini"))
    empty = tmp_path / "empty.jsonl"
    empty.write_text(json.dumps({"undo": [0, 0]}) + "\n")
    with pytest.raises(UserError, match="no labels"):
        read_feedback(empty, TASK)


def test_which_steps_are_gold_does_not_depend_on_the_session(tmp_path, opened):
    e = written(opened.tokenizer, TEXT)
    first, second = (feedback.steps_of(TASK, opened.tokenizer, e, 3) for _ in range(2))
    assert first == second
    shares = [s.gold for i in range(300) for s in feedback.steps_of(TASK, opened.tokenizer, e, i)]
    assert 0.05 < sum(shares) / len(shares) < 0.15
