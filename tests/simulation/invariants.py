"""What must hold at the end of every simulated world, whatever went wrong in it."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.locations import ContainerUrl
from shared.domain.naming import recording_key
from shared.domain.recording import IN_PLACE_STATES, Chunk, ChunkState, Recording
from shared.worker.finder import fallback_name
from tests.simulation.truth import minutes
from tests.simulation.world import Violation, WitnessContainer

if TYPE_CHECKING:
    from tests.simulation.run import Simulation
    from tests.simulation.truth import TrueChunk, TrueRecording

# A chunk that can be had for so long is saved.
REACHABLE = minutes(10)
# A crash costs the lease of its message, which is the host's: as long.
RECOVERY = minutes(10)
# From looking whether ACS exported the chunk to committing a copy of our own: a try's time budget, and slack.
LOOK_TO_COMMIT = minutes(10)
_GIVEN_UP = "delivery_given_up"


def require(condition: object, text: str) -> None:
    """Raises Violation unless `condition` holds."""
    if not condition:
        raise Violation(text)


def check(sim: Simulation) -> None:
    """All invariants."""
    ledger = {key: sim.world.ledger.recording(key) for key in sim.world.sim_ledger.kept}
    known: dict[str, list[tuple[Recording, Chunk]]] = {}
    for recording in ledger.values():
        require(recording.closed_at, f"recording {recording.key} was never closed")
        require(recording.marker is None, f"recording {recording.key} is closed and names a marker")
        for entry in recording.chunks:
            known.setdefault(entry.document_id, []).append((recording, entry))
    for recording in ledger.values():
        if not recording.chunks:
            _reported(sim, recording, "never_heard")
    for true in sim.recordings:
        for chunk in true.chunks:
            _check_entries(sim, true, chunk, known.pop(chunk.document_id, []))
    require(not known, f"the ledger has chunks that never were: {list(known)}")
    _check_containers(sim, ledger)
    for recording in ledger.values():
        _check_manifest(sim, recording)


def _reported(sim: Simulation, recording: Recording, alert: str) -> None:
    told = [name for name, key, _ in sim.world.notifier.alerts if key == recording.key and name == alert]
    require(told, f"{alert} of {recording.key} was never told")
    require(alert in recording.alerts, f"{alert} of {recording.key} was told and is not in the ledger")
    is_exact = not sim.world.crashed_at and not any(t.service == "ledger" for t in sim.world.troubles)
    if is_exact and not sim.world.preempt_rate:
        # What somebody said was mended is told again; a loss stays one.
        most = 1 if alert.startswith("lost_") else 1 + sim.replays[recording.key]
        require(len(told) <= most, f"{alert} of {recording.key} was told {len(told)} times")


def witness(sim: Simulation, recording: Recording) -> WitnessContainer:
    """The recording's destination."""
    container = sim.world.containers.at(ContainerUrl.parse(recording.container_url))
    if not isinstance(container, WitnessContainer):
        raise TypeError("the simulation's containers are witnesses")
    return container


def _fallback(sim: Simulation) -> dict[str, bytes]:
    return {name: blob.data for name, blob in sim.world.fallback.blobs.items()}


def _check_entries(
    sim: Simulation, true: TrueRecording, chunk: TrueChunk, found: list[tuple[Recording, Chunk]]
) -> None:
    """All that the ledger has of one chunk."""
    if not found:
        require(chunk.accepted_at is None, f"an acknowledged event left no trace of chunk {chunk.index}")
    own = recording_key(true.recording_id)
    for recording, entry in found if len(found) > 1 and true.names_recording else ():
        is_taken = recording.key != own and _is_taken(sim, recording, entry)
        require(recording.key == own or is_taken, f"chunk {chunk.index} stands in two documents")
    for recording, entry in found:
        _check_chunk(sim, true, chunk, recording, entry)
        if not _has_adopted(recording):
            _check_deadline(sim, true, chunk, recording, entry)


