"""The timer: what is due becomes a queue message."""
