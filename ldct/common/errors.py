"""The one exception type whose message is meant for the person at the keyboard."""


class InputError(ValueError):
    """Bad input from a user: a file, a field, a setting.

    The message is one line: where (file or key), what was found, what was expected, the remedy.
    The command line prints it without a traceback and exits with status 1.
    """
