"""Fine-tuning on a pool: what a model has said and somebody kept."""

import json

import pytest

from minilrm import checkpoint, sft
from minilrm.errors import UserError
from minilrm.tasks import get_task

TASK = get_task("gsm8k-mini")


@pytest.fixture
def pool(tmp_path, base):
    """Five solved problems as a file of traces."""
    tokenizer = checkpoint.open_model(base).tokenizer
    records = [{"task": "gsm8k-mini", "sampled": 5, "kept": 5, "tokens": 9, "seconds": 0.0}]
    for problem in TASK.problems("validation", 5):
        ids = [*tokenizer.encode(f"\n#### {problem.answer}"), tokenizer.eos_id]
        text = tokenizer.decode(ids[:-1])
        prompt = TASK.render(problem)
        record = {"key": problem.key, "prompt": prompt, "completion": text, "completion_ids": ids}
        records.append(record)
    path = tmp_path / "traces.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def options(base, pool, **more):
    small = {"init": str(base), "pool": pool, "steps": 2, "batch": 3, "eval_n": 2, "threads": 1}
    return sft.Options(**small | {"device": "cpu"} | more)


def test_the_examples_are_those_of_the_pool_each_once_a_round(base, pool):
    trainer = sft.Trainer(options(base, pool))
    drawn = [tuple(e.completion_ids) for step in range(5) for e in trainer.draw(step)]
    records = [json.loads(line) for line in pool.read_text(encoding="utf-8").splitlines()[1:]]
    wanted = sorted(tuple(r["completion_ids"]) for r in records)
    assert sorted(drawn[:5]) == sorted(drawn[5:10]) == wanted
    assert drawn[:5] != drawn[5:10]  # in a new order


def test_a_run_learns_from_it(base, pool, tmp_path):
    result = sft.train(options(base, pool, out=tmp_path / "run"))
    assert result.finished and (tmp_path / "run" / "summary.json").is_file()


def test_what_is_no_pool_or_does_not_fit_is_refused_before_the_run(base, pool, tmp_path):
    with pytest.raises(UserError, match="no traces to learn from"):
        sft.Trainer(options(base, pool, task="arithmetic"))
    head, record, *_ = pool.read_text(encoding="utf-8").splitlines()
    long = json.loads(record)
    long["prompt"] *= 20
    pool.write_text(f"{head}\n{json.dumps(long)}\n", encoding="utf-8")
    with pytest.raises(UserError, match="no trace of"):
        sft.Trainer(options(base, pool))
