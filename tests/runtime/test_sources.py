"""Source packages that the tests pack themselves, filters of every language, installed packages; nothing is fetched."""

import io
import json
import random
import shutil
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from engram_runtime.train import corpus, debian, sources
from engram_runtime.train.corpus import CorpusOptions, build_corpus, documents
from engram_runtime.train.debian import Archive, Licences, Pin, parse_pin, pinned_sources, read_source
from engram_runtime.train.duplicates import Overlap, shingles
from engram_runtime.train.languages import ENDINGS
from engram_runtime.train.licences import debian_licence_is_permissive
from engram_runtime.train.withheld import Withheld
from rich.console import Console

WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "sigma",
    "omega",
    "width",
    "height",
    "left",
    "right",
    "frame",
    "index",
    "total",
    "parser",
    "reader",
    "writer",
]
NOTICE = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: its authors
License: Expat

Files: src/theirs.c
 src/borrowed/*
Copyright: others
License: GPL-2+

Files: src/borrowed/free.c
Copyright: others
License: GPL-2+ or BSD-3-clause

Files: debian/*
Copyright: the packagers
License: GPL-3+

License: Expat
 Permission is hereby granted.
"""


def c_code(seed: int, functions: int = 12) -> str:
    """A file of its own making, different for each seed."""
    draw = random.Random(seed)
    lines = [f"/* File {seed}. */", "#include <stdlib.h>", ""]
    for number in range(functions):
        first, second, third = draw.sample(WORDS, 3)
        lines += [
            f"static int {first}_{number}(int {second}, int {third})",
            "{",
            f"    int {first} = {second} {draw.choice('+-*/')} {third} + {draw.randrange(1000)};",
            f"    if ({first} > {draw.randrange(1000)})",
            f"        abort(); // {draw.choice(WORDS)}",
            f"    return {first} {draw.choice('+-*/')} {draw.choice((second, third))};",
            "}",
            "",
        ]
    return "\n".join(lines)


def python_code(seed: int) -> str:
    draw = random.Random(seed)
    lines: list[str] = []
    for number in range(12):
        first, second = draw.sample(WORDS, 2)
        lines += [f"def {first}_{number}({second}):", f"    return {second} * {draw.randrange(10_000)}", ""]
    return "\n".join(lines)


