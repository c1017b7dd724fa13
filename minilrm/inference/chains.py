"""One chain: the model's own answer, asked for in different ways.

`direct` asks and takes what comes (a base model mostly blurts its answer out: System 1).
`step_by_step` begins the answer with "Let's think step by step." (System 2). Both answer once,
whatever the budget, unless it ends earlier.
"""

from minilrm.inference.requests import Method, Run


def direct(run: Run) -> Method:
    """One greedy answer to the plain prompt."""
    pieces = yield run.chain(temperature=0.0)
    return run.answer(pieces[0], pieces)


def step_by_step(run: Run) -> Method:
    """One greedy answer that is made to think."""
    pieces = yield run.chain(temperature=0.0, style="cot")
    return run.answer(pieces[0], pieces)


def sample(run: Run) -> Method:
    """One sampled answer: what best-of-1 and a vote of one are."""
    pieces = yield run.chain()
    return run.answer(pieces[0], pieces)
