"""The identifiers of the service, in the forms seen in the field, drawn from the emulator's seed."""

from __future__ import annotations

import base64
import json
import random
import threading
import uuid


class IdMaker:
    """Makes ids; the same seed gives the same row of them. Safe for threads."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._lock = threading.Lock()

    def guid(self) -> str:
        """A random-looking UUID, version 4."""
        with self._lock:
            return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def server_call_id(self) -> str:
        """base64url of a conversation's URL."""
        url = f"https://conv-eus-01.conv.skype.com/conv/{self.guid()}?i=10-60-{self._number()}&e=638"
        return base64.urlsafe_b64encode(url.encode()).decode()

    def recording_id(self) -> str:
        """base64 of a JSON object of two GUIDs, so every one starts `eyJQbGF0`."""
        parts = {"PlatformEndpointId": self.guid(), "ResourceSpecificId": self.guid()}
        return base64.b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode()

    def document_id(self) -> str:
        """Like `0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8`."""
        with self._lock:
            return f"0-eus-d{self._rng.randint(1, 20)}-{self._rng.getrandbits(128):032x}"

    def _number(self) -> int:
        with self._lock:
            return self._rng.randrange(10**15)
