"""Loads `function_app.py` as the Python worker indexes it, with the refusals of worker and host.

One bad import, duplicate name or annotation loses every function (`IndexingError`: the worker's check); what only the
host checks (a binding's name, an unresolved setting, a trigger it does not know) loses that one function.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import sys
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import azure.functions as func
from azure.functions.decorators.function_app import FunctionRegister

from local.host.convert import converter_of
from local.host.model import EVENT_GRID, HTTP, QUEUE, TIMER, Function

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_BINDING_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9]*$")
_SETTING = re.compile(r"%([^%]+)%")
_KINDS = (HTTP, EVENT_GRID, QUEUE, TIMER)


class IndexingError(Exception):
    """The worker cannot index the app: no function exists and every URL is 404."""


class FunctionError(Exception):
    """The host refuses one function; the others go on."""


@dataclass
class Loaded:
    """The app's functions, and by name why others were refused."""

    functions: list[Function] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


def load(app_dir: Path, *, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Imports the app and reads its functions; raises `IndexingError` where the real worker indexes nothing.

    Within `AppModules.enter`, so that the app finds its own modules.
    """
    loaded = Loaded()
    for built in _import(app_dir):
        name = str(built.get_function_name())
        bindings = json.loads(built.get_function_json())["bindings"]
        try:
            function = _read(name, built.get_user_function(), bindings, environ=environ)
        except FunctionError as error:
            loaded.refused[name] = str(error)
        else:
            if _is_disabled(name, environ):
                loaded.notices.append(f"{name} is disabled by a setting: not started")
            else:
                loaded.functions.append(function)
        if built.get_settings_dict("retry_policy"):
            loaded.notices.append(f"{name}: retry policies have no effect in this host")
    return loaded


def _import(app_dir: Path) -> list[Any]:
    file = app_dir / "function_app.py"
    if not file.is_file():
        raise IndexingError(f"{file} is missing: only the Python v2 programming model is served")
    spec = importlib.util.spec_from_file_location("function_app", file)
    if spec is None or spec.loader is None:
        raise IndexingError(f"{file} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules["function_app"] = module
    try:
        spec.loader.exec_module(module)
        apps = [value for value in vars(module).values() if isinstance(value, FunctionRegister)]
        functions = [app.get_functions() for app in apps]
    except Exception as error:
        raise IndexingError(f"{type(error).__name__}: {error}") from error
    if len(functions) != 1:
        raise IndexingError(f"function_app.py must hold exactly one FunctionApp, not {len(apps)}")
    return list(functions[0])


def _read(name: str, call: Any, bindings: list[dict[str, Any]], *, environ: Mapping[str, str]) -> Function:
    hints, wants_context = _check_parameters(name, call, bindings)
    for binding in bindings:
        if binding["name"] != "$return" and not _BINDING_NAME.match(binding["name"]):
            raise FunctionError(f"the binding name {binding['name']!r} is invalid: letters and digits only")
    triggers = [binding for binding in bindings if binding["type"] in _KINDS]
    others = [binding["type"] for binding in bindings if binding["type"] not in (*_KINDS, "http")]
    if others or len(triggers) != 1:
        raise FunctionError(f"this host has no {', '.join(others) or 'trigger'} binding")
    trigger = {key: _resolve(value, environ) for key, value in triggers[0].items()}
    annotation = hints.get(trigger["name"])
    return Function(
        name=name,
        call=call,
        is_async=inspect.iscoroutinefunction(call),
        wants_context=wants_context,
        parameter=trigger["name"],
        kind=trigger["type"],
        trigger=trigger,
        as_text=annotation if annotation in (str, bytes) else None,
        returns_http=any(binding["type"] == "http" for binding in bindings),
    )


def _check_parameters(name: str, call: Any, bindings: list[dict[str, Any]]) -> tuple[dict[str, Any], bool]:
    """The worker's checks of a function's signature against its bindings."""
    try:
        hints = typing.get_type_hints(call)
    except Exception as error:
        raise IndexingError(f"{name}: its annotations cannot be evaluated: {error}") from error
    parameters = set(inspect.signature(call).parameters)
    bound = {binding["name"] for binding in bindings} - {"$return"}
    wants_context = "context" in parameters and "context" not in bound
    if wants_context and getattr(hints.get("context", func.Context), "__name__", "") != "Context":
        raise IndexingError(f"{name}: the context parameter must be annotated azure.functions.Context")
    parameters -= {"context"} if wants_context else set()
    if parameters != bound:
        raise IndexingError(f"{name}: parameters {sorted(parameters)} and bindings {sorted(bound)} differ")
    for binding in bindings:
        _check_annotation(name, binding, hints)
    return hints, wants_context


def _check_annotation(name: str, binding: dict[str, Any], hints: dict[str, Any]) -> None:
    converter = converter_of(binding["type"])
    key = "return" if binding["name"] == "$return" else binding["name"]
    if key not in hints or converter is None:
        return
    hint = hints[key]
    if binding["direction"] == "OUT" and key != "return":
        fits = getattr(typing.get_origin(hint), "__name__", "") == "Out"
    elif not isinstance(hint, type):
        fits = False
    elif key == "return":
        fits = converter.check_output_type_annotation(hint)
    else:
        fits = hint in (str, bytes) or converter.check_input_type_annotation(hint)
    if not fits:
        raise IndexingError(f'{name}: {key} is annotated {hint!r}, which does not fit "{binding["type"]}"')


def _resolve(value: Any, environ: Mapping[str, str]) -> Any:
    if not isinstance(value, str):
        return value

    def setting(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise FunctionError(f"'%{match[1]}%' does not resolve to a value: no such setting")
        return environ[match[1]]

    return _SETTING.sub(setting, value)


def _is_disabled(name: str, environ: Mapping[str, str]) -> bool:
    value = environ.get(f"AzureWebJobs.{name}.Disabled", environ.get(f"AzureWebJobs__{name}__Disabled", ""))
    return value.lower() in {"true", "1"}
