"""Which distribution an imported name comes from, and which names a distribution can be imported by.

What is installed says it itself, in the metadata of the environment, read as files. For the rest there are well-known
names, and else the distribution's own name is a guess.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from engram_context.checks.requirements import normalized
from engram_context.outside.environment import Environment
from engram_context.text import read_bytes

_MOST = 8 << 20
_IDENTIFIER = re.compile(r"[^\W\d]\w*\Z")
_REQUIRES = re.compile(r"^Requires-Dist:\s*([A-Za-z0-9._-]+)[^;\n]*(?:;([^\n]*))?$", re.MULTILINE)
_FIELD = re.compile(r"^(Name|Version):[ \t]*(\S+)", re.MULTILINE)
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_GROUP = re.compile(r"^\[([^\]\n]+)\]", re.MULTILINE)
_SCRIPTS = frozenset(("console_scripts", "gui_scripts"))

# Distributions that are imported by other names than their own.
# fmt: off
_IMPORTED_AS: Mapping[str, tuple[str, ...]] = {
    "absl-py": ("absl",), "apache-airflow": ("airflow",), "attrs": ("attr", "attrs"), "beautifulsoup4": ("bs4",),
    "biopython": ("Bio",), "clickhouse-driver": ("clickhouse_driver",), "cx-oracle": ("cx_Oracle",),
    "discord-py": ("discord",), "django-cors-headers": ("corsheaders",), "django-debug-toolbar": ("debug_toolbar",),
    "django-environ": ("environ",), "django-extensions": ("django_extensions",), "django-filter": ("django_filters",),
    "djangorestframework": ("rest_framework",), "djangorestframework-simplejwt": ("rest_framework_simplejwt",),
    "dnspython": ("dns",), "docker-py": ("docker",), "elasticsearch-dsl": ("elasticsearch_dsl",), "enum34": ("enum",),
    "faiss-cpu": ("faiss",), "ffmpeg-python": ("ffmpeg",), "fonttools": ("fontTools",), "gitpython": ("git",),
    "google-api-python-client": ("googleapiclient", "apiclient"), "google-auth": ("google.auth", "google.oauth2"),
    "google-generativeai": ("google.generativeai",), "grpcio": ("grpc",), "grpcio-tools": ("grpc_tools",),
    "jpype1": ("jpype",), "kafka-python": ("kafka",), "ldap3": ("ldap3",), "levenshtein": ("Levenshtein",),
    "markdown": ("markdown",), "markdown-it-py": ("markdown_it",), "mkdocs-material": ("material",),
    "msgpack-python": ("msgpack",), "mysql-connector-python": ("mysql",), "mysqlclient": ("MySQLdb",),
    "netcdf4": ("netCDF4",), "nvidia-ml-py": ("pynvml",), "onnxruntime-gpu": ("onnxruntime",),
    "opencv-contrib-python": ("cv2",), "opencv-python": ("cv2",), "opencv-python-headless": ("cv2",),
    "opentelemetry-api": ("opentelemetry",), "opentelemetry-sdk": ("opentelemetry",), "paho-mqtt": ("paho",),
    "pillow": ("PIL",), "prompt-toolkit": ("prompt_toolkit",), "protobuf": ("google.protobuf",),
    "psycopg-binary": ("psycopg",), "psycopg2-binary": ("psycopg2",), "py-cpuinfo": ("cpuinfo",),
    "pycrypto": ("Crypto",), "pycryptodome": ("Crypto",), "pycryptodomex": ("Cryptodome",), "pygithub": ("github",),
    "pygobject": ("gi",), "pyjwt": ("jwt",), "pymupdf": ("fitz", "pymupdf"), "pynacl": ("nacl",),
    "pyopengl": ("OpenGL",), "pyopenssl": ("OpenSSL",), "pyqt5": ("PyQt5",), "pyqt6": ("PyQt6",),
    "pyserial": ("serial",), "pysocks": ("socks",), "python-box": ("box",), "python-dateutil": ("dateutil",),
    "python-docx": ("docx",), "python-dotenv": ("dotenv",), "python-gnupg": ("gnupg",), "python-jose": ("jose",),
    "python-ldap": ("ldap",), "python-levenshtein": ("Levenshtein",), "python-magic": ("magic",),
    "python-memcached": ("memcache",), "python-multipart": ("multipart", "python_multipart"),
    "python-pptx": ("pptx",), "python-slugify": ("slugify",), "python-telegram-bot": ("telegram",),
    "pywin32": ("win32api", "win32con", "win32com"), "pyxdg": ("xdg",), "pyyaml": ("yaml",), "pyzmq": ("zmq",),
    "rpi-gpio": ("RPi",), "ruamel-yaml": ("ruamel.yaml",), "scikit-image": ("skimage",), "scikit-learn": ("sklearn",),
    "sentence-transformers": ("sentence_transformers",), "sentry-sdk": ("sentry_sdk",),
    "setuptools": ("setuptools", "pkg_resources"), "sphinx": ("sphinx",), "sqlalchemy-utils": ("sqlalchemy_utils",),
    "tensorflow-cpu": ("tensorflow",), "tensorflow-gpu": ("tensorflow",), "typing-extensions": ("typing_extensions",),
    "umap-learn": ("umap",), "websocket-client": ("websocket",), "wxpython": ("wx",),
    "zope-component": ("zope.component",), "zope-interface": ("zope.interface",),
}
# Names that are imported as the distribution is called.
_SAME = frozenset((
    "aiofiles", "aiohttp", "alembic", "altair", "anyio", "arrow", "babel", "bcrypt", "bleach", "bokeh", "boto3",
    "botocore", "bottle", "brotli", "cachetools", "celery", "certifi", "cffi", "chardet", "click", "colorama",
    "cryptography", "cycler", "cython", "dask", "decorator", "defusedxml", "dill", "django", "docker", "docutils",
    "elasticsearch", "fastapi", "filelock", "flask", "fsspec", "gensim", "gevent", "greenlet", "gunicorn", "h5py",
    "html5lib", "httpx", "hypothesis", "idna", "imageio", "isodate", "jinja2", "jmespath", "joblib", "jsonschema",
    "keras", "keyring", "kombu", "kubernetes", "lark", "llvmlite", "loguru", "lxml", "mako", "markdown", "markupsafe",
    "marshmallow", "matplotlib", "mistune", "mock", "mpmath", "msgpack", "multidict", "networkx", "nltk", "nose",
    "numba", "numexpr", "numpy", "oauthlib", "openpyxl", "orjson", "packaging", "pandas", "paramiko", "passlib",
    "peewee", "pexpect", "pika", "platformdirs", "plotly", "pluggy", "ply", "polars", "psutil", "psycopg", "psycopg2",
    "ptyprocess", "pyarrow", "pyasn1", "pycparser", "pycurl", "pydantic", "pydot", "pygments", "pymongo", "pymysql",
    "pyparsing", "pyperclip", "pyramid", "pyrsistent", "pytest", "pytz", "redis", "regex", "requests", "rich", "rsa",
    "scipy", "scrapy", "seaborn", "selenium", "shapely", "simplejson", "six", "sortedcontainers", "spacy",
    "sqlalchemy", "sqlparse", "starlette", "statsmodels", "structlog", "sympy", "tabulate", "tenacity", "termcolor",
    "toml", "tomli", "tomlkit", "toolz", "torch", "torchvision", "tornado", "tqdm", "traitlets", "transformers",
    "trio", "twisted", "typer", "tzlocal", "ujson", "unidecode", "urllib3", "uvicorn", "uvloop", "voluptuous",
    "watchdog", "wcwidth", "websockets", "werkzeug", "wrapt", "wtforms", "xlrd", "xmltodict", "yarl", "zstandard",
))
# fmt: on
_BY_IMPORT: dict[str, tuple[str, ...]] = {}
for _name, _imports in _IMPORTED_AS.items():
    for _one in _imports:
        _BY_IMPORT[_one] = (*_BY_IMPORT.get(_one, ()), _name)


@dataclass(frozen=True, slots=True)
class Distribution:
    """One that is installed. `modules`: the dotted names of its topmost packages and modules; `plugs_into`: groups of
    entry points by which others find it; `scripts`: the commands it brings; `requires`: what it needs, by extra ("" for
    always)."""

    name: str
    version: str
    modules: frozenset[str]
    plugs_into: frozenset[str]
    scripts: frozenset[str]
    requires: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Installed:
    """`by_module`: the distributions that bring a module, by its dotted name."""

    by_name: Mapping[str, Distribution]
    by_module: Mapping[str, frozenset[str]]

    def providers(self, dotted: str) -> frozenset[str]:
        """The distributions from which a module is, or what is in it."""
        parts = dotted.split(".")
        for length in range(len(parts), 0, -1):
            found = self.by_module.get(".".join(parts[:length]))
            if found:
                return found
        return frozenset()

    def chosen(self, name: str, extras: Iterable[str]) -> frozenset[str]:
        """What a requirement with extras asks for besides."""
        one = self.by_name.get(name)
        wanted = set(extras)
        return frozenset() if one is None else frozenset(other for other, extra in one.requires if extra in wanted)


def modules_of(installed: Installed, name: str) -> tuple[frozenset[str], bool]:
    """(the names a distribution can be imported by, whether that is known and not guessed)."""
    one = installed.by_name.get(name)
    if one is not None and one.modules:
        return one.modules, True
    known = _IMPORTED_AS.get(name)
    if known is not None:
        return frozenset(known), True
    plain = name.replace("-", "_")
    if name in _SAME:
        return frozenset((plain,)), True
    guesses = {plain, name.replace("-", ""), name.replace("-", "."), *_shortened(name)}
    return frozenset(guesses), False


def _shortened(name: str) -> set[str]:
    found = {
        name.removeprefix("python-"),
        name.removesuffix("-python"),
        name.removeprefix("py"),
        name.removesuffix("-py"),
    }
    return {one.replace("-", "_") for one in found if len(one) > 1}


def distributions_for(dotted: str) -> tuple[str, ...]:
    """The well-known distributions for a name that is imported; nothing for a name that is not well known."""
    parts = dotted.split(".")
    for length in range(min(len(parts), 3), 0, -1):
        found = _BY_IMPORT.get(".".join(parts[:length]))
        if found is not None:
            return found
    return (parts[0],) if parts[0] in _SAME else ()


_lock = threading.Lock()


def installed_in(environment: Environment) -> Installed:
    """What the metadata of an environment says; read once."""
    with _lock:
        return _read(environment)


@lru_cache(maxsize=8)
def _read(environment: Environment) -> Installed:
    by_name: dict[str, Distribution] = {}
    by_module: dict[str, set[str]] = {}
    for folder in environment.search:
        try:
            places = sorted(path for path in folder.iterdir() if path.name.endswith((".dist-info", ".egg-info")))
        except OSError:
            continue
        for place in places:
            one = _distribution(place)
            if one is not None and one.name not in by_name:
                by_name[one.name] = one
                for module in one.modules:
                    by_module.setdefault(module, set()).add(one.name)
    return Installed(by_name, {module: frozenset(names) for module, names in by_module.items()})


def _distribution(place: Path) -> Distribution | None:
    metadata = _text(place / "METADATA") or _text(place / "PKG-INFO")
    head, _, _ = metadata.replace("\r\n", "\n").partition("\n\n")
    fields = dict(_FIELD.findall(head))
    if "Name" not in fields:
        return None
    points = _text(place / "entry_points.txt")
    groups = frozenset(_GROUP.findall(points))
    requires: list[tuple[str, str]] = []
    for name, marker in _REQUIRES.findall(head):
        extras = _EXTRA.findall(marker) or [""]
        requires.extend((normalized(name), extra.lower()) for extra in extras)
    return Distribution(
        normalized(fields["Name"]),
        fields.get("Version", ""),
        _modules(place),
        groups - _SCRIPTS,
        _scripts(points),
        tuple(requires),
    )


def _modules(place: Path) -> frozenset[str]:
    files = [line.partition(",")[0] for line in _text(place / "RECORD").splitlines()]
    if not files:
        files = _text(place / "installed-files.txt").replace("../", "").splitlines()
    sources = [path for path in files if path.endswith((".py", ".so", ".pyd", ".pyi")) and not path.startswith("..")]
    packages = {path.rpartition("/")[0] for path in sources if path.rpartition("/")[2].startswith("__init__.")}
    found: set[str] = set()
    for path in sources:
        parts = path.split("/")
        stem = parts[-1].partition(".")[0]
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in packages:
                found.add(".".join(parts[:depth]))
                break
        else:
            found.add(".".join((*parts[:-1], stem)))
    found = {name for name in found if all(map(_IDENTIFIER.match, name.split(".")))}
    return frozenset(found or _text(place / "top_level.txt").split())


def _scripts(points: str) -> frozenset[str]:
    found: set[str] = set()
    inside = False
    for line in points.splitlines():
        if line.startswith("["):
            inside = line.strip("[] \t\r") in _SCRIPTS
        elif inside and "=" in line:
            found.add(line.partition("=")[0].strip())
    return frozenset(found)


def _text(path: Path) -> str:
    try:
        return read_bytes(path, _MOST).decode("utf-8", "replace")
    except OSError:
        return ""
