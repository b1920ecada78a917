"""Reports are folded: the same in any order, any number of times; a forged first event costs a genuine one nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

from shared.domain.locations import ContainerUrl, allow_list
from shared.domain.recording import ChunkState, Recording
from shared.domain.steps import Rules
from shared.intake.event import ChunkClaim, RecordingFileStatus
from shared.intake.merge import Merge, Report
from tests.unit.builders import CONTAINER_URL, HOUR, MEDIA, NOON

PLACE = ContainerUrl.parse(CONTAINER_URL)
MERGE = Merge(allowed=allow_list([PLACE]), default_container=PLACE, rules=Rules())
DOCUMENT = "0-eus-d1-00000000"


def report(url: str | None, *, hours: float = 0, **changes: Any) -> Report:
    claim = ChunkClaim(DOCUMENT, 0, None, url, None, None)
    plain = RecordingFileStatus(
        "e", NOON, "rid", "call", None, NOON - HOUR, HOUR, "audio", "mixed", "mp3", None, None, (claim,), ()
    )
    return Report(replace(plain, **changes), f"{url} {hours}", NOON + timedelta(hours=hours))


def folded(*reports: Report) -> Recording:
    made: Recording | None = None
    for one in reports:
        made = MERGE.merge(made, "k", one, is_unmatched=False)
    assert made is not None
    return made


def test_folding_is_the_same_in_any_order_and_any_number_of_times() -> None:
    reports = [
        report(MEDIA.format(DOCUMENT)),
        report("https://evil.example/x"),
        report(None, event_time=NOON - 5 * HOUR),
        report(MEDIA.format("another-document")),
    ]
    seen = set()
    for order in permutations(reports):
        one = folded(*order, *order).chunks[0]
        seen.add((one.sources, one.exports, one.at_risk_from, one.abandon_after))
    assert len(seen) == 1


def test_a_report_that_is_nothing_new_changes_nothing() -> None:
    once = folded(report(MEDIA.format(DOCUMENT)))
    assert MERGE.merge(once, "k", report(MEDIA.format(DOCUMENT)), is_unmatched=False) is once


def test_a_location_of_another_document_is_never_a_source() -> None:
    made = folded(report(MEDIA.format("another-document")))
    assert made.chunks[0].sources == ()
    assert [alert.name for alert in made.outbox] == ["location_of_another_document"]


def test_a_lost_chunk_is_taken_up_again_with_a_new_source() -> None:
    made = folded(report(None))
    lost = replace(made.chunks[0], state=ChunkState.LOST, next_attempt_at=None, finished_at=NOON)
    closed = replace(made.with_chunk(lost), closed_at=NOON)
    after = MERGE.merge(closed, "k", report(MEDIA.format(DOCUMENT), hours=2), is_unmatched=False)
    assert after.chunks[0].state is ChunkState.PENDING
    assert after.closed_at is None
