"""Which files belong to a project, against git itself where git is at hand."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from engram_context.disk.builtin_rules import is_private, is_secret
from engram_context.disk.ignore import Ignore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def write(root: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, encoding="utf-8")


def walked(root: Path) -> set[str]:
    return {path for path, _ in Ignore(root).walk(lambda path: True)}


def python_files(root: Path) -> set[str]:
    return {path for path, _ in Ignore(root).walk(lambda path: path.endswith(".py"))}


def test_a_nearer_rule_file_overrides_a_farther_one_and_a_lost_folder_stays_lost(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            ".git/info/exclude": "local.py\n",
            ".gitignore": "*_gen.py\n/build/\n# *.py\n\n",
            "pkg/.gitignore": "!keep_gen.py\n",
            "a.py": "",
            "a_gen.py": "",
            "local.py": "",
            "pkg/keep_gen.py": "",
            "pkg/other_gen.py": "",
            "pkg/build/c.py": "",
            "build/.gitignore": "!*.py\n",
            "build/b.py": "",
        },
    )
    assert python_files(tmp_path) == {"a.py", "pkg/keep_gen.py", "pkg/build/c.py"}
    ignore = Ignore(tmp_path)
    assert ignore.why("a_gen.py") == ".gitignore:1: *_gen.py"
    assert ignore.why("pkg/other_gen.py") == ".gitignore:1: *_gen.py"
    assert ignore.why("local.py") == ".git/info/exclude:1: local.py"
    assert ignore.why("build/b.py") == ".gitignore:2: /build/"
    assert ignore.why("a.py") is None


def test_the_private_file_wins_over_git_in_both_directions(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            ".gitignore": "generated/*\n",
            ".engramignore": "!generated/api.py\nslow/\n",
            "sub/.gitignore": "api.py\n",
            "generated/api.py": "",
            "generated/other.py": "",
            "slow/x.py": "",
            "sub/api.py": "",
        },
    )
    assert python_files(tmp_path) == {"generated/api.py"}
    assert Ignore(tmp_path).why("slow/x.py") == ".engramignore:2: slow/"


def test_a_setting_has_the_last_word_on_both_kinds_of_rule_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        {".gitignore": "a.py\n", "pkg/.engramignore": "!b.py\nc.py\n", "a.py": "", "pkg/b.py": "", "pkg/c.py": ""},
    )
    ignore = Ignore(tmp_path, ["b.py", "!a.py"])
    assert {path for path, _ in ignore.walk(lambda path: path.endswith(".py"))} == {"a.py"}
    assert ignore.why("pkg/b.py") == "the setting index.exclude: b.py"


def test_secrets_stay_out_whatever_the_rule_files_say(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            ".engramignore": "!.env\n!*.pem\n!id_rsa\n!.git/\n",
            ".env": "KEY=1",
            ".env.local": "KEY=1",
            "server.pem": "",
            "keys/ID_RSA": "",
            ".git/hooks/x.py": "",
            "app.py": "",
        },
    )
    assert walked(tmp_path) - {".engramignore"} == {"app.py"}
    assert Ignore(tmp_path).why(".env") == ".env may hold secrets (built-in rule)"


def test_virtual_environments_and_caches_are_left_out_by_what_they_are(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "my-env/pyvenv.cfg": "",
            "my-env/lib/x.py": "",
            "node_modules/a/b.py": "",
            "pkg/__pycache__/x.py": "",
            "pkg/x.py": "",
            "pkg.egg-info/y.py": "",
        },
    )
    assert python_files(tmp_path) == {"pkg/x.py"}
    assert "virtual environment" in (Ignore(tmp_path).why("my-env/lib/x.py") or "")


def test_rules_above_a_project_inside_a_repository_hold_too(tmp_path: Path) -> None:
    write(tmp_path, {".git/HEAD": "", ".gitignore": "*_gen.py\n", "sub/a.py": "", "sub/b_gen.py": ""})
    assert python_files(tmp_path / "sub") == {"a.py"}


def test_a_path_that_leaves_the_root_is_outside(tmp_path: Path) -> None:
    assert Ignore(tmp_path).why("../x.py") == "outside the project folder"
    assert Ignore(tmp_path).why("a/../../x.py") == "outside the project folder"


def test_a_pattern_that_makes_no_sense_spoils_only_itself(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "!\na.py\n***/\n[\nb.py\n", "a.py": "", "b.py": "", "c.py": ""})
    assert "c.py" in python_files(tmp_path)
    assert not {"a.py", "b.py"} & python_files(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_do_not_count_so_that_nothing_is_read_twice_or_outside_and_loops_end(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, {"a.py": "", "pkg/b.py": ""})
    write(tmp_path, {"outside.py": "", "elsewhere/c.py": ""})
    (root / "pkg/loop").symlink_to(root)
    (root / "elsewhere").symlink_to(tmp_path / "elsewhere")
    (root / "link.py").symlink_to(root / "a.py")
    (root / "out.py").symlink_to(tmp_path / "outside.py")
    (root / "dead.py").symlink_to(root / "nowhere.py")
    (root / "self.py").symlink_to(root / "self.py")
    (root / "hard.py").hardlink_to(root / "a.py")
    assert python_files(root) == {"a.py", "pkg/b.py", "hard.py"}
    ignore = Ignore(root)
    for path in ("link.py", "out.py", "dead.py", "self.py", "pkg/loop/a.py", "elsewhere/c.py"):
        reason = ignore.reason(path)
        assert reason is not None and reason.kind == "link", path
    # A root that is a link itself is a folder like any other.
    (tmp_path / "other name").symlink_to(root)
    assert python_files(tmp_path / "other name") == {"a.py", "pkg/b.py", "hard.py"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_regular_file_is_passed_over_and_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a.py": "", "folder.py/b.py": ""})
    os.mkfifo(tmp_path / "pipe.py")
    os.mkfifo(tmp_path / ".engramignore")  # opening it would wait for ever
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)
        server.bind("s.py")
        assert python_files(tmp_path) == set()
        (tmp_path / ".engramignore").unlink()
        assert python_files(tmp_path) == {"a.py", "folder.py/b.py"}
        assert Ignore(tmp_path).why("pipe.py") == "pipe.py is no regular file"
        assert Ignore(tmp_path).why("s.py") == "s.py is no regular file"


def test_a_folder_whose_private_rules_cannot_be_read_stays_out(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "", "pkg/b.py": "", "pkg/.engramignore": "#" * (1 << 20) + "\nc.py\n"})
    assert python_files(tmp_path) == {"a.py"}
    assert Ignore(tmp_path).why("pkg/b.py") == (
        "pkg/.engramignore is larger than 1,048,576 bytes: nothing beside it is read"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_rules_count_in_the_encodings_that_shells_write(tmp_path: Path, encoding: str) -> None:
    write(tmp_path, {"private.py": "", "a.py": ""})
    (tmp_path / ".engramignore").write_text("private.py\r\n", encoding=encoding)
    assert python_files(tmp_path) == {"a.py"}


SECRET = [
    "auth.json",
    "passwords.txt",
    ".env",
    ".env.local",
    ".env-production",
    "app.env",
    ".envrc",
    "server.pem",
    "KEY.PEM",
    "id_rsa",
    "id_ed25519.pub",
    "tls.key",
    "cert.p12",
    "x.pfx",
    "vault.kdbx",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    "credentials",
    "credentials.json",
    "Credentials.CSV",
    "aws-credentials.json",
    "credentials-prod.yml",
    "secrets.yaml",
    "secret.json",
    "app.secrets.toml",
    "client_secret_1.json",
    "service-account.json",
    "service_account_prod.json",
    "service-account-7.json",
    "terraform.tfstate",
    "prod.tfvars",
    "kubeconfig",
    "site.ovpn",
    ".env.py",
]
NAMES_ONLY = [
    "credentials.py",
    "my_credentials.py",
    "secrets.py",
    "secret.ts",
    "service_account.go",
    "client_secret.py",
]
ORDINARY = [
    "a.py",
    "environment.py",
    "keys.py",
    "secretary.py",
    "token.py",
    "key.py",
    "monkey.key.py",
    "README.md",
    "credits.py",
]


def test_secrets_are_told_by_their_names_and_code_of_such_names_is_told_apart() -> None:
    assert [name for name in SECRET if not is_secret(name) or is_private(name)] == []
    assert [name for name in NAMES_ONLY if is_secret(name) or not is_private(name)] == []
    assert [name for name in ORDINARY if is_secret(name) or is_private(name)] == []


def test_secrets_and_places_for_them_are_out_of_reach_by_every_rule(tmp_path: Path) -> None:
    write(tmp_path, {".engramignore": "!*\n!.ssh/\n", **dict.fromkeys(SECRET, ""), ".ssh/config.py": "", "a.py": ""})
    assert {path for path, _ in Ignore(tmp_path, ["!*"]).walk(lambda path: True)} == {".engramignore", "a.py"}


@pytest.mark.skipif(os.name == "nt", reason="the names are not allowed")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_reason_is_none_exactly_for_the_files_that_are_walked(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("root")
    names = st.sampled_from(["a.py", "b", "c.py", ".env", "credentials.py", "key.pem", ".git", "node_modules", "sub"])
    kinds = st.sampled_from(["file", "file", "file", "link", "loop", "pipe", "rules", "venv"])
    for parts, kind in data.draw(st.lists(st.tuples(st.lists(names, min_size=1, max_size=3), kinds), max_size=10)):
        at = root.joinpath(*parts)
        with suppress(OSError):
            at.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(at):
                continue
            if kind == "file":
                at.write_text("")
            elif kind == "link":
                at.symlink_to(root / "a.py")
            elif kind == "loop":
                at.symlink_to(root)
            elif kind == "pipe":
                os.mkfifo(at)
            elif kind == "rules":
                (at.parent / ".gitignore").write_text("c.py\nsub/\n!a.py\n")
                (at.parent / ".engramignore").write_text("b\n!sub\n")
            else:
                (at.parent / "pyvenv.cfg").write_text("")
    everything = {
        path.relative_to(root).as_posix()
        for folder, _, files in os.walk(root, followlinks=False)
        for path in (Path(folder, file) for file in files)
    }
    ignore = Ignore(root)
    # (The root itself is a project even where it is a virtual environment.)
    assert {path for path in everything if ignore.why(path) is None} == walked(root)


@pytest.mark.skipif(os.name == "nt", reason="names are text on Windows")
def test_a_name_that_is_no_text_is_passed_over(tmp_path: Path) -> None:
    try:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.py"))).write_text("")
    except OSError:
        pytest.skip("the file system takes text names only")
    write(tmp_path, {"good.py": ""})
    assert python_files(tmp_path) == {"good.py"}
    assert "no UTF-8 text" in (Ignore(tmp_path).why(os.fsdecode(b"bad\xff.py")) or "")


def test_a_root_that_is_gone_is_an_error_and_not_an_empty_project(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        list(Ignore(tmp_path / "gone").walk(lambda path: True))


names = st.sampled_from(["a", "b", "c.py", "d.py", "lib", "a b", "[x]", "#c", "!d"])
pieces = st.sampled_from(
    [
        "a",
        "b",
        "*.py",
        "c.py",
        "d*",
        "lib",
        "**",
        "?",
        "[a-c]",
        "[!a]*",
        "[[:alpha:]]",
        "a\\ b",
        "***",
        "\\[x]",
        "*[]x]",
        "[b",
    ]
)
patterns = st.builds(
    lambda start, parts, end: start + "/".join(parts) + end,
    st.sampled_from(["", "", "", "!", "/", "!/", "**/", "\\"]),
    st.lists(pieces, min_size=1, max_size=3),
    st.sampled_from(["", "", "/", "/*", "/**", "/**/", " ", "\\"]),
) | st.sampled_from(["", "#c", "\\#c", "\\!d", "/", "!", "**/", "//", "a//", "/**"])


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.sets(st.lists(names, min_size=1, max_size=4).map("/".join), min_size=1, max_size=8),
    top=st.lists(patterns, max_size=4),
    nested=st.lists(patterns, max_size=3),
)
def test_the_files_are_the_ones_that_git_would_list(
    tmp_path_factory: pytest.TempPathFactory, files: set[str], top: list[str], nested: list[str]
) -> None:
    root = tmp_path_factory.mktemp("repo")
    for path in files:
        file = root / path
        if any(parent.is_file() for parent in file.parents) or file.is_dir():
            continue
        write(root, {path: ""})
    write(root, {".gitignore": "\n".join(top) + "\n"})
    if (root / "a").is_dir():
        write(root, {"a/.gitignore": "\n".join(nested) + "\n"})
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q"], cwd=root, check=True, env=environment)
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard", "-z"],
        cwd=root, check=True, capture_output=True, text=True, env=environment,
    ).stdout  # fmt: skip
    assert walked(root) == {path for path in listed.split("\0") if path}
