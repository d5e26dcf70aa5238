"""Numbers of things in words, in the same form everywhere."""


def count(number: int, one: str, many: str = "") -> str:
    """Formats a number with its noun.

    Args:
        number: The number.
        one: The singular.
        many: The plural; default: the singular with an s.

    Example:
        >>> count(1, "file"), count(2000, "file"), count(2, "other person", "other people")
        ('1 file', '2,000 files', '2 other people')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
