"""What holds for every test: loopback is reached directly, whatever proxy this machine has."""

from __future__ import annotations

import os

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