def tarball(path: Path, files: dict[str, str], links: dict[str, str] | None = None) -> None:
    with tarfile.open(path, "w:xz" if path.suffix == ".xz" else "w:gz") as archive:
        for name, text in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(text.encode())
            archive.addfile(about, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            about = tarfile.TarInfo(name)
            about.type, about.linkname = tarfile.SYMTYPE, target
            archive.addfile(about)


def source_package(
    folder: Path,
    files: dict[str, str],
    notice: str = NOTICE,
    name: str = "thing",
    components: dict[str, dict[str, str]] | None = None,
    links: dict[str, str] | None = None,
    language: str = "c",
) -> tuple[Path, Pin]:
    """A source package of version 1:1.0-1 in the folder, as apt-get would have left it."""
    folder.mkdir(parents=True, exist_ok=True)
    tarball(folder / f"{name}_1.0.orig.tar.gz", files, links)
    for component, contents in (components or {}).items():
        tarball(folder / f"{name}_1.0.orig-{component}.tar.gz", contents)
    tarball(folder / f"{name}_1.0-1.debian.tar.xz", {"debian/copyright": notice})
    parts = [path for path in sorted(folder.glob(f"{name}_1.0*")) if path.suffix != ".dsc"]
    listed = "".join(f" {sha256(path.read_bytes()).hexdigest()} {path.stat().st_size} {path.name}\n" for path in parts)
    dsc = folder / f"{name}_1.0-1.dsc"
    dsc.write_text(f"Source: {name}\nVersion: 1:1.0-1\nChecksums-Sha256:\n{listed}", encoding="utf-8")
    return dsc, Pin(language, name, "1:1.0-1")


def test_a_source_packages_files_have_the_licence_of_the_last_stanza_that_names_them(tmp_path: Path) -> None:
    files = {
        f"thing-1.0/{path}": c_code(number)
        for number, path in enumerate(
            ("src/a.c", "src/theirs.c", "src/borrowed/b.c", "src/borrowed/free.c", "README.md", "run.py")
        )
    }
    extra = {"extra": {"whatever/c.h": c_code(10)}}
    package = read_source(*source_package(tmp_path, files, components=extra))
    assert (package.name, package.version, package.language) == ("debian:thing", "1:1.0-1", "c")
    assert package.licence == "Expat; GPL-2+ or BSD-3-clause"
    assert dict(package.files) == {
        "src/a.c": c_code(0),
        "src/borrowed/free.c": c_code(3),
        "extra/c.h": c_code(10),
    }
    assert dict(package.refused) == {"licence": 2}


def test_paths_that_lead_out_and_links_and_huge_files_are_not_read(tmp_path: Path) -> None:
    files = {
        "thing-1.0/../../out.c": c_code(1),
        "/thing-1.0/rooted.c": c_code(2),
        "thing-1.0/huge.c": "x" * (sources.MAX_BYTES + 1),
        "thing-1.0/fine.c": c_code(3),
    }
    package = read_source(*source_package(tmp_path, files, links={"thing-1.0/link.c": "/etc/passwd"}))
    assert [path for path, _ in package.files] == ["fine.c"]
    assert dict(package.refused) == {"size": 1}


def test_a_tarball_that_unpacks_to_more_than_anyone_wrote_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsc, pin = source_package(tmp_path, {f"thing-1.0/{number}.c": c_code(number) for number in range(9)})
    monkeypatch.setattr(debian, "MAX_UNPACKED", 5000)
    with pytest.raises(ValueError, match="unpacks to more than 5,000 bytes"):
        read_source(dsc, pin)


def test_a_damaged_tarball_is_an_error_that_names_the_package(tmp_path: Path) -> None:
    dsc, pin = source_package(tmp_path, {"thing-1.0/a.c": c_code(1)})
    (tmp_path / "thing_1.0.orig.tar.gz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"thing_1\.0-1\.dsc cannot be read"):
        read_source(dsc, pin)


@pytest.mark.parametrize(
    "notice",
    [
        NOTICE.replace("License: Expat\n", "License: GPL-2+\n", 1),
        "This package is free, see the file COPYING.\n\nFiles: *\nLicense: Expat\n",
        NOTICE.replace("Files: *", "Files: doc/*"),
        "",
    ],
    ids=["copyleft", "no format", "nothing covers the files", "empty"],
)
def test_a_package_whose_licence_is_copyleft_or_unknown_is_refused_whole(tmp_path: Path, notice: str) -> None:
    package = read_source(*source_package(tmp_path, {"thing-1.0/a.c": c_code(1)}, notice))
    assert package.licence is None
    assert not package.files


def test_wildcards_of_stanzas_reach_into_folders_and_take_brackets_as_they_are() -> None:
    licences = Licences("Format: x\n\nFiles: */te?t.c\n ./lib/\n a[b].c\nLicense: ISC\n")
    covered = ["x/y/text.c", "lib/deep/b.c", "a[b].c"]
    assert [licences.of(path) for path in covered] == ["ISC"] * 3
    assert [licences.of(path) for path in ("text.c", "library/b.c", "ab.c")] == [""] * 3
    assert licences.main is None


@pytest.mark.parametrize(
    ("name", "permissive"),
    [
        ("Expat", True),
        ("Apache-2.0 or EPL-1.0", True),
        ("Apache-2.0 with LLVM exception", True),
        ("BSD-3-clause and public-domain", True),
        ("GPL-2+, and Expat", False),
        ("GPL-2+ and/or Expat", False),
        ("GPL-2+ with Autoconf exception", False),
        ("LGPL-2.1+", False),
        ("MPL-2.0", False),
        ("SIL-OPEN-FONT", False),
        ("", False),
    ],
)
def test_short_names_of_stanzas_are_read_as_debian_writes_them(name: str, permissive: bool) -> None:
    assert debian_licence_is_permissive(name) is permissive


def test_pins_of_source_packages_are_distinct_and_cover_the_languages() -> None:
    pins = pinned_sources()
    assert {pin.language for pin in pins} == set(ENDINGS) - {"python"}
    assert len({(pin.language, pin.name) for pin in pins}) == len(pins) > 60
    assert parse_pin("rust rustc=1.63.0+dfsg1-2 4") == Pin("rust", "rustc", "1.63.0+dfsg1-2", 4.0)
    assert Pin("c", "redis", "5:7.0.15-1").dsc == "redis_7.0.15-1.dsc"


@pytest.mark.parametrize(
    "line", ["c redis", "cobol x=1", "c ../x=1", "c redis=1 -o", "c redis=1 0.5 0.5", "c -x=1", ""]
)
def test_a_line_that_is_no_pin_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a source package's pin"):
        parse_pin(line)


def test_without_apt_what_is_not_in_the_folder_is_skipped_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    _, pin = source_package(tmp_path / "debian", {f"thing-1.0/{number}.c": c_code(number) for number in range(5)})
    console = Console(record=True, file=io.StringIO(), width=200)
    options = CorpusOptions(
        tmp_path, packages=(), heldout=(), debian=(Pin("go", "other", "2"), pin), standard_library=False
    )
    manifest = json.loads(build_corpus(options, console).read_text(encoding="utf-8"))
    assert "skipped other: apt-get is not installed" in console.export_text()
    assert {document.path for document in documents(tmp_path)} <= {f"{number}.c" for number in range(5)}
    (entry,) = manifest["packages"]
    assert (entry["name"], entry["version"], entry["licence"]) == ("debian:thing", "1:1.0-1", "Expat")
    assert manifest["languages"] == entry["languages"] == {"c": manifest["bytes"]}


@pytest.mark.skipif(not shutil.which("apt-get"), reason="needs apt")
def test_apt_fetches_from_the_archives_that_the_machine_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, etc = tmp_path / "archive", tmp_path / "etc"
    dsc, pin = source_package(archive, {"thing-1.0/a.c": c_code(1)})
    parts = sorted(archive.iterdir())
    listed = "".join(f" {sha256(path.read_bytes()).hexdigest()} {path.stat().st_size} {path.name}\n" for path in parts)
    stanza = f"Package: thing\nBinary: thing\nVersion: 1:1.0-1\nDirectory: .\nChecksums-Sha256:\n{listed}"
    (archive / "Sources").write_text(stanza, encoding="utf-8")
    (etc / "parts").mkdir(parents=True)
    (etc / "parts" / "local.list").write_text(f"deb [trusted=yes] file:{archive} ./\n", encoding="utf-8")
    configuration = f'Dir::Etc::sourcelist "{etc}/none";\nDir::Etc::sourceparts "{etc}/parts";\n'
    (etc / "apt.conf").write_text(configuration, encoding="utf-8")
    monkeypatch.setenv("APT_CONFIG", str(etc / "apt.conf"))
    monkeypatch.chdir(tmp_path)
    folder = Archive(Path("corpus/debian"))
    assert not folder.has(pin)
    fetched = folder.fetch(pin)
    assert folder.has(pin)
    assert fetched.read_bytes() == dsc.read_bytes()
    assert read_source(fetched, pin).files == (("a.c", c_code(1)),)
    with pytest.raises(OSError, match="no source of missing=1: E: "):
        folder.fetch(Pin("c", "missing", "1"))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("src/main.c", None),
        ("pkg/server.go", None),
        ("src/index.d.ts", None),
        ("src/latest.c", None),
        ("src/contest.go", None),
        ("src/main/java/org/x/Attest.java", None),
        ("pkg/server_test.go", "test"),
        ("src/__tests__/a.ts", "test"),
        ("src/a.spec.ts", "test"),
        ("src/a.test.jsx", "test"),
        ("src/test/java/org/x/Thing.java", "test"),
        ("src/main/java/org/x/ThingTest.java", "test"),
        ("crate/tests/it.rs", "test"),
        ("crate/src/tests.rs", "test"),
        ("benches/speed.rs", "test"),
        ("util/hash_unittest.cc", "test"),
        ("test-tcp.c", "test"),
        ("vendor/github.com/x/y.go", "vendored"),
        ("web/node_modules/x/y.js", "vendored"),
        ("third_party/zlib/a.c", "vendored"),
        ("deps/lua/a.c", "vendored"),
        ("dist/thing.js", "vendored"),
        ("lib/thing.min.js", "generated"),
        ("api/thing.pb.go", "generated"),
        ("api/thing.pb.h", "generated"),
        ("api/zz_generated.deepcopy.go", "generated"),
        ("src/parser.tab.c", "generated"),
    ],
)
def test_names_tell_tests_and_copies_and_products_in_every_language(path: str, reason: str | None) -> None:
    assert sources.reason_against(path, c_code(1)) == reason


