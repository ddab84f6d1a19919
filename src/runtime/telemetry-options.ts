import type { TelemetryOptions } from '@temporalio/worker';
import type { Telemetry } from '../config/telemetry.ts';

/** Where the metrics of the SDK, and those of this project among them, are to be had. */
export function telemetryOptions({ metricsAddress, collectorUrl }: Telemetry): TelemetryOptions {
  if (collectorUrl !== undefined) return { metrics: { otel: { url: collectorUrl } } };
  if (metricsAddress === undefined) return {};
  return {
    metrics: { prometheus: { bindAddress: metricsAddress, countersTotalSuffix: true, unitSuffix: true } },
  };
}
