import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Where what is slow to make is kept between runs. */
export const testCache = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "agent-mesh-test",
);

/** A Debian root file system. */
export interface RootFilesystem {
  readonly architecture: "amd64" | "arm64";
  /** `minbase`: configured, can boot. `extract`: unpacked only, which needs no emulator. */
  readonly variant: "minbase" | "extract";
  readonly packages: readonly string[];
}

const mergedUsr = "/usr/share/mmdebstrap/hooks/merged-usr";

function debianRelease(): string {
  const line = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"));
  return line?.[1] ?? "stable";
}

/**
 * Makes a root file system with mmdebstrap, or takes it from the cache, keyed by what is in it.
 * @returns path of an uncompressed tar. @throws Error with mmdebstrap's own words.
 */
export function rootFilesystemTar({ architecture, variant, packages }: RootFilesystem): string {
  const release = debianRelease();
  const contents = JSON.stringify([release, architecture, variant, packages.toSorted()]);
  const key = createHash("sha256").update(contents).digest("hex").slice(0, 16);
  const tar = join(testCache, `root-${architecture}-${variant}-${key}.tar`);
  if (existsSync(tar)) return tar;
  mkdirSync(testCache, { recursive: true });
  const unfinished = `${tar}.${process.pid}.tar`;
  try {
    execFileSync(
      "mmdebstrap",
      [
        `--architectures=${architecture}`,
        `--variant=${variant}`,
        `--include=${packages.join(",")}`,
        ...(variant === "extract" ? [`--hook-dir=${mergedUsr}`] : []),
        release,
        unfinished,
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    renameSync(unfinished, tar);
  } finally {
    rmSync(unfinished, { force: true });
  }
  return tar;
}

/** Unpacks a tar of `rootFilesystemTar` into `directory`, which is made. */
export function unpackRootFilesystem(tar: string, directory: string): void {
  mkdirSync(directory, { recursive: true });
  execFileSync("tar", ["-C", directory, "--numeric-owner", "-xpf", tar]);
}
