import type { Activation } from "../platform/training-backend.ts";
import type { PlainLayer } from "./plain-layer.ts";
import { addRows, dot, type Terms } from "./plain-matrix.ts";

/** What a dense layer of this backend can end with. */
export type PlainActivation = Exclude<Activation, "softmax">;

/** What a dense layer is made of. */
export interface PlainDenseOptions {
  /** Rows of one sample: the product of all axes but the last. */
  readonly rows: number;
  readonly inputs: number;
  readonly units: number;
  readonly activation: PlainActivation;
  /** Where the kernel begins among the model's weights; the bias lies behind it. */
  readonly offset: number;
}

/** `activation(x W + b)`, with `W` of shape inputs by units, for each row of a sample. */
export class PlainDense implements PlainLayer {
  readonly outputSize: number;
  readonly bytesPerSample: number;
  readonly #rows: number;
  readonly #inputs: number;
  readonly #units: number;
  readonly #activation: PlainActivation;
  readonly #offset: number;
  readonly #sum: Float64Array;
  readonly #terms: Terms;
  #rowTerms: Terms = { rows: new Int32Array(0), factors: new Float64Array(0), count: 0 };
  #input: Float32Array = new Float32Array(0);
  #output = new Float32Array(0);
  #inputGradient = new Float32Array(0);

  constructor({ rows, inputs, units, activation, offset }: PlainDenseOptions) {
    this.#rows = rows;
    this.#inputs = inputs;
    this.#units = units;
    this.#activation = activation;
    this.#offset = offset;
    this.outputSize = rows * units;
    this.bytesPerSample = rows * (4 * (units + inputs) + 12);
    this.#sum = new Float64Array(units);
    this.#terms = { rows: new Int32Array(inputs), factors: new Float64Array(inputs), count: 0 };
  }

  reserve(samples: number): void {
    const rows = samples * this.#rows;
    if (this.#rowTerms.rows.length >= rows) return;
    this.#rowTerms = { rows: new Int32Array(rows), factors: new Float64Array(rows), count: 0 };
    this.#output = new Float32Array(rows * this.#units);
    this.#inputGradient = new Float32Array(rows * this.#inputs);
  }

  forward(input: Float32Array, count: number, weights: Float32Array): Float32Array {
    this.#input = input;
    const units = this.#units;
    const kernel = { data: weights, offset: this.#offset, columns: units };
    const biasAt = this.#offset + this.#inputs * units;
    const sum = this.#sum;
    const output = this.#output;
    const rows = count * this.#rows;
    for (let row = 0; row < rows; row++) {
      this.#gatherInputs(row);
      for (let unit = 0; unit < units; unit++) sum[unit] = weights[biasAt + unit] as number;
      addRows(kernel, this.#terms, sum);
      output.set(sum, row * units);
    }
    activate(this.#activation, output, rows * units);
    return output;
  }

  backward(
    outputGradient: Float32Array,
    count: number,
    weights: Float32Array,
    gradient: Float32Array,
    wanted: boolean,
  ): Float32Array {
    const units = this.#units;
    const inputs = this.#inputs;
    const rows = count * this.#rows;
    const sum = this.#sum;
    differentiate(this.#activation, this.#output, outputGradient, rows * units);
    const gradients = { data: outputGradient, offset: 0, columns: units };
    for (let input = 0; input < inputs; input++) {
      this.#gatherRows(input, rows);
      sum.fill(0);
      addRows(gradients, this.#rowTerms, sum);
      gradient.set(sum, this.#offset + input * units);
    }
    sum.fill(0);
    for (let row = 0; row < rows; row++)
      for (let unit = 0; unit < units; unit++)
        sum[unit] = (sum[unit] as number) + (outputGradient[row * units + unit] as number);
    gradient.set(sum, this.#offset + inputs * units);
    const inputGradient = this.#inputGradient;
    if (!wanted) return inputGradient;
    for (let input = 0; input < inputs; input++) {
      const kernelRow = this.#offset + input * units;
      for (let row = 0; row < rows; row++)
        inputGradient[row * inputs + input] = dot(
          weights,
          kernelRow,
          outputGradient,
          row * units,
          units,
        );
    }
    return inputGradient;
  }

  /** The inputs of one row that are not zero. */
  #gatherInputs(row: number): void {
    const terms = this.#terms;
    const { rows, factors } = terms;
    const input = this.#input;
    const inputs = this.#inputs;
    const from = row * inputs;
    let count = 0;
    for (let at = 0; at < inputs; at++) {
      const value = input[from + at] as number;
      if (value === 0) continue;
      rows[count] = at;
      factors[count++] = value;
    }
    terms.count = count;
  }

  /** The rows of which one input is not zero. */
  #gatherRows(at: number, rowCount: number): void {
    const terms = this.#rowTerms;
    const { rows, factors } = terms;
    const input = this.#input;
    const inputs = this.#inputs;
    let count = 0;
    for (let row = 0; row < rowCount; row++) {
      const value = input[row * inputs + at] as number;
      if (value === 0) continue;
      rows[count] = row;
      factors[count++] = value;
    }
    terms.count = count;
  }
}

function activate(activation: PlainActivation, values: Float32Array, length: number): void {
  if (activation === "relu") {
    // Not `> 0`: what is not a number has to stay so, or nobody would see it.
    for (let at = 0; at < length; at++) if ((values[at] as number) < 0) values[at] = 0;
  } else if (activation === "sigmoid") {
    for (let at = 0; at < length; at++) values[at] = 1 / (1 + Math.exp(-(values[at] as number)));
  } else if (activation === "tanh") {
    for (let at = 0; at < length; at++) values[at] = Math.tanh(values[at] as number);
  }
}

/** Turns a gradient by the output into one by the sum before the activation, in place. */
function differentiate(
  activation: PlainActivation,
  output: Float32Array,
  gradient: Float32Array,
  length: number,
): void {
  if (activation === "relu") {
    for (let at = 0; at < length; at++) if ((output[at] as number) <= 0) gradient[at] = 0;
  } else if (activation === "sigmoid") {
    for (let at = 0; at < length; at++) {
      const y = output[at] as number;
      gradient[at] = (gradient[at] as number) * y * (1 - y);
    }
  } else if (activation === "tanh") {
    for (let at = 0; at < length; at++) {
      const y = output[at] as number;
      gradient[at] = (gradient[at] as number) * (1 - y * y);
    }
  }
}
