import type { Broker } from "../platform/broker.ts";
import type { Logger } from "../platform/logger.ts";
import type { MetricsRegistry } from "../platform/metrics-registry.ts";
import type { ReceiverTokens } from "./access.ts";
import { BrokerIntake, type BrokerIntakeStatus } from "./broker-intake.ts";
import { createReceiverHttp, type ReceiverTls } from "./http/server.ts";
import { addReceiverMetrics } from "./metrics.ts";
import type { Receiver } from "./receiver.ts";
import type { ReceiverStatus } from "./view.ts";

/** A broker, and what agents' topics begin with there. */
export interface ReceiverBroker {
  readonly broker: Broker;
  readonly topicPrefix: string;
}

/** What a receiver with its roads is made of. */
export interface ReceiverServiceParts {
  readonly receiver: Receiver;
  readonly tokens: ReceiverTokens;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
  readonly listen: { readonly host: string; readonly port: number; readonly tls?: ReceiverTls };
  readonly metricsPublic: boolean;
  /** Where agents publish to, if they do. */
  readonly mqtt?: ReceiverBroker;
  readonly nats?: ReceiverBroker;
}

/** The receiver's numbers with those of its roads. */
export interface ServiceStatus extends ReceiverStatus {
  /** Bytes that came in over all roads, headers and TLS included. */
  readonly bytesReceived: number;
  readonly http: { readonly url: string; readonly bytesReceived: number };
  readonly mqtt?: BrokerIntakeStatus;
  readonly nats?: BrokerIntakeStatus;
}

/** A receiver that is reached over HTTP, and over MQTT where that was asked for. */
export interface ReceiverService {
  readonly url: string;
  status(): ServiceStatus;
  /** Closes the roads first, so that what came in is answered for. The receiver is the owner's to close. */
  stop(): Promise<void>;
}

/** Opens the roads to a receiver. @throws Error naming the setting when the address can not be had */
export async function startReceiverService(parts: ReceiverServiceParts): Promise<ReceiverService> {
  const { receiver, tokens, metrics, logger, metricsPublic } = parts;
  const intakes = new Map<"mqtt" | "nats", BrokerIntake>();
  for (const road of ["mqtt", "nats"] as const) {
    const broker = parts[road];
    if (broker !== undefined)
      intakes.set(road, new BrokerIntake({ ...broker, receiver, logger: logger.child(road) }));
  }
  const brokers = (): Readonly<Record<string, BrokerIntakeStatus>> =>
    Object.fromEntries([...intakes].map(([road, intake]) => [road, intake.status()]));
  let url = "";
  const status = (): ServiceStatus => {
    const { bytesReceived } = http;
    const others = brokers();
    return {
      ...receiver.status(),
      bytesReceived: Object.values(others).reduce(
        (sum, one) => sum + one.bytesReceived,
        bytesReceived,
      ),
      http: { url, bytesReceived },
      ...others,
    };
  };
  const http = createReceiverHttp(
    { receiver, tokens, metrics, metricsPublic, status, logger: logger.child("http") },
    parts.listen,
  );
  addReceiverMetrics(metrics, receiver, {
    httpBytes: () => http.bytesReceived,
    brokers,
  });
  url = await http.listen();
  for (const intake of intakes.values()) await intake.start();
  return {
    url,
    status,
    async stop() {
      await Promise.all([...intakes.values()].map((intake) => intake.stop()));
      await http.close();
    },
  };
}
