"""How many problems countdown has, and how far its test problems are new.

    python -m studies.census

It goes through all of them. The docstring of minilrm/tasks/countdown.py gives the result.
"""

from itertools import combinations_with_replacement

from minilrm.tasks import countdown, expressions, reach
from minilrm.tasks.base import SPLITS


def census(numbers: int = 3, largest: int = 25) -> dict[str, tuple[int, int]]:
    """Split -> (how many multisets it has, how many problems), by going through all of them."""
    count = {split: [0, 0] for split in SPLITS}
    for size, top, split in ((numbers, largest, None), (*countdown.OOD, "ood")):
        for chosen in combinations_with_replacement(range(1, top + 1), size):
            entry = count[split or countdown.split_of_numbers(chosen)]
            entry[0] += 1
            entry[1] += len(countdown.targets(chosen))
    return {split: tuple(entry) for split, entry in count.items()}


def overlap(numbers: int = 3, largest: int = 25) -> tuple[float, float]:
    """The shares of test problems of which (some right expression, the first step of some right
    attempt) is also one of a training problem. The first is 0 as no multiset is in two splits; by
    the second, what is new is how steps combine."""
    seen: dict[str, list[tuple[set, set]]] = {split: [] for split in SPLITS}
    for chosen in combinations_with_replacement(range(1, largest + 1), numbers):
        for target in countdown.targets(chosen):
            found = reach.trees(chosen, target)
            seen[countdown.split_of_numbers(chosen)].append(
                (
                    {expressions.normal(tree) for tree in found},
                    {expressions.normal_form(expressions.steps(tree)[:1]) for tree in found},
                )
            )
    trained = [set().union(*(problem[part] for problem in seen["train"])) for part in (0, 1)]
    return tuple(
        sum(bool(problem[part] & trained[part]) for problem in seen["test"]) / len(seen["test"])
        for part in (0, 1)
    )


def main() -> None:
    print(f"{'split':12}{'multisets':>10}{'problems':>10}")
    for split, (sets, problems) in census().items():
        print(f"{split:12}{sets:10,}{problems:10,}")
    expression, step = overlap()
    print(f"test problems with a right expression that is one in training: {expression:.1%}")
    print(f"test problems with a right first step that is one in training: {step:.1%}")


if __name__ == "__main__":
    main()
