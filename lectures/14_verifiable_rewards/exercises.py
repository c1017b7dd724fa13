r"""Lecture 14, rewards that can be checked: the exercises. Write the functions below, then check
them:

    python -m course.grade lectures/14_verifiable_rewards

The first three write graders, the last one breaks them. All work on plain texts; none needs torch.
A completion should look like `<think>3 boxes of 4 are 12</think> <answer>12</answer>`, but a policy
may write anything whatever: none may ever raise.
"""

import re
from collections.abc import Callable
from fractions import Fraction


def accuracy_reward(completion: str, gold: str) -> float:
    r"""1.0 if the completion's answer is the number `gold`, else 0.0. Never raises, whatever the
    completion.

    1. `<answer>` and `</answer>` must each occur exactly once in the whole completion, in this
       order.
    2. What stands between them, without spaces and newlines around, has at most 100 characters and
       matches as a whole `-?[0-9]+(\.[0-9]+|/[0-9]+)?`: a whole number, a decimal number or a
       fraction. `gold` always does.
    3. Both are compared as exact numbers: 72, 72.0 and 144/2 are equal, 0.333 and 1/3 are not.
       Nothing can be divided by 0.

    "<think>6*12</think><answer> 72.0 </answer>" against "72" gives 1.0;
    "<answer>71</answer><answer>72</answer>" gives 0.0.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def format_reward(completion: str) -> float:
    r"""1.0 if the completion has the form that is asked for, else 0.0. Right or wrong does not
    matter here.

    The form: `<think>`, a thought, `</think>`, `<answer>`, an answer, `</answer>`. Between
    `</think>` and `<answer>`, before the first tag and behind the last there may be spaces and
    newlines, and nothing else. Thought and answer may hold anything, newlines included, but none of
    the four tags, and more than spaces and newlines.

    "<think>\n6*12 = 72\n</think>\n<answer>72</answer>" gives 1.0; "<answer>72</answer>" gives 0.0;
    so does "<think> </think><answer>72</answer>".
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def language_consistency(text: str, lexicons: dict[str, set[str]], target: str) -> float:
    r"""Share of the words that belong to the target language, between 0 and 1.

        (words in the lexicon of `target`) / (words in any of the lexicons)

    Words are `re.findall(r"[^\W\d_]+", text.lower())`: runs of letters of any script, so numbers
    and signs do not count. Words in no lexicon (names, say) count neither above nor below. A word
    in several lexicons, the target's among them, counts for the target. Words count as often as
    they occur. Where no word is known the reward is 0.0: silence is not consistent, and would be
    the easiest way to earn 1.

    With lexicons {"en": {"the", "box"}, "es": {"la", "caja"}} and target "en" the text "The box, la
    caja: the 12 of Ana" has three words of English and two of Spanish: 0.6.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def find_exploit(grader: Callable[[str], float]) -> str | None:
    """A completion that `grader` pays with 1 or more although it is no honest answer; None if you
    find none.

    `grader(completion)` judges completions to a problem that you do not see. Its right answer is a
    whole number from 0 to 9999, which you do not know. The grader is one of the eight in
    `graders.py` in this folder, or a sound one (such as your `accuracy_reward`). Which one, you are
    not told: try.

    - Return a completion only if you have seen it paid; for a sound grader return None.
    - Ask at most 50 times. So trying the ten thousand answers one by one is no way.
    - A grader may raise an exception. That is no reward; go on with the next idea.

    The graders' code is in `graders.py`: read each, ask what it takes for granted, and write a
    completion that breaks it.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION
