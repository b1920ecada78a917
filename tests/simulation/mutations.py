"""Proof that the simulation bites: mistakes put into the real code on purpose, one at a time, each of which it catches.

A mutation names a function, a piece of its source and what stands there instead. A source that has changed so that
the piece is gone fails the proof too: it must be written anew.
"""

from __future__ import annotations
import __future__

import importlib
import inspect
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.run import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.run import Outcome


@dataclass(frozen=True)
class Mutation:
    """A mistake. `function`: `module:Class.method` or `module:function`."""

    name: str
    function: str
    old: str
    new: str
    start: int = 1  # from here on a seed shows it soon; for those mistakes that few worlds bring out


MUTATIONS = (
    Mutation(
        "queue before ledger",
        "shared.worker.outcome:Outcome.failed",
        "    after = self.move(",
        "    self._books.send_or_leave(recording, self._again(noted, at=at, is_last=is_last))\n    after = self.move(",
    ),
    Mutation(
        "the sweep before the ledger",
        "shared.sweep.sweep:Sweep._requeue",
        "    after = self._books.change(",
        "    self._books.send_or_leave(recording, planned(chunk, at=at))\n    after = self._books.change(",
    ),
    # Rarely met: each commit of a later try looks first.
    Mutation(
        "a commit without If-None-Match",
        "tests.support.fakes.storage:FakeContainer.commit",
        "if name in self.blobs:",
        "if False:",
        start=2010,
    ),
    Mutation(
        "a put without If-None-Match",
        "tests.support.fakes.storage:FakeContainer.put",
        "if name in self.blobs and not overwrite:",
        "if False:",
        start=33,
    ),
    Mutation(
        "off by one in the spans of blocks",
        "shared.transfer.ranges:plan",
        "range(0, total, block_bytes)",
        "range(0, total - 1, block_bytes)",
    ),
    Mutation(
        "marker removed before the document is written",
        "shared.store:Books._write",
        "    self._remember(",
        "    if old and old != after.marker:\n        self.ledger.delete_marker(old)\n    self._remember(",
        start=580,
    ),
    Mutation(
        "no marker before the document",
        "shared.store:Books._write",
        "        self.ledger.put_marker(after.marker)",
        "        pass",
    ),
    Mutation(
        "no look at the ticket", "shared.worker.rescue:Rescue.handle", " or chunk.ticket != message.ticket", "", start=3
    ),
    Mutation(
        "no sweep", "shared.sweep.sweep:Sweep.run", "until = self._clock.now()", "return\n    until = self._clock.now()"
    ),
    Mutation(
        "gives up half a day early",
        "shared.worker.outcome:next_try",
        "end = max(history.deadline, history.first_seen_at + policy.late_grace)",
        "end = history.deadline - timedelta(hours=12)",
    ),
    Mutation("an empty export believed", "shared.worker.rescue:Rescue._verify", "if found.size == 0:", "if False:"),
    Mutation(
        "the fallback's copy removed before the check",
        "shared.worker.delivery:Delivery.deliver",
        "        placed = self._place(",
        "        self._containers.fallback().delete(fallback_name(recording, chunk.blob or ''))\n"
        "        placed = self._place(",
        start=8,
    ),
    Mutation(
        "no check of the length",
        "shared.transfer.engine:Transfer._stream",
        "        ranges.check_length(start, head.total)\n    return",
        "        pass\n    return",
        start=19,
    ),
    Mutation(
        "no check of the format",
        "shared.transfer.ranges:check_format",
        "if looks_like(",
        "if True or looks_like(",
        start=20,
    ),
    Mutation(
        "no fallback",
        "shared.worker.rescue:Rescue._bring",
        "own = self._lookup.own(fallback, name)",
        "raise refusal",
        start=18,
    ),
    Mutation(
        "only the first chunk of an event",
        "shared.intake.intake:Watch._merged",
        "for claim in status.chunks:",
        "for claim in status.chunks[:1]:",
    ),
    Mutation(
        "no look into the container before a rescue",
        "shared.worker.finder:Lookup.standing",
        "found = self.exported(container, recording, chunk, all_days=all_days)",
        "found = None",
        start=22,
    ),
    Mutation(
        "a bug that costs every try",
        "shared.worker.finder:Lookup.standing",
        "found = self.exported(container, recording, chunk, all_days=all_days)",
        "raise ZeroDivisionError",
    ),
    Mutation(
        "an answer to another range believed",
        "shared.transfer.ranges:_partial",
        "if first != asked.start or last < first or last >= asked.end or last >= total:",
        "if False:",
    ),
    Mutation(
        "a short range taken for all of it",
        "shared.transfer.ranges:_partial",
        "if length < min(",
        "if False and length < min(",
        start=18,
    ),
    Mutation(
        "another length not noticed",
        "shared.transfer.ranges:accept",
        "if total is not None and head",
        "if False and head",
        start=100,
    ),
    Mutation(
        "another ETag not noticed",
        "shared.transfer.ranges:accept",
        "if etag is not None and response",
        "if False and response",
        start=45,
    ),
    # Every block waits for the bytes before it to be hashed: for ever, where a byte of them never comes.
    Mutation(
        "blocks one byte short", "shared.transfer.ranges:plan", "min(block_bytes, total", "min(block_bytes - 1, total"
    ),
    Mutation(
        "block ids without their source",
        "shared.transfer.ranges:source_tag",
        "return hash",
        'return "0" * 10 or hash',
        start=1050,
    ),
    Mutation(
        "the deadline counted from now",
        "shared.intake.intake:Watch._deadline",
        "since = min(end, event_time, now)",
        "since = now",
    ),
    Mutation("no word of a deadline that nears", "shared.sweep.sweep:Sweep._look", "self._warn(recording)", "pass"),
    Mutation(
        "a manifest of chunks that are not finished",
        "shared.worker.aftercare:Aftercare.chunk_is_safe",
        "elif _is_whole(current):",
        "elif any(one.is_finished for one in current.chunks):",
    ),
    Mutation(
        "a manifest written early, and again at the end",
        "shared.worker.aftercare:Aftercare.chunk_is_safe",
        "    standing = current.chunk(chunk.key)\n",
        "    standing = current.chunk(chunk.key)\n    self._manifest(current, chunk)\n",
    ),
    Mutation(
        "the manifest not written anew for a chunk that is told of later",
        "shared.intake.intake:Watch._merged",
        "Manifest(blob=recording.manifest.blob) if is_new else recording.manifest",
        "recording.manifest",
    ),
    Mutation(
        "an event that comes again begins anew",
        "shared.intake.intake:Watch._merged",
        "self._updated(known, chunk, now, recording.closed_at) if known else chunk",
        "chunk",
        start=19,
    ),
    Mutation(
        "an event acknowledged though the ledger failed",
        "shared.intake.intake:Watch.handle",
        "    except EventRejected as error:\n            self._reject(raw, error)",
        "    except Exception:\n            pass",
        start=20,
    ),
    Mutation(
        "the ledger without ETags", "tests.simulation.world:SimLedger.save", "!= etag:", "!= etag and False:", start=40
    ),
    Mutation(
        "a page taken for metadata",
        "shared.worker.aftercare:Aftercare._put_metadata",
        "_check_metadata(data)",
        "pass",
        start=10,
    ),
    Mutation(
        "no look at the days around",
        "shared.worker.finder:Lookup._searched",
        "if all_days else prefixes[:1]",
        "[:1]",
        start=65,
    ),
    Mutation(
        "deleted at ACS though a sibling is lost",
        "shared.worker.aftercare:Aftercare._finish",
        " and recording.state is RecordingState.COMPLETE",
        "",
        start=80,
    ),
    Mutation(
        "a replay before the ledger",
        "shared.sweep.replay:Replay.replay",
        "    after = self._books.change(",
        "    for chunk in (set_going(seen, now=now) or seen).chunks:\n"
        "        self._books.send_or_leave(seen, chunk)\n"
        "    after = self._books.change(",
    ),
    Mutation(
        "a replay that opens nothing",
        "shared.sweep.replay:set_going",
        "closed_at=None)",
        "closed_at=recording.closed_at)",
        start=150,
    ),
    Mutation(
        "a replay that leaves the manifest given up",
        "shared.sweep.replay:set_going",
        "if is_told else Manifest(blob=recording.manifest.blob)",
        "",
        start=300,
    ),
)


