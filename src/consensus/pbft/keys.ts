/** Keys of what a replica keeps; see `durable.ts` for what stands there. */
export const KEYS = {
  view: "view",
  viewChange: "view-change",
  newView: "new-view",
  stable: "stable",
  state: "state",
} as const;

/** Digits of a safe whole number, so that keys sort as numbers do. */
const SEQUENCE_DIGITS = 16;

/** What is kept of one sequence number. */
export const SLOT_KEYS = {
  accepted: (sequence: number): string => `accepted/${padded(sequence)}`,
  prepared: (sequence: number): string => `prepared/${padded(sequence)}`,
  decided: (sequence: number): string => `decided/${padded(sequence)}`,
  batch: (sequence: number, digest: string): string => `batch/${padded(sequence)}/${digest}`,
};

function padded(sequence: number): string {
  return String(sequence).padStart(SEQUENCE_DIGITS, "0");
}
