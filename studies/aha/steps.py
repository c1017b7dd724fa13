"""Which numbers of a solution carry weight? Change one, and see what becomes of the answer.

    python -m studies.aha.steps countdown              the shipped base
    python -m studies.aha.steps countdown --short      after a short run of GRPO from it

After the true-thinking score of arXiv 2510.24941, which asks how much the probability of the answer
moves when a step is changed. There the model has to answer right behind the step; ours never read
an answer before the work was done. So two effects are measured instead, each on the right answers
that a model gave itself (greedily, on test problems, one changed number a case):

    direct   all that follows stays as it stood: P(right answer), by one forward pass, before and
             after. Does the answer read this number?
    total    the model goes on by itself (greedily) behind the changed number: share right. Does the
             work that follows depend on it, and is the fault found?

A number is changed to another of as many digits, drawn at random; one of each kind a solution.
Where a direct effect is 0 the number is decoration *to the answer*; where the total effect is 0 as
well, the model does not use it at all, or finds every fault. Each finished part is a line of
data/results/aha-steps.jsonl. One thread.
"""

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from minilrm import grpo, intervals, objectives
from minilrm.batches import pad
from minilrm.model import Transformer
from minilrm.rollout import Episode, rollout
from minilrm.sampler import Engine, generate
from minilrm.tasks import TracedTask, get_task
from minilrm.tasks.traces import Trace
from minilrm.tokenizer import Tokenizer
from studies import common
from studies.aha.study import TASKS, base_of, sampling

STUDY = "aha-steps"
SOLUTIONS = 300
ASKED = 1000  # test problems, of which the right answers are taken
SHORT = 40  # steps of the short run
POLICY = f"GRPO, {SHORT} steps, seed 0"
ROWS = 128  # solutions in one forward pass
NUMBER = re.compile("[0-9]+")
# The numbers of an attempt by their place in it.
KINDS = {
    "countdown": (
        "first step: a number",
        "first step: the other number",
        "first step: its result",
        "second step: a number",
        "second step: the other number",
        "second step: its result",
    ),
    "multiplication": (
        "the first factor, copied",
        "the second factor, copied",
        "row of the tens",
        "row of the ones",
        "the sum",
        "check: digit sum of the result",
        "check: remainder of the result",
        "check: digit sum of the first factor",
        "check: its remainder",
        "check: digit sum of the second factor",
        "check: its remainder, too",
        "check: the remainders' factors",
        "check: the other of them",
        "check: their product's remainder",
    ),
}
EARLIER = "an earlier attempt, any number"


# -- cases -----------------------------------------------------------------------------------------


def places(task: TracedTask, trace: Trace, text: str, rng: random.Random) -> Iterator[tuple]:
    """(kind, start, end) of the numbers to change: each of the last attempt, one of an earlier
    one."""
    *earlier, last = trace.attempts
    found = list(NUMBER.finditer(text, last.start, last.end))
    for kind, match in zip(KINDS[task.name], found, strict=False):
        yield kind, match.start(), match.end()
    if earlier:
        attempt = rng.choice(earlier)
        match = rng.choice(list(NUMBER.finditer(text, attempt.start, attempt.end)))
        yield EARLIER, match.start(), match.end()


def changed(number: str, rng: random.Random) -> str:
    """Another number of as many digits.

    >>> changed("7", random.Random(0)) != "7", len(changed("42", random.Random(0)))
    (True, 2)
    """
    low = 10 ** (len(number) - 1) if len(number) > 1 else 0
    while True:
        other = str(rng.randint(low, 10 ** len(number) - 1))
        if other != number:
            return other


def solutions(
    task: TracedTask, model: Transformer, tokenizer: Tokenizer
) -> list[tuple[Episode, Trace]]:
    """The first right, well-formed answers."""
    problems = task.problems("test", ASKED)
    how = {"temperature": 0.0, **sampling(task, model, 0)}
    right = (g[0] for g in rollout(model, tokenizer, task, problems, **how) if g[0].grade.correct)
    read = ((e, task.parse_trace(e.text)) for e in right)
    return [(e, t) for e, t in read if t.well_formed][:SOLUTIONS]


# -- effects ---------------------------------------------------------------------------------------


