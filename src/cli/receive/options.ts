/** What the command line says. */
export interface ReceiveOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly data: string;
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
  readonly tlsCaFile?: string;
  readonly tokenFile?: string;
  readonly metricsPublic?: true;
  readonly mqtt?: string;
  readonly mqttClientId: string;
  readonly mqttUsername?: string;
  readonly mqttPasswordFile?: string;
  readonly mqttCaFile?: string;
  readonly mqttCertFile?: string;
  readonly mqttKeyFile?: string;
  readonly mqttProtocol: "5" | "3.1.1";
  readonly nats?: string;
  readonly natsStream: string;
  readonly natsConsumer: string;
  readonly natsUsername?: string;
  readonly natsPasswordFile?: string;
  readonly natsCredsFile?: string;
  readonly natsCaFile?: string;
  readonly topicPrefix: string;
  readonly forwardTo?: string;
  readonly keepBytes: number;
  readonly keepDays: number;
  readonly agentsMax: number;
  readonly streamsMax: number;
  readonly streamsPerAgentMax: number;
  readonly updateBytesMax: number;
  readonly json?: true;
}
