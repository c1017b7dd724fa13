"""A task's own texts are spelt as its base has read them: tags such as <answer> are special tokens
where the task says so. A user's text never holds one.

Fine-tuning on `<answer>` as eight ordinary characters taught a model another spelling than the one
it knew: 306.7 nats a worked answer under the base where 3.2 were due, and accuracy fell.
"""

import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from minilrm import checkpoint, objectives, rollout, sft
from minilrm.corpus import corpus_of, tokenize
from minilrm.errors import UserError
from minilrm.tasks import TASKS, get_task, task_class

OWN = [name for name in TASKS if not task_class(name).reads_file]


@pytest.fixture(scope="module")
def countdown_base():
    try:
        return checkpoint.load(checkpoint.shipped("countdown-base"))[0].eval()
    except UserError:
        pytest.skip("countdown-base is not shipped")


def solved(task, count, seed=0):
    """Pairs of a problem and its worked solution."""
    rng = random.Random(seed)
    problems = [task.sample(rng) for _ in range(count)]
    style = "tool" if task.tools else "steps"  # the tags are in the calls
    return [(problem, task.solution(problem, rng, style)) for problem in problems]


def as_read(tokenizer, task, text):
    """The ids of a text as pretraining makes them, if it is a page of the task's corpus."""
    page = replace(corpus_of(task.name, seed=0).document(0), text=text)
    one = SimpleNamespace(document=lambda index: page)
    return tokenize(tokenizer, one, start=0, count=1)[0].tolist()


def nats(model, ids, prompt):
    """What the tokens behind the prompt cost, in nats."""
    row = torch.tensor([ids])
    with torch.inference_mode():
        logprobs = objectives.token_logprobs(model(row).float(), row)[0]
    return -float(logprobs[prompt - 1 :].sum())


@pytest.mark.parametrize("name", OWN)
def test_fine_tuning_spells_a_solved_problem_as_pretraining_does(tokenizer, name):
    task = get_task(name)
    for problem, solution in solved(task, 20):
        prompt = task.render(problem)
        example = sft.build_example(task, tokenizer, prompt, solution)
        ids = [*example.prompt_ids, *example.completion_ids]
        assert ids == as_read(tokenizer, task, prompt + solution)


def test_a_worked_answer_costs_the_base_3_nats_not_300(tokenizer, countdown_base):
    task, costs = get_task("countdown"), {"sft": [], "page": [], "characters": []}
    for problem, solution in solved(task, 20):
        prompt = task.render(problem)
        example = sft.build_example(task, tokenizer, prompt, solution)
        plain = tokenizer.encode(prompt + solution) + [tokenizer.eos_id]
        page = as_read(tokenizer, task, prompt + solution)
        ids = [*example.prompt_ids, *example.completion_ids]
        for name, row in (("sft", ids), ("page", page), ("characters", plain)):
            costs[name].append(nats(countdown_base, row, len(example.prompt_ids)))
    mean = {name: sum(values) / len(values) for name, values in costs.items()}
    assert costs["sft"] == costs["page"]
    assert mean["sft"] < 10 and mean["characters"] > 100, mean


@pytest.mark.parametrize("name", OWN)
def test_solved_examples_in_a_prompt_are_spelt_as_the_corpus_spells_them(tokenizer, name):
    task = get_task(name)
    first, second, (asked, _) = solved(task, 3)
    ids = task.encode(tokenizer, task.render(asked, "few_shot", (first, second)))
    assert tokenizer.decode(ids) == task.render(asked, "few_shot", (first, second))
    for problem, solution in (first, second):
        page = as_read(tokenizer, task, task.render(problem) + solution)[:-1]
        assert any(ids[at : at + len(page)] == page for at in range(len(ids)))
    tags = set(tokenizer.special_ids.values()) & set(ids)
    assert bool(tags) == task.special_tokens


class Shown(type(get_task("countdown"))):
    """countdown whose few-shot prompt always shows the same two solved problems."""

    def render(self, problem, style="plain", examples=()):
        if style == "few_shot" and not examples:
            examples = tuple(solved(self, 2))
        return super().render(problem, style, examples)


def test_rollouts_read_solved_examples_in_the_bases_own_spelling(tokenizer, countdown_base):
    task = Shown()
    problem = task.sample(random.Random(1))
    [[episode]] = rollout.rollout(
        countdown_base, tokenizer, task, [problem], max_new_tokens=4, seed=0, style="few_shot"
    )
    text = task.render(problem, "few_shot")
    assert episode.prompt_ids == tokenizer.encode(text, allow_special=True)
    assert episode.prompt_ids.count(tokenizer.special_ids["<answer>"]) == 2
    room = len(episode.prompt_ids)
    assert rollout.fitting(task, tokenizer, [problem], room, "few_shot") == [problem]
    assert not rollout.fitting(task, tokenizer, [problem], room - 1, "few_shot")


def test_a_task_says_so_only_of_texts_that_hold_special_tokens(tokenizer):
    for name in OWN:
        task = get_task(name)
        texts = [
            task.render(p) + task.solution(p, random.Random(0), style)
            for p, _ in solved(task, 20)
            for style in task.styles
        ]
        held = any(tag in text for tag in tokenizer.special_ids for text in texts)
        assert held == task.special_tokens, name


def test_a_users_file_never_holds_a_special_token(tokenizer, tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"question": "Say <answer>", "answer": "<|endoftext|> 3\\n#### 3"}\n')
    task = get_task("gsm8k", data=file, split_all=True)
    [problem] = task.problems("train", 1)
    example = sft.build_example(
        task, tokenizer, task.render(problem), task.solution(problem, random.Random(0))
    )
    assert not task.special_tokens
    assert not set(tokenizer.special_ids.values()) & {
        *example.prompt_ids,
        *example.completion_ids[:-1],
    }
