"""lectures/15_grpo/minimal.py: GRPO in one short file, with the gradient that the library has."""

import ast
import importlib.util
import random
from pathlib import Path

import pytest
import torch

from minilrm import checkpoint, objectives
from minilrm.rollout import episode, episode_logprobs
from minilrm.sampler import generate
from minilrm.tasks import get_task

FILE = Path(__file__).resolve().parents[1] / "lectures" / "15_grpo" / "minimal.py"
LIMIT, GROUP = 24, 4


@pytest.fixture(scope="module")
def minimal():
    spec = importlib.util.spec_from_file_location("minimal_grpo", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def batch(base, full_precision):
    """A model, and groups of answers to three questions, of unlike length, with rewards."""
    model, tokenizer, _ = checkpoint.load(base)
    task, rng = get_task("gsm8k-mini"), random.Random(1)
    problems = [task.sample(rng) for _ in range(3)]
    prompts = [tokenizer.encode(task.render(problem)) for problem in problems]
    groups = generate(model, tokenizer, prompts, n=GROUP, max_new_tokens=LIMIT, seed=0)
    rewards = torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]])
    assert len({len(answer.token_ids) for group in groups for answer in group}) > 3
    return model, task, problems, prompts, groups, rewards


def move(model, by: float):
    """Away from the policy that sampled, so that ratios leave the clip's range."""
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by * torch.randn_like(parameter))


@pytest.mark.parametrize("moved", [0.0, 0.02])
def test_its_gradient_is_the_librarys(minimal, batch, moved):
    """Fresh samples, and samples of an older policy, where the clip acts on both sides."""
    model, task, problems, prompts, groups, rewards = batch
    move(model, moved)
    minimal.backward(model, prompts, groups, minimal.advantages(rewards))
    own = [parameter.grad for parameter in model.parameters()]

    episodes = [
        episode(task, problem, prompt, answer)
        for problem, prompt, group in zip(problems, prompts, groups, strict=True)
        for answer in group
    ]
    logp, mask = episode_logprobs(model, episodes, 1.0, torch.device("cpu"))
    loss, stats = objectives.policy_loss(
        logp,
        minimal.pad(answer.logprobs for group in groups for answer in group),
        objectives.group_advantages(rewards).flatten(),
        mask,
        objective="grpo",
        aggregation="token",
    )
    expected = torch.autograd.grad(loss, list(model.parameters()))
    clipped = [float(stats[f"clip_ratio/{side}_mean"]) for side in ("low", "high")]
    assert all(clipped) if moved else not any(clipped)
    assert max(float(gradient.abs().max()) for gradient in expected) > 1e-3
    for gradient, other in zip(own, expected, strict=True):
        assert torch.allclose(gradient, other, rtol=0, atol=1e-6)


def test_it_is_one_page_without_classes_options_or_branches():
    text = FILE.read_text(encoding="utf-8")
    assert text.count("\n") <= 100 and max(map(len, text.splitlines())) <= 100
    tree = ast.parse(text)
    branches = [node for node in ast.walk(tree) if isinstance(node, (ast.If, ast.IfExp, ast.Try))]
    assert len(branches) == 1  # if __name__ == "__main__"
    assert not any(isinstance(node, ast.ClassDef) for node in ast.walk(tree))
    assert "argparse" not in text and "argv" not in text


def test_it_runs_and_says_how_well(minimal, monkeypatch, capsys):
    """Two steps at a small size, from the shipped base."""
    sizes = {"STEPS": 2, "QUESTIONS": 2, "GROUP": 2}
    for name, value in sizes.items():
        monkeypatch.setattr(minimal, name, value)
    monkeypatch.setattr(minimal.accuracy, "__defaults__", (4,))
    minimal.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "right before",
        "step  1",
        "step  2",
        "right after",
    ]
