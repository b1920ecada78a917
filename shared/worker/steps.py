"""Each step and what performs it: the one place where the names of `Step` meet the code that does them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain.recording import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.domain.recording import Chunk, Recording
    from shared.transfer.budget import Budget
    from shared.worker.check import Check
    from shared.worker.deliver import Deliver
    from shared.worker.fetch import Fetch
    from shared.worker.finish import Finish
    from shared.worker.metadata import MetadataStep
    from shared.worker.missing_event import MissingEvent
    from shared.worker.prove import Prove
    from shared.worker.publish import Publish
    from shared.worker.verify import Verify


@dataclass(frozen=True)
class Steps:
    """The performers of all steps. Each returns facts, and raises RecorderError where the step failed."""

    verify: Verify
    fetch: Fetch
    deliver: Deliver
    metadata: MetadataStep
    prove: Prove
    check: Check
    finish: Finish
    missing_event: MissingEvent
    publish: Publish

    def of_chunk(self, step: Step, budget: Budget) -> Callable[[Recording, Chunk], list[f.Fact]]:
        """What performs a step on a chunk; those that move many bytes, within `budget`."""
        steps: dict[Step, Callable[[Recording, Chunk], list[f.Fact]]] = {
            Step.VERIFY: self.verify.verify,
            Step.LAST_LOOK: self.verify.last_look,
            Step.FETCH: partial(self.fetch.fetch, budget=budget),
            Step.DELIVER: partial(self.deliver.deliver, budget=budget),
            Step.METADATA: self.metadata.save,
            Step.PROVE: partial(self.prove.prove, budget=budget),
            Step.CHECK: partial(self.check.check, budget=budget),
        }
        return steps[step]

    def of_recording(self, step: Step) -> Callable[[Recording], list[f.Fact]]:
        """What performs a step on the whole recording."""
        steps: dict[Step, Callable[[Recording], list[f.Fact]]] = {
            Step.FINISH: self.finish.finish,
            Step.CLEAN: self.finish.clean,
            Step.DELETE_AT_ACS: self.finish.delete_at_acs,
            Step.ASK_ACS: self.missing_event.ask,
            Step.WARN: lambda _recording: [f.Warned()],
            Step.PUBLISH: self.publish.publish,
        }
        return steps[step]
