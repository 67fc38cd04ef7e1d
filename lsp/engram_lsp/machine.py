"""What a machine is called in reports."""

import platform


def system() -> str:
    """The system, its version and its processor. `platform.platform()` would start a program to find them out."""
    return f"{platform.system()} {platform.release()} {platform.machine()}"
