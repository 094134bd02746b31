"""A room of the package that can also be called, as ``brainclock.predict("sub-01_T1w.nii.gz")``."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class CallableRoom(ModuleType):
    """A package whose call is a call of its main function, which is imported only then."""

    __main_function__: tuple[str, str]

    # an instance is documented by its function, so that help(brainclock.predict) helps
    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return _main_function(self).__doc__

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the main function of the room."""
        return _main_function(self)(*arguments, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(_main_function(self))


def make_callable(room: str, module: str, function: str) -> None:
    """Let a package be called; its ``__init__`` calls this.

    The import system puts the package into ``brainclock`` under its own name, so that name can hold no
    function; a module of a class with ``__call__`` is both.

    Parameters
    ----------
    room : str
        Full name of the package.
    module, function : str
        Where its main function is, the module by its full name.
    """
    package = sys.modules[room]
    package.__class__ = CallableRoom
    vars(package)["__main_function__"] = (module, function)


def _main_function(room: CallableRoom) -> Callable[..., Any]:
    module, function = room.__main_function__
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found
