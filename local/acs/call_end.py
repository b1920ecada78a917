"""What happens to a recording after its end: export, event, late export, state callbacks.

Runs on the emulator's event loop; what blocks (the storage SDK, the publisher) runs in a few threads.
"""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

from local.acs.documents import call_started_event, file_status_event, state_changed_event
from local.acs.faults import Target
from local.acs.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from local.acs.event_form import EventForm
    from local.acs.export import Exported, Exporter
    from local.acs.faults import Faults, Outage
    from local.acs.model import Call, Chunk, Recording
    from local.acs.service import Resource

_T = TypeVar("_T")

_LOG = logging.getLogger("local.acs")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_CALLBACK_TIMEOUT = aiohttp.ClientTimeout(total=10)
_THREADS = 4
_CLOSE_SECONDS = 3.0


class CallEnd:
    """Exports ended recordings into the customer's container and publishes the events."""

    def __init__(
        self,
        resource: Resource,
        *,
        exporter: Exporter,
        faults: Faults,
        outages: list[Outage],
        publish: Callable[[dict[str, Any]], object],
    ) -> None:
        self._resource, self._exporter, self._publish = resource, exporter, publish
        self._faults, self._outages = faults, outages
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="acs-export")
        self._timer = Timer(resource.clock)
        self._tasks: set[asyncio.Task[object]] = set()
        self._finishing: dict[str, asyncio.Task[object]] = {}

    def spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """Runs `work` in the background of the loop; `idle` waits for it, `close` cancels it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def ended(self, recording: Recording) -> None:
        """Starts the callback, the export and the event of an ended recording."""
        self.spawn(self.state_changed(recording))
        task = self._finishing[recording.recording_id] = self.spawn(self.finish(recording))
        task.add_done_callback(lambda _: self._finishing.pop(recording.recording_id, None))

    async def finished(self, recording: Recording) -> None:
        """Returns when a recording that ended is exported and its event published, or that has failed."""
        task = self._finishing.get(recording.recording_id)
        if task is not None:
            await asyncio.wait({task})

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("acs.background.failed", exc_info=error)

    async def idle(self) -> None:
        """Returns when nothing is under way any more."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Cancels what is under way and ends the threads."""
        for task in self._tasks:
            task.cancel()
        await self._timer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # An upload to an account that hangs must not keep the emulator from stopping; it ends by its own time-out.
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(self._pool.shutdown, cancel_futures=True), _CLOSE_SECONDS)
        self._exporter.close()

    async def finish(self, recording: Recording) -> None:
        """Exports all chunks of an ended recording as its plan says, then publishes its event."""
        plan = recording.plan
        if recording.request.container_url:
            await asyncio.gather(*(self._export(recording, chunk) for chunk in recording.chunks))
        delay = self._resource.config.event_delay if plan.event_delay is None else plan.event_delay
        if delay:
            await self._timer.sleep(delay)
        if plan.publish_event:
            await self.publish(recording, times=1 + plan.duplicate_events)

    async def publish(
        self,
        recording: Recording,
        *,
        times: int = 1,
        chunks: frozenset[int] | None = None,
        form: EventForm | None = None,
    ) -> None:
        """Publishes an event of an ended recording, `times` times with the same id.

        `chunks`: the indexes of those it names (default: all). `form` (default: the plan's, else the emulator's).
        """
        config = self._resource.config
        event = file_status_event(
            recording,
            now=self._resource.clock.now(),
            form=form or recording.plan.event_form or config.event,
            chunks=chunks,
        )
        recording.events.append(event)
        for _ in range(times):
            await self._in_thread(self._publish, event)
        recording.published = True

    def begun(self, call: Call) -> None:
        """Publishes, once, that a call has begun."""
        if self._resource.config.call_started and not call.has_begun:
            event = call_started_event(call, now=self._resource.clock.now())
            self.spawn(self._in_thread(self._publish, event))
        call.has_begun = True

    async def _export(self, recording: Recording, chunk: Chunk) -> None:
        kind = self._export_kind(recording, chunk)
        done = await self._in_thread(partial(self._exporter.export, recording, chunk, kind=kind))
        chunk.export = done.failure or kind
        if done.failure is None:
            chunk.held = kind == "ok-but-media-url" or recording.plan.keep_media
            self._place(chunk, done, in_event=kind != "ok-but-media-url")

    def _export_kind(self, recording: Recording, chunk: Chunk) -> str:
        """How this export ends: a scripted fault, an outage, or the recording's plan."""
        now = self._resource.clock.now()
        target = Target("export", recording.recording_id, chunk.index, chunk.document_id)
        fault = self._faults.strike(target, now)
        if fault is not None:
            return fault.reason or "service-outage"
        if any(outage.strikes("export", now) for outage in self._outages):
            return "service-outage"
        return recording.plan.export_of(chunk.index)

    def _place(self, chunk: Chunk, done: Exported, *, in_event: bool) -> None:
        chunk.blob_urls = [done.media_url, done.metadata_url]
        if in_event:
            chunk.content_location, chunk.metadata_location = chunk.blob_urls

    async def late_export(self, recording: Recording, *, chunks: frozenset[int] | None, event: bool) -> None:
        """ACS's export after all: writes the chunks whose export failed, or `chunks`.

        The media stay at ACS, too. `event`: publishes a second event with the new locations.
        """
        for chunk in recording.chunks:
            wanted = not chunk.blob_urls if chunks is None else chunk.index in chunks
            if not wanted:
                continue
            done = await self._in_thread(partial(self._exporter.export, recording, chunk))
            chunk.export = done.failure or "late"
            if done.failure is None:
                self._place(chunk, done, in_event=event)
        if event:
            await self.publish(recording)

    async def state_changed(self, recording: Recording) -> None:
        """Posts the state callback, once, to loopback addresses only; a failure is logged."""
        url = recording.request.callback_url
        if not url or urlsplit(url).hostname not in _LOOPBACK:
            return
        event = state_changed_event(recording, now=self._resource.clock.now())
        headers = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
        try:
            async with (
                aiohttp.ClientSession(timeout=_CALLBACK_TIMEOUT) as session,
                session.post(url, data=json.dumps([event]), headers=headers, allow_redirects=False) as answer,
            ):
                if not answer.ok:
                    _LOG.warning("acs.callback.refused status=%d", answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            _LOG.warning("acs.callback.failed %s", type(error).__name__)

    async def _in_thread(self, call: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(call, *args))
