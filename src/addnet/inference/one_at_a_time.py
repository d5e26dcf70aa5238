"""One pass through a network at a time, whichever threads ask: a network keeps its mask while a pass is under way."""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

from torch import nn

_LOCKS: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_ONE = threading.Lock()


def alone_with(net: nn.Module) -> threading.RLock:
    """The lock of a network, the same for all who ask; whoever holds it may ask for it again.

    Example:
        >>> net = nn.Identity()
        >>> with alone_with(net), alone_with(net):
        ...     print(net("logits"))
        logits
    """
    with _ONE:
        return _LOCKS.setdefault(net, threading.RLock())
