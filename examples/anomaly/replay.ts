import { setTimeout as delay } from "node:timers/promises";
import mqtt, { type MqttClient } from "mqtt";
import type { Moment } from "./series.ts";

export const SENSOR_TOPIC = "sensors/press/temperature";
/** Half an hour of the machine's takes so long here. */
export const STEP_REPLAYED_MS = 50;
/** Longer than the task's `gapMsMax`: no window reaches over it. */
export const PAUSE_MS = 1_500;

/** What an agent says on MQTT when an anomaly begins or ends. */
export interface AlertMessage {
  readonly state: "raised" | "cleared";
  /** Newest moment of the window, in the time of this replay. */
  readonly atMs: number;
  readonly score: number;
  readonly threshold: number;
  readonly round: number;
}

/** A machine's sensor and whoever listens for alerts: both are clients of one agent's MQTT broker. */
export class Replay {
  readonly #client: MqttClient;
  readonly #ends = new AbortController();
  readonly #played: { readonly wallMs: number; readonly atMs: number }[] = [];
  readonly alerts: AlertMessage[] = [];
  published = 0;

  private constructor(client: MqttClient) {
    this.#client = client;
  }

  /** @param url of the agent's broker */
  static async open(url: string): Promise<Replay> {
    const client = await mqtt.connectAsync(url, { reconnectPeriod: 0 });
    const replay = new Replay(client);
    // An agent that is killed takes its broker along.
    client.on("error", () => undefined);
    client.on("message", (_topic, payload) => {
      replay.alerts.push(JSON.parse(payload.toString()) as AlertMessage);
    });
    await client.subscribeAsync("agent-mesh/+/learning/+/alert", { qos: 1 });
    return replay;
  }

  /** Publishes each moment when its turn is, in the middle of a step of the grid. Ends early when it is told to, or the broker is gone. */
  async play(moments: readonly Moment[], signal = this.#ends.signal): Promise<void> {
    const beginMs = (Math.floor(Date.now() / STEP_REPLAYED_MS) + 1.5) * STEP_REPLAYED_MS;
    for (const [at, { atMs, value }] of moments.entries()) {
      const waitMs = beginMs + at * STEP_REPLAYED_MS - Date.now();
      if (waitMs > 0) await delay(waitMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted || !this.#client.connected) return;
      this.#played.push({ wallMs: Date.now(), atMs });
      this.published += 1;
      this.#client.publish(SENSOR_TOPIC, value.toFixed(3), { qos: 1 }, () => undefined);
    }
  }

  /** Over and over, with a pause between, until it is told to end. */
  async loop(moments: readonly Moment[], end: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([end, this.#ends.signal]);
    while (!signal.aborted && this.#client.connected) {
      await this.play(moments, signal);
      await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** @returns when it really was; undefined for a time before the replay */
  reallyAt(wallMs: number): number | undefined {
    return this.#played.findLast((one) => one.wallMs <= wallMs)?.atMs;
  }

  async close(): Promise<void> {
    this.#ends.abort();
    await this.#client.endAsync(true);
  }
}