@pytest.mark.parametrize(
    ("opening", "reason"),
    [
        ("// Code generated by a tool. DO NOT EDIT.\n", "generated"),
        ("/*\n * This file was generated by a tool.\n */\n", "generated"),
        ("/* This program is free software under the GNU General Public License. */\n", "licence"),
        ('char *claim = "generated by hand";\n', None),
        ("char *table = { " + "0x12, " * 60 + "};\n", "data"),
    ],
)
def test_what_a_file_says_about_itself_is_read_in_its_own_comments(opening: str, reason: str | None) -> None:
    assert sources.reason_against("src/a.c", opening + c_code(1)) == reason


def test_tables_are_no_code_in_any_language() -> None:
    table = "static const int table[] = {\n" + "    { 0x12, 0x34 },\n" * 200 + "};\n"
    assert sources.reason_against("src/table.c", table) == "data"


def test_each_language_has_its_own_comments() -> None:
    plain = "int a;\nint b;\nint c;\n#define D 1\n"
    assert np.array_equal(
        shingles(plain, "a.c"), shingles("/* licence\n * more\n */\n" + plain.replace("int c", "// c\nint c"), "a.h")
    )
    assert not np.array_equal(shingles(plain, "a.c"), shingles(plain.replace("#define D 1", ""), "a.c"))
    assert not np.array_equal(shingles("a = 1\n*b = 2\n", "a.c"), shingles("a = 1\n", "a.c"))


