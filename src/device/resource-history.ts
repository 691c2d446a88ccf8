import type { DeviceSample } from "../platform/device-probe.ts";
import type { ResourcePoint } from "./view.ts";

const columns = 7;
const POINTS_MIN = 64;

/**
 * The newest points in one flat array, which doubles until it holds all that are kept: a day of history costs half a
 * megabyte and next to no garbage.
 */
export class ResourceHistory {
  readonly #pointsMax: number;
  #values: Float64Array;
  #count = 0;

  constructor(pointsMax: number) {
    this.#pointsMax = pointsMax;
    this.#values = new Float64Array(Math.min(pointsMax, POINTS_MIN) * columns);
  }

  /** Adds the newest point; the oldest gives way when the history is full. */
  add(point: ResourcePoint): void {
    this.#makeRoom();
    const { wallMs, cpuPercent, memoryPercent, celsius } = point;
    const { batteryPercent, diskPercent, residentBytes } = point;
    const row = [
      wallMs,
      cpuPercent,
      memoryPercent,
      celsius,
      batteryPercent,
      diskPercent,
      residentBytes,
    ];
    this.#values.set(
      row.map((value) => value ?? Number.NaN),
      (this.#count % this.#pointsMax) * columns,
    );
    this.#count += 1;
  }

  #makeRoom(): void {
    const points = this.#values.length / columns;
    if (this.#count < points || points >= this.#pointsMax) return;
    const larger = new Float64Array(Math.min(2 * points, this.#pointsMax) * columns);
    larger.set(this.#values);
    this.#values = larger;
  }

  /** @returns points at or after `sinceMs`, oldest first, at most `limit`. */
  read(options: { sinceMs: number; limit: number }): readonly ResourcePoint[] {
    const points: ResourcePoint[] = [];
    const first = Math.max(0, this.#count - this.#pointsMax);
    for (let index = first; index < this.#count && points.length < options.limit; index += 1) {
      const offset = (index % this.#pointsMax) * columns;
      const at = (column: number): number | null => {
        const value = this.#values[offset + column];
        return value === undefined || Number.isNaN(value) ? null : value;
      };
      const wallMs = at(0) ?? 0;
      if (wallMs < options.sinceMs) continue;
      points.push({
        wallMs,
        cpuPercent: at(1),
        memoryPercent: at(2),
        celsius: at(3),
        batteryPercent: at(4),
        diskPercent: at(5),
        residentBytes: at(6),
      });
    }
    return points;
  }
}

/** @returns what the history keeps of a sample. */
export function resourcePointOf(sample: DeviceSample, wallMs: number): ResourcePoint {
  const { cpu, memory, thermal, battery, disk } = sample;
  return {
    wallMs,
    cpuPercent: cpu.available ? (cpu.usedPercent ?? null) : null,
    memoryPercent: memory.available ? usedPercent(memory.totalBytes, memory.availableBytes) : null,
    celsius: thermal.available ? thermal.celsius : null,
    batteryPercent: battery.available ? (battery.chargePercent ?? null) : null,
    diskPercent: disk.available ? usedPercent(disk.totalBytes, disk.freeBytes) : null,
    residentBytes: sample.process.available ? sample.process.residentBytes : null,
  };
}

function usedPercent(total: number, free: number): number | null {
  return total > 0 ? Math.round((1 - free / total) * 10_000) / 100 : null;
}
