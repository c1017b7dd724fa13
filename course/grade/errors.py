"""What can end a check, kept apart: a verdict, the submission's own failure, and ours."""

from minilrm.errors import UserError


class GraderError(UserError):
    """Something is missing or broken on the grader's side: no grade is given, exit code 2."""


class Rejected(Exception):
    """A check's verdict: what is wrong, in words for the student."""


class StudentError(Exception):
    """What a submission's function did instead of giving back a value.

    `kinds` are the exception's class and its bases by name, `line` the last line of the submission
    it went through.
    """

    def __init__(self, kinds: list[str], text: str, line: int | None = None):
        super().__init__(f"{kinds[0]}: {text}")
        self.kinds, self.text, self.line = kinds, text, line

    def isa(self, kind: type) -> bool:
        """True if the exception was of this class or of one derived from it."""
        return kind.__name__ in self.kinds


class Dead(StudentError):
    """The student's process has ended, or was ended: the next exercise gets a fresh one."""
