import { bytes, sigmoid4, tanh4 } from "./math";

// One step of a recurrent layer for all samples of a batch. Rows of gates, cells and outputs of one sample and step begin
// every `…Stride` values: sequences lie one sample after the other. `units` are done four at a time, the rest one by one.

/**
 * LSTM: `gates` hold the four sums i, f, c, o and become the gates; `c = f * before + i * tanh(c)`, `h = o * tanh(c)`.
 * @param before cells of the step before, 0 at the first
 */
export function lstmStep(
  samples: i32,
  units: i32,
  gates: usize,
  gatesStride: i32,
  before: usize,
  cells: usize,
  outputs: usize,
  stride: i32,
): void {
  for (let sample: i32 = 0; sample < samples; sample++) {
    for (let unit: i32 = 0; unit < units; unit += 4) {
      const count = min(4, units - unit);
      const i = gates + bytes(unit);
      const f = i + bytes(units);
      const c = f + bytes(units);
      const o = c + bytes(units);
      const input = sigmoid4(read(i, count));
      const forget = sigmoid4(read(f, count));
      const candidate = tanh4(read(c, count));
      const output = sigmoid4(read(o, count));
      let cell = f32x4.mul(input, candidate);
      if (before != 0) cell = f32x4.add(cell, f32x4.mul(forget, read(before + bytes(unit), count)));
      write(i, input, count);
      write(f, forget, count);
      write(c, candidate, count);
      write(o, output, count);
      write(cells + bytes(unit), cell, count);
      write(outputs + bytes(unit), f32x4.mul(output, tanh4(cell)), count);
    }
    gates += bytes(gatesStride);
    if (before != 0) before += bytes(stride);
    cells += bytes(stride);
    outputs += bytes(stride);
  }
}

/**
 * Gates become the gradients by their sums; `dCells` (samples × units) that by the cells of the step before.
 * @param dOutputs gradient by the outputs of this step, samples × units
 */
export function lstmStepGradient(
  samples: i32,
  units: i32,
  gates: usize,
  gatesStride: i32,
  before: usize,
  cells: usize,
  stride: i32,
  dOutputs: usize,
  dCells: usize,
): void {
  const one = f32x4.splat(1);
  for (let sample: i32 = 0; sample < samples; sample++) {
    for (let unit: i32 = 0; unit < units; unit += 4) {
      const count = min(4, units - unit);
      const i = gates + bytes(unit);
      const f = i + bytes(units);
      const c = f + bytes(units);
      const o = c + bytes(units);
      const input = read(i, count);
      const forget = read(f, count);
      const candidate = read(c, count);
      const output = read(o, count);
      const squashed = tanh4(read(cells + bytes(unit), count));
      const dOutput = read(dOutputs + bytes(unit), count);
      const through = f32x4.mul(dOutput, f32x4.mul(output, f32x4.sub(one, f32x4.mul(squashed, squashed))));
      const dCell = f32x4.add(read(dCells + bytes(unit), count), through);
      const last = before == 0 ? f32x4.splat(0) : read(before + bytes(unit), count);
      write(i, f32x4.mul(f32x4.mul(dCell, candidate), sigmoidSlope(input)), count);
      write(f, f32x4.mul(f32x4.mul(dCell, last), sigmoidSlope(forget)), count);
      write(c, f32x4.mul(f32x4.mul(dCell, input), f32x4.sub(one, f32x4.mul(candidate, candidate))), count);
      write(o, f32x4.mul(f32x4.mul(dOutput, squashed), sigmoidSlope(output)), count);
      write(dCells + bytes(unit), f32x4.mul(dCell, forget), count);
    }
    gates += bytes(gatesStride);
    if (before != 0) before += bytes(stride);
    cells += bytes(stride);
    dOutputs += bytes(units);
    dCells += bytes(units);
  }
}

/** GRU, first half: the sums z and r become gates; `reset = r * before`. @param before outputs of the step before, 0 at the first */
export function gruGates(
  samples: i32,
  units: i32,
  gates: usize,
  gatesStride: i32,
  before: usize,
  reset: usize,
  stride: i32,
): void {
  for (let sample: i32 = 0; sample < samples; sample++) {
    for (let unit: i32 = 0; unit < units; unit += 4) {
      const count = min(4, units - unit);
      const z = gates + bytes(unit);
      const r = z + bytes(units);
      const gate = sigmoid4(read(r, count));
      write(z, sigmoid4(read(z, count)), count);
      write(r, gate, count);
      const last = before == 0 ? f32x4.splat(0) : read(before + bytes(unit), count);
      write(reset + bytes(unit), f32x4.mul(gate, last), count);
    }
    gates += bytes(gatesStride);
    if (before != 0) before += bytes(stride);
    reset += bytes(stride);
  }
}

