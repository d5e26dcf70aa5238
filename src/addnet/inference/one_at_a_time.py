"""One forward pass of a network at a time, whichever thread asks: a network stores its mask during a pass."""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

from torch import nn

_LOCKS: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_ONE = threading.Lock()


def alone_with(net: nn.Module) -> threading.RLock:
    """Returns the lock of a network, the same for all callers; a thread that holds it may acquire it again.

    Example:
        >>> net = nn.Identity()
        >>> with alone_with(net), alone_with(net):
        ...     print(net("logits"))
        logits
    """
    with _ONE:
        return _LOCKS.setdefault(net, threading.RLock())
