"""`python -m local.demo`."""

from __future__ import annotations

import sys


def _main() -> int:
    try:
        from local.demo.run import main  # noqa: PLC0415 - takes a second, in which Ctrl-C must work, too
    except KeyboardInterrupt:
        return 130
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_main())
