"""Reflection put in by hand: what is inserted where, what is refused, and that what is left is the
model's own distribution."""

import random
from collections import Counter
from types import SimpleNamespace

import pytest
import torch

from minilrm import reflection
from minilrm.model import Transformer
from minilrm.reflection import forcing
from minilrm.sampler import Completion
from minilrm.tasks.traces import AGAIN
from tests.conftest import TINY
from tests.test_reflection import TOY, problem


def test_the_word_is_put_behind_a_failed_check_and_nowhere_else(tokenizer):
    """Mistakes: behind every word that ends in "no"; not where " no" is spelled in pieces."""
    hook, again = forcing.insert_again(tokenizer), tokenizer.encode(AGAIN)
    pieces = [i for c in " no" for i in tokenizer.encode(c)]
    assert len(pieces) == 3 and len(tokenizer.encode(" no")) == 1
    assert hook(0, tokenizer.encode(" 3 no")) == hook(5, [*tokenizer.encode(" n"), pieces[2]])
    assert hook(0, tokenizer.encode(" 3 no")) == again
    for text in (" 3 ok", " 3 no\n", "piano", " 3 n", ""):
        assert hook(0, tokenizer.encode(text)) == [], text


@pytest.fixture(scope="module")
def doubter(tokenizer):
    """A random model that says " no" now and then, and comes to an end now and then."""
    torch.manual_seed(0)
    model = Transformer(TINY).eval()
    with torch.no_grad():
        model.embed_tokens.weight.mul_(20)
        usual = model.hidden(torch.randint(64, TINY.vocab_size, (32, 32))).mean((0, 1))
        for i in (tokenizer.eos_id, *tokenizer.encode(" no")):
            model.embed_tokens.weight[i] = 4 * usual / usual.square().sum()
    return model


def test_every_failed_check_is_followed_by_another_attempt(doubter, tokenizer):
    """Mistakes: what was inserted is graded, or counted as the model's own; a trace without it."""
    problems = [problem(i) for i in range(40)]
    groups = reflection.force(doubter, tokenizer, TOY, problems, seed=1, max_new_tokens=60)
    episodes, again = [g[0] for g in groups], tokenizer.encode(AGAIN)
    doubts = 0
    for e in episodes:
        for at, (i, sampled) in enumerate(zip(e.completion_ids, e.mask, strict=True)):
            if sampled and [i] == tokenizer.encode(" no"):
                behind = slice(at + 1, at + 1 + len(again))
                ids, mask = e.completion_ids[behind], e.mask[behind]
                assert ids == again[: len(ids)] and not any(mask)
                doubts += 1
        assert e.text.count(AGAIN) <= e.text.count(" no")
        assert e.length == sum(e.mask) <= len(e.completion_ids) <= 60
    assert doubts > 20


# -- attempt by attempt ----------------------------------------------------------------------------


def says(monkeypatch, tokenizer, choose):
    """`generate` in the place of a model: `choose(text so far, rng)` is the next piece."""

    def generate(engine, tokenizer, prompts, *, n, seed, stop, **how):
        rng, rows = random.Random(seed), []
        for prompt in prompts:
            rows.append([said(prompt, rng, stop) for _ in range(n)])
        return rows

    def said(prompt, rng, stop):
        text = choose(tokenizer.decode(prompt).partition("Answer:")[2], rng)
        ids, ends = tokenizer.encode(text), "stop" if text.endswith(stop) else "eos"
        ids += [tokenizer.eos_id] * (ends == "eos")
        return Completion(text, text, ids, [1] * len(ids), [-1.0] * len(ids), ends)

    monkeypatch.setattr(forcing, "generate", generate)
    monkeypatch.setattr(forcing, "Engine", lambda model, dtype: SimpleNamespace())


def ask(tokenizer, n, limit=200):
    how = {"seed": 0, "temperature": 1.0, "max_new_tokens": limit}
    return reflection.without_repeats(None, tokenizer, TOY, [problem(i) for i in range(n)], **how)


def toy(text, rng, chances=(("3 no", 5), ("4 no", 3), ("7 ok", 2))):
    """The next piece of a trace of the toy task."""
    if " ok" in text:
        return "\n<answer>7</answer>"
    attempts, weights = zip(*chances, strict=True)
    lead = "" if text.endswith(", ") else " "
    return lead + rng.choices(attempts, weights)[0]


def test_no_attempt_is_made_twice(monkeypatch, tokenizer):
    says(monkeypatch, tokenizer, toy)
    episodes, refused = ask(tokenizer, 300)
    for e in episodes:
        trace = TOY.parse_trace(e.text)
        contents = [a.content for a in trace.attempts]
        assert len(contents) == len(set(contents)) and trace.well_formed and e.grade.correct
        assert len(e.completion_ids) == len(e.mask) == len(e.logprobs)
        assert trace.reflections == len(contents) - 1 and e.finish_reason == "eos"
    assert sum(refused) > 100 and not all(refused)


def test_what_is_left_is_the_models_own_distribution(monkeypatch, tokenizer):
    """Mistake: a repeat replaced by whatever comes first, or by a uniform draw. Behind "3 no" the
    model says 4 in 3 of 5 cases that are new, 7 in 2 of 5."""
    says(monkeypatch, tokenizer, toy)
    episodes, _ = ask(tokenizer, 2000)
    traces = [[a.content for a in TOY.parse_trace(e.text).attempts] for e in episodes]
    seconds = Counter(t[1] for t in traces if t[0] == "3")
    assert seconds["4"] / sum(seconds.values()) == pytest.approx(0.6, abs=0.05)


def test_where_there_is_nothing_new_a_repeat_is_kept_and_the_limit_ends_it(monkeypatch, tokenizer):
    """Mistake: drawing for ever."""
    says(monkeypatch, tokenizer, lambda text, rng: toy(text, rng, chances=(("3 no", 1),)))
    (e,), (refused,) = ask(tokenizer, 1, limit=20)
    assert len(e.completion_ids) == len(e.mask) == len(e.logprobs) == 20
    assert e.finish_reason == "length" and not e.grade.correct
    assert len({a.content for a in TOY.parse_trace(e.text).attempts}) == 1
    assert refused % forcing.REDRAWN == 0 and refused > 0


def test_greedily_there_is_nothing_to_draw_again(tokenizer):
    with pytest.raises(ValueError, match="temperature 0"):
        reflection.without_repeats(
            None, tokenizer, TOY, [], seed=0, temperature=0.0, max_new_tokens=9
        )
