/**
 * Gives an array's memory back at once, where it would wait for a collection otherwise: threads that compute make few objects, so that
 * tens of megabytes gather before one comes (docs/decisions/memory.md). Nobody may use the array any more. Memory that threads share stays.
 */
export function letGo({ buffer }: ArrayBufferView): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}
