"""The time of one invocation: what is staged stays, and the next invocation continues."""

from __future__ import annotations


class TimeBudgetSpentError(Exception):
    """The invocation's time is up; what is staged stays, and the next invocation goes on."""
