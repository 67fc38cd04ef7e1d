"""What never belongs to a project, whatever its rule files say: secrets, version control, caches, environments.

Names decide; nothing is opened. Where a name leaves it open the file stays out, with one exception: a source file such
as `credentials.py` is part of the program, and a rename that did not know of it would break it. Its names are known,
its text is not learned, shown in a prompt or sent (`is_private`).
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache

_FOLDERS = {
    ".git": "version control",
    ".hg": "version control",
    ".svn": "version control",
    ".jj": "version control",
    "node_modules": "installed packages",
    "site-packages": "installed packages",
    "__pypackages__": "installed packages",
    "__pycache__": "a cache",
    ".mypy_cache": "a cache",
    ".ruff_cache": "a cache",
    ".pytest_cache": "a cache",
    ".hypothesis": "a cache",
    ".ipynb_checkpoints": "a cache",
    ".cache": "a cache",
    ".tox": "a virtual environment",
    ".nox": "a virtual environment",
    ".venv": "a virtual environment",
    ".eggs": "installed packages",
    ".direnv": "a virtual environment",
    ".ssh": "a place for secrets",
    ".aws": "a place for secrets",
    ".azure": "a place for secrets",
    ".gnupg": "a place for secrets",
    ".kube": "a place for secrets",
    ".docker": "a place for secrets",
    ".password-store": "a place for secrets",
}
_SECRETS = (
    # Settings with passwords in them
    ".env", ".env.*", ".env[-_]*", "*.env", ".envrc", ".netrc", "_netrc", ".pypirc", ".npmrc", ".pgpass", ".my.cnf",
    ".mylogin.cnf", ".htpasswd", ".htdigest", ".git-credentials", ".dockercfg", ".dockerconfigjson", ".boto", ".s3cfg",
    "rclone.conf", "auth.json", "token.json", "tokens.json", "passwords", "passwords.txt", "passwords.csv",
    "local.settings.json", ".vault-token", ".vault[-_]pass*", "vault[-_]pass*", "kubeconfig", "*.kubeconfig",
    "*.tfstate", "*.tfstate.*", "*.tfvars", "*.tfvars.json", "*.ovpn",
    # Keys and stores of keys
    "*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.truststore", "*.kdb", "*.kdbx", "*.ppk",
    "*.gpg", "*.pgp", "*.asc", "*.agekey", "*.keytab", "*.keychain", "*.mobileprovision", "wallet.dat",
)  # fmt: skip
# Names that tell of secrets, unless the rest of the name says that the file is source code.
_TELLING = (
    "credential*", "*[-_.]credentials.*", "*.credentials", "secret", "secrets", "secret.*", "secrets.*",
    "*[-_.]secret.*", "*[-_.]secrets.*", "*.secret", "*.secrets", "client[-_]secret*", "service[-_]account*",
    "serviceaccount*", "application_default_credentials*", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
)  # fmt: skip
_CODE = (
    ".py", ".pyi", ".pyw", ".pyx", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".go", ".rs", ".java",
    ".kt", ".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".rb", ".php", ".cs", ".swift", ".scala", ".vue",
    ".svelte",
)  # fmt: skip


def _any(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern) for pattern in patterns), re.IGNORECASE)


_SECRET, _TELLING_NAME = _any(_SECRETS), _any(_TELLING)


def why_folder(name: str) -> str | None:
    """Why a folder of this name is left out, None when its name does not say."""
    kind = _FOLDERS.get(name.lower())
    if kind is not None:
        return f"{name}/ is {kind} (built-in rule)"
    if name.endswith((".egg-info", ".dist-info")):
        return f"{name}/ is package metadata (built-in rule)"
    return None


@lru_cache(1 << 12)
def is_secret(name: str) -> bool:
    """Whether a file of this name may hold secrets: it is not read, and not answered about when it is open."""
    return _SECRET.match(name) is not None or (_TELLING_NAME.match(name) is not None and not _is_code(name))


@lru_cache(1 << 12)
def is_private(name: str) -> bool:
    """Whether a source file of this name may hold secrets: only its names are known."""
    return _is_code(name) and _SECRET.match(name) is None and _TELLING_NAME.match(name) is not None


def _is_code(name: str) -> bool:
    return name.lower().endswith(_CODE)
