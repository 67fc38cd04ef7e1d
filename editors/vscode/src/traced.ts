// What `engram.trace` answers, as a list to pick from, and edits that have to be confirmed. Nothing here knows of VS Code.

import type { TextEdit, WorkspaceEdit } from "vscode-languageclient";

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
  readonly verified: boolean | null;
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

/** What may be done about traces: for each its fixes, the likeliest first, then its suspects. */
export function choices(traces: readonly Trace[], name: (uri: string) => string): Choice[] {
  return traces.flatMap((trace): Choice[] => {
    const fixes = trace.proposals.filter((one) => one.edit !== null);
    if (!fixes.length && !trace.suspects.length) return [];
    return [
      { label: oneLine(trace.message ? `${trace.error}: ${trace.message}` : trace.error), heading: true },
      ...fixes.map((proposal) => ({
        label: `$(wrench) Preview: ${oneLine(proposal.why)}`,
        description: proposal.verified ? "the tests pass with it" : `${Math.round(proposal.confidence * 100)} %`,
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
}

/** The same edit, every change of text in it to be confirmed, so that the editor shows it before anything is changed. */
export function toConfirm(edit: WorkspaceEdit, label: string): WorkspaceEdit {
  const id = "engram.confirm";
  const asked = <Edit extends TextEdit>(one: Edit) => ("annotationId" in one ? one : { ...one, annotationId: id });
  const changes = (edit.documentChanges ?? []).map((change) => {
    if (!("edits" in change)) return change.annotationId ? change : { ...change, annotationId: id };
    return { ...change, edits: change.edits.map((one) => ("range" in one && "newText" in one ? asked(one) : one)) };
  });
  for (const [uri, edits] of Object.entries(edit.changes ?? {})) {
    changes.push({ textDocument: { uri, version: null }, edits: edits.map(asked) });
  }
  const annotations = Object.entries(edit.changeAnnotations ?? {}).map(([key, one]) => [key, { ...one, needsConfirmation: true }] as const);
  return { documentChanges: changes, changeAnnotations: { ...Object.fromEntries(annotations), [id]: { label, needsConfirmation: true } } };
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
}
