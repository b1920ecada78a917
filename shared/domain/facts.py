"""What a step found or did: the only things that change a recording, besides reports (`intake/merge.py`).

Facts about bytes (`ExportFound`, `Stored`, `Copied`, `Proved`, `MetadataSaved`, ...) are true whenever they arrive:
they count at any generation and in any state. Facts about a plan (`StepStarted`, `LeaseKept`, `Failed`,
`Continued`, `WorkerDied`, `NowhereFound`) carry the generation they belong to, and count for that one only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.errors import Blame, RecorderError, needs_person
from shared.domain.recording import Lease, Problem, Staged, Step

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from shared.domain.media import Proof


@dataclass(frozen=True)
class Failure:
    """An error as a fact."""

    code: str
    blame: Blame
    message: str
    retry_after: timedelta | None = None
    trace_id: str | None = None
    needs_person: bool = False

    @classmethod
    def of(cls, error: RecorderError) -> Failure:
        """The failure that `error` is."""
        return cls(error.code, error.blame, str(error)[:300], error.retry_after, error.trace_id, needs_person(error))

    def at(self, moment: datetime, *, step: Step | None) -> Problem:
        """The same as it is kept on a chunk."""
        return Problem(self.code, self.blame, self.message, moment, self.trace_id, step)


@dataclass(frozen=True)
class ChunkFact:
    """About one chunk, for the plan of `generation`."""

    chunk_key: str
    generation: int


@dataclass(frozen=True)
class StepStarted(ChunkFact):
    """A worker begins `step` and holds the lease until then, unless another one holds it."""

    step: Step
    holder: str
    until: datetime


@dataclass(frozen=True)
class LeaseKept(ChunkFact):
    """The worker that holds the lease still moves bytes: it holds it until then."""

    step: Step
    holder: str
    until: datetime


@dataclass(frozen=True)
class ExportFound(ChunkFact):
    """ACS's file is in the destination. `is_media` is False where a check of its structure failed.

    `metadata_blob`: its metadata beside it, if that is there. `sha256`: of all its bytes, where they were read.
    """

    name: str
    size: int
    etag: str
    proof: Proof
    format: str | None = None
    sha256: str | None = None
    metadata_blob: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class ExportDoubtful(ChunkFact):
    """A file is where the export was reported, and it does not look like whole media: kept as a spare."""

    name: str
    size: int
    failure: Failure
    etag: str | None = None


@dataclass(frozen=True)
class Stored(ChunkFact):
    """This app wrote the bytes: to the destination, or to the fallback (`refusal` says why)."""

    name: str
    is_fallback: bool
    size: int
    proof: Proof
    sha256: str | None = None
    etag: str | None = None
    format: str | None = None
    source: str | None = None
    refusal: Failure | None = None
    blocks: int = 0
    reused: int = 0


@dataclass(frozen=True)
class Copied(ChunkFact):
    """The fallback's copy is in the destination, not compared yet."""

    name: str
    etag: str
    is_same: bool = False  # the bytes were compared on the way
    is_ours: bool = False  # this delivery wrote it; a file of that size that was there may be any


@dataclass(frozen=True)
class CopyMissing(ChunkFact):
    """The bytes are not in the fallback any more."""

    failure: Failure


@dataclass(frozen=True)
class Failed(ChunkFact):
    """`step` failed. `progress`: blocks that were staged all the same. `also`: why the way before it failed, too.

    `refuted`: URLs that gave nothing of the chunk's media; `is_confirmed`: something showed that the chunk exists;
    `staged`: how much of it is staged, None where it was not counted.
    """

    step: Step
    failure: Failure
    progress: int = 0
    also: Failure | None = None
    refuted: tuple[str, ...] = ()
    is_confirmed: bool = False
    staged: Staged | None = None


@dataclass(frozen=True)
class Continued(ChunkFact):
    """The invocation's time is up; the next one goes on. `staged` as in `Failed`."""

    step: Step
    staged: Staged | None = None


