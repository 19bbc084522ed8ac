"""The Runtime: settings in, supervision tree out.

    runtime   (one_for_one)
    ├── services  (one_for_one)
    │   ├── telemetry
    │   ├── cache
    │   ├── quarantine
    │   └── clients  (dynamic)
    │       └── <endpoint>  (rest_for_one)   limits, session
    └── work  (one_for_one)
        └── tasks                            fan-out of evaluations

A service is reached through a ref, and whoever uses it waits out its restart or does without: a
crash of a service never ends work. `Tree` starts and stops them, `Clients` makes what calls a
provider, and `Runtime` is the face of both.
"""

from __future__ import annotations

from dspex.runtime.clients import Clients
from dspex.runtime.runtime import Runtime
from dspex.runtime.statistics import RuntimeStatistics
from dspex.runtime.tree import Tree

__all__ = ("Clients", "Runtime", "RuntimeStatistics", "Tree")
