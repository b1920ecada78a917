"""Runs in the environment of the real Azure CLI (`.venv-deploy`): each command goes through its own parser, no further.

Standard input: a JSON list of argument lists without the `az`. Standard output: one JSON line a command, null or what
the parser said. No network, no login, no extension is installed.
"""

import contextlib
import io
import json
import sys
from typing import Any

from azure.cli.core import get_default_cli
from azure.cli.core.commands.events import EVENT_INVOKER_POST_LOAD_ARGUMENTS, EVENT_INVOKER_PRE_LOAD_ARGUMENTS


def said_of(cli: Any, words: list[str]) -> str | None:
    """None where the parser takes the command, else its words."""
    invoker = cli.invocation_cls(
        cli_ctx=cli,
        parser_cls=cli.parser_cls,
        commands_loader_cls=cli.commands_loader_cls,
        help_cls=cli.help_cls,
    )
    cli.invocation = invoker
    invoker.data["command_string"] = ""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(errors):
        try:
            loader = invoker.commands_loader
            loader.load_command_table(words)
            command = invoker._rudimentary_get_command(words)
            invoker.data["command_string"] = command
            if command not in loader.command_table:
                return f"no such command: {' '.join(words[:4])}"
            loader.command_table = {command: loader.command_table[command]}
            loader.command_name = command
            # `--subscription` and `--ids` come by these two events.
            cli.raise_event(EVENT_INVOKER_PRE_LOAD_ARGUMENTS, commands_loader=loader)
            loader.load_arguments(command)
            cli.raise_event(EVENT_INVOKER_POST_LOAD_ARGUMENTS, commands_loader=loader)
            invoker.parser.load_command_table(loader)
            invoker.parser.parse_args(words)
        except SystemExit:
            return errors.getvalue().strip()[-400:] or "refused"
        except Exception as error:  # noqa: BLE001 - whatever the parser raises is its answer
            return f"{type(error).__name__}: {error}"
    return None


def main() -> None:
    """Answers for every command."""
    cli = get_default_cli()
    for words in json.load(sys.stdin):
        sys.stdout.write(json.dumps(said_of(cli, words)) + "\n")


if __name__ == "__main__":
    main()
