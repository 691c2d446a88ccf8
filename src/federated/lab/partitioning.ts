import type { Random } from "../../platform/random.ts";
import type { LabelledSamples } from "../data/dataset.ts";
import {
  dirichletPartition,
  groupPartition,
  iidPartition,
  type Partition,
  shardPartition,
} from "../data/partition.ts";
import { LabError } from "./lab-error.ts";
import type { Experiment } from "./options.ts";

/**
 * Parts the samples as the experiment says.
 * @throws LabError where `clients` is missing or not the number of groups; DataError
 */
export function partitionOf(
  { partition, clients }: Pick<Experiment, "partition" | "clients">,
  samples: LabelledSamples,
  random: Random,
): Partition {
  if (partition.kind === "groups") {
    const parts = groupPartition(samples);
    if (clients !== undefined && clients !== parts.length)
      throw new LabError(`clients: there are ${parts.length} groups, not ${clients}; leave it out`);
    return parts;
  }
  if (clients === undefined) throw new LabError("clients is missing: how many there are");
  switch (partition.kind) {
    case "iid":
      return iidPartition(samples.count, clients, random);
    case "shards":
      return shardPartition(samples, clients, partition.shards, random);
    case "dirichlet":
    default:
      return dirichletPartition(samples, clients, partition, random);
  }
}
