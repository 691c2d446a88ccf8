import t, { type Test } from "tap";
import type { TensorShelfOptions } from "../../../../src/federated/tensors/options.ts";
import type { TensorError } from "../../../../src/federated/tensors/tensor-error.ts";
import { TensorShelf } from "../../../../src/federated/tensors/tensor-shelf.ts";
import { PIECE_BYTES } from "../../../../src/federated/tensors/tensor-store.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import {
  MemoryKeyValueStore,
  VirtualDisk,
} from "../../../../src/simulator/memory-key-value-store.ts";
import { sha256, tensor } from "../../../support/tensors/tensor-world.ts";

const EVERYTHING = { gte: "", lt: "~", limit: 10_000 };

/** `t.same` takes seconds for as many bytes. */
const is = (some: Uint8Array | undefined, others: Uint8Array): boolean =>
  some !== undefined && Buffer.compare(some, others) === 0;

function open(
  disk = new VirtualDisk(),
  over: Partial<TensorShelfOptions> = {},
): Promise<TensorShelf> {
  return TensorShelf.open(
    { store: new MemoryKeyValueStore(disk), hasher: nodeHasher, logger: silentLogger },
    { memoryBytesMax: 10_000_000, storeBytesMax: 10_000_000, ...over },
  );
}

function refuses(t: Test, work: () => unknown, code: TensorError["code"], says: RegExp): void {
  t.throws(work, { name: "TensorError", code, message: says });
}

t.test("bytes come back under their hash, and their length is known", async (t) => {
  const shelf = await open();
  const bytes = tensor(5_000, 1);
  const hash = shelf.put(bytes);
  t.equal(hash, sha256(bytes));
  t.ok(is(await shelf.get(hash), bytes));
  t.equal(shelf.sizeOf(hash), 5_000);
  t.equal(shelf.put(bytes), hash, "once more");
  t.equal(shelf.counters().memoryTensors, 1);
  const other = sha256(tensor(5_000, 2));
  t.equal(await shelf.get(other), undefined);
  t.equal(shelf.sizeOf(other), undefined);
});

