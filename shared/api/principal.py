"""Who asks: for timelines and log lines. It decides about no access: the Functions host does that.

`X-MS-CLIENT-PRINCIPAL` is set by App Service's authentication (Entra sign-in), which takes away one that a caller
sends; so it counts only where that is on (`WEBSITE_AUTH_ENABLED`, set by App Service). Without it a holder of the key
could write any name into a timeline. A person is named by the object id in Entra: no name, no address.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# The host's claim with the name of the function key, where the principal has it.
_KEY_ID = "http://schemas.microsoft.com/2017/07/functions/claims/keyid"
_OBJECT_IDS = ("http://schemas.microsoft.com/identity/claims/objectidentifier", "oid")
_APP_IDS = ("azp", "appid")
_NAME = re.compile(r"[\w.-]{1,100}", re.ASCII)
_LONGEST = 16_384
UNNAMED = "api"


def caller(headers: Mapping[str, str]) -> str:
    """`entra:{object id}`, `key:{name}`, or `api` where the host names neither."""
    if os.environ.get("WEBSITE_AUTH_ENABLED", "").lower() not in ("true", "1"):
        return UNNAMED
    claims = _claims(headers.get("x-ms-client-principal") or "")
    for prefix, kinds in (("entra", _OBJECT_IDS), ("entra", _APP_IDS), ("key", (_KEY_ID,))):
        for kind in kinds:
            value = claims.get(kind, "")
            if _NAME.fullmatch(value):
                return f"{prefix}:{value}"
    identity = headers.get("x-ms-client-principal-id") or ""
    return f"entra:{identity}" if _NAME.fullmatch(identity) else UNNAMED


def _claims(header: str) -> dict[str, str]:
    """The principal's claims by type; none where it cannot be read."""
    if not header or len(header) > _LONGEST:
        return {}
    try:
        principal: Any = json.loads(base64.b64decode(header, validate=True))
        listed = principal["claims"]
        return {str(claim["typ"]): str(claim["val"]) for claim in reversed(listed)}
    except (binascii.Error, ValueError, RecursionError, KeyError, TypeError):
        return {}