@contextmanager
def mutated(mutation: Mutation) -> Iterator[None]:
    """The mistake, in force. ValueError where the function has no such piece (any more)."""
    module_name, _, path = mutation.function.partition(":")
    owner = importlib.import_module(module_name)
    *classes, name = path.split(".")
    for part in classes:
        owner = getattr(owner, part)
    original = vars(owner)[name]
    function = original.__func__ if isinstance(original, staticmethod) else original
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(mutation.old) != 1:
        raise ValueError(f"{mutation.name}: {mutation.function} does not hold {mutation.old!r} once")
    code = compile(
        source.replace(mutation.old, mutation.new),
        f"<{mutation.name}>",
        "exec",
        flags=__future__.annotations.compiler_flag,
        dont_inherit=True,
    )
    made: dict[str, object] = {}
    exec(code, function.__globals__, made)  # noqa: S102 - the project's own source, with one piece changed
    setattr(owner, name, made[name])
    try:
        yield
    finally:
        setattr(owner, name, original)


def caught(mutation: Mutation, *, most: int = 1000) -> Outcome | None:
    """The first seed that shows the mistake, among `most`, and nothing without it; None if none does."""
    for seed in range(mutation.start, mutation.start + most):
        with mutated(mutation):
            outcome = simulate(seed)
        if outcome.failure and simulate(seed).failure is None:
            return outcome
    return None