def _is_taken(sim: Simulation, recording: Recording, entry: Chunk) -> bool:
    """Whether a silent recording took a neighbour's export for its own (`silence.py`): it says so, and what the
    neighbour's rescue brought is no export.
    """
    return _has_adopted(recording) and witness(sim, recording).written[str(entry.blob)][1] == "acs"


def _has_adopted(recording: Recording) -> bool:
    return any(note.startswith("no event came") for note in recording.notes)


# --- one chunk


def _check_chunk(sim: Simulation, true: TrueRecording, chunk: TrueChunk, recording: Recording, entry: Chunk) -> None:
    """The ledger tells the truth of it, its bytes are right, and if it is lost it could not be had."""
    what = f"chunk {chunk.index} of {recording.key[:6]} ({entry.state})"
    require(entry.is_finished or entry.state is ChunkState.IN_FALLBACK, f"{what} is unfinished")
    if entry.state in IN_PLACE_STATES:
        blobs = witness(sim, recording).blobs
        require(entry.blob in blobs, f"{what} is not where the ledger says: {entry.blob}")
        _check_bytes(what, chunk, entry, blobs[str(entry.blob)].data)
        if entry.metadata_state == "saved":
            require(entry.metadata_blob in blobs, f"{what}: its metadata is not where the ledger says")
            require(blobs[str(entry.metadata_blob)].data == chunk.metadata, f"{what}: its metadata is wrong")
        _check_doubles(sim, recording, chunk, entry, what)
        if entry.state is ChunkState.RESCUED:
            _check_lag(sim, true, chunk, entry, what)
    elif entry.state is ChunkState.IN_FALLBACK:
        name = fallback_name(recording, str(entry.blob))
        require(name in _fallback(sim), f"{what} is not in the fallback")
        _check_bytes(what, chunk, entry, _fallback(sim)[name])
        _check_lag(sim, true, chunk, entry, what)
        _reported(sim, recording, _GIVEN_UP)
        destination = [one for one in sim.world.troubles if one.service == "destination"]
        is_mended = sim.is_mended or not any(one.end > sim.chaos_ends for one in destination)
        # The media changed at ACS, and another version stands there: two right answers, and none is written over.
        is_other = len(chunk.versions) > 1
        require(not is_mended or is_other, f"{what} was not delivered, and its container was mended in time")
    else:
        _reported(sim, recording, f"lost_{chunk.index}")
        require(chunk.document_id not in sim.brought, f"{what} was brought by hand, and looked for")
        _check_loss(sim, true, chunk, entry, what)


def _check_bytes(what: str, chunk: TrueChunk, entry: Chunk, data: bytes) -> None:
    require(data in chunk.right_answers, f"{what}: its bytes are wrong")
    require(entry.size == len(data), f"{what}: size {entry.size} in the ledger, {len(data)} in the container")
    if entry.sha256 or entry.state is not ChunkState.EXPORTED:
        require(entry.sha256 == hashlib.sha256(data).hexdigest(), f"{what}: wrong checksum in the ledger")


def _check_doubles(sim: Simulation, recording: Recording, chunk: TrueChunk, entry: Chunk, what: str) -> None:
    """One file, unless ACS came with its own after ours."""
    container = witness(sim, recording)
    copies = [
        name
        for name, blob in container.blobs.items()
        if name.endswith(f".{chunk.form}") and blob.data == container.blobs[str(entry.blob)].data
    ]
    ours = [name for name in copies if container.written[name][1] == "app"]
    require(len(ours) <= 1, f"{what} was written twice: {ours}")
    if ours and chunk.exported_at and len(copies) > 1:
        written = container.written[ours[0]][0]
        require(written < chunk.exported_at + LOOK_TO_COMMIT, f"{what}: a copy beside the export, {ours[0]}")
    require(entry.blob in copies, f"{what}: the ledger names another file")


