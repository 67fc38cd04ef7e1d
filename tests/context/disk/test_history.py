from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from engram_context.disk import git_objects, history
from engram_context.disk.git_objects import DamagedError, Objects, object_name
from engram_context.disk.history import History
from engram_context.text import Text
from fixture import snapshot_of
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git makes the repositories")


def git(at: Path, *arguments: str, **more: str) -> str:
    who = {f"GIT_{role}_{what}": "somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= who | settings | more
    done = subprocess.run(["git", *arguments], cwd=at, env=environment, capture_output=True, check=True)
    return done.stdout.decode().strip()


def commit(at: Path, files: dict[str, str | bytes], message: str = "change") -> None:
    for path, data in files.items():
        (at / path).parent.mkdir(parents=True, exist_ok=True)
        (at / path).write_bytes(data if isinstance(data, bytes) else data.encode())
    git(at, "add", "--all", ".")
    git(at, "commit", "--quiet", "--message", message)


def repository(at: Path, files: dict[str, str | bytes], *options: str) -> Path:
    at.mkdir(parents=True, exist_ok=True)
    git(at, "init", "--quiet", "--initial-branch=main", *options)
    git(at, "config", "core.autocrlf", "false")
    commit(at, files)
    return at


def opened(root: Path) -> History:
    found = History.of(root)
    assert found is not None
    return found


def lines(count: int, **changed: str) -> str:
    return "".join(f"{changed.get(f'l{number}', f'line {number}')}\n" for number in range(count))


def test_a_file_has_the_text_it_had_at_head(tmp_path: Path):
    root = repository(tmp_path, {"a.py": "x = 1\n", "pkg/b.py": "y = 2\n", "ü.py": "z = 3\n"})
    (root / "a.py").write_text("x = 5\n")
    then = opened(root)
    assert then.text("a.py") == Text.of("x = 1\n")
    assert then.text("pkg/b.py") == Text.of("y = 2\n")
    assert then.text("ü.py") == Text.of("z = 3\n")
    assert then.text("pkg") is None and then.text("c.py") is None and then.text("a.py/b") is None
    assert sorted(then.paths()) == ["a.py", "pkg/b.py", "ü.py"]
    assert then.has("a.py") and not then.has("pkg")


def test_paths_are_those_of_the_folder_that_is_open(tmp_path: Path):
    root = repository(tmp_path, {"a.py": "", "inner/deep/b.py": "y = 2\n"})
    then = opened(root / "inner")
    assert then.text("deep/b.py") == Text.of("y = 2\n") and then.text("a.py") is None
    assert list(then.paths()) == ["deep/b.py"]


def test_the_same_history_is_given_until_head_moves(tmp_path: Path):
    root = repository(tmp_path, {"a.py": "x = 1\n"})
    first = opened(root)
    (root / "a.py").write_text("x = 2\n")
    git(root, "add", "a.py")
    assert opened(root) is first
    commit(root, {"a.py": "x = 3\n"})
    second = opened(root)
    assert second is not first and second.text("a.py") == Text.of("x = 3\n")
    assert first.text("a.py") == Text.of("x = 1\n")
    git(root, "checkout", "--quiet", "HEAD~1")  # detached
    assert opened(root).text("a.py") == Text.of("x = 1\n")
    git(root, "checkout", "--quiet", "main")
    git(root, "pack-refs", "--all")
    assert not (root / ".git/refs/heads/main").exists()
    assert opened(root).text("a.py") == Text.of("x = 3\n")


@pytest.mark.parametrize("named", ["true", "false"])
def test_packed_objects_read_like_loose_ones(tmp_path: Path, named: str):
    files = {f"m{number}.py": lines(300, l7=f"this is {number}") for number in range(30)}
    root = repository(tmp_path, files)
    for number in range(12):
        files[f"m{number}.py"] += f"more {number}\n"
        commit(root, files)
    before = {path: opened(root).text(path) for path in files}
    git(root, "-c", f"repack.useDeltaBaseOffset={named}", "repack", "-a", "-d", "-f", "--depth=50", "--quiet")
    git(root, "prune-packed")
    assert not list((root / ".git/objects").glob("[0-9a-f][0-9a-f]/*"))
    history._recent.clear()
    then = opened(root)
    assert {path: then.text(path) for path in files} == before
    assert all(before[path] == Text.of(text) for path, text in files.items())


def test_every_object_of_a_repository_is_read_as_git_reads_it(tmp_path: Path):
    root = repository(tmp_path, {f"p/m{number}.py": lines(200, l3=f"{number}" * 50) for number in range(20)})
    commit(root, {f"p/m{number}.py": lines(210, l3=f"{number}" * 60) for number in range(20)})
    git(root, "gc", "--quiet")
    commit(root, {"p/m3.py": "loose\n"})
    objects = Objects(root / ".git/objects")
    said = git(root, "cat-file", "--batch-all-objects", "--batch-check").splitlines()
    assert len(said) > 40
    for line in said:
        name, kind, size = line.split()
        found = objects.read(bytes.fromhex(name), kind)
        assert len(found) == int(size) and object_name(found, kind, 20).hex() == name


def test_a_repository_with_long_names_is_read(tmp_path: Path):
    try:
        root = repository(tmp_path, {"a.py": "x = 1\n"}, "--object-format=sha256")
    except subprocess.CalledProcessError:
        pytest.skip("this git knows one kind of names")
    assert opened(root).text("a.py") == Text.of("x = 1\n")
    assert opened(root).is_same("a.py", Text.of("x = 1\n"))
    git(root, "gc", "--quiet")
    history._recent.clear()
    assert opened(root).text("a.py") == Text.of("x = 1\n")


def test_a_further_worktree_a_borrowing_clone_and_a_submodule_are_read(tmp_path: Path):
    root = repository(tmp_path / "main", {"a.py": "x = 1\n"})
    git(root, "branch", "other")
    git(root, "worktree", "add", "--quiet", str(tmp_path / "tree"), "other")
    commit(tmp_path / "tree", {"a.py": "x = 2\n"})
    assert opened(tmp_path / "tree").text("a.py") == Text.of("x = 2\n")
    assert opened(root).text("a.py") == Text.of("x = 1\n")
    git(tmp_path, "clone", "--quiet", "--shared", str(root), "borrowed")
    assert opened(tmp_path / "borrowed").text("a.py") == Text.of("x = 1\n")
    outer = repository(tmp_path / "outer", {"b.py": ""})
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(root), "sub")
    commit(outer, {})
    assert opened(outer / "sub").text("a.py") == Text.of("x = 1\n")
    whole = opened(outer)
    # What lies in a submodule is another repository's: nothing is said about it.
    assert whole.text("sub/a.py") is None and whole.is_same("sub/a.py", Text.of("whatever"))
    assert sorted(whole.paths()) == [".gitmodules", "b.py"]


