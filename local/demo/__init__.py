"""The demo on the terminal: `python -m local.demo` (`make demo`).

Four recordings in parallel, each with another outcome, over real HTTP: started and watched by the app's own API, ended
by the emulator's control plane, and finally compared byte by byte with what ACS recorded.
"""
