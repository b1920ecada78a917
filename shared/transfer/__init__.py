"""Bytes: from the ACS media host into a container, block by block."""
