/** A memory that threads share. */
export interface SharedMemory {
  /** As long as the memory is now; a buffer of before stays valid for what it covers. */
  readonly buffer: SharedArrayBuffer;
  grow(pages: number): number;
}

interface SharedWebAssembly {
  readonly Memory: new (limits: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: true;
  }) => SharedMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { readonly env: { readonly memory: SharedMemory } },
  ) => { readonly exports: unknown };
}

/** The part of the WebAssembly JavaScript API that is used with shared memory; Node.js' types have none of it. */
export const sharedWebAssembly = (
  globalThis as unknown as { readonly WebAssembly: SharedWebAssembly }
).WebAssembly;
