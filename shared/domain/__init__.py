"""Pure: what a recording is, what happens to it, what is to be done next. No port, clock, random source or logger."""
