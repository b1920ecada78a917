"""A queue message comes in: one step at a time, until nothing is due."""
