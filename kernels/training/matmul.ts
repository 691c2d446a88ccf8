import { tile } from "./tile";

/** Steps of depth that are done at once: a panel of 8 columns of that depth stays in the first cache. */
const DEPTH: i32 = 256;
/** Rows that pass by one panel before the next panel: as many steps of depth stay in the second cache. */
const ROWS: i32 = 192;

/** Rows where all of `b` stays in the first cache: what is written then goes by in whole lines. */
const FEW_ROWS: i32 = 24;
/** Values of `b` for which that holds. */
const B_VALUES: i32 = 8192;

/** Bytes of the scratch that `matmul` packs a panel into. */
export function matmulScratchBytes(): i32 {
  return DEPTH * 8 * 4;
}

/**
 * `c = alpha * op(a) op(b)`, or `c += …` with `accumulate`; `c` is `m` × `n`, the depth is `k`. All are in rows;
 * `op` is transposition where asked for. After Goto & van de Geijn 2008, without packing `a`.
 *
 * @param a `m` × `k` (`k` × `m` when transposed), a row begins every `aWidth` values
 * @param b `k` × `n` (`n` × `k` when transposed), a row begins every `bWidth` values
 * @param c a row begins every `cWidth` values
 */
export function matmul(
  aTransposed: bool,
  bTransposed: bool,
  m: i32,
  n: i32,
  k: i32,
  alpha: f32,
  a: usize,
  aWidth: i32,
  b: usize,
  bWidth: i32,
  c: usize,
  cWidth: i32,
  accumulate: bool,
  scratch: usize,
): void {
  const aStride = (<usize>aWidth) << 2;
  const bStride = (<usize>bWidth) << 2;
  const cStride = (<usize>cWidth) << 2;
  // Rows that are far apart by a power of two fall on the same places of the cache; enough rows pay for a copy.
  const packs = bTransposed || m >= 96 || (bWidth & 127) == 0;
  const block = !bTransposed && n >= 64 && n * k <= B_VALUES ? FEW_ROWS : ROWS;
  for (let row: i32 = 0; row < m; row += block) {
    const rows = min(block, m - row);
    for (let from: i32 = 0; from < k; from += DEPTH) {
      const depth = min(DEPTH, k - from);
      const adds = accumulate || from > 0;
      const corner = aTransposed
        ? a + (<usize>from) * aStride + ((<usize>row) << 2)
        : a + (<usize>row) * aStride + ((<usize>from) << 2);
      for (let column: i32 = 0; column < n; column += 8) {
        const columns = min(8, n - column);
        let panel = scratch;
        let panelStride: usize = 32;
        if (bTransposed)
          packTransposed(b + (<usize>column) * bStride + ((<usize>from) << 2), bStride, depth, columns, scratch);
        else {
          const source = b + (<usize>from) * bStride + ((<usize>column) << 2);
          if (columns < 8) packPart(source, bStride, depth, columns, scratch);
          else if (packs && rows > FEW_ROWS) packWhole(source, bStride, depth, scratch);
          else {
            panel = source;
            panelStride = bStride;
          }
        }
        const to = c + (<usize>row) * cStride + ((<usize>column) << 2);
        if (aTransposed) downColumns(rows, depth, alpha, corner, aStride, panel, panelStride, to, cStride, columns, adds);
        else downRows(rows, depth, alpha, corner, aStride, panel, panelStride, to, cStride, columns, adds);
      }
    }
  }
  if (k == 0 && !accumulate)
    for (let row: i32 = 0; row < m; row++) memory.fill(c + (<usize>row) * cStride, 0, (<usize>n) << 2);
}

