import type { TelemetryOptions } from '@temporalio/worker';
import type { Telemetry } from '../config/telemetry.ts';
import { withoutSlash } from './tracing.ts';

/** Seconds: from a small table to the overnight extraction of a large one. */
const LAG_BUCKETS = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 43_200];

/** Returns where the SDK exposes its metrics, which include those of this project, and that our log has what it says. */
export function telemetryOptions(telemetry: Telemetry): TelemetryOptions {
  const metrics = metricsOf(telemetry);
  return {
    // the native part of the SDK would write lines of its own form beside the JSON of ours
    logging: { forward: {} },
    ...(metrics !== undefined && { metrics }),
  };
}

function metricsOf({ metricsAddress, collectorUrl }: Telemetry): TelemetryOptions['metrics'] {
  if (collectorUrl !== undefined) {
    return { otel: { url: `${withoutSlash(collectorUrl)}/v1/metrics`, http: true } };
  }
  if (metricsAddress === undefined) return undefined;
  return {
    prometheus: {
      bindAddress: metricsAddress,
      countersTotalSuffix: true,
      unitSuffix: true,
      useSecondsForDurations: true,
      histogramBucketOverrides: { datakit_lag: LAG_BUCKETS },
    },
  };
}