/** GRU, second half: the sum h becomes its tanh; `h = z * before + (1 - z) * tanh(h)`. */
export function gruStep(
  samples: i32,
  units: i32,
  gates: usize,
  gatesStride: i32,
  before: usize,
  outputs: usize,
  stride: i32,
): void {
  const one = f32x4.splat(1);
  for (let sample: i32 = 0; sample < samples; sample++) {
    for (let unit: i32 = 0; unit < units; unit += 4) {
      const count = min(4, units - unit);
      const z = gates + bytes(unit);
      const h = z + bytes(2 * units);
      const update = read(z, count);
      const candidate = tanh4(read(h, count));
      write(h, candidate, count);
      let output = f32x4.mul(f32x4.sub(one, update), candidate);
      if (before != 0) output = f32x4.add(output, f32x4.mul(update, read(before + bytes(unit), count)));
      write(outputs + bytes(unit), output, count);
    }
    gates += bytes(gatesStride);
    if (before != 0) before += bytes(stride);
    outputs += bytes(stride);
  }
}

/** Second half backwards: z and h become gradients by their sums; `dOutputs` becomes its share for the step before. */
export function gruStepGradient(
  samples: i32,
  units: i32,
  gates: usize,
  gatesStride: i32,
  before: usize,
  stride: i32,
  dOutputs: usize,
): void {
  const one = f32x4.splat(1);
  for (let sample: i32 = 0; sample < samples; sample++) {
    for (let unit: i32 = 0; unit < units; unit += 4) {
      const count = min(4, units - unit);
      const z = gates + bytes(unit);
      const h = z + bytes(2 * units);
      const update = read(z, count);
      const candidate = read(h, count);
      const slope = read(dOutputs + bytes(unit), count);
      const last = before == 0 ? f32x4.splat(0) : read(before + bytes(unit), count);
      write(z, f32x4.mul(f32x4.mul(slope, f32x4.sub(last, candidate)), sigmoidSlope(update)), count);
      const inner = f32x4.sub(one, f32x4.mul(candidate, candidate));
      write(h, f32x4.mul(f32x4.mul(slope, f32x4.sub(one, update)), inner), count);
      write(dOutputs + bytes(unit), f32x4.mul(slope, update), count);
    }
    gates += bytes(gatesStride);
    if (before != 0) before += bytes(stride);
    dOutputs += bytes(units);
  }
}

/** First half backwards: `dReset` is the gradient by `r * before`; r becomes that by its sum, `dOutputs` grows. */
export function gruGatesGradient(
  samples: i32,
  units: i32,
  gates: usize,
  gatesStride: i32,
  before: usize,
  stride: i32,
  dReset: usize,
  dOutputs: usize,
): void {
  for (let sample: i32 = 0; sample < samples; sample++) {
    for (let unit: i32 = 0; unit < units; unit += 4) {
      const count = min(4, units - unit);
      const r = gates + bytes(units + unit);
      const gate = read(r, count);
      const slope = read(dReset + bytes(unit), count);
      const last = before == 0 ? f32x4.splat(0) : read(before + bytes(unit), count);
      write(r, f32x4.mul(f32x4.mul(slope, last), sigmoidSlope(gate)), count);
      const to = dOutputs + bytes(unit);
      write(to, f32x4.add(read(to, count), f32x4.mul(slope, gate)), count);
    }
    gates += bytes(gatesStride);
    if (before != 0) before += bytes(stride);
    dReset += bytes(units);
    dOutputs += bytes(units);
  }
}

/** `to` (rows × columns) `+= from`, whose rows begin every `stride` values. */
export function addRows(rows: i32, columns: i32, from: usize, stride: i32, to: usize): void {
  for (let row: i32 = 0; row < rows; row++) {
    for (let column: i32 = 0; column < columns; column += 4) {
      const count = min(4, columns - column);
      const target = to + bytes(column);
      write(target, f32x4.add(read(target, count), read(from + bytes(column), count)), count);
    }
    from += bytes(stride);
    to += bytes(columns);
  }
}

@inline
function sigmoidSlope(y: v128): v128 {
  return f32x4.mul(y, f32x4.sub(f32x4.splat(1), y));
}

/** Four values, or `count` of them with zeros behind. */
@inline
function read(from: usize, count: i32): v128 {
  return count == 4 ? v128.load(from) : readPart(from, count);
}

function readPart(from: usize, count: i32): v128 {
  let values = v128.load32_zero(from);
  if (count > 1) values = f32x4.replace_lane(values, 1, load<f32>(from, 4));
  if (count > 2) values = f32x4.replace_lane(values, 2, load<f32>(from, 8));
  return values;
}

@inline
function write(to: usize, values: v128, count: i32): void {
  if (count == 4) v128.store(to, values);
  else writePart(to, values, count);
}

function writePart(to: usize, values: v128, count: i32): void {
  store<f32>(to, f32x4.extract_lane(values, 0));
  if (count > 1) store<f32>(to, f32x4.extract_lane(values, 1), 4);
  if (count > 2) store<f32>(to, f32x4.extract_lane(values, 2), 8);
}
