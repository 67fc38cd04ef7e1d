"""The protocol's types, finished when they are first used.

lsprotocol defines some 550 classes with attrs, and writing their methods takes a quarter of a second of every start; a
conversation uses a few dozen of them. While `install` imports it, `attrs.define` only marks a class; the marked class
becomes what attrs makes of it as soon as somebody makes an object of it or looks at its fields (which is how cattrs
sees whether a class is one of attrs').
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

import attrs

_lock = threading.RLock()
_define = attrs.define


class _Fields:
    """Stands for the fields of a class that is not finished."""

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def __get__(self, instance: object, owner: Any) -> Any:
        _finish(self._cls, self)
        return owner.__attrs_attrs__


def _marked(cls: Any) -> Any:
    """What `attrs.define` gives meanwhile."""
    fields = _Fields(cls)

    def first(self: Any, *arguments: Any, **named: Any) -> None:
        _finish(cls, fields)
        cls.__init__(self, *arguments, **named)  # the one that attrs wrote

    cls.__attrs_attrs__ = fields
    cls.__init__ = first
    return cls


def _finish(cls: Any, fields: _Fields) -> None:
    from lsprotocol import types

    with _lock:  # who would make an object of half a class waits here
        if cls.__dict__.get("__attrs_attrs__") is fields:
            _define(cls, slots=False, init=True)  # with slots it would be another class
            attrs.resolve_types(cls, types.ALL_TYPES_MAP, {})


def install() -> None:
    """Imports lsprotocol with classes that are finished later; does nothing where it has been imported already."""
    if "lsprotocol.types" in sys.modules:
        return
    attrs.define = _marked
    try:
        importlib.import_module("lsprotocol.types")
    finally:
        attrs.define = _define
    # It would look at the fields of every class.
    vars(importlib.import_module("lsprotocol._hooks"))["_resolved_forward_references"] = True
