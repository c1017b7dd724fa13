r"""Lecture 17, the aha moment: the exercises. Write the functions below, then check them:

    python -m course.grade lectures/17_aha_moment

Read what a model wrote, take the word away, judge: one function for each. They are small versions
of minilrm.reflection, which may not be imported.

A trace is what somebody wrote below a countdown problem, here "Make 53 with 4, 7, 25":

    25-7=18, 18+4=22 no
    wait, 4*7=28, 28+25=53 ok
    <answer>4*7+25</answer>

`reflection_stats` gets its traces already cut into parts. An attempt is (reaches, accepted):
`reaches` says whether it really makes the target, as a program found out; `accepted` is the
writer's own verdict, True for `ok`, False for `no`, and None where the text was cut off before it.
The trace above has the attempts [(False, False), (True, True)].
"""

import re

import torch
from torch import Tensor


def reflection_stats(traces: list[dict]) -> dict:
    """What these traces did. A trace is {"attempts": [(reaches, accepted), ...], "right": the grade
    of the final answer}.

    The first try is the first attempt, if it has a verdict. Without one (no attempt at all, or the
    first was cut off) the trace has no readable first try: then it was neither right nor wrong.

        final_accuracy      of all traces:                    the final answer is right
        first_try_accuracy  of all traces:                    the first try reaches the target
        retry_rate          of traces with a WRONG first try: there is a second attempt, also cut
        false_accept        of WRONG attempts with a verdict: the verdict is ok
        corrected           a count of traces:                first try wrong, final answer right
        spoiled             a count of traces:                first try right, final answer wrong

    The first four are shares, from 0 to 1, and None where nothing is there to take a share of.

    The trace in the head of this file, with "right" True, and a second one, {"attempts": [(False,
    True)], "right": False}, give final_accuracy 0.5, first_try_accuracy 0.0, retry_rate 0.5,
    false_accept 0.5 (one ok among two wrong attempts), corrected 1, spoiled 0.
    """

    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def ban_token(logits: Tensor, vocabulary: list[str], word: str) -> Tensor:
    r"""The logits with which `word` cannot be sampled, in one piece or several: `logits[..., V]` ->
    a new `[..., V]`.

    The logit of token i, whose text is vocabulary[i], becomes -inf if its text

        1. contains the word ("wait", "\nwait,", " waiting"), or
        2. ends in the beginning of the word ("w", " wa", ", wai"), which the next token could
        complete; but only if no letter
           (A-Z, a-z) stands right before that beginning. So "sw" is allowed, and so is "wer", which
           does not end in "w".

    All other logits stay as they are, so the softmax gives them what the banned ones had, in
    proportion. `logits` itself is not changed. Upper and lower case differ. ValueError if no token
    would be left: a softmax over -inf alone is NaN.

    With logits [2., 1., 0.], vocabulary ["wait", "no", " w"] and word "wait" it gives [-inf, 1.,
    -inf]: "no" is sampled surely.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def aha_verdict(before: dict, after: dict, gap: tuple[float, float] | None) -> str:
    """Is the reflection of a trained model load-bearing? One of "load-bearing", "superficial",
    "absent", "too few".

    before, after: {"retry_rate": its interval (low, high), or None if there were too few cases;
    "corrected": a count; "spoiled": a count}. gap: interval of the accuracy that the model loses
    when the word is banned, or None.

    Three conditions. An unknown one (its interval is None) neither holds nor fails.

        1. the retry rate rose: the whole interval after lies above the whole interval before (they
        do not touch)
        2. reflection corrects: corrected (after) is at least 5 times spoiled (after), and not 0
        3. it carries weight: the whole interval of the gap lies above 0

    Then, in this order: the first condition fails: "absent". It holds and another one fails:
    "superficial". Some condition is unknown: "too few". Else: "load-bearing".

    before {"retry_rate": (.05, .09), ...}, after {"retry_rate": (.92, .97), "corrected": 400,
    "spoiled": 3}, gap (.30, .36) give "load-bearing"; the same with gap (-.01, .02) gives
    "superficial".
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION
