import type { ReadingsSource } from "../federated/running/readings-source.ts";
import type { Finding } from "../federated/running/serving-desk.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { Broker } from "../platform/broker.ts";
import type { Logger } from "../platform/logger.ts";
import type { Intake } from "../readings/intake.ts";

/** Of what waits for its uplink, so many readings are looked through for the history of a task. */
const BACKLOG_MAX = 500_000;
const PAGE = 1_000;
const FINDING = /^agent-mesh\/[^/]+\/learning\//;

/**
 * Whether a topic is one that agents publish what they found on. Such a message is no reading, whoever comes by it: a filter such as `#` on a
 * broker that agents share would have them learn from their own scores.
 */
export function isFinding(topic: string): boolean {
  return topic.startsWith("agent-mesh/") && FINDING.test(topic);
}

/** @returns publishes what was found in this device's streams on its broker; alerts stay there for who comes later */
export function findingsOver({
  agentId,
  broker,
  logger,
}: {
  readonly agentId: string;
  readonly broker: Pick<Broker, "publish">;
  readonly logger: Logger;
}): (finding: Finding) => void {
  return ({ kind, name, message }) => {
    const topic = `agent-mesh/${agentId}/learning/${name}/${kind}`;
    const payload = Buffer.from(JSON.stringify({ ...message, name, agentId }));
    const isAlert = kind === "alert";
    broker
      .publish({ topic, payload, qos: isAlert ? 1 : 0, retain: isAlert })
      .catch((error: unknown) =>
        logger.warn("a finding was not published; REST has it still", { topic, error }),
      );
  };
}

/** What learning hears of this device's sensors. */
export function readingsOf(intake: Intake, outbox: Outbox): ReadingsSource {
  return {
    onReading: (listener) => intake.onReading(listener),
    async *backlog() {
      let cursor: string | undefined;
      for (let seen = 0; seen < BACKLOG_MAX; ) {
        const page = await outbox.list({ limit: PAGE, ...(cursor !== undefined && { cursor }) });
        yield* page.updates;
        seen += page.updates.length;
        cursor = page.cursor;
        if (cursor === undefined) return;
      }
    },
  };
}
