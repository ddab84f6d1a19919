import { readFile, readdir, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ZodType } from 'zod';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { captureChangesInput, dropCaptureInput } from '../../src/contract/capture-changes.ts';
import { checkSourceInput } from '../../src/contract/check-source.ts';
import { extractTableInput } from '../../src/contract/extract-table.ts';
import { maintainBronzeInput } from '../../src/contract/maintain-bronze.ts';
import { incrementalInputs } from '../../src/contract/incremental.ts';
import { atScheduledTime, databaseAtScheduledTime } from '../../src/contract/scheduled-time.ts';
import { extractDatabaseInput, parseDatabaseInput } from '../../src/contract/extract-database.ts';
import {
  captureExamples,
  databaseInputExamples,
  generatedTables,
  inputExamples,
  withTable,
} from './generated-tables.ts';
import { schemaFiles } from './schemas.ts';

const documents = await findDocuments();

test.each(generatedTables)('the table "$name" of $file is what the code says', async (table) => {
  const document = await readFile(join(PROJECT_ROOT, table.file), 'utf8');
  expect(document, 'to mend it: npx tsx test/packaging/update-docs.ts').toBe(withTable(document, table));
});

/** Returns the other inputs without which an input has no meaning. */
const needed = (name: string) => {
  if (name === 'onlyChanged') return { write: 'replace-partitions' };
  return name in incrementalInputs ? { incremental: inputExamples.incremental } : {};
};

test.each(Object.entries(inputExamples))('the example of the input "%s" is one', (name, example) => {
  expect(
    extractTableInput.safeParse({ table: 'orders', ...needed(name), [name]: example }).error,
  ).toBeUndefined();
});

test.each(Object.entries(captureExamples))(
  'the example of the input "%s" of a capture is one',
  (name, example) => {
    expect(captureChangesInput.safeParse({ tables: ['orders'], [name]: example }).error).toBeUndefined();
  },
);

test.each(Object.entries(databaseInputExamples))(
  'the example of the input "%s" of extractDatabase is one',
  (name, example) => {
    expect(() => parseDatabaseInput({ tables: ['orders'], [name]: example })).not.toThrow();
  },
);

test.each(schemaFiles)('$file is the JSON Schema of the input of $workflow', async ({ file, text }) => {
  expect(await read(file), 'to mend it: npx tsx test/packaging/update-docs.ts').toBe(text);
});

const inputsOf: Readonly<Record<string, ZodType>> = {
  extractTable: extractTableInput,
  extractDatabase: extractDatabaseInput,
  captureChanges: captureChangesInput,
  dropCapture: dropCaptureInput,
  checkSource: checkSourceInput,
  maintainBronze: maintainBronzeInput,
};

/** Matches a command that starts a workflow of a type with an input. */
const started =
  /(?:workflow (?:start|execute)|schedule create)\s[^`]*?--type (\w+)[^`]*?--input '(\{.*?\})'/gs;

test('every input that a document shows is one', async () => {
  for (const document of documents) {
    const text = await read(document);
    for (const [, type = '', input = ''] of text.matchAll(started)) {
      // an intentional mistake, which is run and expected to fail with the other commands
      if (input === '{"tabel": "orders"}') continue;
      const schema = inputsOf[type];
      const resolved = databaseAtScheduledTime(atScheduledTime(JSON.parse(input), new Date()), new Date());
      expect(schema?.safeParse(resolved).error, `${document}: ${input}`).toBeUndefined();
      expect(schema, `${document}: ${type}`).toBeDefined();
    }
  }
});

describe('a document links to what is there:', () => {
  test.each(documents)('%s', async (document) => {
    const gone: string[] = [];
    for (const [, target = ''] of (await read(document)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (!/^https?:/.test(target) && !(await leadsSomewhere(document, target))) gone.push(target);
    }
    expect(gone).toEqual([]);
  });
});

async function leadsSomewhere(document: string, link: string): Promise<boolean> {
  const [path = '', heading] = link.split('#');
  const target = path === '' ? document : relative(PROJECT_ROOT, join(PROJECT_ROOT, dirname(document), path));
  const found = await stat(join(PROJECT_ROOT, target)).catch(() => undefined);
  if (found === undefined || heading === undefined) return found !== undefined;
  const headings = [...(await read(target)).matchAll(/^#+ (.+)$/gm)].map(([, text = '']) => anchorOf(text));
  return headings.includes(heading);
}

/** Builds the anchor as GitHub does. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
}

async function findDocuments(): Promise<string[]> {
  const below = await readdir(join(PROJECT_ROOT, 'docs'), { recursive: true });
  return ['README.md', ...below.filter((name) => name.endsWith('.md')).map((name) => join('docs', name))];
}

async function read(document: string): Promise<string> {
  return readFile(join(PROJECT_ROOT, document), 'utf8');
}
