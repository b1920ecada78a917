"""Finds the connection string that a binding's `connection` names, in the places where the real host looks."""

from __future__ import annotations

import os

# Azurite's published account: the same on every machine that runs it, no secret.
_DEVELOPMENT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)
_DEFAULT = "AzureWebJobsStorage"


class MissingConnectionError(Exception):
    """No setting holds the connection, or it has a form this host does not take."""


def connection_string(name: str) -> str:
    """The connection string under `AzureWebJobs<name>`, `<name>` or `ConnectionStrings:<name>`; "" is the default one.

    `UseDevelopmentStorage=true`, which the Python storage library does not know, becomes what it stands for.
    """
    name = name or _DEFAULT
    for key in (f"AzureWebJobs{name}", name, f"ConnectionStrings:{name}", f"ConnectionStrings__{name}"):
        if value := os.environ.get(key):
            return _DEVELOPMENT if value.strip().rstrip(";").lower() == "usedevelopmentstorage=true" else value
    if any(key.startswith(f"{name}__") for key in os.environ):
        raise MissingConnectionError(f"{name} is given by identity: this host takes connection strings only")
    raise MissingConnectionError(f"the setting {name} (a connection string) is missing or empty")
