"""Whether a folder lies on a drive whose changes this machine may not hear of: a network share, a host's folder."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePath

# Types of file systems that other machines write to as well. Their events tell only of what this one does, if at all.
_SHARED = re.compile(
    r"nfs|cifs|smb|9p|drvfs|virtiofs|vboxsf|vmhgfs|prl_fs|afs|afpfs|webdav|davfs|ceph|lustre|gluster|ocfs|gfs|beegfs"
    r"|fuse\.(?!.*(?:ntfs|exfat|gvfsd|portal|lxcfs))",
    re.IGNORECASE,
)
_REMOTE_DRIVE = 4  # what Windows calls a mapped share


def shared_drive(folder: Path) -> str:
    """The type of the shared file system that `folder` lies on, such as "nfs4"; empty for a local one."""
    real = os.path.realpath(folder)
    if sys.platform == "win32":
        import ctypes

        drive = os.path.splitdrive(real)[0]
        shared = drive.startswith("\\\\") or ctypes.windll.kernel32.GetDriveTypeW(f"{drive}\\") == _REMOTE_DRIVE
        return "a network share" if shared else ""
    kind = type_of(real, _mounts())
    return kind if _SHARED.match(kind) else ""


def type_of(path: str, mounts: Iterable[tuple[str, str]]) -> str:
    """The type of the file system that holds `path`; `mounts` are (mount point, type), later ones over earlier ones."""
    best, kind = -1, ""
    for point, its in mounts:
        if len(point) >= best and PurePath(path).is_relative_to(point):
            best, kind = len(point), its
    return kind


def _mounts() -> list[tuple[str, str]]:
    if sys.platform.startswith("linux"):
        with suppress(OSError):
            lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
            fields = [line.split(" ") for line in lines]
            return [(_unescaped(each[1]), each[2]) for each in fields if len(each) > 2]
        return []
    import psutil

    with suppress(OSError, RuntimeError):
        return [(each.mountpoint, each.fstype) for each in psutil.disk_partitions(all=True)]
    return []


def _unescaped(field: str) -> str:
    """Mount points are written with `\\\\040` for a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
