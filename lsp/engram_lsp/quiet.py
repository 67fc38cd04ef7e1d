"""Hours in which no ghost text comes unasked."""

import re
from collections.abc import Iterable
from datetime import time

# From when to when, on this machine's clock; over midnight where the end is before the beginning.
SPAN = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)")


def is_quiet(hours: Iterable[str], now: time) -> bool:
    """Whether `now` lies in one of the spans, which are like "22:00-07:00". The end is not part of a span; one that
    ends when it begins is the whole day."""
    return any(_holds(span, now) for text in hours if (span := SPAN.fullmatch(text)) is not None)


def _holds(span: re.Match[str], now: time) -> bool:
    began, ends = time(int(span[1]), int(span[2])), time(int(span[3]), int(span[4]))
    return began <= now < ends if began < ends else now >= began or now < ends
