// What is shown of the server's state, in words. Nothing here knows of VS Code.

/** What `engram/status` says. */
export interface Status {
  readonly state: "starting" | "reading" | "ready" | "paused" | "problem";
  readonly percent: number | null;
  readonly text: string;
  readonly model: string | null;
  readonly provider: string | null;
  readonly files: number;
  readonly version: string;
}

/** How the server is doing; "missing": there is none; "stopped": it was ended, or gave up. */
export type Health = Status["state"] | "missing" | "stopped";

export interface Ghost {
  readonly enable: boolean;
  readonly automatic: boolean;
  readonly quietHours: readonly string[];
}

export interface MenuItem {
  readonly label: string;
  readonly description?: string;
  readonly command: string;
}

const ICONS: Readonly<Record<Health, string>> = {
  missing: "$(warning)",
  stopped: "$(circle-slash)",
  starting: "$(loading~spin)",
  reading: "$(sync~spin)",
  ready: "$(sparkle)",
  paused: "$(debug-pause)",
  problem: "$(warning)",
};

export function barText(health: Health, percent: number | null): string {
  return `${ICONS[health]} Engram${health === "reading" && percent !== null ? ` ${percent} %` : ""}`;
}

/** Markdown. */
export function tooltip(health: Health, status: Status | undefined, ghost: Ghost): string {
  if (health === "missing") return "**Engram**: the server is not installed";
  if (health === "stopped" || !status)
    return `**Engram**: the server ${health === "stopped" ? "is not running" : "starts"}`;
  const rows = [
    ["Model", status.model ?? "none"],
    ["Runs on", status.provider ?? "–"],
    ["Files in memory", status.files.toLocaleString("en")],
    ["Ghost text", ghostText(ghost)],
    ["Version", status.version],
  ];
  const table = rows.map(([name, value]) => `| ${name} | ${escaped(value ?? "")} |`).join("\n");
  return `**Engram**: ${escaped(status.text)}\n\n| | |\n|:--|:--|\n${table}\n`;
}

export function ghostText(ghost: Ghost): string {
  if (!ghost.enable) return "off";
  if (!ghost.automatic) return "only when asked for";
  return ghost.quietHours.length ? `while typing, except ${ghost.quietHours.join(", ")}` : "while typing";
}

export function menu(health: Health, status: Status | undefined, ghost: Ghost): MenuItem[] {
  const log: MenuItem = { label: "$(output) Show the log", command: "engram-ls.showLog" };
  const restart: MenuItem = { label: "$(debug-restart) Restart the server", command: "engram-ls.restart" };
  if (health === "missing")
    return [{ label: "$(cloud-download) Install the server…", command: "engram-ls.install" }, restart, log];
  if (health === "stopped") return [restart, log];
  return [
    { label: "$(pulse) Status report", description: status?.text ?? "", command: "engram-ls.report" },
    ghost.enable
      ? {
          label: "$(eye-closed) Turn ghost text off",
          description: ghostText(ghost),
          command: "engram-ls.toggleGhostText",
        }
      : { label: "$(eye) Turn ghost text on", command: "engram-ls.toggleGhostText" },
    ghost.automatic
      ? { label: "$(bell-slash) Ghost text only when asked for", command: "engram-ls.toggleAutomatic" }
      : { label: "$(keyboard) Ghost text while typing", command: "engram-ls.toggleAutomatic" },
    { label: "$(clock) Quiet hours…", description: ghost.quietHours.join(", "), command: "engram-ls.setQuietHours" },
    { label: "$(bug) Explain the stack trace in the clipboard", command: "engram-ls.traceClipboard" },
    { label: "$(question) Why is this file (not) in the memory?", command: "engram-ls.why" },
    health === "paused"
      ? { label: "$(debug-continue) Go on reading projects", command: "engram-ls.resumeReading" }
      : { label: "$(debug-pause) Pause reading projects", command: "engram-ls.pauseReading" },
    { label: "$(refresh) Rebuild the memory", command: "engram-ls.rebuildMemory" },
    { label: "$(save) Export status…", command: "engram-ls.exportStatus" },
    restart,
    log,
  ];
}

/** Quiet hours as typed, like "22:00-07:00, 12:30-13:00"; undefined where that is none. */
export function quietHours(typed: string): string[] | undefined {
  const parts = typed
    .replace(/\s*[-–]\s*/g, "-")
    .split(/[,;\s]+/)
    .filter(Boolean);
  const made = parts.map((part) => {
    const found = /^(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)$/.exec(part)?.slice(1).map(Number);
    if (!found || found.some((number, place) => number > (place % 2 ? 59 : 23))) return undefined;
    const [fromHour, fromMinute, toHour, toMinute] = found.map((number) => String(number).padStart(2, "0"));
    return `${fromHour}:${fromMinute}-${toHour}:${toMinute}`;
  });
  return made.every((one) => one !== undefined) ? made : undefined;
}

function escaped(text: string): string {
  return text.replace(/[\\`*_{}[\]<>()#+\-!|$~]/g, "\\$&").replace(/\s+/g, " ");
}