@dataclass(frozen=True)
class WorkerDied(ChunkFact):
    """`lease` ran out, or its message came again: the worker that held it is gone."""

    lease: Lease


@dataclass(frozen=True)
class Overdue(ChunkFact):
    """The plan's message never came: lost between ledger and queue, or poisoned."""


@dataclass(frozen=True)
class NowhereFound(ChunkFact):
    """The last look found the bytes in no place that could be asked."""


@dataclass(frozen=True)
class MetadataSaved(ChunkFact):
    """The metadata is in the destination (or beside the media in the fallback) under `name`."""

    name: str


@dataclass(frozen=True)
class MetadataAbsent(ChunkFact):
    """No event ever said where metadata would be."""


@dataclass(frozen=True)
class Proved(ChunkFact):
    """All bytes were read back. `is_media` is False where their structure is broken."""

    name: str
    etag: str
    size: int
    sha256: str
    is_media: bool | None
    detail: str | None = None


@dataclass(frozen=True)
class LengthConfirmed(ChunkFact):
    """ACS's own total equals the size of the file in the destination."""

    name: str


@dataclass(frozen=True)
class FileChecked(ChunkFact):
    """What was found at `name`, where the chunk's file should be: nothing (`size` None), or a file.

    `sha256`: of all its bytes, where they were read. `failure`: the container could not be asked.
    """

    name: str
    size: int | None = None
    etag: str | None = None
    sha256: str | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class MetadataChecked(ChunkFact):
    """Whether the metadata is at `name` in the destination, where it was saved."""

    name: str
    is_there: bool


@dataclass(frozen=True)
class Cleaned(ChunkFact):
    """These exact names are gone from the fallback."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Deleted(ChunkFact):
    """ACS deleted the media, or will not (`is_refused`: it waits for ACS's own window)."""

    is_refused: bool = False
    code: str | None = None


@dataclass(frozen=True)
class RecordingFact:
    """About the whole recording."""


@dataclass(frozen=True)
class Finished(RecordingFact):
    """The manifest is at `blob` (None: none can be written). `revision`: of the recording that it tells of."""

    blob: str | None
    revision: int


@dataclass(frozen=True)
class StepFailed(RecordingFact):
    """A step on the whole recording failed. `logged`: alerts that are in the log, though the topic has them not."""

    step: Step
    failure: Failure
    logged: tuple[int, ...] = ()


@dataclass(frozen=True)
class AcsAnswered(RecordingFact):
    """What ACS says of a recording without an event: active, inactive, unknown; None where it gave no answer."""

    state: str | None


@dataclass(frozen=True)
class Warned(RecordingFact):
    """The time of the next deadline warning has come."""


@dataclass(frozen=True)
class Published(RecordingFact):
    """These alerts were published."""

    seqs: tuple[int, ...]


@dataclass(frozen=True)
class StartAnswered(RecordingFact):
    """ACS answered a start."""

    recording_id: str
    server_call_id: str | None = None


@dataclass(frozen=True)
class Linked(RecordingFact):
    """Another record is about the same recording."""

    key: str


@dataclass(frozen=True)
class VerificationAsked(RecordingFact):
    """A person, or the audit, asks whether every file is as it was. What was found at once: of media, of metadata.

    `has_manifest`: whether the manifest is there; None where it was not looked for, or the container gave no answer.
    """

    looks: tuple[FileChecked, ...]
    metadata: tuple[MetadataChecked, ...] = ()
    has_manifest: bool | None = None


@dataclass(frozen=True)
class Replayed(RecordingFact):
    """A person asks for everything that can go on to go on now."""


@dataclass(frozen=True)
class ActionTaken(RecordingFact):
    """ACS did what was asked of it: `kind` is stopped, paused or resumed."""

    kind: str


Fact = ChunkFact | RecordingFact
