"""Loads `function_app.py` as the Python worker indexes it, with the checks of worker and host.

One bad import, duplicate name or annotation loses every function (`IndexingError`, by the worker's checks). What only
the host checks (a binding's name, an unresolved setting, an unknown trigger) loses that one function, and so does what
this host does not support.
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

from local.host.convert import PARAMETERS, converter_of
from local.host.model import Function

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_BINDING_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9]*$")
_SETTING = re.compile(r"%([^%]+)%")


class IndexingError(Exception):
    """The worker cannot index the app: there is no function, and every URL is 404."""


class FunctionError(Exception):
    """The host refuses one function; the others are served."""


@dataclass
class Loaded:
    """The app's functions, and the refused ones with the reason."""

    functions: list[Function] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    disabled: list[str] = field(default_factory=list)


def load(app_dir: Path, *, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Imports the app and reads its functions. IndexingError where the real worker indexes nothing.

    Call it between `AppModules.enter` and `leave`, so that the app finds its own modules.
    """
    loaded = Loaded()
    for built in _import(app_dir):
        name = str(built.get_function_name())
        try:
            function = _read(name, built, environ)
        except FunctionError as error:
            loaded.refused[name] = str(error)
        else:
            if environ.get(f"AzureWebJobs.{name}.Disabled", "").lower() in {"true", "1"}:
                loaded.disabled.append(name)
            else:
                loaded.functions.append(function)
    return loaded


def _import(app_dir: Path) -> list[Any]:
    file = app_dir / "function_app.py"
    if not file.is_file():
        raise IndexingError(f"{file} is missing: this host supports the Python v2 programming model only")
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


def _read(name: str, built: Any, environ: Mapping[str, str]) -> Function:
    """One function. IndexingError by the worker's checks, FunctionError by those of the host and of this host."""
    call, bindings = built.get_user_function(), json.loads(built.get_function_json())["bindings"]
    hints, wants_context = _check_parameters(name, call, bindings)
    for binding in bindings:
        if binding["name"] != "$return" and not _BINDING_NAME.match(binding["name"]):
            raise FunctionError(f"the binding name {binding['name']!r} is invalid: letters and digits only")
    triggers = [binding for binding in bindings if binding["type"] in PARAMETERS]
    others = [binding["type"] for binding in bindings if binding["type"] not in (*PARAMETERS, "http")]
    if others or len(triggers) != 1:
        raise FunctionError(f"this host does not support {', '.join(others) or 'a function without a trigger'}")
    if built.get_settings_dict("retry_policy"):
        raise FunctionError("this host does not support retry policies")
    trigger = {key: _resolve(value, environ) for key, value in triggers[0].items()}
    kind, parameter = trigger["type"], trigger["name"]
    if (annotation := hints.get(parameter, PARAMETERS[kind])) is not PARAMETERS[kind]:
        raise FunctionError(f"this host supports a {kind} of type {PARAMETERS[kind].__name__}, not {annotation!r}")
    return Function(
        name=name,
        call=call,
        is_async=inspect.iscoroutinefunction(call),
        wants_context=wants_context,
        parameter=parameter,
        kind=kind,
        trigger=trigger,
        returns_http=any(binding["type"] == "http" for binding in bindings),
    )


def _check_parameters(name: str, call: Any, bindings: list[dict[str, Any]]) -> tuple[dict[str, Any], bool]:
    """The worker's checks of a function's signature; returns its annotations, and whether it takes a context."""
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
        key = "return" if binding["name"] == "$return" else binding["name"]
        converter = converter_of(binding["type"])
        if key in hints and converter is not None and not _fits(hints[key], converter, is_return=key == "return"):
            raise IndexingError(f'{name}: {key} is annotated {hints[key]!r}, which does not fit "{binding["type"]}"')
    return hints, wants_context


def _fits(hint: Any, converter: Any, *, is_return: bool) -> bool:
    if not isinstance(hint, type):
        return False
    if is_return:
        return bool(converter.check_output_type_annotation(hint))
    return hint in (str, bytes) or bool(converter.check_input_type_annotation(hint))


def _resolve(value: Any, environ: Mapping[str, str]) -> Any:
    if not isinstance(value, str):
        return value

    def setting(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise FunctionError(f"'%{match[1]}%' does not resolve to a value: no such setting")
        return environ[match[1]]

    return _SETTING.sub(setting, value)
