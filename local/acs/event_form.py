"""The forms in which the recording event is published, where the documentation leaves them open.

The event has few required fields, the documentation contradicts itself on others, and no public example of an
export into a customer's container exists. `FULL` states everything; `SPARSE` states what the documentation
requires and nothing else. Every other form seen in the field is an `EventForm` of its own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

# The names that `omit` and `state` take: fields of the envelope, of `data`, and of each chunk.
ENVELOPE_FIELDS = ("id", "topic", "subject", "data", "eventType", "dataVersion", "metadataVersion", "eventTime")
DATA_FIELDS = (
    "recordingStorageInfo",
    "recordingStartTime",
    "recordingDurationMs",
    "recordingContentType",
    "recordingChannelType",
    "recordingFormatType",
    "sessionEndReason",
    "storageType",
    "recordingId",
)
CHUNK_FIELDS = ("documentId", "index", "endReason", "contentLocation", "metadataLocation", "deleteLocation")
_KNOWN = {*ENVELOPE_FIELDS, *DATA_FIELDS, *CHUNK_FIELDS}
_CHOICES = {
    "id_spelling": ("plain", "escaped", "unpadded"),
    "event_type_case": ("documented", "lower", "upper"),
    "delete_location": ("short", "documented"),
    "content_location": ("actual", "missing-blob"),
}


@dataclass(frozen=True)
class EventForm:
    """One form of the event. ValueError: an unknown field or choice.

    - `subject`: a template of `{callId}`, `{serverCallId}` and `{recordingId}`.
    - `omit`: fields that are left out, of the envelope, of `data` and of every chunk.
    - `state`: fields that state another value than the true one; `None` is JSON's null. In texts, `{documentId}`
      and `{index}` are the chunk's.
    - `id_spelling`: recordingId and serverCallId, in subject and data: `plain` base64; `escaped`: `%3D` for `=`;
      `unpadded`: without `=`.
    - `event_type_case`: `documented`, `lower` or `upper`.
    - `data_as_text`: `data` is a string that holds the JSON.
    - `storage_type_exported`, `storage_type_failed`: `data.storageType`.
    - `delete_location`: `short` is `…/objects/{documentId}`, `documented` has `/content/deletedata` behind it.
    - `delete_location_exported`: whether chunks in the customer's container have one, too.
    - `content_location`: `missing-blob` names the blob that the export would have made, whatever it made.
    - `with_port`: https URLs name their port, 443.
    - `invented_chunks`: so many further chunks that no media store has.
    """

    subject: str = "/recording/call/{callId}/serverCallId/{serverCallId}/recordingId/{recordingId}"
    omit: frozenset[str] = frozenset()
    state: tuple[tuple[str, Any], ...] = ()
    id_spelling: str = "plain"
    event_type_case: str = "documented"
    data_as_text: bool = False
    storage_type_exported: str | None = "AzureBlob"
    storage_type_failed: str | None = "acsstorage"
    delete_location: str = "short"
    delete_location_exported: bool = False
    content_location: str = "actual"
    with_port: bool = False
    invented_chunks: int = 0

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}")
        for name in (*sorted(self.omit), *(name for name, _ in self.state)):
            if name not in _KNOWN:
                raise ValueError(f"the event has no field {name}")
        try:
            self.subject.format(callId="", serverCallId="", recordingId="")
        except (KeyError, IndexError) as error:
            raise ValueError("subject takes {callId}, {serverCallId} and {recordingId}") from error

    def spelled(self, identity: str) -> str:
        """An id of base64 in this form's spelling."""
        if self.id_spelling == "escaped":
            return quote(identity, safe="")
        return identity.rstrip("=") if self.id_spelling == "unpadded" else identity

    def typed(self, event_type: str) -> str:
        """The event type in this form's case."""
        cases = {"lower": event_type.lower(), "upper": event_type.upper()}
        return cases.get(self.event_type_case, event_type)

    def located(self, url: str) -> str:
        """A URL, with its port where this form names it."""
        parts = urlsplit(url)
        if not self.with_port or parts.scheme != "https" or parts.port is not None:
            return url
        return urlunsplit(parts._replace(netloc=f"{parts.netloc}:443"))

    def applied(self, value: dict[str, Any], known: tuple[str, ...], **placeholders: Any) -> dict[str, Any]:
        """`value` with the fields among `known` left out or stated otherwise."""
        stated = {name: _filled(item, placeholders) for name, item in self.state if name in known}
        return {name: item for name, item in (value | stated).items() if name not in self.omit}


def _filled(item: Any, placeholders: Mapping[str, Any]) -> Any:
    if isinstance(item, str):
        for name, text in placeholders.items():
            item = item.replace(f"{{{name}}}", str(text))
    return item


FULL = EventForm()
SPARSE = EventForm(
    subject="/recording/call/{callId}/serverCallId/{serverCallId}",
    omit=frozenset(
        {"recordingId", "recordingContentType", "recordingChannelType", "recordingFormatType", "storageType"}
    ),
    delete_location="documented",
)
NAMED_FORMS = {"full": FULL, "sparse": SPARSE}
# What an emulator publishes unless its configuration, or a request to the control plane, says otherwise.
DEFAULT_FORM = SPARSE

_CAMEL = {
    one.name: "".join((head, *map(str.capitalize, rest)))
    for one in fields(EventForm)
    for head, *rest in [one.name.split("_")]
}
_SNAKE = {camel: snake for snake, camel in _CAMEL.items()}


def form_json(form: EventForm) -> dict[str, Any]:
    """A form as a JSON value, in camelCase."""
    value = {_CAMEL[name]: item for name, item in asdict(form).items()}
    return value | {"omit": sorted(form.omit), "state": dict(form.state)}


def form_from_json(value: Any, *, base: EventForm) -> EventForm:
    """The form in a JSON value: a name, or an object of changes to `base` (or to the form it names as `base`).

    ValueError, TypeError: not a form.
    """
    if isinstance(value, str):
        if value not in NAMED_FORMS:
            raise ValueError(f"an event form is an object or one of {', '.join(NAMED_FORMS)}")
        return NAMED_FORMS[value]
    if not isinstance(value, dict):
        raise TypeError("an event form is an object or a name")
    changes = dict(value)
    if "base" in changes:
        base = form_from_json(str(changes.pop("base")), base=base)
    known: dict[str, Any] = {}
    for camel, item in changes.items():
        if camel not in _SNAKE:
            raise ValueError(f"an event form has no {camel}")
        known[_SNAKE[camel]] = item
    if "omit" in known:
        known["omit"] = frozenset(str(name) for name in known["omit"])
    if "state" in known:
        known["state"] = tuple(dict(known["state"]).items())
    if "invented_chunks" in known:
        known["invented_chunks"] = int(known["invented_chunks"])
    return replace(base, **known)
