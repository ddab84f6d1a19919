import { z } from 'zod';
import { invalidEnvironment, problemsOf, withoutEmpty, type Environment } from './variables.ts';

const address = z
  .string()
  .regex(/^[^\s:]+:\d{1,5}$|^\[[0-9a-f:.]+\]:\d{1,5}$/i, 'expected an address such as 127.0.0.1:9464');

/** Variables of a worker's metrics, traces and search attributes. */
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

/** Where a worker reports its metrics and traces, and whether it registers its search attributes. */
export interface Telemetry {
  /** Address at which Prometheus reads its metrics: `127.0.0.1:9464`. */
  readonly metricsAddress: string | undefined;
  /** OpenTelemetry collector for metrics and traces, OTLP over HTTP; overrides the address for Prometheus. */
  readonly collectorUrl: string | undefined;
  /** True if the worker adds the search attributes of this project to the namespace. */
  readonly registerSearchAttributes: boolean;
}

/** @throws {DatakitError} InvalidInput, naming every invalid variable */
export function readTelemetry(environment: Environment): Telemetry {
  const parsed = telemetryVariables.safeParse(withoutEmpty(environment));
  if (!parsed.success) throw invalidEnvironment(problemsOf(parsed.error));
  return {
    metricsAddress: parsed.data.DATAKIT_METRICS_ADDRESS,
    collectorUrl: parsed.data.OTEL_EXPORTER_OTLP_ENDPOINT,
    registerSearchAttributes: parsed.data.DATAKIT_REGISTER_SEARCH_ATTRIBUTES === 'true',
  };
}
