"""Numbers of things in words, as every room says them."""


def count(number: int, one: str, many: str = "") -> str:
    """How many there are of something.

    Args:
        number: How many.
        one: The word for one.
        many: That for several; the same with an s, if it isn't given.

    Example:
        >>> count(1, "file"), count(2000, "file"), count(2, "other person", "other people")
        ('1 file', '2,000 files', '2 other people')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
