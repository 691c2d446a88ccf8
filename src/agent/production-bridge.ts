import type { BridgeOptions } from "../mesh/bridge/options.ts";
import type { Clock } from "../platform/clock.ts";
import { GrpcBridgeClient } from "../platform/grpc/client.ts";
import { GrpcBridgeServer } from "../platform/grpc/server.ts";
import type { Logger } from "../platform/logger.ts";
import type { Random } from "../platform/random.ts";
import type { Signer } from "../platform/signer.ts";
import { CertificateError, deviceIdentityIn } from "../platform/x509/certificates.ts";
import type { BridgeGround } from "./agent-platform.ts";

/** How long calls may go on while the agent stops. */
const STOP_GRACE_MS = 2_000;

/** The bridge on gRPC. Loaded only where a bridge is wanted. */
export function openGrpcBridge(
  options: BridgeOptions,
  parts: {
    readonly signer: Signer;
    readonly clock: Clock;
    readonly random: Random;
    readonly logger: Logger;
  },
): BridgeGround {
  const { listen, limits, messageBytesMax, timeoutMs, timeoutMsMax, gzip } = options;
  const { signer, clock, random, logger } = parts;
  return {
    createServer: (authenticate) =>
      new GrpcBridgeServer({
        host: listen.host,
        port: listen.port,
        tls: listen.tls,
        gzip,
        limits: { ...limits, messageBytesMax, timeoutMs, timeoutMsMax },
        authenticate,
        clock,
        random,
        logger,
        stopGraceMs: STOP_GRACE_MS,
      }),
    createClient: ({ url, tokenFile, tls }) =>
      new GrpcBridgeClient({ url, tokenFile, tls, gzip, messageBytesMax, timeoutMs }),
    deviceIn(certificate) {
      try {
        const nowMs = clock.wallTrusted() ? clock.wallMs() : undefined;
        return deviceIdentityIn(certificate, signer, nowMs).peerId;
      } catch (error) {
        // Programs of the cluster have certificates as well.
        if (error instanceof CertificateError) return undefined;
        throw error;
      }
    },
  };
}
