import { parseUpdateLine, UpdateLineError, type WireUpdate } from "../sync/update-line.ts";
import type { TakeOutcome } from "./outcome.ts";

/** What became of the lines that were handed in. */
export interface TakeResult {
  readonly accepted: number;
  readonly duplicates: number;
  readonly refused: readonly {
    readonly id: string;
    readonly code: string;
    readonly reason: string;
    readonly permanent: boolean;
  }[];
}

/**
 * Reads lines and hands their updates on, all at once, so that they are written together.
 * @throws UpdateLineError `update.malformed` when a line has no id that could be answered for
 */
export async function takeLines(
  lines: readonly string[],
  agentId: string | undefined,
  to: {
    readonly offer: (update: WireUpdate, settle: (outcome: TakeOutcome) => void) => void;
    /** A line was refused before it became an update. */
    readonly refused: (code: string) => void;
  },
): Promise<TakeResult> {
  const updates = lines.map((line, at) => readLine(line, at, agentId));
  const result = { accepted: 0, duplicates: 0, refused: [] as TakeResult["refused"][number][] };
  await new Promise<void>((resolve) => {
    let left = updates.length;
    const done = (): void => {
      if (--left === 0) resolve();
    };
    if (left === 0) resolve();
    for (const update of updates) {
      if (update instanceof UpdateLineError) {
        const { id = "", code, message } = update;
        result.refused.push({ id, code, reason: message, permanent: true });
        to.refused(code);
        done();
      } else
        to.offer(update, (outcome) => {
          if (outcome.kind === "accepted") result.accepted++;
          else if (outcome.kind === "duplicate") result.duplicates++;
          else {
            const { code, reason, permanent } = outcome;
            result.refused.push({ id: update.id, code, reason, permanent });
          }
          done();
        });
    }
  });
  return result;
}

/** @throws UpdateLineError where there is no id that could be answered for */
function readLine(line: string, at: number, agentId?: string): WireUpdate | UpdateLineError {
  try {
    const update = parseUpdateLine(line);
    if (agentId === undefined || update.agentId === agentId) return update;
    return new UpdateLineError(`the token is for agent ${agentId} alone`, update.id);
  } catch (error) {
    if (!(error instanceof UpdateLineError)) throw error;
    if (error.id !== undefined) return error;
    throw new UpdateLineError(`line ${at + 1}: ${error.message}`);
  }
}
