"""Errors that a user can cause, as against faults of the program."""


class InputError(ValueError):
    """Something the user gave is wrong; the message is one sentence that says what, where, and what to do.

    The command line prints the message without a traceback and exits with code 2.
    """
