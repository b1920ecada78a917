"""The main job, told on the terminal: `python -m local.demo` (`make demo`).

Four recordings side by side, each with another fate, over real HTTP: started by the app's own API, ended by the
emulator's control plane, watched by the app's own API, and at the end compared byte by byte with what ACS recorded.
"""
