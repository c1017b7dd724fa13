"""Lecture 0, setting out: the exercise. Write the function below, then check it:

    python -m course.grade lectures/00_setting_out

Three lines are enough.
"""

import random

import numpy as np
import torch


def set_seed(seed: int) -> None:
    """Start the three global random generators from `seed`, so that a run can be done again:
    Python's, NumPy's, torch's.

    seed: a whole number from 0 to 2**63. Python and torch take it as it is. NumPy's global
    generator only takes numbers below 2**32; it gets the remainder of the division by 2**32.
    Returns nothing, and draws nothing.

    After `set_seed(0)`, `random.random()` gives 0.844422, `np.random.rand()` 0.548814 and
    `torch.rand(1)` 0.496257. After another `set_seed(0)` the same three again.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION
