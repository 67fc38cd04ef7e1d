"""What the tests in real editors share: a project to work on, the server that they start, and the network they lack."""

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from engram_context.text import Unit
from wire_support import age, copy_packages

HERE = Path(__file__).parent / "editors"
# Starts a program where there is no network but the machine's own loopback.
OFFLINE = (sys.executable, str(HERE / "offline.py"))

# --- the project ------------------------------------------------------------------------------------------------------

PRICES = '''\
"""Prices in cents, shown as 🧮 people read them."""

from dataclasses import dataclass

SIGN = "€"


@dataclass(frozen=True)
class Price:
    cents: int
    label: str = "𝕡𝕣𝕚𝕔𝕖"


def with_tax(price: Price, rate: float) -> Price:
    """The price with a tax of `rate` percent."""
    return Price(round(price.cents * (1 + rate / 100)), price.label)


def shown(price: Price) -> str:
    return f"{price.label} {price.cents / 100:.2f} {SIGN}"
'''
CART = '''\
"""What a customer is about to buy."""

from shop.prices import Price, shown, with_tax


class Cart:
    def __init__(self) -> None:
        self.prices: list[Price] = []

    def add(self, price: Price) -> None:
        self.prices.append(price)

    def total(self, rate: float) -> int:
        return sum(with_tax(price, rate).cents for price in self.prices)

    def lines(self, rate: float) -> list[str]:
        marks = ["🧾🧾", shown(with_tax(Price(0, "𝔣𝔯𝔢𝔢"), rate)), "🧾"]
        return [*marks, *(shown(with_tax(price, rate)) for price in self.prices)]
'''
ORDERS = '''\
"""Orders that were placed."""

from shop import prices
from shop.cart import Cart


def invoice(cart: Cart, rate: float = 19.0) -> str:
    first = prices.with_tax(cart.prices[0], rate)
    return "\\n".join([prices.shown(first), *cart.lines(rate)])
'''
_HANDLER = """
def handle_{name}(request: Request) -> None:
    started = time.perf_counter()
    logger.info("handling %s of %s", request.name, request.customer)
    request.{name}()
    logger.info("handled %s in %.3f s", request.name, time.perf_counter() - started)

"""
HANDLERS = (
    '"""What is done with requests, always in the same way."""\n\nimport logging\nimport time\nfrom typing import Any\n\n'
    "Request = Any\nlogger = logging.getLogger(__name__)\n\n"
    + "\n".join(_HANDLER.format(name=name) for name in ("open", "pay", "send", "refund", "close", "archive"))
)
# The last function of handlers.py is begun by typing these lines after it; the memory knows how they go on.
BEGUN = 'def handle_cancel(request: Request) -> None:\n    started = time.perf_counter()\n    logger.info("handling'
EXPECTED_REST = ' %s of %s", request.name, request.customer)'
STOCK = '''\
"""What is there."""


def remaining(stock: dict[str, int], name: str, wanted: int) -> tuple[int, float]:
    looked_at = time.time()
    return max(0, stock[name] - wanted), looked_at
'''
TRACE = """\
Traceback (most recent call last):
  File "{root}/shop/__main__.py", line 6, in <module>
    print(remaining({{"apple": 3}}, "apple", 1))
          ~~~~~~~~~^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "{root}/shop/stock.py", line 5, in remaining
    looked_at = time.time()
                ^^^^
NameError: name 'time' is not defined. Did you forget to import 'time'?
"""
# The line that the fix of the trace adds to shop/stock.py.
REPAIRED = "import time\n"
MAIN = '''\
"""Run by `python -m shop`."""

from shop.stock import remaining

if __name__ == "__main__":
    print(remaining({"apple": 3}, "apple", 1))
'''
# On the branch "other" only.
COUPONS = '''\
"""Coupons: a class and a function that the first branch does not have."""

from dataclasses import dataclass


@dataclass
class Coupon:
    percent: int


def redeem_coupon(coupon: Coupon, cents: int) -> int:
    return cents * (100 - coupon.percent) // 100
'''
PYPROJECT = '[project]\nname = "shop"\nversion = "1.0"\ndependencies = []\n'
FILES = {
    "pyproject.toml": PYPROJECT,
    "shop/__init__.py": "",
    "shop/__main__.py": MAIN,
    "shop/prices.py": PRICES,
    "shop/cart.py": CART,
    "shop/orders.py": ORDERS,
    "shop/handlers.py": HANDLERS,
    "shop/stock.py": STOCK,
}


