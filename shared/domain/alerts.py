"""Every alert that the app can raise: what it means, what to look at, what to mend. docs/operations.md is made of it.

An alert is named by what happened, or by the code of the failure (`errors.py`) that a person has to mend or that has
lasted for a quarter of an hour. `tests/unit/domain/test_alerts.py` holds the table to the code.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Alert:
    """`level`: error (severity 3) or warning (2); a failure that lasts is an error."""

    name: str
    level: str
    means: str
    look: str
    mend: str


_LAST_ERROR = "the recording: `lastError` and its timeline"
_TRACE = "the recording: the trace id of its errors, for Microsoft's support"
_REPLAY = "then replay: all of them at once, by cause"
_BY_ITSELF = "nothing: attempts go on by themselves while the window lasts; where it lasts, ask Microsoft's support"
_FALLBACK = "The bytes are safe in the fallback and are delivered when it works again."


def _error(name: str, means: str, look: str, mend: str) -> Alert:
    return Alert(name, "error", means, look, mend)


def _warning(name: str, means: str, look: str, mend: str) -> Alert:
    return Alert(name, "warning", means, look, mend)


_OUTCOMES = (
    _error(
        "deadline",
        "A chunk is not safe, and the earliest plausible end of ACS's 24 hours is near (`code`: which of"
        " `ALERT_HOURS_LEFT`).",
        f"{_LAST_ERROR}; `hoursLeft`",
        f"what `lastError` names, {_REPLAY}",
    ),
    _error(
        "lost",
        "The window closed before the chunk was safe.",
        "the recording's timeline: why every attempt failed",
        "ask Microsoft's support with the trace id at once; put a file that is found into the call's folder under its"
        " own name (`{index}-audiomp3.{documentId}.mp3`), and replay",
    ),
    _error(
        "unconfirmed",
        "The window closed, and no source ever confirmed that there is such a chunk.",
        "the call: was it recorded to its end? the event in the timeline",
        "nothing, for an invented chunk; else as for a lost one",
    ),
    _error(
        "damaged",
        "A file that was in place is gone, or has other bytes (`code`: missing or differs).",
        "the recording: `check` has what was expected and what was found; the container's own logs say who changed it",
        "restore the file (soft delete, a version) and verify again; or replay, which fetches it while ACS has it",
    ),
    _error(
        "unproven",
        "Bytes were kept of which nothing shows that they are all (proof `none`).",
        "listen to the file; compare its length with the call's",
        "ask Microsoft's support inside the 24 hours where something is missing",
    ),
    _error(
        "event_overdue",
        "A recording was started here and has ended, and no event about it came.",
        "the event subscription: does it deliver? its container, for that day",
        "mend the subscription; send again what lies in its dead-letter container",
    ),
    _error(
        "no_event",
        "The same, a day after ACS's window: the recording is closed as `no_event`.",
        "the destination: a file of that day and call may be there",
        "as for `event_overdue`; an event that comes later opens the recording again",
    ),
    _error(
        "delivery_given_up",
        "`DELIVERY_DAYS` have passed since the window closed and the destination still refuses. The bytes stay in the"
        " fallback.",
        _LAST_ERROR,
        f"the destination, {_REPLAY}",
    ),
    _warning(
        "metadata_lost",
        "The media is safe; its `acsmetadata` file could not be had.",
        _LAST_ERROR,
        "nothing: nothing of the call itself is missing",
    ),
    _warning(
        "metadata_missing",
        "A verification found that the `acsmetadata` file is gone; the media is as it was.",
        "the container's own logs: who removed it?",
        "restore it and verify again; or replay, which fetches it while ACS has it",
    ),
    _warning(
        "manifest_given_up",
        "The media is in place; its manifest could not be written for `DELIVERY_DAYS`.",
        _LAST_ERROR,
        f"the container, {_REPLAY}",
    ),
    _warning(
        "fallback_not_cleaned",
        "A copy that was delivered could not be removed from the fallback.",
        "the fallback container: an immutability policy, a lease, the role",
        "remove the copy by hand: the recording names it",
    ),
    _error(
        "worker_crashing",
        "A chunk took its worker down three times; attempts go on at the longest delay.",
        "memory of the instances, and log lines before the crash",
        "lower `RESCUE_MEMORY_MIB`, or give the instances more memory",
    ),
    _error(
        "ledger_unreadable",
        "A document of the ledger could not be read; it was moved to `quarantine/`.",
        "the document: was it edited by hand?",
        "put it right and back under `open/`, or let the next event about the recording make a new one",
    ),
    _error(
        "location_of_another_document",
        "An event names another document's media for a chunk; it was not fetched, for it may be a stranger's call.",
        "the event, in the recording's timeline: is it forged, or a fault of ACS?",
        "keep the event; ask Microsoft's support if it came from ACS",
    ),
    _error(
        "location_foreign",
        "An event names a host that is not ACS's; it is never asked.",
        "the event: is it forged?",
        "nothing, for a forged one; if the host is ACS's, report a bug",
    ),
    _error(
        "location_other_blob",
        "An event names a container that is not on the allow-list.",
        "the event: does that container belong to this app's recordings?",
        f"add it to `RECORDING_CONTAINERS_ALLOWED`, {_REPLAY}",
    ),
    _warning(
        "export_not_found",
        "ACS says it exported a chunk, and the file is not there.",
        _LAST_ERROR,
        "nothing: it is fetched from ACS instead",
    ),
    _warning(
        "export_empty",
        "ACS says it exported a chunk, and the file has no bytes.",
        _LAST_ERROR,
        "nothing: it is fetched from ACS instead, beside it",
    ),
    _warning(
        "export_broken",
        "A file is where ACS exported a chunk, and it is not whole media.",
        "the file: does it play to its end?",
        "nothing: ACS's own copy is fetched beside it while there is time",
    ),
    _error(
        "fallback_missing",
        "A person, or a lifecycle rule, removed a chunk's bytes from the fallback before they were delivered.",
        "who or what deletes in the fallback container",
        "take that rule away; the app fetches the chunk again while ACS has it",
    ),
    _error(
        "destination_conflict",
        "Another file is where the recording belongs; it is kept. The recording is safe in the fallback.",
        "both files: the timeline names them",
        f"move the other file away, {_REPLAY}",
    ),
)

_DESTINATION = (
    _error(
        "container_missing",
        f"The destination's container does not exist, or is being deleted. {_FALLBACK}",
        "the container's name in the recording, and the account",
        f"create or restore the container, {_REPLAY}",
    ),
    _error(
        "storage_access_denied",
        f"The destination does not let this app write. {_FALLBACK}",
        "the roles of the app's identity on the container; `/api/doctor`",
        f"give it Storage Blob Data Contributor, {_REPLAY}",
    ),
    _error(
        "storage_network_denied",
        f"The firewall of the destination's account does not let this app in. {_FALLBACK}",
        "the account's networking: allowed networks, private endpoints, name resolution",
        f"let the app's network in, {_REPLAY}",
    ),
    _error(
        "storage_immutable",
        f"An immutability policy or a lease forbids the change. {_FALLBACK}",
        "the container's policies and leases",
        f"allow new blobs under the policy, or break the lease, {_REPLAY}",
    ),
    _error(
        "storage_full",
        f"The account or the blob has reached a limit. {_FALLBACK}",
        "the account's capacity and limits",
        f"make room or raise the limit, {_REPLAY}",
    ),
    _error(
        "storage_invalid",
        f"Storage does not accept the request as it is. {_FALLBACK}",
        _LAST_ERROR,
        f"what the error names (a name that is too long, a kind of account), {_REPLAY}",
    ),
    _error(
        "storage_refused",
        f"Storage refuses until a person mends something. {_FALLBACK}",
        _LAST_ERROR,
        f"what the error names, {_REPLAY}",
    ),
    _error(
        "container_not_allowed",
        "The recording belongs into a container that is no longer on the allow-list. The bytes are in the fallback.",
        "`RECORDING_CONTAINERS_ALLOWED`",
        f"put the container back, {_REPLAY}",
    ),
)

# These are alerts only where they last for a quarter of an hour.
_LASTING = (
    _error("storage_throttled", "Storage asks to slow down.", "the account's metrics", _BY_ITSELF),
    _error(
        "storage_unavailable",
        "Storage fails or cannot be reached.",
        "Azure's status; name resolution and routes of a private network",
        _BY_ITSELF,
    ),
    _error(
        "storage_corrupted",
        "What storage holds, or received, is not what was sent (checksum or size).",
        _LAST_ERROR,
        "a proxy on the way; else ask Microsoft's support",
    ),
    _error("storage_error", "Storage failed in a way that has no name here.", _LAST_ERROR, _BY_ITSELF),
    _error("blob_archived", "A file is in the archive tier.", "the container's lifecycle rules", "rehydrate the file"),
    _error(
        "digest_late",
        "A file is too large to be read back in one invocation.",
        _LAST_ERROR,
        "nothing: its digest stays unavailable",
    ),
    _error("blob_missing", "A file is gone that was there.", "who deletes in the container", "restore it, then replay"),
    _error("blob_exists", "Another file has the name.", "both files", "move the other file away, then replay"),
    _error(
        "precondition_failed",
        "A file is changed while it is read or copied.",
        "what else writes into the container",
        "replay",
    ),
    _error(
        "blocks_missing",
        "Staged blocks are gone before their commit.",
        "what else writes to the same names",
        _BY_ITSELF,
    ),
    _error(
        "media_unauthorized",
        "ACS refuses this app's key or identity.",
        "`ACS_MEDIA_AUTH`; the key in use; the identity's role on ACS",
        f"the key or the role, inside the 24 hours, {_REPLAY}",
    ),
    _error(
        "media_location_refused",
        "The media's address is not one of ACS's hosts, or there is none.",
        "the event's locations in the recording",
        "if the host is ACS's, report a bug; else ask Microsoft's support",
    ),
    _error(
        "media_not_found", "ACS answers that it does not have the media: not yet, or no longer.", _TRACE, _BY_ITSELF
    ),
    _error("media_bad_request", "ACS answers 400 or another 4xx.", _TRACE, _BY_ITSELF),
    _error("media_throttled", "ACS asks to slow down.", "how many recordings are unfinished", _BY_ITSELF),
    _error(
        "media_unavailable",
        "ACS's media host fails, cannot be reached, or breaks off.",
        f"Azure's status; {_TRACE}",
        _BY_ITSELF,
    ),
    _error(
        "media_redirected",
        "ACS sends the app to a host that is not one of ACS's, nowhere, or on and on.",
        _TRACE,
        _BY_ITSELF,
    ),
    _error("media_distrusted", "Bytes come, and they are not the recording.", _TRACE, _BY_ITSELF),
    _error("media_empty", "ACS answers with no bytes.", _TRACE, _BY_ITSELF),
    _error("media_truncated", "Fewer bytes come than were announced.", _TRACE, _BY_ITSELF),
    _error("media_too_long", "More bytes come than were asked for.", _TRACE, _BY_ITSELF),
    _error(
        "media_is_a_page", "An HTML or JSON page comes in place of media.", f"a proxy on the way; {_TRACE}", _BY_ITSELF
    ),
    _error(
        "media_undelimited", "The body ends with its connection: nothing shows whether it is whole.", _TRACE, _BY_ITSELF
    ),
    _error("media_wrong_range", "Another range comes than was asked for.", f"a proxy on the way; {_TRACE}", _BY_ITSELF),
    _error("media_changed", "The media's length or ETag changes while it is read.", _TRACE, _BY_ITSELF),
    _error(
        "media_too_large",
        "The media is larger than a blob of this block size can be.",
        "its size in the error",
        "raise `RESCUE_BLOCK_MIB`, then replay",
    ),
    _error("media_error", "ACS's media host failed in a way that has no name here.", _TRACE, _BY_ITSELF),
    _error(
        "unexpected",
        "A step meets a bug, of the app's or of a library's.",
        "the log line `work.unexpected`: what and where",
        "report it, with the line; attempts go on",
    ),
    _error(
        "worker_crashed",
        "Workers of a chunk end before they can say how it went.",
        "memory of the instances; deployments and restarts at that time",
        "as for `worker_crashing`",
    ),
)

ALERTS = {alert.name: alert for alert in (*_OUTCOMES, *_DESTINATION, *_LASTING)}
