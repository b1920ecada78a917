"""The state of the emulated resource and the rules of its operations. No HTTP, no waiting.

A recording: active ⇄ paused → ended (stop, or the end of its call); then its chunks are made by its plan.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from local.acs import errors
from local.acs.errors import RestError
from local.acs.formats import bytes_per_second
from local.acs.ids import IdMaker
from local.acs.media import Media
from local.acs.model import Call, Chunk, ChunkPlan, EndPlan, Recording

if TYPE_CHECKING:
    from local.acs.config import AcsConfig
    from local.acs.request import StartRequest
    from local.clock import Clock

_CALL_STATES = ("connecting", "established", "terminated")


@dataclass(frozen=True)
class _Repeat:
    body: bytes
    recording_id: str


class Resource:
    """One ACS resource: its calls and recordings. Safe for threads."""

    def __init__(self, config: AcsConfig, *, clock: Clock) -> None:
        self.config, self.clock = config, clock
        self.lock = threading.RLock()
        self.ids = IdMaker(config.seed)
        self._calls: OrderedDict[str, Call] = OrderedDict()
        self._recordings: OrderedDict[str, Recording] = OrderedDict()
        self._documents: dict[str, tuple[Recording, Chunk]] = {}
        self._repeats: dict[str, _Repeat] = {}
        # (field, value) of a locator → call; the newest call with a name is the one that is found by it.
        self._located: dict[tuple[str, str], Call] = {}
        self._running: dict[str, Recording] = {}

    # Calls ------------------------------------------------------------------------------------------------

    def create_call(
        self,
        *,
        server_call_id: str | None = None,
        group_call_id: str | None = None,
        room_id: str | None = None,
        call_connection_id: str | None = None,
        participants: tuple[str, ...] | None = None,
        state: str = "established",
        plan: EndPlan | None = None,
    ) -> Call:
        """A call between `participants` (raw ids; default two made-up ones)."""
        if state not in _CALL_STATES:
            raise ValueError(f"state must be one of {', '.join(_CALL_STATES)}")
        if participants is None:
            participants = tuple(f"8:acs:{self.ids.guid()}_{self.ids.guid()}" for _ in range(2))
        call = Call(
            call_id=self.ids.guid(),
            call_connection_id=call_connection_id or self.ids.guid(),
            server_call_id=server_call_id or self.ids.server_call_id(),
            group_call_id=group_call_id,
            room_id=room_id,
            participants=participants,
            state=state,
            plan=plan or EndPlan(),
            created_at=self.clock.now(),
        )
        names = {
            "serverCallId": call.server_call_id,
            "callConnectionId": call.call_connection_id,
            "groupCallId": group_call_id,
            "roomId": room_id,
        }
        with self.lock:
            self._calls[call.call_id] = call
            self._located.update({(name, value): call for name, value in names.items() if value})
        return call

    def call(self, call_id: str) -> Call:
        """A call by its callId. KeyError: there is none."""
        return self._calls[call_id]

    def connected(self, call_connection_id: str) -> Call:
        """A call that has not ended, by its connection. Raises RestError."""
        call = self._located.get(("callConnectionId", call_connection_id))
        if call is None or call.state == "terminated":
            raise RestError(errors.CALL_NOT_FOUND, "Call not found.")
        return call

    def calls(self) -> list[Call]:
        """All calls, oldest first."""
        with self.lock:
            return list(self._calls.values())

    def set_call_state(self, call_id: str, state: str) -> Call:
        """Moves a call between connecting and established (`end_call` ends it)."""
        if state not in _CALL_STATES[:2]:
            raise ValueError("state must be connecting or established")
        call = self.call(call_id)
        call.state = state
        return call

    def end_call(self, call_id: str, *, plan: EndPlan | None = None) -> list[Recording]:
        """Ends a call; the recordings that ended with it, their chunks made.

        KeyError: no such call. ValueError: a chunk would be too large; nothing has changed then.
        """
        with self.lock:
            call = self._calls[call_id]
            recording = self._running.get(call_id)
            if recording is not None:
                self._end(recording, plan=plan or recording.plan, reason="CallEnded")
            if call.state != "terminated":
                call.state, call.ended_at = "terminated", self.clock.now()
            return [recording] if recording else []

    # Recordings -------------------------------------------------------------------------------------------

    def start(
        self, request: StartRequest, *, body: bytes, repeat_id: str | None, fails: bool = False
    ) -> tuple[Recording, bool]:
        """Starts a recording; True with it when this only repeats an earlier request. Raises RestError.

        `fails`: the recording has an id, and never comes into being.
        """
        with self.lock:
            if repeat_id is not None and (earlier := self._repeats.get(repeat_id)):
                if earlier.body != body:
                    raise RestError(
                        errors.INVALID_ARGUMENT,
                        "this Repeatability-Request-ID came before with another body",
                        target="Repeatability-Request-ID",
                    )
                return self._recordings[earlier.recording_id], True
            call = self._callable(request)
            now = self.clock.now()
            recording = Recording(
                recording_id=self.ids.recording_id(),
                call=call,
                request=request,
                folder_guid=self.ids.guid(),
                state="paused" if request.pause_on_start else "active",
                started_at=now,
                plan=call.plan,
                pauses=[(now, None)] if request.pause_on_start else [],
            )
            self._recordings[recording.recording_id] = recording
            if fails:
                recording.state = "failed"
            else:
                self._running[call.call_id] = recording
            if repeat_id is not None:
                self._repeats[repeat_id] = _Repeat(body, recording.recording_id)
            return recording, False

    def _callable(self, request: StartRequest) -> Call:
        call = self._located.get(request.locator)
        if call is None:
            raise RestError(errors.CALL_NOT_FOUND, "Call not found.")
        if call.state == "connecting":
            raise RestError(errors.CALL_NOT_ESTABLISHED, "Call is not established.")
        if call.state == "terminated":
            raise RestError(errors.CALL_TERMINATED, "Call has been terminated.")
        if call.call_id in self._running:
            raise RestError(errors.ALREADY_RECORDING, "Recording is already in progress.")
        return call

    def recording(self, recording_id: str) -> Recording:
        """A recording by its id. Raises RestError: unknown, or its start failed, or its retention is over."""
        recording = self._recordings.get(recording_id)
        if recording is None or recording.state == "failed" or self.is_expired(recording):
            raise RestError(errors.CALL_NOT_FOUND, "Recording not found.")
        return recording

    def recordings(self) -> list[Recording]:
        """All recordings ever, oldest first."""
        with self.lock:
            return list(self._recordings.values())

    def find(self, recording_id: str) -> Recording:
        """A recording, expired or not. KeyError: there is none."""
        return self._recordings[recording_id]

    def ended(self, recording_id: str) -> Recording:
        """A recording that has ended. KeyError: there is none; ValueError: it has not ended."""
        recording = self.find(recording_id)
        if not recording.chunks:
            raise ValueError("the recording has not ended")
        return recording

    def stop(self, recording_id: str) -> Recording:
        """Stops a recording and makes its chunks. Raises RestError."""
        with self.lock:
            recording = self._unended(recording_id)
            self._end(recording, plan=recording.plan, reason="InitiatorLeft")
            return recording

    def pause(self, recording_id: str) -> Recording:
        """Pauses an active recording. Raises RestError."""
        with self.lock:
            recording = self._unended(recording_id)
            if recording.state == "paused":
                raise RestError(errors.NOT_ALLOWED_NOW, "The recording is paused already.")
            recording.state = "paused"
            recording.pauses.append((self.clock.now(), None))
            return recording

    def resume(self, recording_id: str) -> Recording:
        """Resumes a paused recording. Raises RestError."""
        with self.lock:
            recording = self._unended(recording_id)
            if recording.state == "active":
                raise RestError(errors.NOT_ALLOWED_NOW, "The recording is not paused.")
            recording.state = "active"
            recording.pauses[-1] = (recording.pauses[-1][0], self.clock.now())
            return recording

    def _unended(self, recording_id: str) -> Recording:
        recording = self.recording(recording_id)
        if recording.state == "ended":
            raise RestError(errors.CALL_NOT_FOUND, "The recording has ended.")
        return recording

    # Media ------------------------------------------------------------------------------------------------

    def document(self, document_id: str) -> tuple[Recording, Chunk] | None:
        """The chunk kept under this documentId, whether or not it can still be had."""
        return self._documents.get(document_id)

    def is_available(self, recording: Recording, chunk: Chunk) -> bool:
        """Whether the media store still has a chunk: not exported, not deleted, retention not over."""
        return chunk.held and not chunk.deleted and not self.is_expired(recording)

    def is_expired(self, recording: Recording) -> bool:
        """Whether the retention of an ended recording is over."""
        return recording.ended_at is not None and self.clock.now() >= recording.ended_at + self.config.retention

    # Ending -----------------------------------------------------------------------------------------------

    def _end(self, recording: Recording, *, plan: EndPlan, reason: str) -> None:
        now = self.clock.now()
        chunks = self._chunks(recording, plan, now)  # first: what is refused changes nothing
        recording.state, recording.ended_at = "ended", now
        recording.plan, recording.session_end_reason = plan, plan.session_end_reason or reason
        if recording.pauses and recording.pauses[-1][1] is None:
            recording.pauses[-1] = (recording.pauses[-1][0], now)
        self._running.pop(recording.call.call_id, None)
        recording.chunks = chunks
        self._documents.update({chunk.document_id: (recording, chunk) for chunk in recording.chunks})

    def _chunks(self, recording: Recording, plan: EndPlan, now: datetime) -> list[Chunk]:
        request, config = recording.request, self.config
        rate = bytes_per_second(request.format, channels=request.channels)
        plans = plan.chunks or _plans_for(max(now - recording.started_at, timedelta(seconds=1)), config)
        sizes = [_size_and_duration(plan, rate=rate, limit=config.chunk_limit) for plan in plans]
        # The recording ends now; what a plan makes longer than the call really was began earlier.
        ends = [now]
        for _, duration in reversed(sizes):
            ends.append(ends[-1] - duration)
        chunks = []
        for index, ((start, _), (size, duration)) in enumerate(zip(pairwise(reversed(ends)), sizes, strict=True)):
            shape = plans[index].shape
            media = Media(request.format, size, config.seed, self.ids.document_id(), request.channels, shape)
            last = index == len(sizes) - 1
            chunk = Chunk(index, media, start, duration, "SessionEnded" if last else "ChunkMaximumSizeExceeded")
            objects = f"v1/objects/{media.document_id}"
            chunk.content_location = f"https://{config.media_host}/{objects}/content/video"
            chunk.metadata_location = f"https://{config.media_host}/{objects}/content/acsmetadata"
            chunk.delete_location = f"https://{config.media_host}/{objects}"
            chunks.append(chunk)
        return chunks


def _plans_for(duration: timedelta, config: AcsConfig) -> tuple[ChunkPlan, ...]:
    """Chunks of the longest allowed length, and the rest."""
    full, rest = divmod(duration, config.chunk_limit)
    plans = [ChunkPlan(duration=config.chunk_limit)] * full
    return (*plans, ChunkPlan(duration=rest)) if rest else tuple(plans)


def _size_and_duration(plan: ChunkPlan, *, rate: int, limit: timedelta) -> tuple[int, timedelta]:
    if plan.size is not None:
        # A size beyond what the service makes (for load tests) still is no longer than its longest chunk.
        by_rate = min(timedelta(seconds=max(plan.size / rate, 0.001)), limit)
        return plan.size, plan.duration or by_rate
    duration = plan.duration or timedelta(seconds=1)
    return int(duration.total_seconds() * rate), duration
