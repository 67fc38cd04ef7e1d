// What `engram.trace` answers, as a list to pick from, and edits that are shown before they are made. Nothing here knows of VS Code.

import type { WorkspaceEdit } from "vscode-languageclient";

export interface Suspect {
  readonly uri: string;
  readonly function: string;
  /** From 1; the lines of it that the traces name, perhaps none. */
  readonly lines: readonly number[];
  readonly score: number;
  readonly reasons: readonly string[];
}

export interface Proposal {
  readonly why: string;
  readonly confidence: number;
  /** What speaks for it: it parses; nothing new is wrong; the failing test passes; all tests do. */
  readonly verified: "parses" | "clean" | "test" | "tests";
  readonly edit: WorkspaceEdit | null;
}

export interface Frame {
  readonly uri: string | null;
  readonly hereLine: number | null;
  readonly function: string;
}

export interface Trace {
  readonly language: string;
  readonly error: string;
  readonly message: string;
  readonly test: string | null;
  readonly frames: readonly Frame[];
  readonly suspects: readonly Suspect[];
  readonly proposals: readonly Proposal[];
}

export interface Choice {
  readonly label: string;
  readonly description?: string;
  readonly detail?: string;
  /** A heading; it cannot be chosen. */
  readonly heading?: true;
  readonly suspect?: Suspect;
  readonly proposal?: Proposal;
}

const PASSES: Readonly<Record<string, string>> = { test: "the test passes with it", tests: "the tests pass with it" };

/** What may be done about traces: for each its fixes, the likeliest first, then its suspects. One trace alone is the title. */
export function choices(traces: readonly Trace[], name: (uri: string) => string): { title: string; items: Choice[] } {
  const items = traces.flatMap((trace): Choice[] => {
    const fixes = trace.proposals.filter((one) => one.edit !== null);
    if (!fixes.length && !trace.suspects.length) return [];
    return [
      { label: oneLine(trace.message ? `${trace.error}: ${trace.message}` : trace.error), heading: true },
      ...fixes.map((proposal) => ({
        label: `$(wrench) Preview: ${oneLine(proposal.why)}`,
        description: PASSES[proposal.verified] ?? `${Math.round(proposal.confidence * 100)} %`,
        proposal,
      })),
      ...trace.suspects.map((suspect) => ({
        label: `$(symbol-method) ${suspect.function || "module"}`,
        description: `${name(suspect.uri)}${suspect.lines[0] ? `:${suspect.lines[0]}` : ""}`,
        detail: oneLine(suspect.reasons.join("; ")),
        suspect,
      })),
    ];
  });
  const [first, ...more] = items.filter((item) => item.heading);
  if (!first || more.length) return { title: "Suspects and fixes", items };
  return { title: first.label, items: items.filter((item) => !item.heading) };
}

/**
 * The same edit, in a form that VS Code shows before anything is changed, with what is known to be meant ticked already.
 *
 * VS Code shows an edit first if some of it is to be confirmed, and what is to be confirmed is not ticked. So something is
 * added that is to be confirmed and does nothing: the deletion, if it is there, of what cannot be there, as it would be inside a
 * file. VS Code leaves that out of what it shows. `chosen`: the user chose just this edit, so all of it is ticked.
 */
export function toPreview(edit: WorkspaceEdit, chosen: boolean): WorkspaceEdit {
  const annotations = Object.entries(edit.changeAnnotations ?? {}).map(
    ([key, one]) => [key, chosen ? { ...one, needsConfirmation: false } : one] as const,
  );
  const changes = [...(edit.documentChanges ?? [])];
  for (const [uri, edits] of Object.entries(edit.changes ?? {}))
    changes.push({ textDocument: { uri, version: null }, edits });
  const first = changes.find((change) => "textDocument" in change);
  if (!first) return edit;
  const inside = `${first.textDocument.uri}/nothing`;
  return {
    documentChanges: [
      ...changes,
      { kind: "delete", uri: inside, options: { ignoreIfNotExists: true }, annotationId: LOOK },
    ],
    changeAnnotations: { ...Object.fromEntries(annotations), [LOOK]: { label: "Preview", needsConfirmation: true } },
  };
}

const LOOK = "engram.preview";

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
}
