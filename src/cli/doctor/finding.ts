import type { Config } from "../../config/schema.ts";
import type { Installation } from "../../platform/node/installation.ts";

/** What one check found. */
export interface Finding {
  /** What was looked at: `data directory`, `uplink main`. */
  readonly subject: string;
  readonly outcome: "ok" | "warn" | "fail" | "skipped";
  readonly detail: string;
  /** The command to run or the setting to change; with every `warn` and `fail`. */
  readonly fix?: string;
}

/** What checks are given. */
export interface Patient {
  readonly installation: Installation;
  /** Undefined when the configuration can not be used. */
  readonly config: Config | undefined;
  /** Absolute. */
  readonly dataDirectory: string;
  /** Where `/proc`, `/sys`, `/etc` and `/run` are read; `/` but in tests. */
  readonly root: string;
  /** The agent that works in this data directory now. */
  readonly running: RunningAgent | undefined;
}

/** An agent that is at work, as it wrote down in `run.json`. */
export interface RunningAgent {
  readonly pid: number;
  readonly apiUrl: string | undefined;
}

/** Looks at one side of the installation. Never rejects. */
export type Check = (patient: Patient) => Promise<readonly Finding[]>;

/** @returns a finding of that outcome. */
export function ok(subject: string, detail: string): Finding {
  return { subject, outcome: "ok", detail };
}

/** @returns a finding of that outcome. */
export function warn(subject: string, detail: string, fix: string): Finding {
  return { subject, outcome: "warn", detail, fix };
}

/** @returns a finding of that outcome. */
export function fail(subject: string, detail: string, fix: string): Finding {
  return { subject, outcome: "fail", detail, fix };
}

/** @returns a finding of that outcome. */
export function skipped(subject: string, detail: string): Finding {
  return { subject, outcome: "skipped", detail };
}

/** @returns an error's code (`EACCES`) or, where it has none, an empty string. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

/** @returns an error's own words. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
