"""Lecture 6, measuring honestly: the exercises. Write the functions below, then check them:

    python -m course.grade lectures/06_measuring_honestly

All four work on plain Python values. None needs a tensor, and the longest needs about ten lines.
"""

import math
import re
from collections import Counter


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that k samples of a problem hold a right one, estimated from n samples of which c are
    right.

        1 - C(n - c, k) / C(n, k)          C(n, k) is `math.comb(n, k)`

    So k of the n are drawn without replacement.
    ValueError unless 1 <= k <= n: from 8 samples nothing can be said about 16.

    10 samples, 3 of them right: k = 1 gives 0.3, k = 2 gives 1 - 21/45 = 0.533333, k = 8 gives 1
    (any 8 of the 10 hold one).
    """
    ### BEGIN SOLUTION
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} cannot be estimated from {n} samples")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)
    ### END SOLUTION


def majority_vote(answers: list[str | None]) -> str | None:
    """The answer that most samples gave: a list of n answers -> one of them, or None.

    None means that nothing could be read off a sample: it abstains and never wins. Among answers
    with equally many votes the one that was *seen first* wins, so that the same samples always give
    the same answer. No vote at all gives None. More votes than any other are enough; more than half
    are not needed.

    `["12", "7", None, "7"]` gives "7"; `["12", "7"]` gives "12"; `[None, None, "5"]` gives "5";
    `[None]` gives None.
    """
    ### BEGIN SOLUTION
    # A Counter keeps the order of first sight.
    votes = Counter(answer for answer in answers if answer is not None)
    return max(votes, key=votes.__getitem__, default=None)
    ### END SOLUTION


def wilson_interval(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval for a rate: (low, high), both within [0, 1]; z = 1.96 makes it one of 95 %.

        (p + z^2/2n  -+  z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n)          p = successes / n

    Of 0 cases nothing is known: n = 0 gives (0, 1).

    8 of 10 gives (0.490157, 0.943319); 0 of 10 gives (0, 0.277540), and not (0, 0).
    """
    ### BEGIN SOLUTION
    if n == 0:
        return 0.0, 1.0
    p, square = successes / n, z * z / n
    centre = p + square / 2
    half = z * math.sqrt(p * (1 - p) / n + square / (4 * n))
    return max(0.0, (centre - half) / (1 + square)), min(1.0, (centre + half) / (1 + square))
    ### END SOLUTION


def leakage(train: list[str], test: list[str], n: int = 8) -> list[int]:
    r"""Which test texts were seen in training: their indices in `test`, in ascending order.

    A test text counts as seen if it shares n words *in a row* with one training text. The words of
    a text are `re.findall(r"\w+", text.lower())`, so that capitals and punctuation make no
    difference. A test text of fewer than n words counts if all its words stand in a row in a
    training text. A text without any words never counts.

    With train `["Tom has 3 red boxes."]` and n = 3 the test text "Why has Tom 3 red boxes?" counts
    (3 red boxes), "Tom has 4 red boxes" does not, "red boxes" does (all its two words).
    """
    ### BEGIN SOLUTION
    pages = [re.findall(r"\w+", text.lower()) for text in train]
    seen: dict[int, set[tuple[str, ...]]] = {}  # length -> all runs of that length
    found = []
    for index, text in enumerate(test):
        words = re.findall(r"\w+", text.lower())
        length = min(n, len(words))
        if length == 0:
            continue
        if length not in seen:
            seen[length] = {
                tuple(page[i : i + length]) for page in pages for i in range(len(page) - length + 1)
            }
        if any(
            tuple(words[i : i + length]) in seen[length] for i in range(len(words) - length + 1)
        ):
            found.append(index)
    return found
    ### END SOLUTION
