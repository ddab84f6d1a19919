import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { LOOKS_PER_SECOND } from '../../local/temporal.ts';
import { databaseVariables } from '../../src/config/database-variables.ts';
import { readEnvironment, workerVariables } from '../../src/config/environment.ts';
import { readYaml } from './read-yaml.ts';

interface Service {
  readonly image?: string;
  readonly command?: readonly string[];
  readonly build?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
}

let composeText = '';
let services: Readonly<Record<string, Service>> = {};
let volumes: readonly string[] = [];
let dockerfile = '';
let example = '';

beforeAll(async () => {
  const read = async (file: string) => readFile(join(PROJECT_ROOT, file), 'utf8');
  composeText = await read('temporal-compose.yml');
  dockerfile = await read('Dockerfile');
  example = await read('.env.example');
  const compose = (await readYaml(composeText)) as {
    services: Record<string, Service>;
    volumes: Record<string, null>;
  };
  services = compose.services;
  volumes = Object.keys(compose.volumes);
});

describe('temporal-compose.yml', () => {
  test('has Temporal, a source, a warehouse and a worker that waits for all three', () => {
    expect(Object.keys(services)).toEqual(['temporal', 'source', 'warehouse', 'worker']);
    expect(services['worker']?.depends_on).toEqual({
      temporal: { condition: 'service_healthy' },
      source: { condition: 'service_healthy' },
      warehouse: { condition: 'service_healthy' },
    });
  });

  test('pins every image, and has a healthcheck for every service', () => {
    for (const [name, { image, healthcheck, build }] of Object.entries(services)) {
      expect(image, name).toMatch(/:\d+\.\d+(\.\d+)?$/);
      expect(healthcheck !== undefined || build === '.', name).toBe(true);
    }
    expect(dockerfile).toMatch(/^HEALTHCHECK .*healthcheck\.js/m);
  });

  test('holds no password, and says which one is missing', () => {
    const variables = Object.values(services).flatMap(({ environment = {} }) => Object.entries(environment));
    const passwords = variables.filter(([name]) => name.endsWith('PASSWORD'));
    expect(passwords.map(([name]) => name)).toContain('POSTGRES_PASSWORD');
    for (const [, value] of passwords) {
      expect(value).toMatch(/^\$\{[A-Z_]+:\?set [A-Z_]+ in \.env, see \.env\.example\}$/);
    }
    for (const [, url] of variables.filter(([name]) => name.endsWith('_URL'))) {
      expect(url).toMatch(/^postgresql:\/\/[a-z]+:\$\{[A-Z_]+\}@/);
    }
  });

  test('opens ports to this machine only', () => {
    const ports = Object.values(services).flatMap((service) => service.ports ?? []);
    expect(ports.length).toBeGreaterThan(0);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  test('lets the Temporal server look at its queues as often as the local one', () => {
    const settings = Object.entries(LOOKS_PER_SECOND).map(([name, value]) => `${name}=${value}`);
    const flag = '--dynamic-config-value=';
    const given = services['temporal']?.command?.filter((word) => word.startsWith(flag));
    expect(given?.map((word) => word.slice(flag.length))).toEqual(settings);
  });

  test('keeps what it stores in volumes that it names', () => {
    const mounted = Object.values(services).flatMap((service) => service.volumes ?? []);
    const named = mounted.filter((mount) => !mount.startsWith('.')).map((mount) => mount.split(':')[0]);
    expect(named).toEqual(volumes);
  });

  test('gives the worker an environment that it takes', () => {
    const values = Object.entries(services['worker']?.environment ?? {}).map(
      ([name, value]) => [name, value.replaceAll(/\$\{[^}]+\}/g, 'secret')] as const,
    );
    expect([...readEnvironment(Object.fromEntries(values)).sources.keys()]).toEqual(['default']);
  });
});

describe('the Dockerfile', () => {
  test('starts the worker as `npm start` does', async () => {
    const { scripts } = JSON.parse(await readFile(join(PROJECT_ROOT, 'package.json'), 'utf8')) as {
      scripts: { start: string };
    };
    const [, command = ''] = /^CMD (\[.*\])$/m.exec(dockerfile) ?? [];
    const [setting, ...program] = scripts.start.split(' ');
    expect(JSON.parse(command)).toEqual(program);
    expect(dockerfile).toContain(setting);
  });

  test('copies only what .dockerignore lets in', async () => {
    const ignore = await readFile(join(PROJECT_ROOT, '.dockerignore'), 'utf8');
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, files = '']) =>
      files.split(' '),
    );
    expect(copied.length).toBeGreaterThan(0);
    for (const file of copied) expect(ignore.split('\n')).toContain(`!${file}`);
  });

  test('is built from one pinned image and does not run as root', () => {
    const images = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
    expect(new Set(images).size).toBe(1);
    expect(images[0]).toMatch(/^node:24\.\d+\.\d+-bookworm-slim$/);
    expect(dockerfile).toMatch(/^USER node$/m);
  });
});

describe('.env.example', () => {
  test('names every variable that the worker reads', () => {
    const ofEachDatabase = Object.keys(databaseVariables.shape).map((name) => `SOURCE_${name}`);
    expect(namesOf(example)).toEqual(
      expect.arrayContaining([
        ...Object.keys(workerVariables.shape),
        ...ofEachDatabase,
        'WAREHOUSE_DATABASE_URL',
        'TEMPORAL_ADDRESS',
      ]),
    );
  });

  test('names every variable of temporal-compose.yml', () => {
    const used = [...composeText.matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name);
    expect(namesOf(example)).toEqual(expect.arrayContaining(used));
  });

  test('has values that the worker takes', () => {
    const set = [...example.matchAll(/^([A-Z_]+)=(.+)$/gm)].map(([, name = '', value = '']) => [name, value]);
    expect(() => readEnvironment(Object.fromEntries(set))).not.toThrow();
  });
});

/** Includes variables that are commented out, whose values are defaults or examples. */
function namesOf(text: string): string[] {
  return [...text.matchAll(/^#?([A-Z][A-Z_]+)=/gm)].map(([, name = '']) => name);
}
