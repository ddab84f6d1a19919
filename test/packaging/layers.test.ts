import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROJECT_ROOT } from '../../local/project-root.ts';

const layers = [
  'contract',
  'config',
  'postgres',
  'bronze',
  'extraction',
  'capture',
  'activities',
  'workflows',
  'runtime',
  'schedules',
] as const;

type Layer = (typeof layers)[number];

/** The arrows of docs/architecture.md. */
const mayImport: Readonly<Record<Layer, readonly Layer[]>> = {
  contract: [],
  config: ['contract'],
  postgres: ['contract'],
  bronze: ['contract', 'postgres'],
  extraction: ['contract', 'postgres', 'bronze'],
  capture: ['contract', 'postgres', 'bronze', 'extraction'],
  activities: ['contract', 'postgres', 'bronze', 'extraction', 'capture'],
  workflows: ['contract'],
  runtime: layers,
  schedules: ['contract'],
};

const beside = ['local', 'demo', 'bench', 'test'];
/** Modules that a workflow's sandbox, and thus the contract, must not import. */
const outsideTheSandbox = [
  'pg',
  'node:fs',
  '@temporalio/activity',
  '@temporalio/worker',
  '@temporalio/client',
];

interface Probe {
  readonly file: string;
  readonly code: string;
  readonly refused: boolean;
}

const probes: Probe[] = [];
function probe(file: string, code: string, refused: boolean): void {
  probes.push({ file: `src/${file}-${probes.length}.ts`, code, refused });
}

for (const from of layers) {
  for (const to of layers.filter((layer) => layer !== from)) {
    probe(`${from}/probe`, importing(`../${to}/any.ts`), !mayImport[from].includes(to));
  }
  for (const folder of beside) probe(`${from}/probe`, importing(`../../${folder}/any.ts`), true);
  probe(`${from}/probe`, importing('./sibling.ts'), false);
  probe(`${from}/probe`, importing('../worker.ts'), from !== 'runtime');
  probe(`${from}/probe`, `export const url = process.env['URL'];\n`, from !== 'config');
}
for (const layer of layers.filter((other) => other !== 'contract' && other !== 'postgres')) {
  probe('postgres/catalog/probe', importing(`../../${layer}/any.ts`), true);
}
for (const layer of layers.filter((other) => !['contract', 'postgres', 'bronze'].includes(other))) {
  probe('bronze/cdc/probe', importing(`../../${layer}/any.ts`), true);
}
probe('bronze/cdc/probe', importing('../../postgres/any.ts'), false);
for (const layer of layers.filter((other) => other !== 'extraction')) {
  probe('extraction/plan/probe', importing(`../../${layer}/any.ts`), !mayImport.extraction.includes(layer));
}
probe('extraction/plan/probe', importing('../../bronze/schema/any.ts'), false);
probe('config/probe', importing('../postgres/connection-settings.ts'), false);
probe('postgres/catalog/probe', importing('../../contract/any.ts'), false);
probe('postgres/catalog/probe', importing('../session.ts'), false);
for (const name of outsideTheSandbox) {
  probe('workflows/probe', importing(name), true);
  probe('contract/probe', importing(name), true);
}
probe('workflows/probe', importing('@temporalio/workflow'), false);
for (const layer of [
  'postgres',
  'postgres/catalog',
  'bronze',
  'bronze/cdc',
  'extraction',
  'extraction/plan',
  'capture',
]) {
  probe(`${layer}/probe`, importing('@temporalio/activity'), true);
}

let root = '';
let refused: ReadonlySet<string> = new Set();

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'datakit-postgres-layers-'));
  await cp(join(PROJECT_ROOT, '.oxlintrc.json'), join(root, '.oxlintrc.json'));
  for (const { file, code } of probes) {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), code);
  }
  refused = await filesRefused();
});

afterAll(async () => rm(root, { recursive: true, force: true }));

test('arrows between the folders of src point downwards only', () => {
  const wrong = probes.filter((one) => refused.has(one.file) !== one.refused);
  expect(wrong).toEqual([]);
});

function importing(module: string): string {
  return `import { any } from '${module}';\n\nexport const used = any;\n`;
}

/** Runs the linter like `npm run check`, but without the rules that need types. */
async function filesRefused(): Promise<Set<string>> {
  const linter = join(PROJECT_ROOT, 'node_modules', '.bin', 'oxlint');
  const answer = await promisify(execFile)(linter, ['--format', 'json'], { cwd: root }).catch(
    (error: { stdout: string }) => error,
  );
  const { diagnostics } = JSON.parse(answer.stdout) as { diagnostics: { code: string; filename: string }[] };
  const layering = /no-restricted-imports|no-process-env/;
  return new Set(diagnostics.filter(({ code }) => layering.test(code)).map(({ filename }) => filename));
}
