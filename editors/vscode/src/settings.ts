// The section `engram` as the server gets it. Nothing here knows of VS Code.

export type Section = Readonly<Record<string, unknown>>;

/** Without what is the extension's own; and where the workspace is not trusted, without the command that would run its code. */
export function forServer(section: unknown, trusted: boolean): Section {
  if (!isSection(section)) return {};
  const { server: _, trace, ...rest } = section;
  const { server: __, testCommand, ...others } = isSection(trace) ? trace : {};
  const allowed = trusted && testCommand !== undefined ? { ...others, testCommand } : others;
  return { ...rest, trace: allowed };
}

function isSection(value: unknown): value is Section {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
