import type { Broker, BrokerStatus, InboundHandler, Refusal } from "../platform/broker.ts";

/** Sensors of a simulated device: what they publish is acknowledged as a real broker would. */
export class VirtualBroker implements Broker {
  /** What the agent itself published, newest last. */
  readonly published: { topic: string; payload: Uint8Array; retain: boolean }[] = [];
  #handler: InboundHandler | undefined;
  #settling = 0;
  #idle: (() => void) | undefined;

  start(handler: InboundHandler): Promise<void> {
    this.#handler = handler;
    return Promise.resolve();
  }

  /** A sensor publishes. @returns undefined when it was acknowledged, else the refusal. */
  receive(topic: string, payload: Uint8Array, qos: 0 | 1 | 2 = 1): Promise<Refusal | undefined> {
    const handler = this.#handler;
    if (handler === undefined)
      return Promise.resolve({ code: "broker.stopped", message: "the broker is not running" });
    this.#settling++;
    return new Promise((resolve) => {
      handler({ topic, payload, qos, retain: false, clientId: "sensor" }, (refusal) => {
        this.#settling--;
        if (this.#settling === 0) this.#idle?.();
        resolve(refusal);
      });
    });
  }

  publish(message: Parameters<Broker["publish"]>[0]): Promise<void> {
    this.published.push(message);
    return Promise.resolve();
  }

  status(): BrokerStatus {
    const connected = this.#handler !== undefined;
    return { kind: "embedded", connected, url: "mqtt://virtual:1883" };
  }

  /** The process is gone: nobody hears of anything any more. */
  abandon(): void {
    this.#handler = undefined;
  }

  async stop(): Promise<void> {
    this.#handler = undefined;
    if (this.#settling > 0)
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
  }
}