def answer_probability(
    model: Transformer, texts: Sequence[tuple[list[int], list[int]]]
) -> list[float]:
    """P(answer | what stands before it) of each (ids before, ids of the answer)."""
    found: list[float] = []
    for start in range(0, len(texts), ROWS):
        part = texts[start : start + ROWS]
        ids = pad([before + answer for before, answer in part])
        with torch.inference_mode():
            logps = objectives.token_logprobs(model(ids), ids)
        for row, (before, answer) in zip(logps, part, strict=True):
            first = len(before) - 1  # of [T - 1]: entry t is of token t + 1
            found.append(float(row[first : first + len(answer)].sum().exp()))
    return found


def study(task_name: str, where: str | Path, name: str) -> dict:
    """Both effects of each kind of number."""
    task = get_task(task_name)
    assert isinstance(task, TracedTask)
    model, tokenizer = common.open_model(where)
    rng = random.Random(0)
    kinds: dict[str, list[dict]] = {}
    told = solutions(task, model, tokenizer)
    for episode, trace in told:
        at = trace.attempts[-1].end
        for kind, start, end in places(task, trace, episode.text, rng):
            new = episode.text[:start] + changed(episode.text[start:end], rng)
            case = {
                "episode": episode,
                "new": new,
                "rest": episode.text[end:at],
                "at": at,
            }
            kinds.setdefault(kind, []).append(case)
    order = [*KINDS[task_name], EARLIER]
    return {
        "model": name,
        "solutions": len(told),
        "kinds": {
            kind: effects(task, model, tokenizer, kinds[kind]) for kind in order if kind in kinds
        },
    }


def effects(
    task: TracedTask, model: Transformer, tokenizer: Tokenizer, cases: Sequence[dict]
) -> dict:
    """Direct and total effect of changing one kind of number, case by case."""

    def ids(case: dict, text: str) -> list[int]:
        return case["episode"].prompt_ids + task.encode(tokenizer, text)

    pairs: dict[str, list] = {"intact": [], "changed": []}
    for case in cases:
        text, at = case["episode"].text, case["at"]
        answer = task.encode(tokenizer, text[at:])
        pairs["intact"].append((ids(case, text[:at]), answer))
        pairs["changed"].append((ids(case, case["new"] + case["rest"]), answer))
    intact, moved = (answer_probability(model, pairs[name]) for name in ("intact", "changed"))
    starts = [ids(case, case["new"]) for case in cases]
    room = model.config.max_seq_len - max(map(len, starts))
    groups = generate(
        Engine(model, common.decoding_dtype(model)),
        tokenizer,
        starts,
        max_new_tokens=min(task.max_new_tokens, room),
        temperature=0.0,
    )
    wholes = [case["new"] + g[0].sampled_text for case, g in zip(cases, groups, strict=True)]
    right = [
        task.grade(case["episode"].problem, text).correct
        for case, text in zip(cases, wholes, strict=True)
    ]
    retried = [
        len(task.parse_trace(text).attempts) > len(task.parse_trace(case["episode"].text).attempts)
        for case, text in zip(cases, wholes, strict=True)
    ]
    value, low, high = intervals.paired_bootstrap(intact, moved)
    return {
        "n": len(cases),
        "P intact": intervals.mean(intact),
        "P changed": intervals.mean(moved),
        "direct": {"difference": value, "ci": [low, high]},
        "total": intervals.rate(right),
        "retried": intervals.mean(retried),
    }


# -- which -----------------------------------------------------------------------------------------


def short_run(task_name: str) -> Path:
    """The last checkpoint of the first steps of the default run, seed 0."""
    where = common.folder("aha", task_name, "short", 0)
    how = {"task": task_name, "seed": 0, "init": base_of(task_name), "threads": 1}
    how |= {"steps": SHORT, "eval_every": SHORT, "eval_n": 100}  # of its evaluations none is used
    log = common.run(grpo.train, grpo.Options, where, **how)
    return common.last(log)


def main() -> None:
    parser = common.parser("studies.aha.steps", __doc__)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--short", action="store_true", help=f"after {SHORT} steps of GRPO")
    asked = parser.parse_args()
    common.one_thread()
    name = POLICY if asked.short else "base"
    if common.records(STUDY, task=asked.task, model=name):
        print("measured before")
        return
    where = short_run(asked.task) if asked.short else base_of(asked.task)
    common.append_result(STUDY, {"task": asked.task, **study(asked.task, where, name)})


if __name__ == "__main__":
    common.command(main)
