/** How much a shelf holds. */
export interface TensorShelfOptions {
  /** Of all tensors in memory, each with {@link ENTRY_BYTES} for its place. */
  readonly memoryBytesMax: number;
  /**
   * Tensors that stay in memory though nobody has pinned them: what was just put there may be about to be, and what lies there longer is
   * of a round that is over. As many as there is room for unless given.
   */
  readonly looseTensorsMax?: number;
  /** Of all tensors in the store. */
  readonly storeBytesMax: number;
}

/** What a tensor in memory counts for beside its bytes. */
export const ENTRY_BYTES = 256;

/** For a device with 512 MB: three models of 20 MB at hand, and a dozen on its flash. */
export const defaultTensorShelfOptions: TensorShelfOptions = {
  memoryBytesMax: 67_108_864,
  storeBytesMax: 268_435_456,
};

/** How tensors are fetched and served. */
export interface TensorExchangeOptions {
  /** Fetches under way at once; further ones wait. */
  readonly fetchesMax: number;
  /** Fetches that wait; further ones are refused with `tensor.busy`. */
  readonly waitingMax: number;
  /** Of all tensors that are being fetched, whole, with what broken fetches left behind. A longer one can not be had. */
  readonly inFlightBytesMax: number;
  /** Tensors sent at once, and to one peer. */
  readonly uploadsMax: number;
  readonly uploadsPerPeerMax: number;
  /** Of all different tensors that are being sent. One alone is sent whatever its length. */
  readonly uploadBytesMax: number;
  /** A holder from which less than `progressBytesMin` came in this time is given up for the next one. */
  readonly stallTimeoutMs: number;
  /** What counts as progress: a holder that broke off after it costs no attempt. */
  readonly progressBytesMin: number;
  /** Attempts at one holder that bring nothing; counted anew once the tensor has come further. */
  readonly attemptsMax: number;
  /** Between two of them, doubling, with chance. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

/** For a device with 512 MB on links of 20 kbit/s and more. */
export const defaultTensorExchangeOptions: TensorExchangeOptions = {
  fetchesMax: 4,
  waitingMax: 1_024,
  inFlightBytesMax: 67_108_864,
  uploadsMax: 8,
  uploadsPerPeerMax: 4,
  uploadBytesMax: 67_108_864,
  stallTimeoutMs: 15_000,
  progressBytesMin: 32_768,
  attemptsMax: 5,
  retryMinMs: 500,
  retryMaxMs: 8_000,
};
