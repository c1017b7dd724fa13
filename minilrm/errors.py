"""The one exception that means: the user can mend this."""


class UserError(Exception):
    """An error the user can cause and mend: one clear line that says what to do; commands exit with
    code 2.

    >>> raise UserError("no task is called 'countdwn'; did you mean countdown?")
    Traceback (most recent call last):
    minilrm.errors.UserError: no task is called 'countdwn'; did you mean countdown?
    """
