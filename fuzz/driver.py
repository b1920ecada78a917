"""What the targets share: atheris, the corpus, and where new inputs go."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
FOUND = HERE.parent / ".local" / "fuzz"
TARGETS = ("events", "changed", "start", "media")


def corpus(target: str) -> list[Path]:
    """The inputs that are kept beside the target."""
    folder = HERE / "corpus" / target
    return sorted(folder.iterdir()) if folder.is_dir() else []


def fuzz(target: str, load: Callable[[], Callable[[bytes], None]]) -> None:
    """Runs libFuzzer until it finds something or its options (those of the command line) end it. Never returns.

    `load` imports the code to be fuzzed, so that atheris sees its branches, and returns what takes one input. New
    inputs go below `.local/fuzz`, never into the corpus beside the target.
    """
    # By name: it is installed by `make fuzz` only, and has wheels for some machines only.
    atheris: Any = importlib.import_module("atheris")
    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=["shared"]):
        one = load()
    folder = FOUND / target
    folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"-artifact_prefix={folder}/failed-",
        f"-dict={HERE / 'json.dict'}",
        "-max_len=16384",
        "-timeout=10",
        "-rss_limit_mb=2048",
    ]
    kept = [str(HERE / "corpus" / target)] if corpus(target) else []
    # A failure handed over to be seen again stands alone: with folders beside it libFuzzer takes it for one.
    folders = [] if any(Path(given).is_file() for given in sys.argv[1:]) else [str(folder), *kept]
    atheris.Setup([*sys.argv, *options, *folders], one)
    atheris.Fuzz()
