"""How long a question waits for the next keystroke before it is worth asking the model.

Waiting saves work that the next keystroke would throw away, and costs time that the answer could have been there. Where
answers come faster than keystrokes there is nothing to save.
"""

import statistics
from collections import deque
from dataclasses import dataclass, field

# A longer rest than this is not typing, in seconds.
_PAUSE = 1.0
# An answer that takes less than this part of the time between two keystrokes is there before the next one, most times.
_EARLY, _LATE = 0.4, 1.0


def wait(most: float, latency: float | None, interval: float | None) -> float:
    """How long to wait, `most` at most. `latency`: what answers take; `interval`: from keystroke to keystroke; None
    where that is not known. All in seconds.

    Not at all when nobody is typing, or when the answer comes well before the next keystroke; all of it when it comes
    after; and in between something in between.
    """
    if latency is None:
        return most
    if interval is None or interval <= 0:
        return 0.0
    share = (latency / interval - _EARLY) / (_LATE - _EARLY)
    return most * min(max(share, 0.0), 1.0)


@dataclass(slots=True)
class Pace:
    """What was measured lately. Owned by the event loop; times in seconds of any one clock."""

    _latencies: "deque[float]" = field(default_factory=lambda: deque[float](maxlen=15))
    _intervals: "deque[float]" = field(default_factory=lambda: deque[float](maxlen=15))
    _last: float | None = None

    def typed(self, at: float) -> None:
        """Somebody edited a document. What was before a rest is forgotten: another burst has its own rhythm."""
        if self._last is not None:
            if at - self._last > _PAUSE:
                self._intervals.clear()
            else:
                self._intervals.append(at - self._last)
        self._last = at

    def answered(self, seconds: float) -> None:
        """An answer was computed from beginning to end."""
        self._latencies.append(seconds)

    def wait(self, most: float) -> float:
        """How long the next question should wait."""
        return wait(most, _usual(self._latencies), _usual(self._intervals))


def _usual(values: "deque[float]") -> float | None:
    return statistics.median(values) if values else None
