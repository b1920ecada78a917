"""Finds the connection string that a binding's `connection` names."""

from __future__ import annotations

import os

# Azurite's published account: the same on every machine that runs it, not a secret.
_DEVELOPMENT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)


class MissingConnectionError(Exception):
    """No setting holds the connection, or its form is not supported by this host."""


def connection_string(name: str) -> str:
    """The connection string in the setting `AzureWebJobs<name>` or `<name>`; `AzureWebJobsStorage` for "".

    `UseDevelopmentStorage=true`, which the Python storage library does not know, is replaced by Azurite's.
    """
    name = name or "AzureWebJobsStorage"
    if value := os.environ.get(f"AzureWebJobs{name}") or os.environ.get(name):
        return _DEVELOPMENT if value.strip().rstrip(";").lower() == "usedevelopmentstorage=true" else value
    if any(key.startswith(f"{name}__") for key in os.environ):
        raise MissingConnectionError(f"{name} is given by identity: this host supports connection strings only")
    raise MissingConnectionError(f"the setting {name} (a connection string) is missing or empty")
