"""Lecture 18, the R1 pipeline: the exercises. Write the functions below, then check them:

    python -m course.grade lectures/18_r1_pipeline

Four of them make a stage of the pipeline: a reward, examples, a set of them, a mixture. Three
measure how far a policy has gone, and what it paid. No model is needed.
"""

import math
import random
from collections.abc import Collection, Sequence

import torch
from torch import Tensor


def language_share(
    words: Sequence[str], own: Collection[str], other: Collection[str], question: Collection[str]
) -> float:
    """The reward for one language, of one answer: the share of its words that are of its question's
    language (arXiv 2501.12948v2, section 2.3.1).

    words: of the thinking, in small letters. own: the words of the question's language, other:
    those of the other one; no word is in both. question: the words of the question itself.

    Every word counts as often as it comes. A word that neither language has is neutral (a name, a
    word of both) and counts in neither part of the share. So is a word of the other language that
    the question has, too: it is a quotation. An answer without a word that counts gets 0.0, for an
    empty thinking is no clean one.

    "ana has dos and dos apples" with own {has, and, apples} and other {dos}: 3 of 5 words, 0.6.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def build_sft_example(
    prompt: Sequence[int], completion: Sequence[int], eos: int
) -> tuple[list[int], list[int]]:
    """One example of fine-tuning: the ids of a prompt and of a completion -> (ids, labels), two
    lists of equal length.

    ids: the prompt, the completion, and exactly one EOS, at the end. A completion that was sampled
    has its EOS already; one that a person wrote has none. An EOS anywhere else in the completion is
    a ValueError: what stands behind it would never be read.

    labels: at each place the id that is to be learnt there, or -100 where nothing is. The prompt is
    not learnt; the whole completion is, its EOS included. Labels stand at the place of their own
    id: the shift by one is the business of the loss.

    Prompt [5, 6], completion [7, 8], EOS 0: ids [5, 6, 7, 8, 0], labels [-100, -100, 7, 8, 0].
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def rejection_sample(samples: Sequence[dict], most: int) -> list[int]:
    """Which samples of a policy are worth learning from: their places in the list, in order.

    A sample is {"problem": a text, "text": a text, "right": a bool, "readable": a bool}; those of
    one problem may stand anywhere. Kept is a sample that is right and readable; but of equal texts
    to one problem only the first such one, and of one problem at most `most`, the first ones.

    What is not kept takes nobody's place: it neither counts among the `most` nor makes a later
    sample a repetition. The same text for another problem is no repetition.

    Four samples of one problem, "a" right, "b" wrong, "a" right, "c" right, all readable: [0, 3]
    for most = 2, and [0] for most = 1.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def mix(reasoning: list, general: list, ratio: int, rng: random.Random) -> list:
    """The set that the second fine-tuning learns from: every example of reasoning, and for each
    `ratio` of them one general example, in one random order.

    With R examples of reasoning there are R // ratio general ones, drawn by `rng` from `general`
    without drawing one twice. Fewer than that are a ValueError. The result is one new list of all,
    shuffled by `rng`; the two lists that were given stay as they are.

    Six examples of reasoning, ratio 3: 6 of reasoning and 2 general ones, 8 in all.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def best_of_n_distance(n: int) -> float:
    """How far the best of n answers is from the policy that wrote them: d = sqrt(KL), where

        KL = log n - (n - 1) / n          (nats; arXiv 2210.10760)

    n >= 1. No training is needed to go there, and no model to compute it.

    The best of 1 is the policy itself: 0. The best of 4 is at 0.7979.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def policy_distance(logp: Tensor, ref_logp: Tensor, mask: Tensor) -> float:
    """How far a policy has moved from its reference, from its own answers: d = sqrt(KL), where

        KL = mean over answers of   sum over tokens of   k3
        k3 = exp(x) - x - 1,   x = ref_logp - logp

    logp, ref_logp, mask: [B, T]. The answers were sampled from the policy. The mask is 1 on sampled
    tokens; elsewhere the log-probabilities may be anything, NaN included. The distance is that of
    *answers*: their length belongs to it.

    Two answers, the first with the two log-ratios x = 0 and x = 1, the second with one token, of
    x = 0: KL = (0 + 0.71828 + 0) / 2 = 0.35914, and d = 0.59928.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def turning_point(
    distances: Sequence[float], rewards: Sequence[float]
) -> tuple[float, float, float | None]:
    """(alpha, beta, where the curve is highest) of what is true of the best of n, over the distance
    (arXiv 2210.10760):

        R(d) = R(0) + d (alpha - beta d)

    The first distance is 0, and its reward is R(0). Alpha and beta are those of least squares over
    all points. The curve is highest at alpha / (2 beta); where it is not highest between 0 and the
    greatest distance (both left out), the third is None: behind the last point nobody has measured.

    Distances 0, 1, 2 with rewards 0.1, 0.4, 0.3: alpha 0.5, beta 0.2, highest at 1.25.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION
