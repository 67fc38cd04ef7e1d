import assert from "node:assert/strict";
import { test } from "node:test";
import { barText, type Ghost, ghostText, menu, quietHours, type Status, tooltip } from "../src/words.ts";

const ghost: Ghost = { enable: true, automatic: true, quietHours: [] };
const status: Status = {
  state: "reading",
  percent: 43,
  text: "reading my_app | 43 %",
  model: "engram *20M*",
  provider: "CPUExecutionProvider",
  files: 12345,
  version: "0.1.0",
};
const commands = (...args: Parameters<typeof menu>) =>
  menu(...args).map((item) => item.command.replace("engram-ls.", ""));

test("the bar says how far reading is while something is read", () => {
  assert.equal(barText("reading", 43), "$(sync~spin) Engram 43 %");
  assert.equal(barText("reading", null), "$(sync~spin) Engram");
  assert.equal(barText("ready", 100), "$(sparkle) Engram");
});

test("the tooltip names model, provider and files, and what is in names is no Markdown", () => {
  const text = tooltip("reading", status, ghost);
  assert.match(text, /reading my\\_app \\\| 43 %/);
  assert.match(text, /\| Model \| engram \\\*20M\\\* \|/);
  assert.match(text, /\| Runs on \| CPUExecutionProvider \|/);
  assert.match(text, /\| Files in memory \| 12,345 \|/);
  assert.match(tooltip("missing", undefined, ghost), /not installed/);
  assert.match(tooltip("stopped", status, ghost), /not running/);
  assert.match(
    tooltip("ready", { ...status, model: null, provider: null }, ghost),
    /\| Model \| none \|\n\| Runs on \| – \|/,
  );
});

test("ghost text is off, only asked for, or while typing except in quiet hours", () => {
  assert.equal(ghostText({ ...ghost, enable: false }), "off");
  assert.equal(ghostText({ ...ghost, automatic: false, quietHours: ["22:00-07:00"] }), "only when asked for");
  assert.equal(ghostText({ ...ghost, quietHours: ["22:00-07:00"] }), "while typing, except 22:00-07:00");
});

test("the menu offers what can be done now", () => {
  assert.deepEqual(commands("missing", undefined, ghost), ["install", "restart", "showLog"]);
  assert.deepEqual(commands("stopped", undefined, ghost), ["restart", "showLog"]);
  assert.ok(commands("ready", status, ghost).includes("pauseReading"));
  assert.ok(commands("paused", status, ghost).includes("resumeReading"));
  assert.ok(!commands("paused", status, ghost).includes("pauseReading"));
  const labels = menu("ready", status, { ...ghost, enable: false, automatic: false })
    .map((item) => item.label)
    .join("\n");
  assert.match(labels, /Turn ghost text on/);
  assert.match(labels, /Ghost text while typing/);
});

test("quiet hours are read as they are typed", () => {
  assert.deepEqual(quietHours("22:00-07:00"), ["22:00-07:00"]);
  assert.deepEqual(quietHours(" 9:05 - 9:30,  22:00–7:00 "), ["09:05-09:30", "22:00-07:00"]);
  assert.deepEqual(quietHours(""), []);
  for (const wrong of ["22-7", "24:00-07:00", "22:60-07:00", "22:00", "22:00-07:00 x"])
    assert.equal(quietHours(wrong), undefined, wrong);
});
