"""Which modules and parameters of a backbone belong to which of its stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from addnet.models.stages import Stage

TAIL = "tail"


def parts_of(
    backbone: nn.Module, stages: Sequence[Stage]
) -> Iterator[tuple[str, tuple[nn.Module, ...], tuple[nn.Parameter, ...]]]:
    """Yields name, modules and parameters of each stage; parameters after the last one form a stage `tail`.

    A stage comprises everything registered after the end of the previous stage, up to its own end, since networks
    register modules in the order in which they run. The network's own parameters (class tokens, positions) belong to
    the first stage.

    Args:
        backbone: The network that has these stages.
        stages: The stages in the order in which they run.
    """
    order = {id(module): place for place, module in enumerate(backbone.modules())}  # module → place of registration
    modules = dict(backbone.named_modules())
    ends: list[int] = []  # place of the last module of each stage
    for stage in stages:
        last = max((order[id(part)] for part in modules[stage.module].modules()), default=0) if stage.module else -1
        ends.append(max([last, *ends]))
    names = [stage.name for stage in stages]
    if any(True for _ in _parameters(backbone, order, range(ends[-1] + 1, len(order)))):
        names, ends = [*names, TAIL], [*ends, len(order)]
    first = next(number for number, end in enumerate(ends) if end >= 0)
    starts = [-1, *ends[:-1]]
    for number, name in enumerate(names):
        span = range(0 if number == first else starts[number] + 1, ends[number] + 1)
        yield name, tuple(_whole(backbone, order, span)), tuple(_parameters(backbone, order, span))


def _whole(module: nn.Module, order: dict[int, int], span: range) -> Iterator[nn.Module]:
    """The largest modules that lie completely within a span of places, in order."""
    places = [order[id(part)] for part in module.modules()]
    if places[0] in span and places[-1] in span and order[id(module)] != 0:
        yield module
    elif places[-1] >= span.start and places[0] < span.stop:
        for child in module.children():
            yield from _whole(child, order, span)


def _parameters(backbone: nn.Module, order: dict[int, int], span: range) -> Iterator[nn.Parameter]:
    for module in backbone.modules():
        if order[id(module)] in span:
            yield from module.parameters(recurse=False)
