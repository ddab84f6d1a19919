import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { Resource } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { OpenTelemetryPlugin } from '@temporalio/interceptors-opentelemetry';
import { VERSION } from '../contract/version.ts';

/** Traces of workflows and activities, sent to an OpenTelemetry collector. */
export interface Tracing {
  /** Passed to the workers. */
  readonly plugin: OpenTelemetryPlugin;
  /** Sends the remaining traces. */
  close(): Promise<void>;
}

/** @param collectorUrl of the collector's OTLP over HTTP, `http://collector:4318` */
export function openTracing(collectorUrl: string): Tracing {
  const resource = new Resource({ 'service.name': 'datakit-postgres', 'service.version': VERSION });
  const spanProcessor = new BatchSpanProcessor(
    new OTLPTraceExporter({ url: `${withoutSlash(collectorUrl)}/v1/traces` }),
  );
  const provider = new BasicTracerProvider({ resource, spanProcessors: [spanProcessor] });
  const tracer = provider.getTracer('datakit-postgres', VERSION);
  return {
    plugin: new OpenTelemetryPlugin({ resource, spanProcessor, tracer }),
    close: async () => provider.shutdown(),
  };
}

export const withoutSlash = (url: string): string => url.replace(/\/+$/, '');
