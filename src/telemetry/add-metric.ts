import type { MetricSample } from "../platform/metrics-registry.ts";

/** What a metric is read with; undefined where there is nothing to tell. */
export type Read = () => readonly MetricSample[] | number | undefined;

/** Adds a metric of one kind; `agent_mesh_` stands before its name. */
export type Add = (name: string, help: string, read: Read) => void;
