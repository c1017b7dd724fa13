"""One chain: the model's own answer, asked for in different ways.

`direct` asks and takes what comes (a base model mostly blurts its answer out: System 1).
`step_by_step` begins the answer with "Let's think step by step." (System 2). `few_shot` shows
solved problems first. `plan_verify` begins the answer with a plan, and lets the model work it out
and check it; either part can be left out, which shows what it is worth. All answer once, whatever
the budget, unless it ends earlier.
"""

from minilrm.errors import UserError
from minilrm.inference.requests import Method, Run


def direct(run: Run) -> Method:
    """One greedy answer to the plain prompt."""
    pieces = yield run.chain(temperature=0.0)
    return run.answer(pieces[0], pieces)


def step_by_step(run: Run) -> Method:
    """One greedy answer that is made to think."""
    pieces = yield run.chain(temperature=0.0, style="cot")
    return run.answer(pieces[0], pieces)


def few_shot(run: Run) -> Method:
    """One greedy answer behind a few solved problems."""
    pieces = yield run.chain(temperature=0.0, style="few_shot")
    return run.answer(pieces[0], pieces)


def sample(run: Run) -> Method:
    """One sampled answer: what best-of-1 and a vote of one are."""
    pieces = yield run.chain()
    return run.answer(pieces[0], pieces)


def plan_verify(run: Run, plan: bool = True, check: bool = True) -> Method:
    """Plan, work it out, check: one greedy answer in three parts.

    Without `plan` the answer begins with the first step. Without `check` the line in which the
    check begins is taken away, and the answer has to follow; that line was written, so it is paid
    for. UserError for a task whose solutions have no plan.
    """
    marks = run.task.plan_marks(run.problem)
    if marks is None:
        raise UserError(f"solutions of the task {run.task.name} have no plan and no check")
    ids, pieces = run.encode(marks.plan if plan else marks.first), []
    while run.left > 0:
        pieces += yield run.step(ids, temperature=0.0)
        piece = pieces[-1]
        if not check and run.decode(piece.ids[len(ids) :]).lstrip().startswith(marks.check):
            ids, check = ids + run.encode(run.task.mark), True
        elif piece.finish == "step":
            ids = piece.ids
        else:
            break
    last = pieces[-1] if pieces and pieces[-1].ended else None
    return run.answer(last, pieces)
