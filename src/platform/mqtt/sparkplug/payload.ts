import { PbfReader, PbfWriter } from "pbf";
import type { PayloadScalar } from "../payload-values.ts";

/** Sparkplug data types that this edge node writes (Sparkplug 3.0 section 6.4.16). */
export const DataType = { Int64: 4, Double: 10, Boolean: 11, String: 12, Bytes: 17 } as const;

/** A Sparkplug data type by its number. */
export type DataTypeNumber = (typeof DataType)[keyof typeof DataType];

/** Quality codes (section 6.4.13): a metric without the property is good. */
export const BAD_QUALITY = 0;

/** One metric of a message. */
export interface Metric {
  readonly name?: string;
  readonly alias?: number;
  /** When it was observed, ms since 1970. */
  readonly timestampMs: number;
  readonly type: DataTypeNumber;
  /** Whether the type goes on the wire: in births it must, in data it should not. */
  readonly declared: boolean;
  readonly historical?: boolean;
  readonly quality?: number;
  /** Of the type's own kind; null is sent as `is_null`. */
  readonly value: PayloadScalar;
}

/** A message; `seq` is absent in death certificates of nodes. */
export interface SparkplugPayload {
  readonly timestampMs: number;
  readonly metrics: readonly Metric[];
  readonly seq?: number;
}

// Field numbers of sparkplug_b.proto (section 6.4.1).
const PAYLOAD = { timestamp: 1, metrics: 2, seq: 3 } as const;
const METRIC = {
  name: 1,
  alias: 2,
  timestamp: 3,
  datatype: 4,
  isHistorical: 5,
  isNull: 7,
  properties: 9,
  int: 10,
  long: 11,
  float: 12,
  double: 13,
  boolean: 14,
  string: 15,
  bytes: 16,
} as const;
const PROPERTY_SET = { keys: 1, values: 2 } as const;
const PROPERTY_VALUE = { type: 1, int: 3 } as const;
const INT32 = 3;

/** @returns the message in Google Protocol Buffers encoding. */
export function encodePayload(payload: SparkplugPayload): Uint8Array {
  const pbf = new PbfWriter();
  pbf.writeVarintField(PAYLOAD.timestamp, wireTime(payload.timestampMs));
  for (const metric of payload.metrics) pbf.writeMessage(PAYLOAD.metrics, writeMetric, metric);
  if (payload.seq !== undefined) pbf.writeVarintField(PAYLOAD.seq, payload.seq);
  return pbf.finish();
}

function writeMetric(metric: Metric, pbf: PbfWriter): void {
  const { name, alias, type, value } = metric;
  if (name !== undefined) writeText(METRIC.name, name, pbf);
  if (alias !== undefined) pbf.writeVarintField(METRIC.alias, alias);
  pbf.writeVarintField(METRIC.timestamp, wireTime(metric.timestampMs));
  if (metric.declared) pbf.writeVarintField(METRIC.datatype, type);
  if (metric.historical === true) pbf.writeBooleanField(METRIC.isHistorical, true);
  if (value === null) pbf.writeBooleanField(METRIC.isNull, true);
  if (metric.quality !== undefined)
    pbf.writeMessage(METRIC.properties, writeQuality, metric.quality);
  if (value !== null) writeValue(type, value, pbf);
}

function writeValue(type: DataTypeNumber, value: Exclude<PayloadScalar, null>, pbf: PbfWriter) {
  switch (type) {
    case DataType.Int64:
      return pbf.writeVarintField(METRIC.long, Number(value));
    case DataType.Double:
      return pbf.writeDoubleField(METRIC.double, Number(value));
    case DataType.Boolean:
      return pbf.writeBooleanField(METRIC.boolean, value === true);
    case DataType.String:
      return writeText(METRIC.string, String(value), pbf);
    case DataType.Bytes:
      return pbf.writeBytesField(
        METRIC.bytes,
        value instanceof Uint8Array ? value : Buffer.from(String(value)),
      );
  }
}

/** pbf 5.1's own string writer gets characters above U+1FFFF wrong; on the wire, text is its UTF-8 bytes. */
function writeText(field: number, text: string, pbf: PbfWriter): void {
  pbf.writeBytesField(field, Buffer.from(text, "utf8"));
}

