import type { Random } from "../../platform/random.ts";
import { DataError } from "./data-error.ts";
import type { LabelledSamples } from "./dataset.ts";
import { gammaDraw, shuffle, shuffled } from "./draw.ts";

/** Which samples each client has: places among all of them, ascending within a client. */
export type Partition = readonly Int32Array[];

const CLIENTS_MAX = 10_000;
const DIRICHLET_TRIES_MAX = 100;

/** Deals samples out evenly, at random. @throws DataError `data.setting` with fewer samples than clients */
export function iidPartition(count: number, clients: number, random: Random): Partition {
  mustServe(count, clients);
  const order = shuffled(count, random);
  return Array.from({ length: clients }, (_, client) =>
    order
      .slice(Math.floor((client * count) / clients), Math.floor(((client + 1) * count) / clients))
      .sort(),
  );
}

/**
 * Sorts by class, cuts into `clients * shards` pieces of one size and gives each client `shards` of them (McMahan et al.
 * 2017, section 3): with two, most clients know two classes. What does not divide is left over.
 */
export function shardPartition(
  { count, targets }: LabelledSamples,
  clients: number,
  shards: number,
  random: Random,
): Partition {
  mustServe(count, clients * shards);
  // Within a class in their order of appearance, so that only the dealing is chance.
  const sorted = Int32Array.from({ length: count }, (_, at) => at).sort(
    (one, other) => (targets[one] ?? 0) - (targets[other] ?? 0) || one - other,
  );
  const pieces = clients * shards;
  const size = Math.floor(count / pieces);
  const dealt = shuffled(pieces, random);
  return Array.from({ length: clients }, (_, client) => {
    const own = new Int32Array(shards * size);
    for (let shard = 0; shard < shards; shard++) {
      const piece = dealt[client * shards + shard] ?? 0;
      own.set(sorted.subarray(piece * size, (piece + 1) * size), shard * size);
    }
    return own.sort();
  });
}

/**
 * Of each class a client gets the share that a draw from a Dirichlet distribution says (Hsu et al. 2019, as it is commonly
 * done, class by class): the smaller `alpha`, the more the clients differ. Drawn again until each client has
 * `samplesMin` samples.
 *
 * @throws DataError `data.setting` when a hundred draws did not give everybody so many
 */
export function dirichletPartition(
  { count, targets }: LabelledSamples,
  clients: number,
  { alpha, samplesMin }: { readonly alpha: number; readonly samplesMin: number },
  random: Random,
): Partition {
  mustServe(count, clients);
  if (!(alpha > 0 && alpha <= 1e6))
    throw new DataError("data.setting", `alpha: above 0 up to 1,000,000, not ${alpha}`);
  const classes = new Map<number, number[]>();
  for (let at = 0; at < count; at++) {
    const target = targets[at] ?? 0;
    const members = classes.get(target);
    if (members === undefined) classes.set(target, [at]);
    else members.push(at);
  }
  const inOrder = [...classes].sort(([one], [other]) => one - other).map(([, members]) => members);
  for (let tries = 0; tries < DIRICHLET_TRIES_MAX; tries++) {
    const draw = random.fork(`draw ${tries}`);
    const own: number[][] = Array.from({ length: clients }, () => []);
    for (const members of inOrder) {
      const dealt = shuffle(Int32Array.from(members), draw);
      const weights = Array.from({ length: clients }, () => gammaDraw(alpha, draw));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      // So small an alpha that every weight vanishes: one client has it all.
      if (!(total > 0)) weights[Math.floor(draw.next() * clients)] = 1;
      const whole = total > 0 ? total : 1;
      let upTo = 0;
      let from = 0;
      for (const [client, weight] of weights.entries()) {
        upTo += weight / whole;
        const to = client === clients - 1 ? dealt.length : Math.round(upTo * dealt.length);
        for (; from < to; from++) own[client]?.push(dealt[from] ?? 0);
      }
    }
    if (own.every(({ length }) => length >= samplesMin))
      return own.map((places) => Int32Array.from(places).sort());
  }
  throw new DataError(
    "data.setting",
    `${DIRICHLET_TRIES_MAX} draws did not give each of ${clients} clients ${samplesMin} samples: take a larger alpha, fewer clients or a smaller samplesMin`,
  );
}

/** One client for each group, in the order of groups. @throws DataError `data.setting` when the samples have none */
export function groupPartition({ count, groups }: LabelledSamples): Partition {
  if (groups === undefined)
    throw new DataError("data.setting", "these samples have no groups to be parted by");
  const members = new Map<number, number[]>();
  for (let at = 0; at < count; at++) {
    const group = groups[at] ?? 0;
    const own = members.get(group);
    if (own === undefined) members.set(group, [at]);
    else own.push(at);
  }
  if (members.size > CLIENTS_MAX)
    throw new DataError("data.setting", `${members.size} groups, ${CLIENTS_MAX} clients at most`);
  return [...members].sort(([one], [other]) => one - other).map(([, own]) => Int32Array.from(own));
}

function mustServe(count: number, pieces: number): void {
  if (!Number.isSafeInteger(pieces) || pieces < 1 || pieces > CLIENTS_MAX)
    throw new DataError("data.setting", `clients times shards: 1 to ${CLIENTS_MAX}, not ${pieces}`);
  if (pieces > count)
    throw new DataError(
      "data.setting",
      `${count} samples are not enough for ${pieces} pieces: take fewer clients or shards`,
    );
}
