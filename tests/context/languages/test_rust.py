"""Rust: modules are a tree of files, `let` opens a scope, methods stand in impl blocks."""

from languages_support import check_definition, check_references, check_refused, check_rename, doubts

# --- names --------------------------------------------------------------------------------------------


def test_let_shadows_what_was_before_it():
    check_definition("-- a.rs --\nfn f($1x: u8) { let x = $0x + 1; x; }\n")
    check_definition("-- a.rs --\nfn f(x: u8) { let $1x = x + 1; $0x; }\n")
    check_references("-- a.rs --\nfn f() { let $1$0x = 1; let y = $2x; let x = $3x + y; x; }\n")


def test_patterns_bind_names_and_not_variants():
    check_definition("-- a.rs --\nfn f(o: Option<u8>) { if let Some($1v) = o { $0v; } else { v; } }\n")
    check_definition("-- a.rs --\nfn f(v: u8, $1o: u8) { if let Some(v) = $0o { v; } }\n")
    check_definition("-- a.rs --\nconst $1MAX: u8 = 1;\nfn f(x: u8) { match x { MAX => 1, _ => $0MAX }; }\n")
    check_definition("-- a.rs --\nstruct P { x: u8 }\nfn f(p: P) { let P { x: $1a } = p; $0a; }\n")
    check_definition("-- a.rs --\nfn f() { for (i, $1e) in xs() { $0e; } }\n")
    check_definition("-- a.rs --\nfn f() { while let Some($1q) = it() { $0q; } }\n")
    check_definition("-- a.rs --\nfn f() { xs().map(|$1x| $0x + 1); }\n")


def test_names_in_formats_are_mentions():
    check_references(
        '-- a.rs --\nfn f($1na$0me: &str) { println!("{$2name} {{name}} {}", $3name); other("{name}"); }\n'
    )


# --- modules ------------------------------------------------------------------------------------------


def test_paths_lead_through_the_tree_of_modules():
    check_references(
        """
        -- src/main.rs --
        mod util;
        use util::{inner::$1deep, other as o};
        fn main() { $2deep(); crate::util::inner::$3deep(); o(); }
        -- src/util/mod.rs --
        pub mod inner;
        pub fn other() { self::inner::$4deep(); inner::$5deep(); }
        -- src/util/inner.rs --
        pub fn $6de$0ep() { super::other(); }
        """
    )
    check_definition("-- src/lib.rs --\nmod a;\npub fn $1top() {}\n-- src/a.rs --\nfn f() { super::$0top(); }\n")
    check_definition("-- src/lib.rs --\nmod a;\npub struct $1T;\n-- src/a.rs --\nuse crate::*;\nfn f(t: $0T) {}\n")
    check_definition("-- src/lib.rs --\nmod $1$0a;\n-- src/a.rs --\nfn f() {}\n")


def test_an_inline_module_does_not_see_the_names_around_it():
    check_definition("-- a.rs --\nfn $1f() {}\nmod m { fn g() { super::$0f(); } }\n")
    check_definition("-- a.rs --\nfn f() {}\nmod m { fn g() { $0f(); } }\n")
    check_definition("-- a.rs --\nfn $1f() {}\nmod m { use super::*; fn g() { $0f(); } }\n")


def test_what_is_passed_on_is_found():
    check_references(
        """
        -- Cargo.toml --
        [package]
        name = "my-lib"
        -- src/lib.rs --
        mod shapes;
        pub use shapes::$1Point;
        -- src/shapes.rs --
        pub struct $2Poi$0nt;
        -- tests/t.rs --
        use my_lib::$3Point;
        fn t(p: $4Point) {}
        """
    )


# --- members ------------------------------------------------------------------------------------------


def test_methods_fields_and_variants_are_known_by_the_type():
    check_references(
        """
        -- src/lib.rs --
        mod b;
        pub struct P { pub $1x: u8 }
        impl P {
            pub fn new(x: u8) -> Self { Self { $2x: x } }
            fn get(&self) -> u8 { self.$3$0x }
        }
        -- src/b.rs --
        use crate::P;
        fn f(p: &mut P, other: Q) { p.$4x = 1; let q = P::new(1); q.$5x; other.x; let b: Box<P> = g(); b.$6x; }
        """
    )
    check_definition("-- a.rs --\nenum E { A, $1B(u8) }\nfn f() { E::$0B(1); }\n")
    check_definition("-- a.rs --\ntrait T { fn $1m(&self) {} }\nstruct S;\nimpl T for S {}\nfn f(s: S) { s.$0m(); }\n")


# --- rename -------------------------------------------------------------------------------------------


def test_a_function_is_renamed_with_every_use_of_it():
    check_rename(
        """
        -- src/main.rs --
        mod util;
        use util::{$1help, $2help as aid};
        fn main() { $3he$0lp(); aid(); util::$4help(); }
        -- src/util.rs --
        pub fn $5help() {}
        """,
        "assist",
        """
        -- src/main.rs --
        mod util;
        use util::{assist, assist as aid};
        fn main() { assist(); aid(); util::assist(); }
        -- src/util.rs --
        pub fn assist() {}
        """,
    )


def test_a_local_is_renamed_with_the_fields_that_it_is_short_for():
    check_rename(
        '-- a.rs --\nstruct P { x: u8 }\nfn f($1$0x: u8) -> P { println!("{$2x}"); P { $3x } }\n',
        "y",
        '-- a.rs --\nstruct P { x: u8 }\nfn f(y: u8) -> P { println!("{y}"); P { x: y } }\n',
    )


def test_a_trait_s_method_is_renamed_where_it_is_implemented():
    result = check_rename(
        """
        -- a.rs --
        trait T { fn $1m(&self); }
        struct S;
        impl T for S { fn $2m$0(&self) {} }
        fn f(s: S, t: &dyn T, u: U) { s.$3m(); t.$4m(); u.m(); }
        """,
        "go",
    )
    assert doubts(result) == ["'m' of an object whose class is not known"]


def test_a_name_from_outside_is_imported_under_an_alias():
    check_rename(
        "-- a.rs --\nuse std::collections::{$1HashMap, HashSet};\nfn f() { $2Hash$0Map::new(); }\n",
        "Map",
        "-- a.rs --\nuse std::collections::{HashMap as Map, HashSet};\nfn f() { Map::new(); }\n",
    )


def test_renames_that_would_change_a_meaning_are_refused():
    check_refused("-- a.rs --\nfn f(a: u8) { let $0b = 1; a + b; }\n", "a", "would mean")
    check_refused("-- a.rs --\nfn $0f() {}\nfn g() {}\n", "g", "already defined")
    check_refused("-- a.rs --\nfn $0f() {}\n", "match", "keyword")
    check_refused("-- src/lib.rs --\nmod a$0;\n-- src/a.rs --\n", "b", "the name of a file")


def test_declarations_on_conditions_ask():
    source = "-- a.rs --\nfn f() { #[cfg(a)]\n let x = 1;\n #[cfg(b)]\n let x$0 = 2;\n x; }\n"
    assert doubts(check_rename(source, "y"))


def test_an_extern_crate_is_renamed_under_an_alias():
    check_rename(
        "-- a.rs --\nextern crate $1alloc;\nuse $2al$0loc::vec::Vec;\n",
        "heap",
        "-- a.rs --\nextern crate alloc as heap;\nuse heap::vec::Vec;\n",
    )
