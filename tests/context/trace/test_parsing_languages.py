"""Traces of JavaScript, Go, Rust and Java, as their own programs print them."""

import pytest
from engram_context.trace.parsing import parse
from engram_context.trace.values import Trace

NODE = """\
/srv/app/shop.js:1
class Box { area() { return this.x.width } }
                                   ^

TypeError: Cannot read properties of undefined (reading 'width')
    at Box.area (/srv/app/shop.js:1:36)
    at new Shop (/srv/app/shop.js:3:73)
    at Array.map (<anonymous>)
    at async run (file:///srv/app/my%20shop.mjs:9:32)
    at Object.<anonymous> (/srv/app/shop.js:7:6)
    at Module._compile (node:internal/modules/cjs/loader:1521:14)

Node.js v20.20.2
"""
FIREFOX = """\
Uncaught TypeError: x is undefined
  open@http://localhost:3000/src/app.js?v=3:12:5
  async*load@webpack://my-app/./src/load.tsx:3:9
  @file:///srv/app/main.mjs:1:1
"""
GO = """\
panic: runtime error: index out of range [5] with length 3 [recovered]
\tpanic: runtime error: index out of range [5] with length 3

goroutine 7 [running]:
testing.tRunner.func1.2({0x5136c0, 0xc000016120})
\t/usr/local/go/src/testing/testing.go:1545 +0x238
panic({0x5136c0?, 0xc000016120?})
\t/usr/local/go/src/runtime/panic.go:914 +0x21f
example.com/app/store.(*Store).Get(...)
\t/home/ci/app/store/store.go:12
example.com/app/store.TestGet.func1(0xc0000076c0?)
\t/home/ci/app/store/store_test.go:9 +0x1d
created by testing.(*T).Run in goroutine 1
\t/usr/local/go/src/testing/testing.go:1648 +0x3ad
exit status 2
"""
RUST = """\
thread 'main' (21949) panicked at src/store.rs:2:13:
index out of bounds: the len is 3 but the index is 5
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:689:5
   1: core::panicking::panic_bounds_check
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/panicking.rs:271:5
   2: app::store::Store::get
             at ./src/store.rs:2:13
   3: app::call::{{closure}}
             at ./src/main.rs:5:60
   4: app::main::h0123456789abcdef
             at ./src/main.rs:9:28
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
"""
JAVA = """\
Exception in thread "main" java.lang.IllegalStateException: wrapped
\tat app.Main.main(Main.java:6)
\tSuppressed: java.lang.Error: closing
\t\tat app.Main.close(Main.java:8)
Caused by: java.lang.NullPointerException: Cannot invoke "String.length()" because "this.s" is null
\tat app.shop.Box$Inner.len(Box.java:4)
\tat app.Main.lambda$total$0(Main.java:5)
\tat java.base/java.util.stream.ReferencePipeline.accept(ReferencePipeline.java:197)
\tat app.TillKt.total(Till.kt:12)
\t... 2 more
Caused by: java.io.IOException
\tat app.Main.<init>(Main.java:3)
"""


def frames(trace: Trace) -> list[tuple[str, int, str]]:
    return [(frame.file, frame.line, frame.function) for frame in trace.frames]


def test_node_prints_the_innermost_call_first_and_its_line_above() -> None:
    (trace,) = parse(NODE)
    assert (trace.language, trace.error) == ("javascript", "TypeError")
    assert frames(trace)[1:] == [
        ("/srv/app/shop.js", 7, ""),
        ("/srv/app/my shop.mjs", 9, "run"),
        ("<anonymous>", 0, "Array.map"),
        ("/srv/app/shop.js", 3, "Shop"),
        ("/srv/app/shop.js", 1, "Box.area"),
    ]
    assert trace.frames[-1].code.startswith("class Box")


def test_a_cause_of_node_belongs_to_its_error() -> None:
    text = (
        "Error: outer\n    at f (/a.js:6:66)\n    ... 3 lines matching cause stack trace ...\n    at g (/a.js:9:1) {\n"
    )
    (trace,) = parse(text + "  [cause]: TypeError: inner\n      at h (/a.js:1:65)\n}\n")
    assert frames(trace) == [("/a.js", 9, "g"), ("/a.js", 6, "f")]
    assert trace.cause is not None and (trace.cause.error, frames(trace.cause)) == ("TypeError", [("/a.js", 1, "h")])


def test_firefox_writes_names_before_places() -> None:
    (trace,) = parse(FIREFOX)
    assert (trace.error, trace.message) == ("TypeError", "x is undefined")
    assert frames(trace) == [("/srv/app/main.mjs", 1, ""), ("src/load.tsx", 3, "load"), ("src/app.js", 12, "open")]


def test_a_panic_of_go_is_read_without_the_machinery_of_panicking() -> None:
    (trace,) = parse(GO)
    assert (trace.language, trace.error) == ("go", "panic")
    assert trace.message == "runtime error: index out of range [5] with length 3"
    assert frames(trace)[1:] == [
        ("/home/ci/app/store/store_test.go", 9, "TestGet"),
        ("/home/ci/app/store/store.go", 12, "Store.Get"),
    ]
    assert trace.frames[-1].module == "example.com/app/store"


def test_a_failed_test_of_go_is_a_claim() -> None:
    (trace,) = parse("--- FAIL: TestGet/empty (0.00s)\n    store_test.go:12: got 1, want 2\nFAIL\n")
    assert (trace.kind, trace.test, trace.message) == ("assertion", "TestGet/empty", "got 1, want 2")
    assert frames(trace) == [("store_test.go", 12, "TestGet")]


def test_a_panic_of_rust_ends_where_it_says() -> None:
    (trace,) = parse(RUST)
    assert (trace.error, trace.message) == ("panic", "index out of bounds: the len is 3 but the index is 5")
    assert frames(trace) == [
        ("./src/main.rs", 9, "main"),
        ("./src/main.rs", 5, "call"),
        ("src/store.rs", 2, "get"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "thread 'main' panicked at src/store.rs:2:13:\nboom\nnote: run with `RUST_BACKTRACE=1`\n",
        "thread 'main' panicked at 'boom', src/store.rs:2:13\n",
    ],
)
def test_rust_says_where_without_a_backtrace_too(text: str) -> None:
    (trace,) = parse(text)
    assert trace.message == "boom" and frames(trace) == [("src/store.rs", 2, "")]


def test_causes_of_java_hang_on_one_another_and_what_is_suppressed_on_its_own() -> None:
    (trace,) = parse(JAVA)
    assert frames(trace) == [("Main.java", 6, "main")]
    (_, suppressed), (_, cause) = trace.others
    assert suppressed.error == "java.lang.Error" and suppressed.others == ()
    assert cause.error == "java.lang.NullPointerException"
    assert frames(cause) == [
        ("Till.kt", 12, "total"),
        ("ReferencePipeline.java", 197, "accept"),
        ("Main.java", 5, "total"),
        ("Box.java", 4, "len"),
    ]
    assert cause.frames[-1].module == "app.shop.Box"
    assert cause.cause is not None and frames(cause.cause) == [("Main.java", 3, "Main")]


def test_languages_stand_beside_one_another_in_one_log() -> None:
    texts = (NODE, GO, RUST, JAVA, FIREFOX)
    found = parse("\n".join(f"step {at}\n{text}" for at, text in enumerate(texts)))
    assert [trace.language for trace in found] == ["javascript", "go", "rust", "java", "javascript"]
    assert found == tuple(trace for text in texts for trace in parse(text))
