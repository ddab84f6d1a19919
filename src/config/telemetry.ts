import { z } from 'zod';
import { DatakitError } from '../contract/failures.ts';

const address = z
  .string()
  .regex(/^[^\s:]+:\d{1,5}$|^\[[0-9a-f:.]+\]:\d{1,5}$/i, 'expected an address such as 127.0.0.1:9464');

/** What is said of what a worker tells of itself. */
export const telemetryVariables = z.object({
  DATAKIT_METRICS_ADDRESS: address
    .optional()
    .describe('Where Prometheus reads the metrics of the worker: 127.0.0.1:9464.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({ error: 'expected a URL such as http://collector:4318' })
    .optional()
    .describe(
      'OpenTelemetry collector for metrics and traces (OTLP over HTTP). It overrides the address for Prometheus.',
    ),
  DATAKIT_REGISTER_SEARCH_ATTRIBUTES: z
    .enum(['true', 'false'], { error: 'expected true or false' })
    .default('false')
    .describe('Whether the worker adds its search attributes to the namespace.'),
});

/** What a worker tells of itself, and where. */
export interface Telemetry {
  /** Where Prometheus finds its metrics, `127.0.0.1:9464`. */
  readonly metricsAddress: string | undefined;
  /** The OpenTelemetry collector that metrics and traces are sent to, OTLP by HTTP; it wins over the address for Prometheus. */
  readonly collectorUrl: string | undefined;
  /** Whether to add the search attributes of this project to the namespace. */
  readonly registerSearchAttributes: boolean;
}

/** @throws {DatakitError} InvalidInput, naming every variable that is wrong */
export function readTelemetry(environment: Readonly<Record<string, string | undefined>>): Telemetry {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = telemetryVariables.safeParse(set);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new DatakitError('InvalidInput', `The environment is not right. ${problems.join('; ')}.`);
  }
  return {
    metricsAddress: parsed.data.DATAKIT_METRICS_ADDRESS,
    collectorUrl: parsed.data.OTEL_EXPORTER_OTLP_ENDPOINT,
    registerSearchAttributes: parsed.data.DATAKIT_REGISTER_SEARCH_ATTRIBUTES === 'true',
  };
}
