"""A local Functions host: loads `function_app.py` by its bindings and serves it under func's URLs.

`Host` runs an app in this process (tests); `python -m local.host` runs it in processes of its own.
"""

from local.host.server import Host
from local.host.supervisor import Supervisor, SupervisorOptions

__all__ = ["Host", "Supervisor", "SupervisorOptions"]