/** Goes on by six rows, at the end by four, two and one; eight are two times four. */
@inline
function tileRows(left: i32): i32 {
  if (left >= 6 && left != 8) return 6;
  return left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/** All rows of a block along one panel of `b`; `a` is in rows. */
function downRows(
  rows: i32,
  depth: i32,
  alpha: f32,
  a: usize,
  aStride: usize,
  b: usize,
  bStride: usize,
  c: usize,
  cStride: usize,
  columns: i32,
  accumulate: bool,
): void {
  for (let left = rows; left > 0; ) {
    const taken = tileRows(left);
    if (taken == 6) tile6Rows(depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
    else if (taken == 4) tile4Rows(depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
    else if (taken == 2) tile2Rows(depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
    else tile1Rows(depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
    left -= taken;
    a += (<usize>taken) * aStride;
    c += (<usize>taken) * cStride;
  }
}

function tile6Rows(depth: i32, alpha: f32, a: usize, aStride: usize, b: usize, bStride: usize, c: usize, cStride: usize, columns: i32, accumulate: bool): void {
  tile(6, false, depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
}

function tile4Rows(depth: i32, alpha: f32, a: usize, aStride: usize, b: usize, bStride: usize, c: usize, cStride: usize, columns: i32, accumulate: bool): void {
  tile(4, false, depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
}

function tile2Rows(depth: i32, alpha: f32, a: usize, aStride: usize, b: usize, bStride: usize, c: usize, cStride: usize, columns: i32, accumulate: bool): void {
  tile(2, false, depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
}

function tile1Rows(depth: i32, alpha: f32, a: usize, aStride: usize, b: usize, bStride: usize, c: usize, cStride: usize, columns: i32, accumulate: bool): void {
  tile(1, false, depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
}

/** All rows of a block along one panel of `b`; `a` is transposed. */
function downColumns(
  rows: i32,
  depth: i32,
  alpha: f32,
  a: usize,
  aStride: usize,
  b: usize,
  bStride: usize,
  c: usize,
  cStride: usize,
  columns: i32,
  accumulate: bool,
): void {
  for (let left = rows; left > 0; ) {
    const taken = tileRows(left);
    if (taken == 6) tile6Columns(depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
    else if (taken == 4) tile4Columns(depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
    else if (taken == 2) tile2Columns(depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
    else tile1Columns(depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
    left -= taken;
    a += (<usize>taken) << 2;
    c += (<usize>taken) * cStride;
  }
}

function tile6Columns(depth: i32, alpha: f32, a: usize, aStride: usize, b: usize, bStride: usize, c: usize, cStride: usize, columns: i32, accumulate: bool): void {
  tile(6, true, depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
}

function tile4Columns(depth: i32, alpha: f32, a: usize, aStride: usize, b: usize, bStride: usize, c: usize, cStride: usize, columns: i32, accumulate: bool): void {
  tile(4, true, depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
}

function tile2Columns(depth: i32, alpha: f32, a: usize, aStride: usize, b: usize, bStride: usize, c: usize, cStride: usize, columns: i32, accumulate: bool): void {
  tile(2, true, depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
}

function tile1Columns(depth: i32, alpha: f32, a: usize, aStride: usize, b: usize, bStride: usize, c: usize, cStride: usize, columns: i32, accumulate: bool): void {
  tile(1, true, depth, alpha, a, aStride, b, bStride, c, cStride, columns, accumulate);
}

function packWhole(from: usize, stride: usize, depth: i32, to: usize): void {
  for (let step: i32 = 0; step < depth; step++) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    from += stride;
    to += 32;
  }
}

/** Fewer than 8 columns: zeros in place of the others. */
function packPart(from: usize, stride: usize, depth: i32, columns: i32, to: usize): void {
  for (let step: i32 = 0; step < depth; step++) {
    for (let column: i32 = 0; column < 8; column++)
      store<f32>(to + (column << 2), column < columns ? load<f32>(from + (column << 2)) : 0);
    from += stride;
    to += 32;
  }
}

/** `columns` rows of `from` become columns: four by four values at a time where there are eight. */
function packTransposed(from: usize, stride: usize, depth: i32, columns: i32, to: usize): void {
  let step: i32 = 0;
  if (columns == 8) {
    for (; step + 4 <= depth; step += 4) {
      const source = from + ((<usize>step) << 2);
      const target = to + ((<usize>step) << 5);
      turn(source, stride, target);
      turn(source + 4 * stride, stride, target + 16);
    }
  }
  for (; step < depth; step++)
    for (let column: i32 = 0; column < 8; column++)
      store<f32>(
        to + ((<usize>step) << 5) + (column << 2),
        column < columns ? load<f32>(from + (<usize>column) * stride + ((<usize>step) << 2)) : 0,
      );
}

/** Four rows of four values, `stride` apart, become four columns, 32 bytes apart. */
@inline
function turn(from: usize, stride: usize, to: usize): void {
  const row0 = v128.load(from);
  const row1 = v128.load(from + stride);
  const row2 = v128.load(from + 2 * stride);
  const row3 = v128.load(from + 3 * stride);
  const low01 = v128.shuffle<f32>(row0, row1, 0, 4, 1, 5);
  const high01 = v128.shuffle<f32>(row0, row1, 2, 6, 3, 7);
  const low23 = v128.shuffle<f32>(row2, row3, 0, 4, 1, 5);
  const high23 = v128.shuffle<f32>(row2, row3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f64>(low01, low23, 0, 2));
  v128.store(to, v128.shuffle<f64>(low01, low23, 1, 3), 32);
  v128.store(to, v128.shuffle<f64>(high01, high23, 0, 2), 64);
  v128.store(to, v128.shuffle<f64>(high01, high23, 1, 3), 96);
}
