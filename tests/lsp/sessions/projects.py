"""What lies on disk while editors work at random: two branches of a small project, another one, and files of neither."""

from collections.abc import Mapping
from pathlib import Path

MAIN: Mapping[str, str] = {
    "shop/__init__.py": "",
    "shop/prices.py": "def price(item):\n    return len(item)\n\n\nclass Basket:\n    def __init__(self):\n        self.total = 0\n\n"
    "    def add(self, item):\n        self.total += price(item)\n        return self.total\n",
    "shop/till.py": "from shop.prices import Basket, price\n\ncost = price('tea')\nbasket = Basket()\nbasket.add('🙂 tea')\n",
    "shop/s p%20🙂.py": "import os\r\n\r\ndef 𝒙(größe):\r\n    '''🙂'''; return größe  # 🙂\r\n\r\nprint(𝒙(1))\r\n",
    "web/app.ts": "export function start(name: string) {\n  return `🙂 ${name}`\n}\nstart('a')\n",
    "notes.md": "# Shop\n\nThe price of tea.\n",
}
BRANCH: Mapping[str, str] = {
    "shop/__init__.py": "from shop.prices import cost_of\n",
    "shop/prices.py": "def cost_of(item, rate=2):\n    return rate * len(item)\n",
    "shop/audit.py": "from shop.prices import cost_of, Basket\n\ntotal = cost_of('tea')\nundefined_there(total)\n",
    "web/app.ts": "export const begin = (name: string) => name\n",
    ".gitignore": "generated/\n",
    "generated/code.py": "x = 1\n",
}
OTHER: Mapping[str, str] = {"lib.py": "import json\n\ndef load(text):\n    return json.loads(text)\n"}
LOOSE: Mapping[str, str] = {"script.py": "import sys\nprint(sys.argv)\n"}


class Disk:
    """Folders `project`, `other` and `outside` under one root."""

    def __init__(self, root: Path) -> None:
        self.project, self.other, self.outside = root / "project", root / "other", root / "outside"
        for folder, files in ((self.project, MAIN), (self.other, OTHER), (self.outside, LOOSE)):
            for name, text in files.items():
                self.write(folder / name, text)
        self.files = (
            *(self.project / name for name in dict.fromkeys((*MAIN, *BRANCH))),
            self.project / "shop" / "new.py",
            self.other / "lib.py",
            self.outside / "script.py",
        )

    def write(self, file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8", "surrogatepass"))

    def read(self, file: Path) -> str | None:
        try:
            return file.read_bytes().decode("utf-8", "replace")
        except OSError:
            return None

    def switch(self, to: Mapping[str, str]) -> list[Path]:
        """Another branch is checked out; the files that this touched."""
        touched = [self.project / name for name in dict.fromkeys((*MAIN, *BRANCH))]
        for name in dict.fromkeys((*MAIN, *BRANCH)):
            if name in to:
                self.write(self.project / name, to[name])
            else:
                (self.project / name).unlink(missing_ok=True)
        return touched
