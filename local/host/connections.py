"""Finds the connection string that a binding's `connection` names."""

from __future__ import annotations

import os


class MissingConnectionError(Exception):
    """No setting holds the connection, or its form is not supported by this host."""


def connection_string(name: str) -> str:
    """The connection string in the setting `AzureWebJobs<name>` or `<name>`; `AzureWebJobsStorage` for ""."""
    name = name or "AzureWebJobsStorage"
    if value := os.environ.get(f"AzureWebJobs{name}") or os.environ.get(name):
        return value
    if any(key.startswith(f"{name}__") for key in os.environ):
        raise MissingConnectionError(f"{name} is given by identity: this host supports connection strings only")
    raise MissingConnectionError(f"the setting {name} (a connection string) is missing or empty")
