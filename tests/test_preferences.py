"""Pairs of answers, who puts them in order, and the reward model that learns from the order."""

import random
from types import SimpleNamespace

import pytest
import torch

from minilrm import checkpoint, dpo, preference_model
from minilrm.errors import UserError
from minilrm.preferences import Annotator, Pair, pair_of
from minilrm.scorers import open_judge
from minilrm.tasks import get_task


def answer(name, length):
    return SimpleNamespace(name=name, length=length)


GROUP = [answer("a", 10), answer("b", 40), answer("c", 20), answer("d", 38)]


def names(pair):
    return pair.better.name, pair.worse.name


def test_the_best_are_paired_with_the_worst():
    found = {names(pair_of(GROUP, [2, 1, 2, 0], random.Random(seed))) for seed in range(30)}
    assert found == {("a", "d"), ("c", "d")}


def test_answers_that_are_equally_good_make_no_pair():
    assert pair_of(GROUP, [1, 1, 1, 1], random.Random(0)) is None


def test_noise_turns_its_share_of_pairs_round():
    rng = random.Random(0)
    turned = sum(names(pair_of(GROUP, [1, 0, 0, 0], rng, noise=0.3))[1] == "a" for _ in range(1000))
    assert 250 < turned < 350


def test_matched_pairs_differ_least_in_length():
    assert names(pair_of(GROUP, [1, 1, 0, 0], random.Random(0), matched=True)) == ("b", "d")


def test_an_annotator_leaves_out_what_cannot_be_judged():
    def judge(groups):
        for e, (quality, valid) in zip(
            groups[0], [(1.0, True), (0.0, False), (0.5, True)], strict=True
        ):
            e.reward, e.valid = quality, valid

    group = [answer("a", 1), answer("b", 1), answer("c", 1)]
    [pair] = Annotator(judge)([group], random.Random(0))
    assert names(pair) == ("a", "c")


def test_each_pass_reads_all_pairs_once():
    steps = [preference_model.epoch_batch(list("abcde"), step, 2, seed=1) for step in range(5)]
    read = [pair for batch in steps for pair in batch]
    assert sorted(read[:5]) == sorted(read[5:]) == list("abcde")
    assert read[:5] != read[5:]


@pytest.fixture(autouse=True)
def few_questions(monkeypatch):
    monkeypatch.setattr(preference_model, "QUESTIONS", 16)


def options(where, **chosen):
    return preference_model.Options(
        task="countdown", init="countdown-base", pairs=8, samples=4, eval_n=6, threads=1, steps=12,
        batch=8, lr=1e-3, warmup=1, out=where, **chosen,
    )  # fmt: skip


def test_a_preference_model_learns_an_order_and_is_a_reward(tmp_path):
    run = preference_model.train(options(tmp_path / "run"))
    trainer = preference_model.Trainer(options(tmp_path / "other"))
    pairs = trainer.buy()
    assert all(pair.better.grade.correct > pair.worse.grade.correct for pair in pairs)
    assert pairs == trainer.buy()  # what a resumed run would have

    judge = open_judge(str(checkpoint.resolve(run.folder)), get_task("countdown"))
    trainer.model, trainer.head = judge.model, judge.head
    with torch.inference_mode():
        chosen, rejected = trainer.scores(pairs)
    assert (chosen > rejected).float().mean() > 0.8

    asked = dpo.Options(
        task="countdown", init="countdown-base", pairs=4, samples=4, threads=1,
        reward={f"model@{run.folder}": 1.0}, out=tmp_path / "dpo",
    )  # fmt: skip
    for better, worse in dpo.Trainer(asked).draw(0):
        assert better.reward > worse.reward


def test_a_pair_is_two_answers_to_one_question(tmp_path):
    for pair in preference_model.Trainer(options(tmp_path / "run")).buy():
        assert isinstance(pair, Pair) and pair.better.problem is pair.worse.problem


def test_a_policy_that_is_never_right_has_no_pairs(tmp_path, base):
    chosen = preference_model.Options(
        task="countdown", init=str(base), pairs=1, samples=2, threads=1, out=tmp_path / "run"
    )
    trainer = preference_model.Trainer(chosen)
    trainer.max_new_tokens = 4
    with pytest.raises(UserError, match="no pairs to learn from"):
        trainer.buy()
