"""A local Functions host: loads `function_app.py` and serves it under func's URLs. See README.md beside this file.

`Host` runs an app in this process (for tests), `python -m local.host` in worker processes.
"""

from local.host.server import Host
from local.host.supervisor import Supervisor, SupervisorOptions

__all__ = ["Host", "Supervisor", "SupervisorOptions"]