def test_without_a_commit_there_is_no_history(tmp_path: Path):
    assert History.of(tmp_path) is None
    assert History.of(tmp_path / "missing") is None
    git(tmp_path, "init", "--quiet")
    assert History.of(tmp_path) is None
    (tmp_path / "bare").mkdir()
    git(tmp_path / "bare", "init", "--quiet", "--bare")
    assert History.of(tmp_path / "bare") is None


@pytest.mark.parametrize(
    "said",
    ["gitdir: //server/share/.git", "gitdir: \\\\server\\share", "gitdir: nowhere", "gitdir:", "", "\0\xff", "rubbish"],
)
def test_a_pointer_that_leads_nowhere_or_to_another_machine_is_not_followed(tmp_path: Path, said: str):
    (tmp_path / ".git").write_text(said)
    assert History.of(tmp_path) is None


@pytest.mark.parametrize(
    "said", ["", "ref: ../../secret", "ref: refs/../../x", "ref: HEAD", "zz", "0" * 40, "ref: refs/heads/no"]
)
def test_a_head_that_says_nothing_is_no_history(tmp_path: Path, said: str):
    root = repository(tmp_path, {"a.py": ""})
    (root / ".git/HEAD").write_text(said)
    assert History.of(root) is None


def test_a_pipe_is_not_opened(tmp_path: Path):
    root = repository(tmp_path, {"a.py": "x = 1\n"})
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    (root / ".git/HEAD").unlink()
    os.mkfifo(root / ".git/HEAD")
    assert History.of(root) is None


def test_line_ends_a_mark_and_an_encoding_make_no_difference(tmp_path: Path):
    latin = "# coding: latin-1\nx = 'ü'\n"
    files = {
        "unix.py": b"a\nb\n",
        "dos.py": b"a\r\nb\r\n",
        "mark.py": b"\xef\xbb\xbfa\nb\n",
        "latin.py": latin.encode("latin-1"),
    }
    then = opened(repository(tmp_path, files))
    for path in ("unix.py", "dos.py", "mark.py"):
        for text in ("a\nb\n", "a\r\nb\r\n"):
            assert then.is_same(path, Text.of(text)), (path, text)
            assert then.changed_lines(path, Text.of(text)) == ()
        assert then.changed_lines(path, Text.of("a\r\nc\r\n")) == (range(1, 2),)
    assert then.is_same("latin.py", Text.of(latin))


