import type { Clock } from "../../platform/clock.ts";
import type { StoreOperation } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import { GroupCommit } from "../ordering/group-commit.ts";
import type { MemberDisk } from "./member-disk.ts";

interface Parts {
  readonly disk: Pick<MemberDisk, "write">;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The disk lost what was written before. */
  readonly lost: (error: Error) => void;
}

interface Step {
  readonly operations: readonly StoreOperation[];
  readonly done: () => void;
}

/** Writes what is to be durable, and then does what waits for it, in order. */
export class RecordWriter {
  readonly #commit: GroupCommit<Step>;

  constructor({ disk, ...parts }: Parts) {
    this.#commit = new GroupCommit({
      ...parts,
      timer: "pbft.write",
      write: (steps) => {
        const operations = steps.flatMap((step) => step.operations);
        return operations.length > 0 ? disk.write(operations) : undefined;
      },
      done: ({ done }) => done(),
    });
  }

  /** @param done called once the operations and all before them are durable; at once when nothing has to be waited for */
  push(operations: readonly StoreOperation[], done: () => void): void {
    this.#commit.push({ operations, done });
  }

  /** Nothing is written or done any more. @returns once what is under way has ended */
  close(): Promise<void> {
    return this.#commit.close();
  }
}
