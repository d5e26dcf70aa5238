"""The colours of all plots: one for real and one for fake, distinguishable with any type of colour vision."""

# Okabe and Ito's palette
BLUE, VERMILION, GREEN, PINK, ORANGE, SKY, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
REAL, FAKE = BLUE, VERMILION
SERIES = (BLACK, PINK, GREEN, SKY, ORANGE)  # for everything other than classes: checkpoints, before and after
UNLABELLED = "#8C8C8C"
TRAIN, VAL = "#555555", GREEN  # splits, in the curves of a training


def rgb(colour: str) -> tuple[int, int, int]:
    """Returns red, green and blue in 0 … 255.

    Example:
        >>> rgb(FAKE)
        (213, 94, 0)
    """
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