def test_changed_lines_are_those_that_were_not_there(tmp_path: Path):
    then = opened(repository(tmp_path, {"a.py": lines(10)}))
    assert then.changed_lines("a.py", Text.of(lines(10))) == ()
    assert then.changed_lines("a.py", Text.of(lines(10, l3="new", l8="newer"))) == (range(3, 4), range(8, 9))
    assert then.changed_lines("a.py", Text.of(lines(12))) == (range(10, 12),)
    without = lines(10).replace("line 4\n", "")
    assert then.changed_lines("a.py", Text.of(without)) == (range(4, 4),)
    assert then.changed_lines("new.py", Text.of("a\nb\n")) == (range(3),)


def test_what_is_new_or_other_in_a_snapshot_is_told(tmp_path: Path):

    then = opened(repository(tmp_path, {"a.py": "x = 1\n", "b.py": "y = 1\n"}))
    assert then.paths_changed(snapshot_of({"a.py": "x = 1\n", "b.py": "y = 2\n", "c.py": ""})) == {"b.py", "c.py"}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), max_size=40), st.lists(st.sampled_from("abcdefghij"), max_size=40))
def test_without_the_changed_lines_the_new_text_is_a_part_of_the_old_one(old: list[str], new: list[str]):
    before, after = [one.encode() for one in old], [one.encode() for one in new]
    for most in (0, 10**9):
        history_most, history._MOST_PAIRS = history._MOST_PAIRS, most
        try:
            changed = list(history._changed(before, after))
        finally:
            history._MOST_PAIRS = history_most
        assert all(one.stop <= other.start for one, other in itertools.pairwise(changed))
        gone = {line for one in changed for line in one}
        rest = iter(before)
        assert all(line in rest for at, line in enumerate(after) if at not in gone)
        assert (not changed) == (before == after)


def test_two_long_texts_are_compared_by_their_own_lines(tmp_path: Path):
    old = [b"%d" % number if number % 2 else b"" for number in range(30_000)]
    new = [*old[:100], b"new", *old[100:15_000], *old[15_001:], b"end"]
    assert list(history._changed(old, new)) == [range(100, 101), range(15_001, 15_001), range(30_000, 30_001)]


def _object_files(root: Path) -> list[Path]:
    files = [path for path in (root / ".git").rglob("*") if path.is_file()]
    return sorted(path for path in files if "objects" in path.parts or path.name in ("HEAD", "packed-refs", "main"))


@pytest.mark.parametrize("packed", [False, True])
def test_garbage_never_raises(tmp_path: Path, packed: bool):
    files = {f"m{number}.py": lines(60, l7=f"this is {number}") for number in range(4)}
    root = repository(tmp_path, files)
    commit(root, {path: text + "more\n" for path, text in files.items()})
    if packed:
        git(root, "gc", "--quiet")
    for path in _object_files(root):
        whole = path.read_bytes()
        path.chmod(0o644)
        step = max(len(whole) // 25, 1)
        for at in range(0, len(whole), step):
            for broken in (whole[:at], whole[:at] + bytes((whole[at] ^ 0xFF,)) + whole[at + 1 :]):
                path.write_bytes(broken)
                history._recent.clear()
                history._packed.clear()
                then = History.of(root)
                if then is not None:
                    for name, text in files.items():
                        found = then.text(name)
                        # Every object is held against its name: what is read is right, or nothing is read.
                        assert found is None or found == Text.of(text + "more\n")
                        then.changed_lines(name, Text.of(text))
                    list(then.paths())
        path.write_bytes(whole)


def test_an_object_that_unpacks_to_more_than_it_may_is_not_read(tmp_path: Path):
    root = repository(tmp_path, {"a.py": "x = 1\n"})
    objects = root / ".git/objects"
    size = 64 << 20
    name = bytes(range(20))
    place = objects / name.hex()[:2] / name.hex()[2:]
    place.parent.mkdir(exist_ok=True)
    for said in (size, 5):
        place.write_bytes(zlib.compress(b"blob %d\0" % said + bytes(size)))
        with pytest.raises(DamagedError):
            Objects(objects).read(name, "blob")


def test_a_difference_that_would_grow_beyond_all_bounds_is_not_applied():
    # Each of these seven bytes copies 16 MB of the base.
    copies = b"\xf0\xff\xff\xff" * 1000
    base = bytes(1 << 16)
    for promised in (b"\x80\x80\x80\x08", b"\xff\xff\xff\xff\x0f", b"\x05"):
        with pytest.raises(DamagedError):
            git_objects._applied(b"\x80\x80\x04" + promised + copies, base)
