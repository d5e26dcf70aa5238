"""Finds what is wrong with a data set before anything is trained on it: leaks, copies, confounds, imbalance.

The core is `audit(records, read, settings)`; `main(cfg)` is the command.
"""

from addnet.data.audit.command import main
from addnet.data.audit.examine import Audit, Settings, audit
from addnet.data.audit.issues import Issue

__all__ = ["Audit", "Issue", "Settings", "audit", "main"]
