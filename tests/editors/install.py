"""install.py FOLDER [EDITOR...]: installs the editors that our clients are tested in (all of them, if none is named).

From PyPI, npm and Debian alone; what is there already is kept. Runs as root where Debian's packages are installed.
"""

import importlib
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent / "installing"


def main(folder: Path, names: list[str]) -> None:
    sys.path.insert(0, str(HERE))
    for name in names or sorted(path.stem for path in HERE.glob("[a-z]*.py")):
        began = time.monotonic()
        importlib.import_module(name).install(folder.absolute() / name)
        print(f"{name}: there ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
