"""A recording that has ended, for tests that are about what comes after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.acs import ChunkPlan, EndPlan
from tests.local.acs import raw

if TYPE_CHECKING:
    from local.acs import AcsEmulator
    from local.acs.model import Chunk, Recording


def start_body(acs: AcsEmulator, *, container_url: str | None = None, **more: Any) -> dict[str, Any]:
    """The body of a start request for a new call, audio mp3."""
    body: dict[str, Any] = {
        "callLocator": {"kind": "serverCallLocator", "serverCallId": acs.create_call().server_call_id},
        "recordingContentType": "audio",
        "recordingChannelType": "mixed",
        "recordingFormatType": "mp3",
    }
    if container_url is not None:
        body["externalStorage"] = {
            "recordingStorageKind": "azureBlobStorage",
            "recordingDestinationContainerUrl": container_url,
        }
    return body | more


@dataclass(frozen=True)
class Finished:
    acs: AcsEmulator
    recording: Recording

    @classmethod
    def make(
        cls,
        acs: AcsEmulator,
        *,
        size: int = 1000,
        plan: EndPlan | None = None,
        container_url: str | None = None,
        **more: Any,
    ) -> Finished:
        answer = raw.start(acs, start_body(acs, container_url=container_url, **more))
        assert answer.status == 200, answer.body
        recording = acs.resource.find(answer.json["recordingId"])
        acs.end_call(recording.call.call_id, plan=plan or EndPlan(chunks=(ChunkPlan(size=size),)))
        acs.wait_idle()
        return cls(acs, recording)

    @property
    def chunk(self) -> Chunk:
        return self.recording.chunks[0]

    @property
    def url(self) -> str:
        return self.chunk.content_location

    @property
    def data(self) -> bytes:
        return self.chunk.media.read(0, self.chunk.media.size)

    def get(self, *, method: str = "GET", url: str | None = None, **headers: str) -> raw.Answer:
        return raw.media(self.acs, url or self.url, method=method, headers=headers)
