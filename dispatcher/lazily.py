"""What is imported when it is first needed: a command pays for what it uses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import Any

from dispatcher.interrupts import unbroken


def lazily(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package (PEP 562): ``places`` says in which of its modules each of its names is."""

    def find(name: str) -> Any:
        place = places.get(name)
        if place is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{place}"), name)

    return find


class _NotToBeFound(MetaPathFinder):
    """Finds that there is no such module."""

    def __init__(self, module: str) -> None:
        self._module = module

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == self._module:
            raise ModuleNotFoundError(name=fullname)


def arrow_without_pandas() -> None:
    """Keep Arrow from importing pandas (0.2 s) with its first array, only to know pandas' columns if it meets some.

    It looks for pandas that once; where it needs it, for ``to_pandas``, it imports it all the same.  An interruption
    waits meanwhile: modules in C lose one that comes as they are imported, and a service would not end.
    """
    with unbroken():
        import pyarrow as pa

        no_pandas = _NotToBeFound("pandas")
        sys.meta_path.insert(0, no_pandas)
        try:
            pa.array([""])
        finally:
            sys.meta_path.remove(no_pandas)
