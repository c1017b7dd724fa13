"""Rewards for single steps: where they stand, whose they are, and GRPO with them."""

import pytest
import torch
from test_reward_model import TASK, TEXT, written

from minilrm import checkpoint, grpo
from minilrm.errors import UserError
from minilrm.model import ScalarHead
from minilrm.process import StepRewards
from minilrm.scorers import ByModel

WRONG = " 25-7=18, 18+4=22 no\n<answer>25-7+4</answer>"


@pytest.fixture(scope="module")
def opened():
    return checkpoint.open_model("countdown-base")


def group(opened):
    found = [written(opened.tokenizer, TEXT), written(opened.tokenizer, WRONG)]
    for e in found:
        e.reward = float(e.grade.correct)
    return found


def step_rewards(opened, credit="sum"):
    return StepRewards("exact", credit, TASK, opened.tokenizer, torch.device("cpu"))


def test_a_right_step_of_a_wrong_answer_is_not_punished_for_what_follows(opened):
    """Of 25, 7, 4 -> 53 every first step that keeps 4 * 7 within reach is a good one; here none of
    the wrong answer's is. The answer that went wrong and tried again has its good steps at the
    end, and they are told from its bad ones."""
    rewards, episodes = step_rewards(opened, "min"), group(opened)
    logged = rewards.set_advantages([episodes])
    good, bad = episodes
    again = TEXT.index("wait")
    starts = len(TASK.encode(opened.tokenizer, TEXT[:again]))
    assert (good.advantages[starts:] > 0).all() and (bad.advantages < 0).all()
    assert (good.advantages[:3] < 0).all()  # its first try, which led nowhere
    assert logged["process/steps"] == (5 + 2) / 2 and logged["process/reward"] == 3 / 7


def test_the_outcome_is_the_reward_of_the_last_step(opened):
    rewards, episodes = step_rewards(opened), group(opened)
    episodes[0].reward, episodes[1].reward = 5.0, 0.0
    rewards.set_advantages([episodes])
    high = episodes[0].advantages[-1]
    episodes[0].reward = 1.0
    rewards.set_advantages([episodes])
    assert high > episodes[0].advantages[-1] > episodes[1].advantages[-1]


def test_an_invalid_episode_gets_no_advantage_and_counts_in_no_mean(opened):
    rewards = step_rewards(opened)
    alone = group(opened)
    rewards.set_advantages([alone])
    three = [*group(opened), written(opened.tokenizer, " 4")]
    three[2].valid, three[2].reward = False, float("nan")
    rewards.set_advantages([three])
    assert three[2].advantages is None
    for a, b in zip(alone, three[:2], strict=True):
        assert torch.equal(a.advantages, b.advantages)


def test_a_model_that_judges_gives_each_step_its_own_score(opened):
    """Catches: verdicts of one completion read for another, or shifted by a step."""
    torch.manual_seed(0)
    judge = ByModel(opened.model, ScalarHead(128), opened.tokenizer, TASK)
    torch.nn.init.normal_(next(judge.head.parameters()))
    rewards = step_rewards(opened)
    rewards.model = judge
    episodes = [written(opened.tokenizer, TEXT, ended=False), written(opened.tokenizer, WRONG)]
    ends = [rewards.step_ends(e) for e in episodes]
    found = rewards.verdicts(episodes, ends)
    assert [len(row) for row in found] == [len(places) - 1 for places in ends]
    for e, places, row in zip(episodes, ends, found, strict=True):
        ids = torch.tensor([[*e.prompt_ids, *e.completion_ids]])
        with torch.inference_mode():
            scores = judge.head(judge.model.hidden(ids))[0].sigmoid()
        expected = [scores[len(e.prompt_ids) + t].item() for t in places[:-1]]
        assert row == pytest.approx(expected, abs=1e-5)


def test_what_a_tool_has_inserted_is_no_step(opened):
    """A newline within a result ends no step of the policy's."""
    rewards, plain = step_rewards(opened), written(opened.tokenizer, TEXT)
    [(places, scores)] = rewards.judged([plain])
    masked = written(opened.tokenizer, TEXT)
    masked.mask = [0 if t == places[1] else 1 for t in range(len(masked.mask))]
    [(fewer, rest)] = rewards.judged([masked])
    assert fewer == [places[0], *places[2:]] and rest == [scores[0], *scores[2:]]


def options(tmp_path, **more):
    return grpo.Options(
        **{
            "task": "countdown",
            "init": "countdown-base",
            "process": "exact",
            "prompts": 2,
            "group_size": 4,
            "steps": 2,
            "eval_n": 4,
            "eval_quick": 4,
            "threads": 1,
            "device": "cpu",
            "out": tmp_path / "run",
        }
        | more
    )


def test_a_run_learns_from_steps_and_logs_them(tmp_path):
    result = grpo.train(options(tmp_path))
    lines = (result.folder / "metrics.jsonl").read_text()
    assert result.finished and "process/steps" in lines and "process/reward" in lines


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"process": "nowhere/at-all"}, "nowhere/at-all"),
        ({"process": "countdown-base"}, "head"),
        ({"task": "arithmetic", "init": "gsm8k-mini-base"}, "single steps"),
        ({"normalize": "rloo"}, "--normalize rloo"),
        ({"dynamic_sampling": 2}, "--dynamic-sampling"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path, given, said):
    with pytest.raises(UserError, match=said):
        grpo.Trainer(options(tmp_path, **given))
    assert not (tmp_path / "run").exists()
