import { expect, test } from 'vitest';
import { forgetSettings } from '../../demo/own-settings.ts';

test('settings for databases and workers of the user do not reach the demo', () => {
  const environment: NodeJS.ProcessEnv = {
    PATH: '/usr/bin',
    TEMPORAL_ADDRESS: '127.0.0.1:7233',
    DATAKIT_ENCRYPTION_KEYS: `2026:${Buffer.alloc(32).toString('base64')}`,
    SOURCE_PG_SSLMODE: 'verify-full',
    SOURCE_SHOP_DATABASE_URL: 'postgresql:///shop',
    WAREHOUSE_PG_OPTIONS: '-c statement_timeout=1',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
    PGSERVICE: 'shop',
    PGSSLMODE: 'require',
  };
  forgetSettings(environment);
  expect(environment).toEqual({ PATH: '/usr/bin', TEMPORAL_ADDRESS: '127.0.0.1:7233' });
});