def _check_lag(sim: Simulation, true: TrueRecording, chunk: TrueChunk, entry: Chunk, what: str) -> None:
    """It was saved the first time that it could be had for long enough."""
    waited = _reachable(sim, true, chunk, until=entry.finished_at) if entry.media_location else timedelta(0)
    require(waited < REACHABLE, f"{what} could be had for {waited} before it was saved")


def _check_loss(sim: Simulation, true: TrueRecording, chunk: TrueChunk, entry: Chunk, what: str) -> None:
    longest = _reachable(sim, true, chunk) if entry.media_location else timedelta(0)
    require(longest < REACHABLE, f"{what} is lost, and could be had for {longest}")
    require(
        not chunk.exported_at
        or chunk.exported_at > (entry.finished_at or chunk.exported_at) - minutes(10)
        or _hidden(sim, chunk, entry),
        f"{what} is lost, and stands in the container since {chunk.exported_at}",
    )


def _check_deadline(sim: Simulation, true: TrueRecording, chunk: TrueChunk, recording: Recording, entry: Chunk) -> None:
    """It is when ACS drops the media, and whoever can do something about it hears of it before."""
    what = f"the deadline of {recording.key[:6]}"
    # A very short call may be over before it is known that it was started here.
    end = max(true.end, recording.created_at) if recording.started_here else true.end
    deadline = end + timedelta(hours=24)
    is_right = abs(recording.deadline - deadline) < timedelta(seconds=1)
    require(is_right, f"{what} is {recording.deadline}, not {deadline}")
    begins = deadline - timedelta(hours=1)
    is_known = chunk.accepted_at is not None and chunk.accepted_at < begins
    if entry.state is not ChunkState.LOST or not is_known:
        return
    worst = [one.end for one in sim.world.troubles if one.service in ("ledger", "queue", "worker")]
    if all(moment < begins for moment in worst + sim.world.crashed_at):
        told = [name for name, key, _ in sim.world.notifier.alerts if key == recording.key]
        require("deadline_1h" in told, f"{what} came without a word: {told}")


def _hidden(sim: Simulation, chunk: TrueChunk, entry: Chunk) -> bool:
    """Whether the destination could not be looked at between the export and the end."""
    return any(
        one.service == "destination"
        and one.start < (entry.finished_at or one.start)
        and one.end > (chunk.exported_at or one.end)
        for one in sim.world.troubles
    )


def _reachable(sim: Simulation, true: TrueRecording, chunk: TrueChunk, *, until: datetime | None = None) -> timedelta:
    """The longest stretch (before `until`) in which the app could have had the chunk and put it somewhere."""
    if chunk.accepted_at is None:
        return timedelta(0)
    troubles = sim.world.troubles
    blocked = [(one.start, one.end) for one in troubles if one.service == "media"]
    late = timedelta(0) if not troubles else RECOVERY
    blocked += [(one.start, _plus(one.end, late)) for one in troubles if one.service in ("ledger", "queue", "worker")]
    blocked += [(moment, moment + RECOVERY) for moment in sim.world.crashed_at]
    blocked += [
        (max(a.start, b.start), min(a.end, b.end))
        for a in troubles
        for b in troubles
        if (a.service, b.service) == ("destination", "fallback")
    ]
    begins = max(chunk.accepted_at, chunk.ready_at, *(since for since, _ in chunk.versions))
    ends = min(true.gone_at, true.end + timedelta(hours=24), until or true.gone_at)
    longest, at = timedelta(0), begins
    for start, end in sorted(span for span in blocked if span[0] < span[1]):
        longest = max(longest, min(start, ends) - at)
        at = max(at, end)
    return max(longest, ends - at)


def _plus(moment: datetime, step: timedelta) -> datetime:
    return moment if moment.year > 9000 else moment + step


# --- containers and manifests


