"""The submission's side of the grader: the process in which a student's functions run.

`__main__.py` is that process, `forkserver.py` makes many of it cheaply, `functions.py` calls the
submission's functions when a message asks for it, `wire.py` turns values into messages and back,
and `fence.py`, `kernel.py` and `limits.py` say what a submission may do. Nothing here knows a
check, a verdict or a solution: the grader's side (`course/grade/`) imports this one, never the
reverse.
"""
