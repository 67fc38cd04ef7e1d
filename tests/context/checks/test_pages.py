"""What users are told about each code, with its examples run."""

import re
from collections.abc import Callable
from importlib.resources import files

import pytest
from engram_context.checks import catalogue
from engram_context.findings import Finding

AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]
_SECTION = re.compile(r"^## (Found|Not found)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_EXAMPLE = re.compile(r"^```(?:python|toml)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples(code: str) -> dict[str, list[str]]:
    """The examples of a page by section. Those that need more than files are fenced as text and not run."""
    page = catalogue.page_of(code) or ""
    return {section: _EXAMPLE.findall(body) for section, body in _SECTION.findall(page)}


def test_every_code_has_a_page_and_every_page_a_code():
    folder = files("engram_context.checks").joinpath("pages")
    assert {entry.name.removesuffix(".md") for entry in folder.iterdir()} == set(catalogue.CODES)
    assert catalogue.page_of("no-such-code") is None


@pytest.mark.parametrize("code", sorted(catalogue.CODES))
def test_a_page_begins_with_its_code_and_shows_what_is_found_and_what_is_not(code: str):
    page = catalogue.page_of(code) or ""
    assert page.startswith(f"# {code}\n")
    assert "\n## Found\n" in page
    assert "\n## Not found\n" in page


@pytest.mark.parametrize("code", sorted(catalogue.CODES))
def test_the_examples_of_a_page_are_true(code: str, all_findings: AllFindings):
    for section, sources in examples(code).items():
        for source in sources:
            codes = {finding.code for found in all_findings(source).values() for finding in found}
            assert (code in codes) == (section == "Found"), source
