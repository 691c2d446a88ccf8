/** Content types that a record names by number; 0 stands for one that is spelled out. Only ever appended to. */
export const CONTENT_TYPES: readonly string[] = [
  "",
  "text/plain",
  "application/json",
  "application/octet-stream",
  "application/cbor",
  "application/x-protobuf",
];
