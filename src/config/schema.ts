import * as Type from "typebox";
import { apiOptions } from "../api/options.ts";
import { consensusOptions } from "../consensus/options.ts";
import { coordinationOptions } from "../coordination/options.ts";
import { budgetOptions, deviceOptions, powerOptions } from "../device/options.ts";
import { learningOptions } from "../federated/options/agent-learning-options.ts";
import { bridgeOptions } from "../mesh/bridge/options.ts";
import { meshOptions } from "../mesh/options.ts";
import { relayOptions } from "../mesh/relay/options.ts";
import { outboxOptions } from "../outbox/options.ts";
import { mqttOptions } from "../readings/options.ts";
import { uplinkOptions } from "../uplink/options.ts";
import { agentOptions, logOptions } from "./agent-options.ts";

/** The whole configuration: every room says what it can be told. */
export const configSchema = Type.Object(
  {
    agent: agentOptions,
    log: logOptions,
    api: apiOptions,
    mqtt: mqttOptions,
    outbox: outboxOptions,
    uplinks: uplinkOptions,
    mesh: meshOptions,
    relay: relayOptions,
    bridge: bridgeOptions,
    coordination: coordinationOptions,
    consensus: consensusOptions,
    learning: learningOptions,
    device: deviceOptions,
    power: powerOptions,
    budget: budgetOptions,
  },
  {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Agent Mesh configuration",
    additionalProperties: false,
    default: {},
  },
);

/** A complete, valid configuration. */
export type Config = Type.Static<typeof configSchema>;
