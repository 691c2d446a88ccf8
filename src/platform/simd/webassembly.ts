/** A WebAssembly memory. `buffer` is another one after each growth. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** A memory that threads share. */
export interface SharedMemory {
  /** As long as the memory is now; a buffer of before stays valid for what it covers. */
  readonly buffer: SharedArrayBuffer;
  grow(pages: number): number;
}

interface Limits {
  readonly initial: number;
  readonly maximum: number;
}

interface WebAssemblyApi {
  readonly Module: new (binary: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
  readonly Memory: {
    new (limits: Limits & { readonly shared: true }): SharedMemory;
    new (limits: Limits): WasmMemory;
  };
}

/** What is used of WebAssembly; its types come with those of browsers only. */
export const webAssembly = (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly;
