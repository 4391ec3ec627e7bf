"""The one exception type whose message is meant for the person at the keyboard."""

import errno

LONGEST = 2000
FULL = "; make room on its disk and run again: what is finished is kept"
CLOSED = "; get the rights for it, or run in another folder"
REMEDIES = {errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EACCES: CLOSED, errno.EROFS: CLOSED}


class InputError(ValueError):
    """Bad input from a user: a file, a field, a setting.

    The message is one line: where (file or key), what was found, what was expected, the remedy.
    The command line prints it without a traceback and exits with status 1. What was found may hold
    anything: line breaks and control characters are written out, the middle of a long message is
    left out.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(in_one_line(str(message)))


def in_one_line(text: str) -> str:
    """A text that a terminal can show in one line.

    >>> in_one_line("a\\nb")
    'a\\\\nb'
    """
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 4 :]}"
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def problem_of(error: InputError | OSError) -> str:
    """What is wrong with an input, in one line."""
    if isinstance(error, OSError) and error.filename is not None:
        remedy = REMEDIES.get(error.errno, "")
        return in_one_line(f"{error.filename}: {error.strerror}{remedy}")
    return in_one_line(str(error))
