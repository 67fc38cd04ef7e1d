"""The user's list of servers: nothing else may be asked, and a key goes to its own server only."""

from pathlib import Path

import pytest
from engram_runtime.dialects import kinds_for, url_of
from engram_runtime.servers import Allowed, RemoteError, find_server, read_servers
from hypothesis import example, given
from hypothesis import strategies as st

FILE = Path("servers")


def test_a_list_names_origins_and_the_variables_of_their_keys(tmp_path: Path) -> None:
    file = tmp_path / "servers"
    file.write_text(
        "# mine\nhttps://api.deepseek.com DEEPSEEK_API_KEY\n\n  http://gpu.lan:8000/  # no key\nHTTPS://Example.com:443\n",
        encoding="utf-8",
    )
    assert read_servers(file) == (
        Allowed("https://api.deepseek.com", "DEEPSEEK_API_KEY"),
        Allowed("http://gpu.lan:8000"),
        Allowed("https://example.com"),
    )


def test_without_a_list_there_is_no_server(tmp_path: Path) -> None:
    assert read_servers(tmp_path / "servers") == ()
    with pytest.raises(RemoteError, match=r"http://127\.0\.0\.1:8000 is not on your list .* add the line"):
        find_server("http://127.0.0.1:8000/v1", (), FILE)


@pytest.mark.parametrize(
    "line", ["gpu.lan:8000", "http://gpu.lan/v1", "http://", "https://a KEY more", "file:///etc/passwd", "*"]
)
def test_a_line_that_is_no_origin_is_an_error_with_its_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / "servers"
    file.write_text(f"https://api.deepseek.com\n{line}\n", encoding="utf-8")
    with pytest.raises(RemoteError, match="line 2"):
        read_servers(file)


def test_a_list_that_cannot_be_read_allows_nothing(tmp_path: Path) -> None:
    file = tmp_path / "servers"
    file.write_bytes(b"http://gpu.lan \xff")
    with pytest.raises(RemoteError, match="no server is asked"):
        read_servers(file)
    with pytest.raises(RemoteError, match="no server is asked"):
        read_servers(tmp_path)


ALLOWED = (Allowed("https://api.example.com", "EXAMPLE_KEY"), Allowed("http://gpu.lan:8000"))


@pytest.mark.parametrize(
    ("endpoint", "base", "key"),
    [
        ("https://api.example.com", "https://api.example.com", "k"),
        ("https://api.example.com:443/v1/", "https://api.example.com/v1", "k"),
        (" HTTPS://API.example.COM/v1", "https://api.example.com/v1", "k"),
        ("http://gpu.lan:8000/some/../v1", "http://gpu.lan:8000/v1", ""),
    ],
)
def test_an_origin_on_the_list_is_found_however_it_is_spelled(endpoint: str, base: str, key: str) -> None:
    server = find_server(endpoint, ALLOWED, FILE, {"EXAMPLE_KEY": " k\n", "OTHER": "o"})
    assert (server.base, server.key) == (base, key)
    assert "k'" not in repr(server)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://api.example.com",  # not encrypted
        "https://api.example.com:8443",
        "https://api.example.com.evil.org",
        "https://evil.org/https://api.example.com",
        "https://evil.org#https://api.example.com",
        "https://evil.org?https://api.example.com",
        "https://api.example.com@evil.org",
        "https://api.example.com:443@evil.org",
        "https://evil.org\\@api.example.com",
        "https://api.example.com\\.evil.org",
        "https://api.example.com%2eevil.org",
        "https://api.example.com\n.evil.org",
        "https:api.example.com",
        "//api.example.com",
        "ftp://api.example.com",
        "http://gpu.lan",
        "http://gpu.lan:99999",
        "",
        " ",
    ],
)
def test_nothing_else_is(endpoint: str) -> None:
    with pytest.raises(RemoteError):
        find_server(endpoint, ALLOWED, FILE, {"EXAMPLE_KEY": "k"})


@given(st.one_of(st.text(), st.from_regex(r"https?://[a-z.:@/\\#?%\[\]0-9]{0,30}", fullmatch=True)))
@example("http://[")
@example("http://[::1")
@example("https://api.example.com:")
@example("https://a:b")
def test_whatever_is_called_an_endpoint_is_answered_in_words(endpoint: str) -> None:
    """And what is allowed is asked where its origin says: requests go to the URLs made from `base`."""
    import httpx

    try:
        server = find_server(endpoint, ALLOWED, FILE, {})
    except RemoteError:
        return
    asked = httpx.URL(url_of("completions", server.base))
    assert str(asked.copy_with(path="/")).rstrip("/") == server.origin
    assert server.origin in {entry.origin for entry in ALLOWED}


def test_a_key_that_no_header_can_have_is_refused_without_being_said() -> None:
    with pytest.raises(RemoteError) as refused:
        find_server("https://api.example.com", ALLOWED, FILE, {"EXAMPLE_KEY": "top\nsecret"})
    assert "EXAMPLE_KEY" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("base", "kinds"),
    [
        ("https://api.deepseek.com", ("deepseek",)),
        ("https://api.deepseek.com/beta", ("deepseek",)),
        ("https://notdeepseek.com", ("infill", "suffix", "completions")),
        ("http://127.0.0.1:8000/v1", ("infill", "suffix", "completions")),
    ],
)
def test_the_order_of_attempts_begins_with_what_is_most_certain(base: str, kinds: tuple[str, ...]) -> None:
    assert kinds_for(base) == kinds


@pytest.mark.parametrize(
    ("kind", "base", "url"),
    [
        ("completions", "http://h:8000", "http://h:8000/v1/completions"),
        ("completions", "http://h:8000/v1", "http://h:8000/v1/completions"),
        ("suffix", "http://h/api/v3", "http://h/api/v3/completions"),
        ("infill", "http://h:8080/v1", "http://h:8080/infill"),
        ("infill", "http://h:8080/llama", "http://h:8080/llama/infill"),
        ("deepseek", "https://api.deepseek.com", "https://api.deepseek.com/beta/completions"),
        ("deepseek", "https://api.deepseek.com/beta", "https://api.deepseek.com/beta/completions"),
        ("deepseek", "https://api.deepseek.com/v1", "https://api.deepseek.com/beta/completions"),
    ],
)
def test_an_address_may_or_may_not_name_the_version(kind: str, base: str, url: str) -> None:
    assert url_of(kind, base) == url  # type: ignore[arg-type]
