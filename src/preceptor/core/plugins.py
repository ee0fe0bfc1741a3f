"""Finding objects by name: ``pkg.mod:attr``, and the entry points of installed packages.

Owns the look-up and its one-line errors; leaves what an object must be to who asked for it.
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points as installed
from pathlib import Path

from preceptor.core.errors import InputError, boundary


def load_object(spec: str) -> object:
    """Import ``pkg.mod:attr`` (or ``pkg.mod:attr.inner``) and return what it names.

    Modules in the working directory are found, too, after installed ones.

    Raises:
        InputError: If the spec has no such form, the module is not there or fails, or it has no
            such attribute.
    """
    module_name, colon, attributes = spec.partition(":")
    if not (colon and all(part.isidentifier() for part in f"{module_name}.{attributes}".split("."))):
        raise InputError(f"{spec!r} names no object", "write it as package.module:name")
    here = str(Path.cwd())
    if not {here, ""} & set(sys.path):
        sys.path.append(here)
    found: object = _module(module_name)
    for name in attributes.split("."):
        if not hasattr(found, name):
            raise InputError(f"{spec!r}: {module_name!r} has no {name!r}", "check the spelling")
        found = getattr(found, name)
    return found


def _module(name: str) -> object:
    try:
        with boundary(InputError, f"module {name!r} fails on import", "run it by itself to see why"):
            return importlib.import_module(name)
    except InputError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and f"{name}.".startswith(f"{cause.name}."):
            raise InputError(
                f"there is no module {name!r}", "install it, or run where it lies"
            ) from cause
        raise


def entry_points(group: str) -> dict[str, EntryPoint]:
    """Return what installed packages offer in a group, by name; nothing is imported.

    Raises:
        InputError: If two packages offer different objects under one name.
    """
    found: dict[str, EntryPoint] = {}
    for point in installed(group=group):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise InputError(
                f"{group}: {point.name!r} is both {other.value!r} and {point.value!r}",
                "uninstall one of the two packages",
            )
    return found


def load_entry_point(group: str, name: str) -> object:
    """Import and return what is offered under ``name``.

    Raises:
        InputError: If nothing is, or its import fails.
    """
    found = entry_points(group)
    if name not in found:
        known = ", ".join(sorted(found)) or "none installed"
        raise InputError(f"{group}: there is no {name!r}", f"known: {known}")
    return load_object(found[name].value)
