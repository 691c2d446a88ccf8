import type { ConnectionEncrypter, MessageStream } from "@libp2p/interface";

/** The longest message of Noise, and more than a rest that is too short to say how long it is. */
const LONGEST_BYTES = 65_535;

/** What js-libp2p's encrypted stream has and does not declare. */
interface NoiseInternals {
  readonly decoder: { lengthDecoder(data: { readonly byteLength: number }): number };
}

/**
 * js-libp2p's Noise learns that all it was given is used up by an error that its decoder throws, for every piece that
 * comes from the network: a tenth of what a busy connection costs. From now on a rest of less than two bytes is taken for
 * the beginning of a message that has not come yet, which is what it is.
 */
export function unthrowing<C, T extends ConnectionEncrypter>(
  factory: (components: C) => T,
): (components: C) => T {
  return (components) => {
    const noise = factory(components);
    noise.secureInbound = withPatientDecoder(noise.secureInbound.bind(noise));
    noise.secureOutbound = withPatientDecoder(noise.secureOutbound.bind(noise));
    return noise;
  };
}

function withPatientDecoder(secure: ConnectionEncrypter["secureInbound"]): typeof secure {
  return async (connection, options) => {
    const secured = await secure(connection, options);
    const { decoder } = secured.connection as MessageStream & Partial<NoiseInternals>;
    if (decoder === undefined) return secured;
    const lengthOf = decoder.lengthDecoder.bind(decoder);
    decoder.lengthDecoder = (data) => (data.byteLength < 2 ? LONGEST_BYTES : lengthOf(data));
    return secured;
  };
}
