import { formatBytes, formatPercent, quantity, text } from "./format.ts";
import type { Measured, Sample } from "./model.ts";
import { Fact } from "./parts.tsx";
import type { Tone } from "./verdict.ts";

interface Shown {
  readonly label: string;
  readonly words: string;
  readonly tone?: Tone;
}

function shown<T>(
  label: string,
  measured: Measured<T>,
  words: (value: T) => string,
  tone?: (value: T) => Tone | undefined,
): Shown | { readonly label: string; readonly reason: string } {
  if (!measured.available) return { label, reason: measured.reason };
  const toneNow = tone?.(measured);
  return { label, words: words(measured), ...(toneNow && { tone: toneNow }) };
}

/** What was measured besides the plots; what this device lacks is named with the reason. */
export function MoreFacts({ sample }: { sample: Sample }) {
  const all = factsOf(sample);
  const absent = all.filter((fact) => "reason" in fact);
  return (
    <>
      <dl class="facts more-facts">
        {all.map(
          (fact) =>
            "words" in fact && (
              <Fact key={fact.label} label={fact.label} {...(fact.tone && { tone: fact.tone })}>
                {fact.words}
              </Fact>
            ),
        )}
      </dl>
      {absent.length > 0 && (
        <div class="absent-list">
          <h3>Not on this device</h3>
          <ul>
            {absent.map((fact) => (
              <li key={fact.label}>
                <strong>{fact.label}</strong> {fact.reason}
              </li>
            ))}
          </ul>
        </div>
      )}
    </>
  );
}

function factsOf(sample: Sample) {
  return [
    shown("Throttling", sample.throttling, throttlingWords, (now) => {
      if (now.underVoltageNow === true || now.throttledNow === true) return "bad";
      const troubled = [now.frequencyCappedNow, now.underVoltageSinceBoot, now.throttledSinceBoot];
      return troubled.includes(true) ? "warn" : undefined;
    }),
    shown(
      "Pressure (10 s)",
      sample.pressure,
      ({ cpuSomeAvg10Percent, memorySomeAvg10Percent, ioSomeAvg10Percent }) =>
        `CPU ${formatPercent(cpuSomeAvg10Percent)}, memory ${formatPercent(memorySomeAvg10Percent)}, disk ${formatPercent(ioSomeAvg10Percent)}`,
      ({ memorySomeAvg10Percent }) => (memorySomeAvg10Percent > 20 ? "warn" : undefined),
    ),
    shown("Swap", sample.memory, ({ swapTotalBytes, swapFreeBytes }) =>
      swapTotalBytes === 0
        ? "none"
        : `${formatBytes(swapTotalBytes - swapFreeBytes)} of ${formatBytes(swapTotalBytes)}`,
    ),
    shown("CPU clock", sample.cpu, ({ frequencyHz }) =>
      frequencyHz === undefined ? "not told" : text(quantity(frequencyHz / 1e6, "MHz")),
    ),
    shown("Network", sample.network, networkWords),
    shown("GPU", sample.gpu, ({ usedPercent }) => formatPercent(usedPercent)),
    shown("Power rails", sample.powerRails, ({ rails }) =>
      rails.map(({ name, watts }) => `${name} ${watts.toFixed(1)} W`).join(", "),
    ),
    shown(
      "Flash wear",
      sample.flashWear,
      ({ lifeUsedPercent }) => `up to ${lifeUsedPercent} % of its life used`,
      ({ preEol, lifeUsedPercent }) =>
        preEol === "urgent" || lifeUsedPercent > 100
          ? "bad"
          : preEol === "warning"
            ? "warn"
            : undefined,
    ),
  ];
}

type Throttling = Extract<Sample["throttling"], { available: true }>;

/** What cannot be told is said to be unknown: it is not the same as fine. */
function throttlingWords(now: Throttling): string {
  const current = [
    now.underVoltageNow === true && "under-voltage",
    now.throttledNow === true && "throttled",
    now.frequencyCappedNow === true && "frequency capped",
  ].filter((word) => word !== false);
  if (current.length > 0) return `${current.join(", ")} now`;
  const earlier = [
    now.underVoltageSinceBoot === true && "under-voltage",
    now.throttledSinceBoot === true && "throttling",
  ].filter((word) => word !== false);
  const past = earlier.length > 0 ? [`${earlier.join(" and ")} since boot`] : [];
  const unknown = now.underVoltageNow === undefined ? ["under-voltage cannot be told"] : [];
  return ["none now", ...past, ...unknown].join("; ");
}

function networkWords({
  interfaces,
}: {
  readonly interfaces: readonly {
    readonly name: string;
    readonly up: boolean;
    readonly speedMbps?: number | undefined;
    readonly signalDbm?: number | undefined;
  }[];
}): string {
  const words = interfaces.map(({ name, up, speedMbps, signalDbm }) => {
    if (!up) return `${name} down`;
    if (signalDbm !== undefined) return `${name} ${signalDbm} dBm`;
    return speedMbps === undefined ? `${name} up` : `${name} ${speedMbps} Mbit/s`;
  });
  return words.length === 0 ? "no interface" : words.join(", ");
}
