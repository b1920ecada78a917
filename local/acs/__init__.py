"""An emulator of Azure Communication Services call recording: REST, media store, export, events, faults.

Start with `AcsEmulator`; README.md beside this file says what it emulates and how sure each behaviour is.
"""

from local.acs.config import AcsConfig
from local.acs.emulator import AcsEmulator
from local.acs.event_form import FULL, SPARSE, EventForm
from local.acs.faults import Fault, Outage
from local.acs.model import ChunkPlan, EndPlan

__all__ = ["FULL", "SPARSE", "AcsConfig", "AcsEmulator", "ChunkPlan", "EndPlan", "EventForm", "Fault", "Outage"]