function writeQuality(quality: number, pbf: PbfWriter): void {
  writeText(PROPERTY_SET.keys, "Quality", pbf);
  pbf.writeMessage(
    PROPERTY_SET.values,
    (code, pbf) => {
      pbf.writeVarintField(PROPERTY_VALUE.type, INT32);
      pbf.writeVarintField(PROPERTY_VALUE.int, code);
    },
    quality,
  );
}

/** The wire knows no time before 1970 and no fractions. */
function wireTime(ms: number): number {
  return Math.max(0, Math.trunc(ms));
}

/** A metric that a host wrote. */
export interface WrittenMetric {
  readonly name?: string;
  readonly alias?: number;
  readonly value: PayloadScalar;
}

const METRICS_MAX = 10_000;

/**
 * Reads a command. Values of kinds that have no scalar form (data sets, templates) come as null.
 * @throws Error when the bytes are no Sparkplug payload
 */
export function decodeCommand(bytes: Uint8Array): readonly WrittenMetric[] {
  const pbf = new PbfReader(bytes);
  const metrics: WrittenMetric[] = [];
  while (pbf.pos < bytes.length) {
    const field = nextField(pbf, bytes.length);
    if (field === PAYLOAD.metrics) {
      if (metrics.length >= METRICS_MAX) throw new Error(`more than ${METRICS_MAX} metrics`);
      metrics.push(readMetric(pbf, endOf(pbf, bytes.length)));
    } else skip(pbf, bytes.length);
  }
  return metrics;
}

function readMetric(pbf: PbfReader, end: number): WrittenMetric {
  let name: string | undefined;
  let alias: number | undefined;
  let type = 0;
  let value: PayloadScalar = null;
  while (pbf.pos < end) {
    const field = nextField(pbf, end);
    if (field === METRIC.name) name = readText(pbf, end);
    else if (field === METRIC.alias) alias = pbf.readVarint();
    else if (field === METRIC.datatype) type = pbf.readVarint();
    else if (field === METRIC.int) value = pbf.readVarint();
    else if (field === METRIC.long) value = pbf.readVarint(type === DataType.Int64);
    else if (field === METRIC.float) value = pbf.readFloat();
    else if (field === METRIC.double) value = pbf.readDouble();
    else if (field === METRIC.boolean) value = pbf.readBoolean();
    else if (field === METRIC.string) value = readText(pbf, end);
    else if (field === METRIC.bytes) {
      const stop = endOf(pbf, end);
      value = pbf.buf.slice(pbf.pos, stop);
      pbf.pos = stop;
    } else skip(pbf, end);
  }
  if (pbf.pos > end) throw new Error("a field runs over the end of its metric");
  return {
    ...(name === undefined ? {} : { name }),
    ...(alias === undefined ? {} : { alias }),
    value: signed(type, value),
  };
}

/** Small signed integers travel as unsigned 32-bit ones in two's complement (section 6.4.16). */
function signed(type: number, value: PayloadScalar): PayloadScalar {
  if (typeof value !== "number") return value;
  if (type === 1) return (value << 24) >> 24;
  if (type === 2) return (value << 16) >> 16;
  return type === INT32 ? value | 0 : value;
}

function nextField(pbf: PbfReader, end: number): number {
  const tag = pbf.readVarint();
  if (pbf.pos > end || tag >>> 3 === 0) throw new Error("malformed field");
  pbf.type = tag & 7;
  return tag >>> 3;
}

/** Lengths come from outside: none may reach over what holds it. */
function endOf(pbf: PbfReader, limit: number): number {
  const length = pbf.readVarint();
  const end = pbf.pos + length;
  if (!(length >= 0 && end <= limit)) throw new Error("a length runs over the end of the message");
  return end;
}

function readText(pbf: PbfReader, limit: number): string {
  const end = endOf(pbf, limit);
  const text = Buffer.from(pbf.buf.subarray(pbf.pos, end)).toString("utf8");
  pbf.pos = end;
  return text;
}

function skip(pbf: PbfReader, limit: number): void {
  if (pbf.type === 2) pbf.pos = endOf(pbf, limit);
  else pbf.skip(pbf.type);
  if (pbf.pos > limit) throw new Error("a field runs over the end of the message");
}
