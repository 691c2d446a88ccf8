import type { TSchema } from "typebox";
import {
  auditEntry,
  auditPage,
  auditVerdict,
  ban,
  bans,
  exported,
  grant,
  grants,
  imported,
  meshRoles,
  role,
} from "./access.ts";
import { bridge } from "./bridge.ts";
import { payload, problem } from "./common.ts";
import {
  committeeMember,
  consensus,
  decisions,
  namedPeer,
  proposal,
  proposals,
  proposed,
  verdict,
} from "./consensus.ts";
import { device, deviceCapabilities } from "./device.ts";
import { event } from "./events.ts";
import {
  learning,
  learningRound,
  learningRounds,
  learningTask,
  learningTaskSpec,
  learningTasks,
  prediction,
} from "./learning.ts";
import {
  fleetAgent,
  fleetAgents,
  fleetSurvey,
  joined,
  memberCounts,
  mesh,
  meshPeer,
  meshPeers,
} from "./mesh.ts";
import { power, powerPolicy } from "./power.ts";
import { deadLetter, deadLetters, message, queue, queueControl, queueMessages } from "./queue.ts";
import { mapping, mappings, reading, readings } from "./readings.ts";
import { relay, relayGuest, relayHost } from "./relay.ts";
import { resourceHistory, resourcePoint, resources } from "./resources.ts";
import { ratedAgent, roleHolder, roles } from "./roles.ts";
import { alive, apiCatalog, config, configSchema, notReady, ready } from "./system.ts";
import { task, taskBrief, taskOffer, taskOffers, tasks } from "./tasks.ts";
import { token, tokenCreated, tokens } from "./tokens.ts";
import { trail, trailChoice, trails } from "./trails.ts";
import { uplink, uplinks } from "./uplinks.ts";

/** Schemas that stand in the OpenAPI document under their own names. */
export const componentSchemas: readonly TSchema[] = [
  problem,
  payload,
  alive,
  ready,
  notReady,
  apiCatalog,
  device,
  deviceCapabilities,
  resources,
  resourceHistory,
  resourcePoint,
  power,
  powerPolicy,
  readings,
  reading,
  mappings,
  mapping,
  queue,
  queueMessages,
  message,
  queueControl,
  deadLetters,
  deadLetter,
  uplinks,
  uplink,
  mesh,
  meshPeers,
  meshPeer,
  joined,
  fleetAgents,
  fleetSurvey,
  fleetAgent,
  memberCounts,
  grant,
  grants,
  imported,
  exported,
  role,
  meshRoles,
  ban,
  bans,
  auditEntry,
  auditPage,
  auditVerdict,
  relay,
  relayGuest,
  relayHost,
  bridge,
  roleHolder,
  task,
  taskBrief,
  taskOffer,
  taskOffers,
  tasks,
  ratedAgent,
  trail,
  trailChoice,
  trails,
  roles,
  namedPeer,
  committeeMember,
  consensus,
  proposal,
  proposals,
  decisions,
  proposed,
  verdict,
  learning,
  learningTaskSpec,
  learningTask,
  learningTasks,
  learningRound,
  learningRounds,
  prediction,
  config,
  configSchema,
  token,
  tokens,
  tokenCreated,
  event,
];
