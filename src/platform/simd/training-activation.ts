import type { Activation } from "../training-backend.ts";
import { type Address, activationCodes, type TrainingKernels } from "../training-kernels.ts";

/** `y = activation(y + bias)` in place; `y` is `rows` × `columns`. */
export function activate(
  kernels: TrainingKernels,
  activation: Activation,
  y: Address,
  bias: Address,
  rows: number,
  columns: number,
): void {
  kernels.biasActivation(
    activation === "softmax" ? activationCodes.linear : activationCodes[activation],
    y,
    bias,
    rows,
    columns,
  );
  if (activation === "softmax") kernels.softmax(y, rows, columns);
}

/** The gradient by `y` becomes that by the sums before the activation, in place. */
export function activateGradient(
  kernels: TrainingKernels,
  activation: Activation,
  y: Address,
  dy: Address,
  rows: number,
  columns: number,
): void {
  if (activation === "softmax") kernels.softmaxGradient(y, dy, rows, columns);
  else kernels.activationGradient(activationCodes[activation], y, dy, rows * columns);
}
