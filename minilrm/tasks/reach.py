"""What a few numbers can make: the values within reach, and expressions for them.

The solver goes by halves. Whatever is made of a set of numbers ends in one step between what is
made of some of them and what is made of the others; so the values within reach of 4, 7, 25 are
those of (4 | 7, 25), (7 | 4, 25) and (25 | 4, 7). On the way all is whole and not negative, as on
the television show; a division must come out even.
"""

import random
from collections.abc import Collection
from functools import lru_cache
from itertools import product

from minilrm.tasks.expressions import Step, Tree, normal, normal_form, steps

# -- finding ---------------------------------------------------------------------------------------


def moves(a: int, b: int) -> list[Step]:
    """All that one step can make of two numbers, whole and not negative.

    >>> [str(step) for step in moves(3, 6)]
    ['6+3=9', '6-3=3', '6*3=18', '6/3=2']
    """
    high, low = max(a, b), min(a, b)
    found = [
        Step(high, "+", low, high + low),
        Step(high, "-", low, high - low),
        Step(high, "*", low, high * low),
    ]
    if low and high % low == 0:
        found.append(Step(high, "/", low, high // low))
    elif high and not low:
        found.append(Step(low, "/", high, 0))
    return found


def halves(numbers: tuple[int, ...]) -> set[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The ways to divide numbers among two, each with at least one; the first goes to the first.

    >>> sorted(halves((4, 7, 25)))
    [((4,), (7, 25)), ((4, 7), (25,)), ((4, 25), (7,))]
    """
    first, rest = numbers[0], numbers[1:]
    return {
        (
            (first, *(n for n, mine in zip(rest, choice, strict=True) if mine)),
            tuple(n for n, mine in zip(rest, choice, strict=True) if not mine),
        )
        for choice in product((False, True), repeat=len(rest))
        if not all(choice)
    }


def reachable(numbers: tuple[int, ...]) -> frozenset[int]:
    """All values that the sorted numbers can make, each number used once.

    >>> sorted(reachable((2, 6)))
    [3, 4, 8, 12]
    """
    # Three numbers have some 15 values, five have thousands: only what is small and asked for again
    # is kept.
    return reachable_kept(numbers) if len(numbers) <= 3 else search(numbers)


def search(numbers: tuple[int, ...]) -> frozenset[int]:
    if len(numbers) == 1:
        return frozenset(numbers)
    found: set[int] = set()
    for left, right in halves(numbers):
        for a in reachable(left):
            for b in reachable(right):
                # the results of `moves(a, b)`, without making the steps
                low, high = (a, b) if a < b else (b, a)
                found.update((high + low, high - low, high * low))
                if low and high % low == 0:
                    found.add(high // low)
                elif high and not low:
                    found.add(0)
    return frozenset(found)


reachable_kept = lru_cache(maxsize=8192)(search)


def trees(numbers: tuple[int, ...], target: int) -> list[Tree]:
    """The expressions of that value, one for each way of working it out (in the sense of
    `normal_form`), in fixed order.

    >>> [normal(tree) for tree in trees((2, 3, 6), 12)]
    ['2*3+6', '(6-2)*3']
    """
    found = {normal_form(steps(tree)): tree for tree in all_trees(numbers, target)}
    return [found[form] for form in sorted(found)]


def all_trees(numbers: tuple[int, ...], target: int) -> list[Tree]:
    if len(numbers) == 1:
        return [numbers[0]] if numbers[0] == target else []
    found: list[Tree] = []
    for left, right in halves(numbers):
        for a, b in product(reachable(left), reachable(right)):
            for step in moves(a, b):
                if step.result == target:
                    first, second = (
                        ((left, a), (right, b)) if step.a == a else ((right, b), (left, a))
                    )
                    found += [
                        (step.op, x, y) for x in all_trees(*first) for y in all_trees(*second)
                    ]
    return found


def partners(target: int, b: int, within: Collection[int]) -> list[int]:
    """Those of some values from which one step with b makes the target, in order.

    >>> partners(12, 4, range(20))
    [3, 8, 16]
    """
    if target == b == 0:
        return sorted(within)  # times 0
    found = {target - b, target + b, b - target, target * b}
    if b and target % b == 0:
        found.add(target // b)
    if target and b % target == 0:
        found.add(b // target)
    return sorted(a for a in found if a in within and any(s.result == target for s in moves(a, b)))


def random_way(numbers: tuple[int, ...], target: int, rng: random.Random) -> Tree | None:
    """An expression of that value, found from the target backwards; None if there is none. Quicker
    than to list all of them, and not each as likely as any other: each way to make the last step
    is, and then each way to make its operands."""
    if len(numbers) == 1:
        return numbers[0] if numbers[0] == target else None
    ways = []
    for left, right in sorted(halves(numbers)):
        # the side with fewer values is tried value by value
        few, many = sorted((left, right), key=len)
        within = reachable(many)
        for b in sorted(reachable(few)):
            ways += [(few, b, many, a) for a in partners(target, b, within)]
    if not ways:
        return None
    few, b, many, a = rng.choice(ways)
    first, second = random_way(many, a, rng), random_way(few, b, rng)
    assert first is not None and second is not None
    step = rng.choice([s for s in moves(a, b) if s.result == target])
    return (step.op, first, second) if step.a == a else (step.op, second, first)


def solve(numbers: list[int] | tuple[int, ...], target: int) -> list[str]:
    """All right expressions, those apart that differ in order and brackets alone; the shortest
    first. [] if there is none.

    >>> solve([7, 4, 25], 53), solve([1, 1, 1], 50)
    (['25+4*7'], [])
    """
    return sorted(
        {normal(tree) for tree in all_trees(tuple(sorted(numbers)), target)},
        key=lambda text: (len(text), text),
    )


# -- drawing ---------------------------------------------------------------------------------------


def random_tree(numbers: list[int], rng: random.Random) -> Tree:
    """Somebody who plays about: any two numbers, any operator that fits, until one number is
    left."""
    pool: list[tuple[int, Tree]] = [(n, n) for n in numbers]
    while len(pool) > 1:
        (a, left), (b, right) = (pool.pop(rng.randrange(len(pool))) for _ in range(2))
        step = rng.choice(moves(a, b))
        if step.a != a:
            left, right = right, left
        pool.append((step.result, (step.op, left, right)))
    return shuffled(pool[0][1], rng)


def shuffled(tree: Tree, rng: random.Random) -> Tree:
    """The same steps, the operands of + and * in a random order."""
    if isinstance(tree, int):
        return tree
    op, left, right = tree[0], shuffled(tree[1], rng), shuffled(tree[2], rng)
    return (op, right, left) if op in "+*" and rng.random() < 0.5 else (op, left, right)