def test_a_fingerprint_knows_copies_as_the_files_themselves_do(tmp_path: Path) -> None:
    files = tuple((f"secret/m{number}.py", python_code(number)) for number in range(40))
    secret = sources.Package("secret-thing", "1", "MIT", files)
    full = Withheld.of(("secret-thing==1",), [secret])
    full.save(tmp_path / "print.npz")
    known = Withheld.shipped(full.pins, tmp_path / "print.npz")
    copy, mixed, other = (python_code(3), python_code(4) + python_code(1000), python_code(2000))
    assert known.overlap.of(shingles(copy)) == 1.0
    assert known.overlap.of(shingles(mixed)) > 0.1
    assert known.overlap.of(shingles(other)) <= 0.1
    assert known.modules == {"secret", "secret_thing"}
    assert known.has("Secret_Thing")
    assert known.has_path("other/_copies/secret/m.py")
    assert not known.has_path("other/secret.py")
    assert np.array_equal(known.overlap.packed(), full.overlap.packed())
    with pytest.raises(OSError, match="fingerprint of secret-thing==1 and not of secret-thing==2"):
        Withheld.shipped(("secret-thing==2",), tmp_path / "print.npz")
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with pytest.raises(OSError, match="no fingerprint"):
        Withheld.shipped(full.pins, tmp_path / "bad.npz")


def test_an_empty_fingerprint_forbids_nothing() -> None:
    assert Overlap.unpacked(Overlap([]).packed()).of(shingles(python_code(1))) == 0.0


def test_the_fingerprint_that_ships_is_of_the_packages_that_are_held_out() -> None:
    withheld = Withheld.shipped(corpus.HELDOUT)
    assert {"flask", "sympy", "attr", "markdown_it", "more_itertools"} <= withheld.modules
    assert withheld.overlap.of(shingles(python_code(1))) <= 0.1


def installed(folder: Path, name: str, files: dict[str, str], licence: str = "MIT") -> None:
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nLicense-Expression: {licence}\n", encoding="utf-8"
    )
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    (about / "RECORD").write_text("".join(f"{path},,\n" for path in (*files, "../../bin/x.py")), encoding="utf-8")


def test_installed_packages_serve_as_text_less_the_held_out_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    place = tmp_path / "site"
    installed(place, "good", {"good/a.py": python_code(1), "good/flask/b.py": python_code(2)})
    installed(place, "bad", {"bad/a.py": python_code(3)}, "GPL-3.0-only")
    installed(place, "flask", {"flask/app.py": python_code(4)})
    _, copy = source_package(
        tmp_path / "corpus" / "debian", {"flask-1/flask.py": python_code(5)}, name="python-flask", language="python"
    )
    console = Console(record=True, file=io.StringIO(), width=200)
    absent = Pin("c", "absent", "1")
    options = CorpusOptions(tmp_path / "corpus", debian=(copy, absent), installed=(place,), standard_library=False)
    manifest = json.loads(build_corpus(options, console).read_text(encoding="utf-8"))
    said = console.export_text()
    assert "skipped flask: held out" in said
    assert "skipped python-flask: held out" in said
    assert "absent" not in said
    assert "skipped bad: its licence is copyleft or unknown" in said
    (entry,) = manifest["packages"]
    assert (entry["name"], entry["files"], entry["refused"]) == ("good", 1, {"held out by name": 1})
    assert manifest["heldout by"] == "fingerprint"
    assert manifest["python from"] == "installed packages"


def test_installed_packages_are_found_once_each_and_by_name(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    installed(first, "b", {"b/a.py": python_code(1)})
    installed(second, "b", {"b/a.py": python_code(2)})
    installed(second, "A-a", {"a.py": python_code(3)})
    found = sources.installed_distributions([first, second])
    assert [sources.read_installed(one).files for one in found] == [
        (("a.py", python_code(3)),),
        (("b/a.py", python_code(1)),),
    ]
    assert sources.installed_distributions([Path(entry) for entry in sys.path])
