"""What the use cases need of the world, as small protocols.

The comment is the contract; `tests/contract` checks it on the fakes and on the real adapters alike. Every method may
raise the `shared.domain.errors` it names and no other error.
"""

from shared.ports.acs import Acs, ChannelAffinity, Media, MediaResponse, StartedRecording, StartRequest
from shared.ports.containers import BlobFacts, Blobs, Block, Container, Containers
from shared.ports.ledger import IndexEntry, Ledger, OpenEntry, RejectedEntry, Version
from shared.ports.work import (
    AUDIT_PART,
    OUTBOX_PART,
    RECORDING_PART,
    Backlog,
    Clock,
    Lane,
    Notifier,
    QueueDepth,
    Random,
    WorkItem,
    WorkQueue,
)

__all__ = [
    "AUDIT_PART",
    "OUTBOX_PART",
    "RECORDING_PART",
    "Acs",
    "Backlog",
    "BlobFacts",
    "Blobs",
    "Block",
    "ChannelAffinity",
    "Clock",
    "Container",
    "Containers",
    "IndexEntry",
    "Lane",
    "Ledger",
    "Media",
    "MediaResponse",
    "Notifier",
    "OpenEntry",
    "QueueDepth",
    "Random",
    "RejectedEntry",
    "StartRequest",
    "StartedRecording",
    "Version",
    "WorkItem",
    "WorkQueue",
]
