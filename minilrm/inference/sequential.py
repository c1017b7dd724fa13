"""One chain, made longer: the model goes on where it would have stopped.

    retry            an attempt that the model itself rejects is followed by another one
    budget_forcing   the end of thinking is replaced by "wait" until `least` tokens are written,
                     and forced with an answer at `most`                       (s1, 2501.19393)

For tasks whose completions are traces (`tasks/traces.py`): they have attempts, a check, and a word
that announces another attempt.
"""

from minilrm.errors import UserError
from minilrm.inference.requests import Method, Piece, Run
from minilrm.tasks.traces import AGAIN, TracedTask


def retry(run: Run, temperature: float = 1.0) -> Method:
    """Behind each attempt that the model rejects, "wait, " is put in, until it accepts one."""
    task = traced(run)
    again = run.encode(AGAIN.lstrip("\n"))
    ids: tuple[int, ...] = ()
    pieces: list[Piece] = []
    while run.left > 0:
        pieces += yield run.step(ids, temperature=temperature)
        piece = pieces[-1]
        if piece.finish != "step":
            break
        ids = piece.ids
        if task.gives_up(piece.text):
            ids += again
    last = pieces[-1] if pieces and pieces[-1].ended else None
    return run.answer(last, pieces)


def budget_forcing(
    run: Run, least: int = 0, most: int | None = None, temperature: float = 1.0
) -> Method:
    """Thinking of at least `least` and at most `most` tokens, whatever the model itself would do.

    An answer that begins too soon is thrown away (and was paid for), and "wait, " put in its place;
    at `most` the answer's mark is put in. Without `most`: three quarters of the budget, so that the
    answer itself can be paid.
    """
    task = traced(run)
    again, mark = run.encode(AGAIN.lstrip("\n")), run.encode(task.mark)
    most = run.budget * 3 // 4 if most is None else most
    ids: tuple[int, ...] = ()
    pieces: list[Piece] = []
    while run.left > 0:
        answering = run.tokens >= most
        pieces += yield run.step(ids + mark if answering else ids, temperature=temperature)
        piece = pieces[-1]
        if piece.ended and run.tokens < least and not answering:
            ids += again
        elif piece.finish != "step":
            break
        else:
            ids = piece.ids
    last = pieces[-1] if pieces and pieces[-1].ended else None
    return run.answer(last, pieces)


def traced(run: Run) -> TracedTask:
    """UserError for a task that has no attempts."""
    if not isinstance(run.task, TracedTask):
        raise UserError(
            f"the task {run.task.name} has no attempts that could be followed by another"
        )
    return run.task
