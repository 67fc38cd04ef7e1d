"""TypeScript and JavaScript: names, modules, members, renames."""

from fixture import parse_fixture
from languages_support import check_definition, check_references, check_refused, check_rename, doubts

# --- within a file ------------------------------------------------------------------------------------


def test_a_local_is_found_in_its_own_scope_alone():
    check_references(
        """
        -- a.ts --
        function f($1x: number) {
          const g = (y: number) => $2$0x + y;
          { let x = 1; g(x); }
          return $3x;
        }
        const x = 2;
        """
    )


def test_var_belongs_to_the_function_and_let_to_the_block():
    check_references("-- a.js --\nfunction f() { if (1) { var $1x = 1; let y = 2; } return $2$0x; }\n")
    check_definition("-- a.js --\nlet $1y = 0; function f() { { let y = 2; } return $0y; }\n")


def test_destructured_names_are_bound_and_their_keys_are_not():
    check_definition("-- a.ts --\nfunction f({ a, b: $1c = a, ...rest }: P) { return $0c; }\n")
    check_definition("-- a.ts --\nconst b = 1; function f({ a: { $0b: c } }: P) { return c; }\n")
    check_definition("-- a.ts --\nconst [, { $1z }] = pair; use($0z);\n")


def test_types_and_values_of_one_name_do_not_shadow_each_other():
    check_definition(
        "-- a.ts --\ninterface $1Options { a: number }\nfunction f(Options: string): $0Options { return x }\n"
    )
    check_definition("-- a.ts --\ntype U<$1T> = { [K in keyof T]: $0T };\n")
    check_definition("-- a.ts --\ntype E<T> = T extends (infer $1U)[] ? $0U : never;\n")


def test_loops_catch_and_classes_have_scopes():
    check_definition("-- a.js --\nfor (const $1i of xs) use($0i);\n")
    check_definition("-- a.js --\ntry {} catch ($1e) { throw $0e }\n")
    check_definition("-- a.js --\nconst A = class $1B { m() { return new $0B() } };\n")


# --- across files -------------------------------------------------------------------------------------


def test_imports_lead_to_what_they_import():
    check_definition(
        "-- a.ts --\nimport { helper } from './lib/b';\n$0helper();\n-- lib/b.ts --\nexport function $1helper() {}\n"
    )
    check_definition("-- a.ts --\nimport { x as y } from './b.js';\n$0y;\n-- b.ts --\nexport const $1x = 1;\n")
    check_definition("-- a.ts --\nimport D from './b';\nnew $0D();\n-- b.ts --\nexport default class $1D {}\n")
    check_definition("-- a.ts --\nimport D from './b';\nnew $0D();\n-- b.ts --\nclass $1E {}\nexport default E;\n")
    check_definition(
        "-- a.tsx --\nimport * as ns from './b';\n<ns.$0Button/>;\n-- b/index.tsx --\nexport const $1Button = () => null;\n"
    )
    check_definition("-- a.ts --\nimport type { T } from './b';\nlet x: $0T;\n-- b.d.ts --\nexport interface $1T {}\n")


def test_barrels_pass_on_what_they_export():
    check_references(
        """
        -- index.ts --
        export * from './inner';
        export { $1helper } from './lib';
        export { $2helper as aid } from './lib';
        -- inner.ts --
        export const other = 1;
        -- lib.ts --
        export function $3hel$0per() {}
        -- app.ts --
        import { $4helper, aid } from './index';
        import * as all from '.';
        $5helper(); all.$6helper(); aid();
        """
    )
    check_definition(
        "-- a.ts --\nimport { $0x } from './b';\n-- b.ts --\nexport * from './c';\n-- c.ts --\nexport const $1x = 1;\n"
    )
    check_definition(
        "-- a.ts --\nimport { q } from './b';\nq.$0x;\n-- b.ts --\nexport * as q from './c';\n-- c.ts --\nexport const $1x = 1;\n"
    )


def test_star_exports_that_go_in_circles_end():
    check_definition(
        "-- a.ts --\nimport { $1$0x } from './b';\n-- b.ts --\nexport * from './c';\n-- c.ts --\nexport * from './b';\n"
    )


def test_common_js_modules_are_understood():
    check_definition(
        """
    -- a.js --
    const util = require('./util');
    const { greet, part: piece } = require('./util');
    util.greet(); $0greet(); piece();
    -- util.js --
    function $1greet() {}
    exports.part = function () {};
    module.exports.$2greet = greet;
    """
    )
    check_definition(
        "-- a.js --\nconst Foo = require('./foo');\nnew $0Foo();\n-- foo.js --\nclass $1Foo {}\nmodule.exports = Foo;\n"
    )
    check_definition(
        "-- a.js --\nconst { run } = require('./b');\n$0run();\n-- b.js --\nfunction $1run() {}\nmodule.exports = { run };\n"
    )


