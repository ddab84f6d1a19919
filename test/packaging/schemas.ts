import { z } from 'zod';
import { captureChangesInput, dropCaptureInput } from '../../src/contract/capture-changes.ts';
import { checkSourceInput } from '../../src/contract/check-source.ts';
import { extractDatabaseInput } from '../../src/contract/extract-database.ts';
import { maintainBronzeInput } from '../../src/contract/maintain-bronze.ts';
import { extractTableInput } from '../../src/contract/extract-table.ts';

const inputs: Readonly<Record<string, z.ZodType>> = {
  extractTable: extractTableInput,
  extractDatabase: extractDatabaseInput,
  captureChanges: captureChangesInput,
  dropCapture: dropCaptureInput,
  checkSource: checkSourceInput,
  maintainBronze: maintainBronzeInput,
};

export interface SchemaFile {
  readonly workflow: string;
  /** Relative to the project root. */
  readonly file: string;
  readonly text: string;
}

/** The JSON Schema of each workflow's input as people write it, for editors and programs that generate inputs. */
export const schemaFiles: readonly SchemaFile[] = Object.entries(inputs).map(([workflow, schema]) => ({
  workflow,
  file: `schemas/${workflow}.json`,
  text: `${JSON.stringify({ title: `Input of ${workflow}`, ...z.toJSONSchema(schema, { io: 'input' }) }, undefined, 2)}\n`,
}));
