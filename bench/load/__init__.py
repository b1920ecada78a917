"""A storm of failed exports through the local run: `python -m bench.load` (`make load`).

Ten thousand recordings end at once and none was exported. Every event must be acknowledged, every recording rescued,
and the memory of the host's workers must stay flat; the storage transactions are counted from Azurite's access log.
"""
