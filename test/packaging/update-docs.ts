import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { generatedTables, withTable } from './generated-tables.ts';
import { schemaFiles } from './schemas.ts';

for (const table of generatedTables) {
  const path = join(PROJECT_ROOT, table.file);
  await writeFile(path, withTable(await readFile(path, 'utf8'), table));
}
for (const { file, text } of schemaFiles) await writeFile(join(PROJECT_ROOT, file), text);
