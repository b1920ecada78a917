"""A caller comes in: starting a recording."""
