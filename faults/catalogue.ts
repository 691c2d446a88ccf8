/** What a fault needs of the machine. */
export type Need = "strace" | "mount";

/** One way in which things go wrong. */
export interface FaultKind {
  readonly name: string;
  readonly about: string;
  /** It may destroy what was acknowledged: then the agent must say so, and everything else must be right. */
  readonly destroys?: true;
  /** Readings may be refused meanwhile. */
  readonly refuses?: true;
  readonly needs?: Need;
  /** Only possible before the first start. */
  readonly first?: true;
}

/** Every fault that a run may draw. */
export const FAULTS: readonly FaultKind[] = [
  { name: "upstream-killed", about: "the upstream broker is killed and comes back" },
  { name: "link-shut", about: "the link upstream is closed" },
  { name: "link-silent", about: "the link upstream swallows everything and tells nobody" },
  { name: "acks-lost", about: "what is sent arrives, its acknowledgements do not" },
  { name: "reconnects", about: "the link upstream comes and goes in quick succession" },
  { name: "agent-killed", about: "SIGKILL at a random moment" },
  { name: "killed-at-start", about: "SIGKILL again and again while it starts" },
  {
    name: "killed-at-creation",
    about: "SIGKILL at the n-th system call on a new store",
    needs: "strace",
    first: true,
  },
  {
    name: "killed-at-write",
    about: "SIGKILL at the n-th system call on the store",
    needs: "strace",
  },
  { name: "power-cut", about: "SIGKILL, and all that was not synced is gone", needs: "strace" },
  { name: "torn-log", about: "SIGKILL in the middle of a write to the log" },
  { name: "orphans", about: "leftover and damaged files around the store" },
  { name: "config-changed", about: "an orderly stop, and a start with other settings" },
  { name: "clock-jumped", about: "SIGKILL; then the clock says 1970, later now, then an hour ago" },
  { name: "second-agent", about: "another agent tries to use the same data directory" },
  { name: "disk-full", about: "the disk is full for a while", refuses: true, needs: "mount" },
  {
    name: "disk-full-killed",
    about: "the disk is full, freed, and the agent killed",
    refuses: true,
    needs: "mount",
  },
  {
    name: "disk-full-start",
    about: "SIGKILL, and a start on a full disk",
    refuses: true,
    needs: "mount",
  },
  { name: "sync-error", about: "fdatasync fails a few times", refuses: true, needs: "strace" },
  {
    name: "write-error",
    about: "writes to the store fail a few times",
    refuses: true,
    needs: "strace",
  },
  { name: "current-emptied", about: "SIGKILL; the store's CURRENT is empty", destroys: true },
  { name: "manifest-emptied", about: "SIGKILL; the store's manifest is empty", destroys: true },
  { name: "log-bit-flipped", about: "SIGKILL; one bit of the log is flipped", destroys: true },
  { name: "table-bit-flipped", about: "SIGKILL; one bit of a table is flipped", destroys: true },
  { name: "table-emptied", about: "SIGKILL; a table has no length", destroys: true },
];