t.test("what was not used for longest goes first, what is pinned never", async (t) => {
  const shelf = await open(undefined, { memoryBytesMax: 4_000 });
  const [a, b, c, d] = [1, 2, 3, 4].map((seed) => tensor(1_000, seed)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const first = shelf.put(a);
  const second = shelf.put(b);
  shelf.put(c);
  await shelf.get(first);
  shelf.pin("model", [second, sha256(d)]);
  const fourth = shelf.put(d);
  t.equal(shelf.sizeOf(first), 1_000, "used since");
  t.equal(shelf.sizeOf(second), 1_000, "pinned");
  t.equal(shelf.sizeOf(sha256(c)), undefined, "gone");
  const fifth = shelf.put(tensor(1_000, 5));
  t.equal(shelf.sizeOf(first), undefined, "gone then");
  t.equal(shelf.sizeOf(fourth), 1_000, "pinned before it came");
  t.match(shelf.counters(), { evicted: 2, pinnedBytes: 2 * 1_256, memoryBytes: 3 * 1_256 });

  shelf.pin("round", [fifth]);
  refuses(t, () => shelf.put(tensor(1_000, 6)), "tensor.memory-full", /memoryBytesMax \(4000\)/);
  t.equal(shelf.sizeOf(fifth), 1_000, "nothing went for it");
  shelf.pin("model", []);
  shelf.pin("round", []);
  t.equal(shelf.counters().pinnedBytes, 0);
  shelf.put(tensor(3_700, 7));
  t.equal(shelf.counters().memoryTensors, 1);
  refuses(t, () => shelf.put(tensor(3_800, 8)), "tensor.memory-full", /3800 bytes do not fit/);
});

t.test("what two owners pin stays until both let go", async (t) => {
  const shelf = await open(undefined, { memoryBytesMax: 2_000 });
  const hash = shelf.put(tensor(1_000, 1));
  shelf.pin("a", [hash, hash]);
  shelf.pin("b", [hash]);
  shelf.pin("a", []);
  refuses(t, () => shelf.put(tensor(1_000, 2)), "tensor.memory-full", /pinned/);
  shelf.pin("b", []);
  shelf.put(tensor(1_000, 2));
  t.equal(shelf.sizeOf(hash), undefined);
});

t.test("a view counts for what it is, not for the buffer behind it", async (t) => {
  const shelf = await open();
  const hash = shelf.put(tensor(1_000_000, 1).subarray(10, 20));
  const bytes = await shelf.get(hash);
  t.equal(bytes?.buffer.byteLength, 10);
});

t.test("what can not be is refused by name", async (t) => {
  const shelf = await open();
  refuses(t, () => shelf.put(new Uint8Array(0)), "tensor.invalid", /1 to 268435456 bytes/);
  refuses(t, () => shelf.hold("AB", tensor(1, 1)), "tensor.invalid", /64 hexadecimal digits/);
  await t.rejects(open(undefined, { memoryBytesMax: 0 }), { message: /memoryBytesMax: a whole/ });
  await t.rejects(open(undefined, { storeBytesMax: 1.5 }), { message: /storeBytesMax: a whole/ });
  const many = Array.from({ length: 4_097 }, (_, n) => n.toString(16).padStart(64, "0"));
  refuses(t, () => shelf.pin("round", many), "tensor.invalid", /4096 at most/);
  for (let n = 0; n < 64; n++) shelf.pin(`owner ${n}`, ["a".repeat(64)]);
  refuses(t, () => shelf.pin("one more", ["a".repeat(64)]), "tensor.invalid", /64 owners/);
});

t.test(
  "nothing is written unless it is kept; what is kept is there after a power cut",
  async (t) => {
    const disk = new VirtualDisk();
    const shelf = await open(disk);
    const bytes = tensor(3 * PIECE_BYTES + 5, 1);
    const hash = shelf.put(bytes);
    shelf.put(tensor(PIECE_BYTES, 2));
    t.same(disk.range(EVERYTHING), []);
    await shelf.keep(hash);
    await shelf.keep(hash);
    t.match(shelf.counters(), { storeBytes: bytes.length, storeTensors: 1 });
    t.equal(shelf.counters().storeWrittenBytes, bytes.length, "once");
    disk.crash();
    const later = await open(disk);
    t.same(later.kept(), [hash]);
    t.equal(later.counters().memoryBytes, 0, "not read before it is asked for");
    t.equal(later.sizeOf(hash), bytes.length);
    const [one, other] = await Promise.all([later.get(hash), later.get(hash)]);
    t.ok(is(one, bytes));
    t.equal(one, other, "read once for both");
    await later.keep(hash);
    await later.release(hash);
    t.same(disk.range(EVERYTHING), [], "nothing is left");
    t.equal(later.counters().storeBytes, 0);
    t.ok(is(await later.get(hash), bytes), "still in memory");
  },
);

t.test("a tensor longer than memory is read all the same", async (t) => {
  const disk = new VirtualDisk();
  const bytes = tensor(5_000, 1);
  const shelf = await open(disk);
  const hash = shelf.put(bytes);
  await shelf.keep(hash);
  const small = await open(disk, { memoryBytesMax: 1_000 });
  t.ok(is(await small.get(hash), bytes));
  t.equal(small.counters().memoryBytes, 0);
});

t.test("what can not be kept is refused, and leaves nothing", async (t) => {
  const disk = new VirtualDisk();
  const shelf = await open(disk, { storeBytesMax: 2_000_000 });
  await t.rejects(shelf.keep("a".repeat(64)), { code: "tensor.missing" });
  const hash = shelf.put(tensor(1_500_000, 1));
  const second = shelf.put(tensor(600_000, 2));
  await shelf.keep(hash);
  await t.rejects(shelf.keep(second), {
    code: "tensor.store-full",
    message: /raise storeBytesMax \(2000000\)/,
  });
  await shelf.release(hash);
  await shelf.keep(second);
  t.same(shelf.kept(), [second]);
});

t.test(
  "a disk that runs full in the middle leaves no debris, and the next time it works",
  async (t) => {
    const disk = new VirtualDisk();
    const shelf = await open(disk);
    const hash = shelf.put(tensor(4 * PIECE_BYTES, 1));
    disk.bytesMax = 2.5 * PIECE_BYTES;
    await t.rejects(shelf.keep(hash), { code: "store.full" });
    t.same(shelf.kept(), []);
    t.ok(disk.bytes > 0, "pieces lie there");
    disk.bytesMax = Number.POSITIVE_INFINITY;
    const other = shelf.put(tensor(10, 2));
    await shelf.keep(other);
    t.ok(disk.bytes < 1_000, "cleared before anything else is written");
    await shelf.keep(hash);
    t.ok(is(await (await open(disk)).get(hash), tensor(4 * PIECE_BYTES, 1)));
  },
);

t.test("pieces that were begun and not ended are swept at the start", async (t) => {
  const disk = new VirtualDisk();
  const shelf = await open(disk);
  const hash = shelf.put(tensor(4 * PIECE_BYTES, 1));
  disk.bytesMax = 2.5 * PIECE_BYTES;
  await t.rejects(shelf.keep(hash));
  disk.bytesMax = Number.POSITIVE_INFINITY;
  disk.crash();
  t.ok(disk.bytes > PIECE_BYTES);
  const later = await open(disk);
  t.same(later.kept(), []);
  t.same(disk.range(EVERYTHING), []);
});

t.test(
  "a damaged piece, a missing one and a head that makes no sense are never believed",
  async (t) => {
    const bytes = tensor(3 * PIECE_BYTES, 1);
    const hash = sha256(bytes);
    const damages: [string, (disk: VirtualDisk, pieces: string[]) => void][] = [
      [
        "a bit",
        (disk, [, piece = ""]) => {
          const value = Uint8Array.from(disk.get(piece) ?? []);
          value[7] = (value[7] ?? 0) ^ 1;
          disk.apply([{ type: "put", key: piece, value }], true);
        },
      ],
      ["a piece", (disk, [, piece = ""]) => disk.apply([{ type: "del", key: piece }], true)],
      [
        "the head",
        (disk) =>
          disk.apply([{ type: "put", key: `f/t/${hash}`, value: Uint8Array.of(0x2d) }], true),
      ],
    ];
    for (const [what, damage] of damages) {
      const disk = new VirtualDisk();
      const shelf = await open(disk);
      shelf.put(bytes);
      await shelf.keep(hash);
      const small = shelf.put(tensor(100, 2));
      await shelf.keep(small);
      const pieces = disk.range({ gte: `f/p/${hash}`, lt: `f/p/${hash}~`, limit: 9 });
      damage(
        disk,
        pieces.map(([key]) => key),
      );
      const later = await open(disk);
      t.equal(await later.get(hash), undefined, what);
      t.same(later.kept(), [small]);
      t.ok(is(await later.get(small), tensor(100, 2)), "the others are whole");
      t.equal(
        disk.range({ ...EVERYTHING, gte: `f/p/${hash}`, lt: `f/p/${hash}~` }).length,
        0,
        what,
      );
      later.put(bytes);
      await later.keep(hash);
      t.ok(is(await (await open(disk)).get(hash), bytes), "and it can be kept anew");
    }
  },
);

t.test("of what nobody pinned only the last few stay, where that is asked for", async (t) => {
  const shelf = await open(undefined, { looseTensorsMax: 2 });
  const put = (text: string) => shelf.put(Uint8Array.from(Buffer.from(text)));
  const pinned = put("pinned");
  shelf.pin("owner", [pinned]);
  const hashes = ["a", "b", "c", "d", "e"].map(put);
  t.same(
    hashes.map((hash) => shelf.sizeOf(hash)),
    [undefined, undefined, 1, 1, 1],
    "the newest, and two beside it",
  );
  t.equal(shelf.sizeOf(pinned), 6, "what is pinned stays");
  shelf.pin("owner", []);
  put("f");
  t.equal(shelf.sizeOf(pinned), undefined, "until it is not any more");
});
