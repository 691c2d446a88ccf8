import type { StateMachine } from "../../src/consensus/ordering/state-machine.ts";

const NOTHING = new Uint8Array(0);

/** @returns a value for the group: two bytes for the length of the key, the key, the rest */
export function putCommand(key: string, value: Uint8Array): Uint8Array {
  const name = Buffer.from(key, "latin1");
  const command = Buffer.allocUnsafe(2 + name.length + value.length);
  command.writeUInt16BE(name.length);
  command.set(name, 2);
  command.set(value, 2 + name.length);
  return command;
}

/** Keys and their last values. */
export class KeyValueMachine implements StateMachine {
  #values = new Map<string, Buffer>();

  get(key: string): Buffer | undefined {
    return this.#values.get(key);
  }

  members(): void {}

  apply(command: Uint8Array): Uint8Array {
    const [key, value] = read(Buffer.from(command.buffer, command.byteOffset, command.length));
    // What is applied is a part of a message, which would stay in memory as a whole.
    this.#values.set(key, Buffer.from(value));
    return NOTHING;
  }

  snapshot(): Uint8Array {
    const parts: Buffer[] = [];
    for (const [key, value] of this.#values) {
      const command = putCommand(key, value);
      const length = Buffer.allocUnsafe(4);
      length.writeUInt32BE(command.length);
      parts.push(length, Buffer.from(command.buffer, command.byteOffset, command.length));
    }
    return Buffer.concat(parts);
  }

  restore(state: Uint8Array): void {
    this.#values = new Map();
    const bytes = Buffer.from(state);
    for (let at = 0; at < bytes.length; ) {
      const end = at + 4 + bytes.readUInt32BE(at);
      const [key, value] = read(bytes.subarray(at + 4, end));
      this.#values.set(key, Buffer.from(value));
      at = end;
    }
  }
}

function read(command: Buffer): readonly [key: string, value: Buffer] {
  const end = 2 + command.readUInt16BE(0);
  return [command.toString("latin1", 2, end), command.subarray(end)];
}
