r"""Lecture 5, sampling and the chain of thought: the exercises. Write the functions below, then
check them:

    python -m course.grade lectures/05_sampling

Shapes: B rows, V vocabulary. The first exercise needs torch, the others only Python.
"""

import re
from collections.abc import Callable

import torch
from torch import Tensor


def sample_token(
    logits: Tensor, temperature: float, top_p: float, generator: torch.Generator
) -> Tensor:
    """One token for each row: `logits[B, V]` -> ids `[B]`, of dtype int64.

    1. Temperature 0: the token with the highest logit; nothing is left to chance, and nothing else
       below applies.
    2. Otherwise p = softmax(logits / temperature).
    3. 0 < top_p < 1: keep the smallest set of most probable tokens that holds at least top_p of
       the probability; all others get 0. So at least the most probable token is kept. Each row has
       a set of its own.
    4. Draw one token a row in proportion to what is left, by
       `torch.multinomial(..., 1, generator=generator)`.

    Probabilities (0.5, 0.3, 0.15, 0.05) with top_p 0.7: 0.5 is too little, 0.5 + 0.3 is enough. So
    the first two tokens are kept, and drawn with probabilities 0.625 and 0.375.
    """
    ### BEGIN SOLUTION
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = torch.softmax(logits / temperature, dim=-1)
    if top_p < 1:
        ordered, order = p.sort(dim=-1, descending=True)
        before = ordered.cumsum(dim=-1) - ordered  # what the more probable tokens hold together
        ordered = ordered.masked_fill(before >= top_p, 0.0)
        p = torch.zeros_like(p).scatter(-1, order, ordered)
    return torch.multinomial(p, 1, generator=generator).squeeze(-1)
    ### END SOLUTION


def few_shot_prompt(examples: list[tuple[str, str]], question: str) -> str:
    r"""A prompt with solved examples: pairs (question, solution), then the question itself.

    Each example is `Question: <question>\nAnswer:` and, at once, its solution, as it is: a solution
    brings its own space or newline along. The last part is the same with no solution. Parts are
    joined by one empty line (`\n\n`). The prompt ends right behind `Answer:`, with no space and no
    newline.

    One example ("1 + 1?", " #### 2") and the question "2 + 2?" give
    `Question: 1 + 1?\nAnswer: #### 2\n\nQuestion: 2 + 2?\nAnswer:`
    """
    ### BEGIN SOLUTION
    parts = [
        f"Question: {asked}\nAnswer:{solution}" for asked, solution in [*examples, (question, "")]
    ]
    return "\n\n".join(parts)
    ### END SOLUTION


def extract_answer(completion: str) -> str | None:
    r"""The number behind `####`, in one spelling for each number; None if there is not exactly one.
    Never raises.

    1. Exactly one `####` must be in the text: no mark is no answer, two marks are no decision.
    2. The answer is what follows it on the same line, without spaces around it.
    3. It must match `-?\$?[0-9]+(,[0-9]{3})*(\.[0-9]+)?` as a whole, but for one full stop or one
       per-cent sign at its end, which do not count: a minus sign, a dollar sign, digits, perhaps
       with commas, perhaps decimals. All else is None.
    4. Spelling: no dollar sign, no commas, no zeros in front ("007" is "7"), no zeros at the end of
       decimals ("3.50" is "3.5", "18.00" is "18"), and 0 has no sign.

    "<<600+600=1200>>1200 eggs\n#### 1,200." gives "1200"; "#### 7\n#### 8" gives None; "#### seven"
    gives None.
    """
    ### BEGIN SOLUTION
    pieces = completion.split("####")
    if len(pieces) != 2:
        return None
    match = re.fullmatch(
        r"(-?)\$?([0-9]+(?:,[0-9]{3})*)(?:\.([0-9]+))?[.%]?", pieces[1].split("\n")[0].strip()
    )
    if match is None:
        return None
    whole = match[2].replace(",", "").lstrip("0") or "0"
    decimals = (match[3] or "").rstrip("0")
    number = whole + ("." + decimals if decimals else "")
    return number if number == "0" else match[1] + number
    ### END SOLUTION


def force_budget(
    next_token: Callable[[list[int]], int],
    prompt: list[int],
    least: int,
    most: int,
    end: int,
    wait: list[int],
) -> tuple[list[int], list[int]]:
    """Think at least `least` and at most `most` tokens: (ids, mask) of what follows the prompt,
    `end` being the last id.

    `next_token(ids)` is the model: it is given the prompt and all that follows it so far, and
    returns the next token. `end` is the token that ends the thinking. mask is 1 where the model
    chose the token and 0 where it was put in.

    - The model chooses `end` when less than `least` tokens of thinking are there: its `end` is
      dropped and forgotten, and the ids `wait` (at least one) are put in instead. They are tokens
      of thinking, too. This may happen again and again.
    - It chooses `end` later: that `end`, with mask 1, is the last token.
    - `most` tokens of thinking are there: the model is not asked again, and `end` is put in. Of a
      `wait` that would pass `most` only the beginning is put in.

    `end` itself is no token of thinking. 0 <= least <= most.

    A model that says 5 5 end end ..., with least 4, most 9, end = 0, wait = [7]: it is told to wait
    after its first and its second end, so the ids are 5 5 7 7 0 and the mask is 1 1 0 0 1.
    """
    ### BEGIN SOLUTION
    ids: list[int] = []
    mask: list[int] = []
    while len(ids) < most:
        token = next_token(prompt + ids)
        if token == end and len(ids) >= least:
            return ids + [end], mask + [1]
        if token == end:
            room = wait[: most - len(ids)]
            ids, mask = ids + room, mask + [0] * len(room)
        else:
            ids, mask = ids + [token], mask + [1]
    return ids + [end], mask + [0]
    ### END SOLUTION
