"""Whether a file is in the project memory, and the rule that decides."""

import os
from dataclasses import dataclass
from pathlib import Path

from engram_context.disk.builtin_rules import is_private
from engram_context.disk.ignore import Reason
from engram_context.project import Project


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one file. `reason` None: it is in the memory, its names alone if `private`."""

    file: str  # as it was typed
    path: str  # in the project
    reason: Reason | None
    private: bool

    @property
    def words(self) -> str:
        if self.reason is not None:
            return self.reason.text
        if self.private:
            return (
                "its names only: its name tells of secrets, so the text is not learned, quoted or sent (built-in rule)"
            )
        return ""


def verdict(project: Project, file: Path) -> Verdict:
    """Links in the name of the project's folder are followed, but none below it."""
    absolute = Path(os.path.normpath(file.expanduser().absolute()))
    real = absolute
    for folder in (absolute, *absolute.parents):
        if Path(os.path.realpath(folder)) == project.root:
            real = project.root / absolute.relative_to(folder)
            break
    if not real.is_relative_to(project.root):
        outside = Reason("outside", f"it is outside the project folder {project.root}; say --root for another one")
        return Verdict(shown(str(file)), shown(str(absolute)), outside, False)
    path = real.relative_to(project.root).as_posix()
    reason = Reason("folder", "a folder") if real == project.root else project.reason(path)
    return Verdict(shown(str(file)), shown(path), reason, reason is None and is_private(real.name))


def shown(name: str) -> str:
    """File names may be any bytes on some systems."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
