"""Chaos with real processes: `python -m bench.chaos` (`make chaos`).

Several host processes work on one Azurite and one emulator of ACS while workers are killed, connections cut, storage
frozen, and the media host lies. At the end every byte of every recording is compared with what ACS recorded.
The seed draws the recordings, their faults and the plan of troubles; the moments at which these meet are the machine's.
"""
