import type { KnownRecord } from "../../mesh/records/known-record.ts";
import type { PeerId } from "../../platform/signer.ts";
import { type Health, PowerSupply } from "../../wire/agent_mesh/v1/record_pb.ts";

/** Feature of agents that take part; others are never given a role. */
export const ROLES_FEATURE = "roles";

/**
 * What an agent may hold. `quorum`: any role, for it is on mains. `reserve`: nothing that a quorum rests on, and
 * aggregator only where nobody is on mains. `none`: it works, and may train.
 */
export type Standing = "quorum" | "reserve" | "none";

type Strain = readonly (readonly [from: number, strain: number])[];

const CORES_MAX = 8;
const POINTS_PER_CORE = 40;
const MEMORY_UNIT_BYTES = 268_435_456;
const MEMORY_UNITS_MAX = 64;
const POINTS_PER_MEMORY_UNIT = 5;
/** It can be dialled; it has a way out. */
const DIALABLE_POINTS = 60;
const UPLINK_POINTS = 60;
/** Features of agents that help others' links. */
export const LINK_FEATURES = ["bridge", "relay"] as const;
const LINK_FEATURE_POINTS = 30;
/** From how much on how strained an agent is, most first. */
const CPU_STRAIN: Strain = [
  [75, 5],
  [50, 3],
  [25, 1],
];
const MEMORY_STRAIN: Strain = [
  [90, 3],
  [75, 1],
];
const TEMPERATURE_STRAIN: Strain = [
  [80, 3],
  [70, 1],
];

/** Charge that makes a reserve, or a trainer; and the charge with which one who has a role keeps it. */
const CHARGE_PERCENT_MIN = 50;
const CHARGE_PERCENT_KEPT = 30;
const TRAINER_MEMORY_BYTES_MIN = 536_870_912;

const BUSY_MODES = new Set(["aggressive", "critical"]);

/** What an agent may hold, by its record. @param holds it has a role already, and keeps it a little longer than others get it */
export function standingOf(record: KnownRecord, holds: boolean): Standing {
  const { capabilities, health, leaving } = record;
  if (leaving || capabilities === undefined || health === undefined) return "none";
  if (!capabilities.features.includes(ROLES_FEATURE)) return "none";
  if (health.status === "failing" || BUSY_MODES.has(health.powerMode)) return "none";
  if (capabilities.powerSupply === PowerSupply.MAINS) return "quorum";
  if (capabilities.powerSupply !== PowerSupply.BATTERY) return "none";
  const charge = health.batteryPercent ?? 0;
  return charge >= (holds ? CHARGE_PERCENT_KEPT : CHARGE_PERCENT_MIN) ? "reserve" : "none";
}

/** @returns whether the agent offers all of these features */
export function hasSkills({ capabilities }: KnownRecord, skills: readonly string[]): boolean {
  return skills.every((skill) => capabilities?.features.includes(skill) === true);
}

/** @returns whether an agent trains: on mains, or well charged and not saving; with half a GiB of memory at least */
export function canTrain(record: KnownRecord, skills: readonly string[]): boolean {
  const { capabilities, health, leaving } = record;
  if (leaving || capabilities === undefined || health === undefined) return false;
  if (!capabilities.features.includes(ROLES_FEATURE) || !hasSkills(record, skills)) return false;
  if (Number(capabilities.memoryBytes) < TRAINER_MEMORY_BYTES_MIN) return false;
  if (health.status === "failing" || BUSY_MODES.has(health.powerMode)) return false;
  if (capabilities.powerSupply === PowerSupply.MAINS) return true;
  return health.powerMode !== "saving" && (health.batteryPercent ?? 0) >= CHARGE_PERCENT_MIN;
}

/**
 * How suitable an agent is for roles: points for what it is, times a percentage for how it is. What it is: 40 for each
 * core up to 8, 5 for each 256 MiB of memory up to 16 GiB, 60 for an address to be dialled at, 60 for an uplink, 30 each
 * for the features `bridge` and `relay`. How it is never takes away more than 16 of 100, so that alone never amounts to
 * the margin of 20 % by which roles move. On battery that is taken times its charge.
 * @returns 0 … 820, the same on every machine: thresholds and whole numbers only
 */
export function suitabilityOf({ capabilities, health, addresses }: KnownRecord): number {
  if (capabilities === undefined) return 0;
  const { cpuCores, memoryBytes, uplinks, features, powerSupply } = capabilities;
  const memoryUnits = Math.floor(Number(memoryBytes) / MEMORY_UNIT_BYTES);
  let points =
    POINTS_PER_CORE * Math.min(cpuCores, CORES_MAX) +
    POINTS_PER_MEMORY_UNIT * Math.min(memoryUnits, MEMORY_UNITS_MAX) +
    (addresses.length > 0 ? DIALABLE_POINTS : 0) +
    (uplinks.length > 0 ? UPLINK_POINTS : 0);
  for (const feature of LINK_FEATURES)
    if (features.includes(feature)) points += LINK_FEATURE_POINTS;
  // Rounded up, so that the share that is taken away is never more than said.
  const fit = Math.ceil((points * (100 - strainOf(health))) / 100);
  if (powerSupply !== PowerSupply.BATTERY) return fit;
  return Math.floor((fit * Math.floor(health?.batteryPercent ?? 0)) / 100);
}

/** @returns 0 … 16 */
function strainOf(health: Health | undefined): number {
  if (health === undefined) return 0;
  const { cpuPercent = 0, memoryPercent = 0, temperatureCelsius = 0, uplinkUp, status } = health;
  return (
    strain(cpuPercent, CPU_STRAIN) +
    strain(memoryPercent, MEMORY_STRAIN) +
    strain(temperatureCelsius, TEMPERATURE_STRAIN) +
    (uplinkUp === false ? 2 : 0) +
    (status === "ok" ? 0 : 3)
  );
}

/** Looked at for every member whenever somebody asks how many come first: so it makes no garbage. */
function strain(value: number, steps: Strain): number {
  for (const [from, taken] of steps) if (value >= from) return taken;
  return 0;
}

/** An agent that may be given roles. */
export interface Candidate {
  readonly peer: PeerId;
  readonly standing: Standing;
  readonly score: number;
}

/** Most suitable first; among equals the smaller peer id, so that everybody sees the same order. */
export function compareCandidates(
  a: Pick<Candidate, "peer" | "score">,
  b: Pick<Candidate, "peer" | "score">,
): number {
  if (a.score !== b.score) return b.score - a.score;
  if (a.peer === b.peer) return 0;
  return a.peer < b.peer ? -1 : 1;
}