def test_paths_and_workspaces_lead_to_files():
    check_definition(
        """
        -- tsconfig.json --
        { // where things are
          "compilerOptions": { "baseUrl": ".", "paths": { "@/*": ["src/*"], }, },
        }
        -- src/deep/a.ts --
        import { x } from '@/lib/b';
        $0x;
        -- src/lib/b.ts --
        export const $1x = 1;
        """
    )
    check_definition(
        '-- tsconfig.json --\n{"compilerOptions": {"baseUrl": "src"}}\n-- src/a.ts --\nimport { $0x } from \'lib/b\';\n-- src/lib/b.ts --\nexport const $1x = 1;\n'
    )


def test_an_import_leads_to_its_file():
    check_definition("-- a.ts --\nimport './$0b';\n-- b.ts --\n$1export const x = 1;\n")


# --- members ------------------------------------------------------------------------------------------


def test_members_are_known_where_the_class_is():
    check_references(
        """
        -- a.ts --
        export class Box<T> {
          private $1size = 0;
          grow() { this.$2si$0ze += 1; return this.$3size; }
        }
        class Big extends Box<number> { m() { return this.$4size } }
        function f(box: Box<string>, other) { return box.$5size + other.size; }
        const made = new Big(); made.$6size;
        """
    )


def test_interfaces_enums_namespaces_and_aliases_have_members():
    check_definition("-- a.ts --\ninterface P { $1x: number }\nfunction f(p: P) { return p.$0x }\n")
    check_definition("-- a.ts --\nenum E { A, $1B }\nE.$0B;\n")
    check_definition("-- a.ts --\nnamespace N { export const $1x = 1 }\nN.$0x;\n")
    check_definition("-- a.ts --\ntype P = { $1x: number } & Q;\nfunction f(p: P) { return p.$0x }\n")
    check_definition(
        "-- a.ts --\nfunction make(): Box { return new Box() }\nclass Box { $1size = 1 }\nmake().$0size;\n"
    )
    check_definition("-- a.ts --\nclass A { constructor(private $1x: number) {} m() { return this.$0x } }\n")


# --- rename -------------------------------------------------------------------------------------------


def test_a_local_is_renamed_with_the_properties_that_it_is_short_for():
    check_rename(
        "-- a.ts --\nfunction f({ $1name }: P) { const o = { $2name, b: $3na$0me }; return o.name; }\n",
        "title",
        "-- a.ts --\nfunction f({ name: title }: P) { const o = { name: title, b: title }; return o.name; }\n",
    )


def test_an_export_is_renamed_in_every_file_that_imports_it():
    check_rename(
        """
        -- lib.ts --
        export const $1lim$0it = 1;
        export default $2limit;
        -- index.ts --
        export { $3limit } from './lib';
        export { $4limit as max } from './lib';
        -- app.ts --
        import size, { $5limit } from './index';
        import * as lib from './lib';
        import { max } from './index';
        import { $6limit as most } from './lib';
        console.log($7limit, lib.$8limit, max, most, { $9limit });
        """,
        "bound",
        """
        -- lib.ts --
        export const bound = 1;
        export default bound;
        -- index.ts --
        export { bound } from './lib';
        export { bound as max } from './lib';
        -- app.ts --
        import size, { bound } from './index';
        import * as lib from './lib';
        import { max } from './index';
        import { bound as most } from './lib';
        console.log(bound, lib.bound, max, most, { limit: bound });
        """,
    )


def test_what_common_js_exports_keeps_its_name_on_both_sides():
    check_rename(
        "-- a.js --\nconst { $1run } = require('./b');\n$2ru$0n();\n-- b.js --\nfunction $3run() {}\nmodule.exports = { $4run };\n",
        "go",
        "-- a.js --\nconst { go } = require('./b');\ngo();\n-- b.js --\nfunction go() {}\nmodule.exports = { go };\n",
    )


def test_a_name_from_outside_is_imported_under_an_alias():
    check_rename(
        "-- a.ts --\nimport { $1useState } from 'react';\n$2use$0State();\n",
        "state",
        "-- a.ts --\nimport { useState as state } from 'react';\nstate();\n",
    )


def test_an_alias_and_a_default_import_are_renamed_alone():
    check_rename("-- a.ts --\nimport { x as $1y } from './b';\n$2$0y;\n-- b.ts --\nexport const x = 1;\n", "z")
    check_rename("-- a.ts --\nimport $1D from './b';\nnew $2$0D();\n-- b.ts --\nexport default class D {}\n", "E")


def test_a_method_is_renamed_with_its_family_and_asks_about_the_rest():
    result = check_rename(
        """
        -- a.ts --
        interface Runner { $1run(): void }
        class A implements Runner { $2ru$0n() {} }
        class B extends A { $3run() { super.run() } }
        function f(a: A, b: any) { a.$4run(); b.run(); return { run() {} } }
        """,
        "go",
    )
    assert len(doubts(result)) == 3


def test_a_private_name_stays_private():
    check_rename("-- a.js --\nclass A { $1#x = 1; get() { return this.$2#$0x } }\n", "#y")
    check_refused("-- a.js --\nclass A { #$0x = 1 }\n", "y", "private")


