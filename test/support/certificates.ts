import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** A PEM certificate and its key. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority of the test's own, made with openssl in a directory of the test's own. */
export class Authority {
  readonly #directory: string;
  readonly #ca: Certificate;

  constructor(directory: string, name = "ca") {
    this.#directory = directory;
    this.#ca = this.#paths(name);
    const { cert, key } = this.#ca;
    run([
      "req",
      "-x509",
      ...newKey,
      "-keyout",
      key,
      "-out",
      cert,
      "-subj",
      `/CN=${name}`,
      "-days",
      "2",
    ]);
  }

  /** Path of the authority's own certificate. */
  get file(): string {
    return this.#ca.cert;
  }

  /** @param file other name of the files, to make two certificates of one name */
  issue(name: string, file = name): Certificate {
    const { cert, key } = this.#paths(file);
    const request = join(this.#directory, `${file}.csr`);
    const names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
    run(["req", ...newKey, "-keyout", key, "-out", request, "-subj", `/CN=${name}`, ...names]);
    const by = ["-CA", this.#ca.cert, "-CAkey", this.#ca.key, "-CAcreateserial", "-days", "2"];
    run(["x509", "-req", "-in", request, "-out", cert, ...by, "-copy_extensions", "copy"]);
    return { cert, key };
  }

  #paths(name: string): Certificate {
    const path = join(this.#directory, name);
    return { cert: `${path}.pem`, key: `${path}.key` };
  }
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

function run(args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: "pipe" });
}
