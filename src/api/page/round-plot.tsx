import type { LearningRound } from "./model.ts";
import { curvePath, curveWords, roundCurve } from "./round-curve.ts";

const BOX = { width: 320, height: 80 };

/** Accuracy, or else loss, over the rounds of a task. */
export function RoundPlot({ name, rounds }: { name: string; rounds: readonly LearningRound[] }) {
  const curve = roundCurve(rounds);
  if (curve === undefined)
    return <p class="round-plot muted">A curve is drawn once two rounds are judged here.</p>;
  const { measure, points, scale, say } = curve;
  const last = points.at(-1);
  return (
    <figure class="round-plot">
      <figcaption>
        <span>{`${measure} on this agent's held-out samples`}</span>
        <strong>{last && say(last.value)}</strong>
      </figcaption>
      <div class="round-plot-box">
        <svg
          viewBox={`0 0 ${BOX.width} ${BOX.height}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`${name}: ${curveWords(curve)}`}
        >
          <path class="grid" d={`M0 0H${BOX.width}M0 ${BOX.height / 2}H${BOX.width}`} />
          <path class="axis" d={`M0 ${BOX.height}H${BOX.width}`} />
          <path class="curve" d={curvePath(curve, BOX.width, BOX.height)} />
        </svg>
        <span class="top">{say(scale[1])}</span>
        <span class="bottom">{say(scale[0])}</span>
      </div>
      <p class="axis-words">
        <span>{`round ${points[0]?.round}`}</span>
        <span>{`round ${last?.round}`}</span>
      </p>
    </figure>
  );
}
