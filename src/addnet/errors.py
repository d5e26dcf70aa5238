"""The error that is meant for people: commands print its text alone, without a traceback."""


class UserError(ValueError):
    """Something the caller can put right: the message names the value, what was expected and the remedy."""
