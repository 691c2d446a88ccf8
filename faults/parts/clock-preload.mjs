// Loaded into the agent before anything else: shifts the wall clock, and shifts it again while it runs.
// FAULTS_CLOCK: [[after this many ms, offset in ms], …]
const plan = JSON.parse(process.env.FAULTS_CLOCK ?? "[]");
const RealDate = Date;
const startMs = performance.now();
const offset = () => {
  const elapsed = performance.now() - startMs;
  let now = 0;
  for (const [afterMs, offsetMs] of plan) if (elapsed >= afterMs) now = offsetMs;
  return now;
};
globalThis.Date = class extends RealDate {
  constructor(...words) {
    if (words.length === 0) super(RealDate.now() + offset());
    else super(...words);
  }
  static now() {
    return RealDate.now() + offset();
  }
};
