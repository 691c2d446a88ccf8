import { readFileSync, statSync } from "node:fs";
import { createSecureContext } from "node:tls";

/** PEM files of a server. */
export interface ServerTlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Authority whose certificates clients have to show. */
  readonly caFile?: string | undefined;
}

/** PEM files of a client. */
export interface ClientTlsFiles {
  /** Authority to trust; the system's are by default. */
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Name to verify, where it differs from the URL's host. */
  readonly serverName?: string | undefined;
}

/** What is in the files. */
interface Pem {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** @throws Error naming the setting whose file can not be used */
export function readServerTls(files: ServerTlsFiles): Pem & { cert: Buffer; key: Buffer } {
  const { ca } = readTls("bridge.listen.tls", { caFile: files.caFile });
  const cert = readPem("bridge.listen.tls.certFile", files.certFile);
  const key = readPem("bridge.listen.tls.keyFile", files.keyFile);
  check(`bridge.listen.tls: ${files.certFile} and ${files.keyFile}`, { cert, key });
  return { cert, key, ...(ca === undefined ? {} : { ca }) };
}

/** @throws Error naming the setting whose file can not be used */
export function readClientTls(files: ClientTlsFiles): Pem {
  return readTls("bridge.connect.tls", files);
}

/** @returns what changes when a file is replaced or written anew; a missing one counts as well. */
export function stampOf({ certFile, keyFile, caFile }: ServerTlsFiles): string {
  return [certFile, keyFile, caFile ?? ""]
    .map((path) => {
      const stats = path === "" ? undefined : statSync(path, { throwIfNoEntry: false });
      return stats === undefined ? "" : `${stats.ino}:${stats.mtimeMs}:${stats.size}`;
    })
    .join(" ");
}

function readTls(setting: string, files: ClientTlsFiles): Pem {
  const pem: Pem = {
    ...(files.caFile === undefined ? {} : { ca: readPem(`${setting}.caFile`, files.caFile) }),
    ...(files.certFile === undefined
      ? {}
      : { cert: readPem(`${setting}.certFile`, files.certFile) }),
    ...(files.keyFile === undefined ? {} : { key: readPem(`${setting}.keyFile`, files.keyFile) }),
  };
  check(setting, pem);
  return pem;
}

function readPem(setting: string, path: string): Buffer {
  let pem: Buffer;
  try {
    pem = readFileSync(path);
  } catch (error) {
    throw new Error(`${setting}: can not read ${path}: ${reasonOf(error)}`, { cause: error });
  }
  if (!pem.includes("-----BEGIN")) throw new Error(`${setting}: ${path} is no PEM file`);
  return pem;
}

function check(setting: string, pem: Pem): void {
  try {
    createSecureContext(pem);
  } catch (error) {
    throw new Error(`${setting}: can not be used: ${reasonOf(error)}`, { cause: error });
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === "ENOENT" ? "no such file" : code === "EACCES" ? "permission denied" : message;
}
