/**
 * How a window walks over images (samples, height, width, channels). A sequence is an image of height 1. The fields lie in
 * memory one after the other as int32.
 */
@unmanaged
export class Window {
  height: i32;
  width: i32;
  channels: i32;
  kernelHeight: i32;
  kernelWidth: i32;
  strideHeight: i32;
  strideWidth: i32;
  /** Rows and columns of zeros before the first. */
  top: i32;
  left: i32;
  outHeight: i32;
  outWidth: i32;
  /** What a place gives: filters of a convolution. */
  filters: i32;
  /** How many places' patches fit into the scratch for them. */
  chunk: i32;
}
