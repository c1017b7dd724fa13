"""What the bases do without any training: the rivals of the policies that studies/aha trains.

    python -m studies.aha.baselines countdown forced       "wait" put in behind each failed attempt
    python -m studies.aha.baselines countdown unrepeated   the same, repeated attempts refused
    python -m studies.aha.baselines countdown draws        up to 16 independent answers, the first
                                                           that its own check accepts; pass@k
    python -m studies.aha.baselines countdown constant     the best rule that reads no target
    python -m studies.aha.baselines countdown short        the same of a policy: 40 steps of GRPO
                                                           (`python -m studies.aha.steps` makes it)
    python -m studies.aha.baselines countdown all          everything that is missing

The temperature is chosen on validation (one seed), n = 1000; the test, n = 1000, is asked at that
one alone, with three seeds of sampling. (pass@k is at T = 1, as that of the policies is.) Each
finished part is a line of data/results/aha-baselines.jsonl; what stands there is not run again.
One thread. Tokens: all that stand behind the prompt, inserted ones included, as each costs a step
of decoding; those of attempts that were refused are counted apart.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations, product
from pathlib import Path

from minilrm import intervals, reflection
from minilrm.errors import UserError
from minilrm.evaluate import fingerprint
from minilrm.rollout import Episode, fitting, rollout
from minilrm.runlog import RunLog
from minilrm.tasks import Problem, TracedTask, expressions, get_task
from studies import common
from studies.aha.steps import POLICY
from studies.aha.study import MOST, SEEDS, TASKS, N, base_of, by_its_own_check, right, sampling

STUDY = "aha-baselines"
HEAT = (0.0, 0.3, 0.6, 0.8, 1.0)
WARM = HEAT[1:]  # where there is nothing to draw at temperature 0
SPLITS = ("validation", "test")
BLOCK = 250  # problems asked at a time, each block with random numbers of its own
#: kind: (of the unseeded bases too?, the temperatures that validation chooses from)
KINDS: dict[str, tuple[bool, tuple[float, ...]]] = {
    "forced": (True, HEAT),
    "unrepeated": (False, WARM),
    "draws": (False, WARM),
}
#: of the policy of the short run: kind, and the temperatures that validation chooses from
SHORT: dict[str, tuple[float, ...]] = {"plain": (0.6, 1.0), "unrepeated": (0.3, 0.6)}
MEASURES = (
    "first_try_accuracy",
    "retry_rate",
    "false_accept",
    "repeated_attempts",
    "attempts",
    "cut",
    "well_formed",
)


def records(task: str, kind: str, **fields) -> list[dict]:
    return common.records(STUDY, task=task, kind=kind, **fields)


# -- one pass --------------------------------------------------------------------------------------


def asked_model(task: str, seeded: bool | None) -> str | Path:
    """A base with reflection (seeded), one without, or the policy of the short run (None)."""
    if seeded is not None:
        return base_of(task, seeded)
    where = common.folder("aha", task, "short", 0)
    if not (where / "summary.json").is_file():
        raise UserError(f"make the short run first: python -m studies.aha.steps {task} --short")
    return common.last(RunLog.open(where))


def ask(task_name: str, seeded: bool | None, split: str) -> tuple:
    """(task, model, tokenizer, the problems that fit)."""
    task = get_task(task_name)
    assert isinstance(task, TracedTask)
    model, tokenizer = common.open_model(asked_model(task_name, seeded))
    room = model.config.max_seq_len - task.max_new_tokens
    return task, model, tokenizer, fitting(task, tokenizer, task.problems(split, N), room)


def plain(task_name: str, seeded: bool | None, split: str, temperature: float, seed: int) -> dict:
    """Nothing put in, nothing refused."""
    task, model, tokenizer, problems = ask(task_name, seeded, split)
    how = {"temperature": temperature, **sampling(task, model, seed)}
    groups = rollout(model, tokenizer, task, problems, **how)
    return figures(task, problems, [g[0] for g in groups])


def forced(task_name: str, seeded: bool | None, split: str, temperature: float, seed: int) -> dict:
    task, model, tokenizer, problems = ask(task_name, seeded, split)
    how = {"temperature": temperature, **sampling(task, model, seed)}
    groups = reflection.force(model, tokenizer, task, problems, **how)
    return figures(task, problems, [g[0] for g in groups])


def blocks(problems: list[Problem], seed: int) -> Iterator[tuple[list[Problem], int]]:
    """(problems, seed) of each block."""
    for i, start in enumerate(range(0, len(problems), BLOCK)):
        yield problems[start : start + BLOCK], 1000 * seed + i


def unrepeated(
    task_name: str, seeded: bool | None, split: str, temperature: float, seed: int
) -> dict:
    task, model, tokenizer, problems = ask(task_name, seeded, split)
    episodes, refused = [], []
    for part, its_seed in blocks(problems, seed):
        how = {"temperature": temperature, **sampling(task, model, its_seed)}
        answers, thrown = reflection.without_repeats(model, tokenizer, task, part, **how)
        episodes += answers
        refused += thrown
    return {
        **figures(task, problems, episodes),
        "refused": intervals.mean(refused),
        "refused_each": refused,
    }


def figures(task: TracedTask, problems: list[Problem], episodes: Sequence[Episode]) -> dict:
    """One answer a problem: accuracy, who was right ("0110..."), the tokens of each answer, and the
    measures of reflection."""
    lengths = [len(e.completion_ids) for e in episodes]
    measured = reflection.measures(task, episodes)
    return {
        **intervals.rate([e.grade.correct for e in episodes]),
        "right": right(episodes),
        "lengths": lengths,
        "tokens": intervals.mean(lengths),
        "measures": {name: measured[name] for name in MEASURES},
        "problems_sha256": fingerprint(problems),
    }


def draws(task_name: str, seeded: bool | None, split: str, temperature: float, seed: int) -> dict:
    """Best of n by its own check, n = 1 to MOST, and how many of all MOST are right, problem by
    problem. `tokens`: where it stops at the answer that its check accepts; `tokens_all`: where all
    n are written."""
    task, model, tokenizer, problems = ask(task_name, seeded, split)
    many = []
    for part, its_seed in blocks(problems, seed):
        how = {"temperature": temperature, **sampling(task, model, its_seed)}
        many += rollout(model, tokenizer, task, part, group_size=MOST, **how)
    rows = by_its_own_check(task, many)
    return {
        **{key: rows[-1][key] for key in ("accuracy", "ci", "n", "tokens")},
        "parallel": rows,
        "counts": [sum(e.grade.correct for e in g) for g in many],
        "problems_sha256": fingerprint(problems),
    }


# -- the best rule that reads no target ------------------------------------------------------------


def constant(task_name: str) -> dict:
    """Of all rules that give every problem the same expression in its numbers (countdown: a, b, c
    as they stand, or x >= y >= z by size) or the same answer (multiplication), the best: `chosen`
    on validation, and `best` on the test itself, which is the most that any of them could have."""
    task, count = get_task(task_name), {"countdown": rules_right}.get(task_name, answers_right)
    sets = {split: task.problems(split, N) for split in SPLITS}
    found = {split: count(problems) for split, problems in sets.items()}
    winner = {split: max(found[split], key=found[split].__getitem__) for split in SPLITS}

    def on_test(rule: str) -> dict:
        hits = found["test"][rule]
        return {"rule": rule, **intervals.rate([i < hits for i in range(N)])}

    return {
        "rules": len(found["validation"]),
        "chosen": on_test(winner["validation"]),
        "best": on_test(winner["test"]),
        "problems_sha256": fingerprint(sets["test"]),
    }


def rules_right(problems: Sequence[Problem]) -> Counter[str]:
    """rule -> on how many problems it makes the target."""
    rules = {**rules_of("abc"), **rules_of("xyz")}
    found: Counter[str] = Counter(dict.fromkeys(rules, 0))
    for problem in problems:
        numbers, target = problem.meta["numbers"], problem.meta["target"]
        names = dict(zip("abc", numbers, strict=True))
        names |= dict(zip("xyz", sorted(numbers, reverse=True), strict=True))
        for rule, tree in rules.items():
            found[rule] += expressions.value(filled(tree, names)) == target
    return found


def rules_of(names: str) -> dict[str, tuple]:
    """Each expression in three names, each used once: of those that differ in order and brackets
    alone, one."""
    places = dict(zip(names, (11, 22, 33), strict=True))  # numbers, as `expressions` wants them
    found = {}
    for (p, q, r), inner, outer in product(permutations(names), "+-*/", "+-*/"):
        for tree in ((outer, (inner, p, q), r), (outer, r, (inner, p, q))):
            written = expressions.normal(filled(tree, places))
            for name, place in places.items():
                written = written.replace(str(place), name)
            found.setdefault(written, tree)
    return found


def filled(tree: str | tuple, names: dict[str, int]) -> expressions.Tree:
    """The expression with numbers in the place of names."""
    if isinstance(tree, str):
        return names[tree]
    return (tree[0], *(filled(part, names) for part in tree[1:]))


def answers_right(problems: Sequence[Problem]) -> Counter[str]:
    """answer -> on how many problems it is right."""
    return Counter(problem.answer for problem in problems)


# -- which -----------------------------------------------------------------------------------------

PARTS: dict[str, Callable[..., dict]] = {
    "plain": plain,
    "forced": forced,
    "unrepeated": unrepeated,
    "draws": draws,
}


def chosen(task: str, kind: str, seeded: bool | None) -> float | None:
    """The temperature that is right most often on validation (of equals the lowest); None as long
    as one has not been tried there."""
    tried = {
        r["temperature"]: r["accuracy"]
        for r in records(task, kind, seeded=seeded, split="validation")
    }
    heat = SHORT[kind] if seeded is None else KINDS[kind][1]
    return max(heat, key=lambda t: tried[t]) if all(t in tried for t in heat) else None


def name_of(task: str, seeded: bool | None) -> str:
    return POLICY if seeded is None else base_of(task, seeded)


def missing(task: str, what: str) -> Iterator[tuple]:
    """The parts asked for that have no line yet: (kind, seeded, split, temperature, seed)."""
    for kind, (both, heat) in KINDS.items():
        for seeded in (True, False)[: 1 + both] if what in (kind, "all") else ():
            yield from ((kind, seeded, "validation", t, 0) for t in heat)
            if (best := chosen(task, kind, seeded)) is not None:
                yield from ((kind, seeded, "test", best, seed) for seed in SEEDS)
    if what == "short":  # not a part of `all`: it needs a run
        for kind, heat in SHORT.items():
            yield from ((kind, None, "validation", t, 0) for t in heat)
            if (best := chosen(task, kind, None)) is not None:
                yield from ((kind, None, "test", best, seed) for seed in SEEDS)
        yield ("draws", None, "test", 1.0, 0)
    if what in ("draws", "all"):  # for pass@k
        yield from (("draws", seeded, "test", 1.0, 0) for seeded in (True, False))


def next_part(task: str, what: str) -> tuple | None:
    names = ("seeded", "split", "temperature", "seed")
    return next(
        (
            (kind, *how)
            for kind, *how in missing(task, what)
            if not records(task, kind, **dict(zip(names, how, strict=True)))
        ),
        None,
    )


def main() -> None:
    parser = common.parser("studies.aha.baselines", __doc__)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("what", choices=(*KINDS, "constant", "short", "all"))
    asked = parser.parse_args()
    common.one_thread()
    task, what = asked.task, asked.what
    if what in ("constant", "all") and not records(task, "constant"):
        common.append_result(STUDY, {"task": task, "kind": "constant", **constant(task)})
    while part := next_part(task, what):
        kind, seeded, split, temperature, seed = part
        found = PARTS[kind](task, seeded, split, temperature, seed)
        how = {"split": split, "temperature": temperature, "seed": seed}
        about = {"task": task, "kind": kind, "base": name_of(task, seeded), "seeded": seeded}
        common.append_result(STUDY, {**about, **how, **found})
        print(f"{kind}, {how}: {found['accuracy']:.1%}, {found['tokens']:.1f} tokens", flush=True)


if __name__ == "__main__":
    common.command(main)
