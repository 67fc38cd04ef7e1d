"""TOML of strangers: `tomllib` takes quadratic time for keys of many parts."""

import re
import tomllib
from typing import Any

_PART = r"(?:[\w-]{1,80}|\"[^\"\n]{0,80}\"|'[^'\n]{0,80}')[ \t]*\.[ \t]*"
_ENDLESS = re.compile(rf"(?m)(?:^|[\[{{,])[ \t]*(?:{_PART}){{40}}")


def parsed(text: str) -> dict[str, Any]:
    """Raises ValueError for what is none, and for what nobody writes."""
    if _ENDLESS.search(text):
        raise ValueError("a key of too many parts")
    try:
        return tomllib.loads(text)
    except RecursionError as problem:
        raise ValueError("nested too deeply") from problem
