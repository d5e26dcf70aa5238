"""Where attention masks may act in Xception, and the named choices of places."""

from collections.abc import Iterable

from addnet.errors import UserError, require_choice

SITES = ("input", "stem", "block1", "block2", "block3", "middle", "block12")
PLACEMENTS: dict[str, tuple[str, ...]] = {
    "full": ("block1", "block2", "block3", "middle", "block12"),
    "paper": ("input", "stem", "block1", "block2", "block3"),
    "none": (),
}


def resolve_placement(placement: str | Iterable[str]) -> tuple[str, ...]:
    """Returns the sites of a preset, of one site's name or of a list of sites, in the order of `SITES`.

    Raises:
        UserError: A name is unknown or given twice.
    """
    if isinstance(placement, str):
        require_choice("placement", placement, [*PLACEMENTS, *SITES])
        return PLACEMENTS.get(placement, (placement,))
    if not isinstance(placement, Iterable):
        raise UserError(f"placement={placement!r} is no placement; use {', '.join(PLACEMENTS)} or a list.")
    sites = [require_choice("placement", site, SITES) for site in placement]
    if len(set(sites)) < len(sites):
        raise UserError(f"placement={sites} names a site twice; use each of {', '.join(SITES)} at most once.")
    return tuple(site for site in SITES if site in sites)