def test_renames_that_would_change_a_meaning_are_refused():
    check_refused(
        "-- a.ts --\nconst $0a = 1; function f(b: number) { return a + b }\n", "b", "would mean something else"
    )
    check_refused("-- a.ts --\nfunction f(b: number) { const $0a = 1; return a + b }\n", "b", "already defined")
    check_refused(
        "-- a.ts --\nconst a = 1; function f($0b: number) { return a + b }\n", "a", "would mean something else"
    )
    check_refused(
        "-- a.ts --\nimport { x } from './b';\nconst y = 1; use(x, y);\n-- b.ts --\nexport const $0x = 1;\n",
        "y",
        "would mean",
    )
    check_refused(
        "-- a.ts --\nexport * from './b'; export * from './c';\n-- b.ts --\nexport const $0x = 1;\n-- c.ts --\nexport const y = 1;\n-- d.ts --\nimport { y } from './a';\n",
        "y",
        "would mean",
    )


def test_names_that_are_no_names_are_refused():
    for new_name, reason in (
        ("1x", "not a valid name"),
        ("a b", "not a valid name"),
        ("class", "keyword"),
        ("", "not a"),
    ):
        check_refused("-- a.ts --\nconst $0x = 1;\n", new_name, reason)
    check_rename("-- a.ts --\nconst $1$0x = 1;\n", "$y")


def test_what_is_not_the_projects_is_refused():
    check_refused("-- a.ts --\ncons$0ole.log(1);\n", "x", "not known what")
    check_refused("-- a.ts --\nthing.$0size;\n", "x", "not known what object")
    check_refused("-- a.ts --\nclass A { m() { return th$0is } }\n", "x", "no name that can be changed")
    check_refused("-- a.ts --\nimport * as fs from 'fs';\nfs.$0readFile();\n", "x", "not known what object")


def test_strings_and_comments_are_left_alone():
    result = check_rename("-- a.ts --\n// x is x\nconst $1$0x = 'x';\n", "y")
    assert not doubts(result)


def test_a_rename_beside_a_syntax_error_asks():
    result = check_rename("-- a.ts --\nconst a = 1;\nfunction f(x) { const $0y = ((; return y }\n", "z")
    assert doubts(result)


# --- symbols ------------------------------------------------------------------------------------------


def test_the_outline_shows_definitions_with_what_is_in_them():
    fixture = parse_fixture(
        """
        -- a.ts --
        /** Does things.
         *
         * At length. */
        export class A { x = 1; m(): void { const local = 1 } }
        enum E { One }
        const f = () => 1;
        """
    )
    snapshot = fixture.snapshot()
    tree = snapshot.document_symbols("a.ts")
    assert [(node.symbol.kind, node.symbol.name) for node in tree] == [("class", "A"), ("enum", "E"), ("function", "f")]
    assert [(node.symbol.kind, node.symbol.name) for node in tree[0].children] == [("attribute", "x"), ("method", "m")]
    assert (tree[0].symbol.detail, tree[0].symbol.doc) == ("export class A", "Does things.")
    assert [symbol.name for _, symbol in snapshot.workspace_symbols("One")] == ["One"]


def test_members_of_an_alias_s_object_types_are_one_thing():
    check_rename(
        "-- a.ts --\ntype C = { kind: 'a'; $1mess$0age: string } | { kind: 'b'; $2message: string };\nfunction f(c: C) { return c.$3message }\n",
        "text",
    )


def test_an_interface_that_extends_an_alias_belongs_to_the_family():
    check_rename(
        "-- a.ts --\ninterface A { $1x$0: number }\ntype B = A;\ninterface C extends B { $2x: number }\ninterface D extends A { y: number }\ninterface E { x: number }\n",
        "z",
    )


def test_siblings_that_have_a_member_of_that_name_by_chance_are_left_alone():
    check_rename("-- a.ts --\nclass A {}\nclass B extends A { $1x$0 = 1 }\nclass C extends A { x = 1 }\n", "z")


def test_comments_for_documentation_are_offered():
    result = check_rename(
        "-- a.ts --\n/** Adds.\n * @param left The left one, not the left.\n * {@link add} */\nexport function add($1le$0ft: number) { return $2left }\n",
        "first",
    )
    assert doubts(result) == ["a comment that names 'left'"]
    result = check_rename("-- a.ts --\n/** See {@link add}. */\nexport function $1add$0() {}\n", "sum")
    assert doubts(result) == ["a comment that names 'add'"]


def test_modules_that_are_loaded_when_needed_are_known():
    check_definition(
        "-- a.ts --\nasync function f() { const m = await import('./b'); m.$0x; }\n-- b.ts --\nexport const $1x = 1;\n"
    )
    check_definition(
        "-- a.ts --\nasync function f() { const { x } = await import('./b'); $0x; }\n-- b.ts --\nexport const $1x = 1;\n"
    )
    result = check_rename("-- a.ts --\nimport('./b').then((m) => m.x);\n-- b.ts --\nexport const $1x$0 = 1;\n", "y")
    assert doubts(result) == ["'x' of an object whose class is not known"]
