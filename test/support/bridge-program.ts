import { readFileSync } from "node:fs";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, type ClientReadableStream, credentials, Metadata } from "@grpc/grpc-js";
import type { Test } from "tap";
import { pathOf } from "../../src/platform/grpc/definitions.ts";
import {
  type Agent,
  BridgeService,
  ListAgentsRequestSchema,
  ListAgentsResponseSchema,
  SubscribeRequestSchema,
  SubscribeResponseSchema,
} from "../../src/wire/agent_mesh/bridge/v1/bridge_pb.ts";
import { AgentState } from "../../src/wire/agent_mesh/bridge/v1/link_pb.ts";

/** A message that came for a subscriber. */
export interface Heard {
  readonly topic: string;
  readonly text: string;
  readonly from: string;
  readonly via: readonly string[];
}

const same = (bytes: Buffer): Buffer => bytes;
const stateNames = new Map<number, string>(
  Object.entries(AgentState).map(([name, state]) => [state, name.toLowerCase()]),
);

/** A program of the cluster with what `BridgeClient` leaves out: it lists agents and listens to topics. */
export class BridgeProgram {
  readonly #client: Client;
  readonly #metadata = new Metadata();

  /** @param caFile PEM of the authority; absent for a door without TLS */
  constructor(t: Pick<Test, "teardown">, url: string, token: string, caFile?: string) {
    const { host } = new URL(url);
    const channel =
      caFile === undefined
        ? credentials.createInsecure()
        : credentials.createSsl(readFileSync(caFile));
    this.#client = new Client(host, channel);
    this.#metadata.set("authorization", `Bearer ${token}`);
    t.teardown(() => this.#client.close());
  }

  /** @returns agent ids with their states, of all pages @throws ServiceError */
  async states(): Promise<Record<string, string>> {
    const found: Agent[] = [];
    let pageToken = "";
    do {
      const request = create(ListAgentsRequestSchema, { pageSize: 2, pageToken });
      const bytes = Buffer.from(toBinary(ListAgentsRequestSchema, request));
      const answer = await new Promise<Buffer>((resolve, reject) =>
        this.#client.makeUnaryRequest(
          pathOf(BridgeService.method.listAgents),
          same,
          same,
          bytes,
          this.#metadata,
          { deadline: Date.now() + 10_000 },
          (error, value) => (error === null ? resolve(value ?? Buffer.of()) : reject(error)),
        ),
      );
      const page = fromBinary(ListAgentsResponseSchema, answer);
      found.push(...page.agents);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return Object.fromEntries(
      found.map(({ agentId, state }) => [agentId, stateNames.get(state) ?? ""]),
    );
  }

  /**
   * Listens from now on.
   * @returns once the subscription stands: what is heard, and with which gRPC status it ends
   */
  async subscribe(
    ...filters: string[]
  ): Promise<{ heard: Heard[]; ended: Promise<{ code: number; details: string }> }> {
    const request = create(SubscribeRequestSchema, { filters });
    const call: ClientReadableStream<Buffer> = this.#client.makeServerStreamRequest(
      pathOf(BridgeService.method.subscribe),
      same,
      same,
      Buffer.from(toBinary(SubscribeRequestSchema, request)),
      this.#metadata,
    );
    const heard: Heard[] = [];
    const ended = new Promise<{ code: number; details: string }>((resolve) => {
      call.on("status", ({ code, details }) => resolve({ code, details }));
    });
    call.on("error", () => undefined);
    call.on("data", (bytes: Buffer) => {
      const { message } = fromBinary(SubscribeResponseSchema, bytes);
      if (message === undefined) return;
      const { topic, payload, from, via } = message;
      heard.push({ topic, text: Buffer.from(payload).toString(), from, via });
    });
    await Promise.race([new Promise((resolve) => call.on("metadata", resolve)), ended]);
    return { heard, ended };
  }
}
