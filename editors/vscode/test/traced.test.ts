import assert from "node:assert/strict";
import { test } from "node:test";
import type { WorkspaceEdit } from "vscode-languageclient";
import { forServer } from "../src/settings.ts";
import { choices, toPreview, type Trace } from "../src/traced.ts";

const range = { start: { line: 0, character: 0 }, end: { line: 0, character: 1 } };
const edit: WorkspaceEdit = {
  documentChanges: [{ textDocument: { uri: "file:///a.py", version: 3 }, edits: [{ range, newText: "x" }] }],
};
const trace: Trace = {
  language: "python",
  error: "KeyError",
  message: "'a'\n  b",
  test: null,
  frames: [],
  suspects: [
    { uri: "file:///a.py", function: "A.run", lines: [7, 9], score: 2, reasons: ["it raised", "it changed"] },
    { uri: "file:///b.py", function: "", lines: [], score: 1, reasons: [] },
  ],
  proposals: [
    { why: "the key is asked for first", confidence: 0.714, verified: "clean", edit },
    { why: "would be applied unasked", confidence: 0.9, verified: "clean", edit: null },
    { why: "the key is given", confidence: 0.6, verified: "tests", edit },
  ],
};

test("a trace offers its fixes that can be shown, then its suspects with their reasons", () => {
  const { title, items } = choices([trace], (uri) => uri.slice("file:///".length));
  assert.equal(title, "KeyError: 'a' b");
  assert.deepEqual(
    items.map((one) => [one.label, one.description, one.detail]),
    [
      ["$(wrench) Preview: the key is asked for first", "71 %", undefined],
      ["$(wrench) Preview: the key is given", "the tests pass with it", undefined],
      ["$(symbol-method) A.run", "a.py:7", "it raised; it changed"],
      ["$(symbol-method) module", "b.py", ""],
    ],
  );
});

test("of several traces each is a heading", () => {
  const { items } = choices([trace, { ...trace, error: "ValueError", message: "" }], String);
  assert.deepEqual(
    items.filter((one) => one.heading).map((one) => one.label),
    ["KeyError: 'a' b", "ValueError"],
  );
});

test("a trace that blames nothing offers nothing", () => {
  assert.deepEqual(choices([{ ...trace, suspects: [], proposals: [] }], String).items, []);
});

const annotated: WorkspaceEdit = {
  documentChanges: [
    {
      textDocument: { uri: "file:///a.py", version: 3 },
      edits: [
        { range, newText: "x", annotationId: "unsure" },
        { range, newText: "y" },
      ],
    },
    { kind: "rename", oldUri: "file:///a.py", newUri: "file:///b.py" },
  ],
  changeAnnotations: { unsure: { label: "in a string", needsConfirmation: true } },
};

test("an edit to be shown first is the same edit and something to be confirmed that cannot be there", () => {
  for (const one of [
    edit,
    annotated,
    { changes: { "file:///a.py": [{ range, newText: "x" }] } } satisfies WorkspaceEdit,
  ]) {
    const { changes, documentChanges = [], changeAnnotations = {} } = toPreview(one, false);
    assert.equal(changes, undefined);
    const last = documentChanges.at(-1);
    assert.deepEqual(
      documentChanges.slice(0, -1),
      one.documentChanges ?? [
        { textDocument: { uri: "file:///a.py", version: null }, edits: [{ range, newText: "x" }] },
      ],
    );
    assert.ok(last && "kind" in last && last.kind === "delete");
    assert.equal(last.uri, "file:///a.py/nothing");
    assert.deepEqual(last.options, { ignoreIfNotExists: true });
    assert.equal(changeAnnotations[last.annotationId ?? ""]?.needsConfirmation, true);
  }
});

test("what is uncertain stays to be confirmed, unless the user chose just this edit", () => {
  assert.equal(toPreview(annotated, false).changeAnnotations?.["unsure"]?.needsConfirmation, true);
  assert.equal(toPreview(annotated, true).changeAnnotations?.["unsure"]?.needsConfirmation, false);
});

test("the server gets neither the extension's own settings nor, untrusted, a command to run", () => {
  const section = {
    server: { path: "/x", arguments: [] },
    inline: { enable: false },
    trace: { server: "off", testCommand: "pytest" },
  };
  assert.deepEqual(forServer(section, true), { inline: { enable: false }, trace: { testCommand: "pytest" } });
  assert.deepEqual(forServer(section, false), { inline: { enable: false }, trace: {} });
  assert.deepEqual(forServer(null, true), {});
});