def make_project(root: Path, *, library: bool = True) -> Path:
    """A shop of a few files beside real packages of the standard library, in a git repository with the branches "main"
    (checked out) and "other" (which has shop/coupons.py, too)."""
    root.mkdir(parents=True)
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8", newline="\n")
    if library:
        copy_packages(root / "library", "json", "email", "http", "logging", "asyncio", "unittest")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "A shop")
    git(root, "checkout", "--quiet", "-b", "other")
    (root / "shop/coupons.py").write_text(COUPONS, encoding="utf-8", newline="\n")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "Coupons")
    git(root, "checkout", "--quiet", "main")
    age(root)
    return root


def git(root: Path, *arguments: str) -> str:
    """Runs git untouched by the settings of whoever runs the tests."""
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.invalid")
    return subprocess.run(
        ["git", *who, *arguments], cwd=root, env={**os.environ, **nobody}, check=True, capture_output=True, text=True
    ).stdout


_UNITS: dict[Unit, Callable[[str], int]] = {
    "utf-8": lambda text: len(text.encode()),
    "utf-16": lambda text: len(text.encode("utf-16-le")) // 2,
    "utf-32": len,
}


def position(text: str, needle: str, unit: Unit, *, nth: int = 0, after: bool = False) -> tuple[int, int]:
    """Line and character, from 0 and in `unit`, of where the nth `needle` begins or, `after`, ends."""
    at = -1
    for _ in range(nth + 1):
        at = text.index(needle, at + 1)
    at += len(needle) if after else 0
    start = text.rfind("\n", 0, at) + 1
    return text.count("\n", 0, at), _UNITS[unit](text[start:at])


# --- the server -------------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """The server as editors start it: `command` with a cache of its own, and every message recorded."""

    folder: Path
    mark: str = field(default_factory=lambda: f"engram-test-{uuid.uuid4()}")

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        script = (
            f"#!{sys.executable}\n"
            "import os, sys\n"
            f"os.environ.update(ENGRAM_TEST={self.mark!r}, XDG_CACHE_HOME={str(self.folder / 'cache')!r})\n"
            f"engram = [{sys.executable!r}, '-m', 'engram_lsp.cli', *sys.argv[1:]]\n"
            f"recorder = [{sys.executable!r}, {str(HERE / 'recorder.py')!r}, {str(self.log)!r}]\n"
            "command = [*recorder, *engram] if sys.argv[1:2] == ['serve'] else engram\n"
            "os.execv(command[0], command)\n"
        )
        self.path.write_text(script, encoding="utf-8")
        self.path.chmod(0o755)

    @property
    def path(self) -> Path:
        """A program that takes the arguments of engram-ls."""
        return self.folder / "engram-ls"

    @property
    def command(self) -> tuple[str, ...]:
        return str(self.path), "serve"

    @property
    def log(self) -> Path:
        return self.folder / "messages.jsonl"

    def messages(self, method: str = "", *, sent_by: str = "") -> list[Any]:
        """What crossed the wire so far, oldest first: whole messages, of this method, `sent_by` "client" or "server"."""
        found: list[Any] = []
        for line in self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else ():
            entry = json.loads(line)
            if "message" in entry and sent_by in ("", entry["by"]) and method in ("", entry["message"].get("method")):
                found.append(entry["message"])
        return found

    def answers(self, method: str) -> list[Any]:
        """The server's answers to the client's requests of this method, in the order of the requests."""
        numbers = [message["id"] for message in self.messages(method, sent_by="client") if "id" in message]
        replies = {m["id"]: m for m in self.messages(sent_by="server") if "method" not in m}
        return [replies[number] for number in numbers if number in replies]

    def pids(self) -> list[int]:
        """The server's process of each start."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else ()
        return [json.loads(line)["pid"] for line in lines if '"pid"' in line[:8]]

    def kill(self) -> None:
        """kill -9, of the process that serves now."""
        psutil.Process(self.pids()[-1]).kill()

    def processes(self) -> list[psutil.Process]:
        """Whatever runs of it: recorder, server, indexers."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("ENGRAM_TEST") == self.mark:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def leave_none(self, timeout: float = 15.0) -> None:
        """Fails if something is left of it once its editor is gone; what is, is killed."""
        try:
            until(lambda: not self.processes(), "the server's processes to end", timeout)
        finally:
            for process in self.processes():
                process.kill()


def until(true: Callable[[], Any], what: str, timeout: float = 60.0) -> Any:
    """Waits until something is true (and gives it back), or fails saying what was waited for."""
    end = time.monotonic() + timeout
    while not (found := true()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:.0f} s in vain for {what}")
        time.sleep(0.05)
    return found


def installed(editor: str) -> Path:
    """Where `tests/editors/install.py` has put an editor."""
    return Path(os.environ["ENGRAM_EDITORS"]).absolute() / editor


def copies(project: Path, target: Path) -> Iterator[Path]:
    """A copy of a project for one test, gone afterwards."""
    shutil.copytree(project, target, symlinks=True)
    yield target
    shutil.rmtree(target, ignore_errors=True)
