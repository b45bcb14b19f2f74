"""Lets a Cowrie fetch from this machine, where the tests have their servers.

Cowrie refuses every address that is not public, and tests must not reach for one that is. Python
imports this at its start if the folder is in PYTHONPATH.
"""

from __future__ import annotations

from cowrie.core import network

network.BLOCKED_IPS.clear()
if hasattr(network, "_is_blocked"):  # 3.1 on
    network._is_blocked = lambda _: False