def _check_containers(sim: Simulation, ledger: dict[str, Recording]) -> None:
    """Nothing in them but what belongs there; nothing left in the fallback that is elsewhere."""
    for container in sim.world.containers.places.values():
        allowed = _names(sim, ledger)
        for name, (_, author) in container.written.items() if isinstance(container, WitnessContainer) else ():
            require(author == "acs" or name in allowed, f"a file that does not belong there: {name}")
    kept = {
        fallback_name(recording, str(name))
        for recording in ledger.values()
        for chunk in recording.chunks
        if chunk.state is ChunkState.IN_FALLBACK
        for name in (chunk.blob, chunk.metadata_blob)
    }
    left = sorted(set(_fallback(sim)) - kept)
    require(not left, f"left in the fallback: {left}")


def _names(sim: Simulation, ledger: dict[str, Recording]) -> set[str]:
    names = set()
    for recording in ledger.values():
        for chunk in recording.chunks:
            names |= {str(chunk.blob), str(chunk.metadata_blob)}
        names.add(str(recording.manifest.blob))
        if recording.manifest.state == "given_up":
            # Its worker may have died before noting it, and the container never let anybody look again.
            names |= {f"{str(chunk.blob).rpartition('/')[0]}/manifest.json" for chunk in recording.chunks}
    for true in sim.recordings:
        for one in true.chunks:
            names |= {one.export_name, one.export_metadata_name}
    return names


def _check_manifest(sim: Simulation, recording: Recording) -> None:
    """The manifest says what the ledger says; it is there at the latest when all is mended, and replayed."""
    is_there = recording.manifest.state == "written" or ChunkState.IN_FALLBACK in {
        one.state for one in recording.chunks
    }
    require(is_there or not sim.is_mended or not recording.chunks, f"{recording.key} has no manifest after a replay")
    if not recording.chunks or recording.manifest.state != "written":
        require(not recording.chunks or recording.manifest.state == "given_up", f"{recording.key} has no manifest")
        return
    blob = witness(sim, recording).blobs.get(str(recording.manifest.blob))
    require(blob, f"the manifest of {recording.key} is not where the ledger says")
    told = json.loads(blob.data if blob else b"{}")
    chunks = [(one.index, one.blob, one.size, one.sha256) for one in recording.chunks]
    said = [(one["index"], one.get("blob"), one.get("size"), one.get("sha256")) for one in told["chunks"]]
    require(said == chunks, f"the manifest of {recording.key} tells of other chunks: {said} for {chunks}")
    require(told["state"] == recording.state.value, f"the manifest of {recording.key} says {told['state']}")


def check_told(container: WitnessContainer, data: bytes) -> None:
    """A manifest tells, from its first moment, of chunks that are finished, and of files that stand there."""
    for chunk in json.loads(data)["chunks"]:
        what = f"a manifest tells of chunk {chunk['index']}"
        require(chunk.get("route"), f"{what} before it is finished")
        if chunk["route"] == "lost":
            continue
        blob = container.blobs.get(chunk["blob"])
        require(blob, f"{what}, which is not there")
        require(blob and len(blob.data) == chunk["size"], f"{what} with another size")
        if chunk.get("sha256"):
            require(blob and hashlib.sha256(blob.data).hexdigest() == chunk["sha256"], f"{what} with other bytes")


def check_deletion(sim: Simulation, chunk: TrueChunk) -> None:
    """Deleted at ACS is only what stands in the destination, whole, with all its siblings."""
    true = next(one for one in sim.recordings if chunk in one.chunks)
    blobs = [blob.data for container in sim.world.containers.places.values() for blob in container.blobs.values()]
    require(sim.world.settings.delete_at_acs, "deleted at ACS without being told to")
    for sibling in true.chunks:
        if sibling.event_number == chunk.event_number:
            require(any(data in sibling.right_answers for data in blobs), f"chunk {sibling.index} was deleted unsaved")
