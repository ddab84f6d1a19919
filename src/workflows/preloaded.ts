import * as captureChanges from '../contract/capture-changes.ts';
import * as checkSource from '../contract/check-source.ts';
import * as extractDatabase from '../contract/extract-database.ts';
import * as extractTable from '../contract/extract-table.ts';
import * as incremental from '../contract/incremental.ts';
import * as maintainBronze from '../contract/maintain-bronze.ts';
import * as moment from '../contract/moment.ts';
import * as observed from '../contract/observed.ts';
import * as parseInput from '../contract/parse-input.ts';
import * as partitionInputs from '../contract/partition-inputs.ts';
import * as quantities from '../contract/quantities.ts';
import * as quietHours from '../contract/quiet-hours.ts';
import * as refuse from '../contract/refuse.ts';
import * as schemaOrTable from '../contract/schema-or-table.ts';
import * as sessionSettings from '../contract/session-settings.ts';
import * as snapshot from '../contract/snapshot.ts';
import * as sourceInputs from '../contract/source-inputs.ts';
import * as tableName from '../contract/table-name.ts';
import * as valueInputs from '../contract/value-inputs.ts';

/**
 * Modules that all workflows of a worker share, instead of each having its own: building the schemas of inputs
 * anew is most of what it costs to start a workflow. A schema keeps nothing of what it has parsed.
 *
 * Only the bundle loads this. Temporal deep-freezes what such modules export, but a schema has to store in
 * itself what it derives on first use. What is already frozen is skipped, so each module that exports a schema
 * is frozen here, without its contents.
 */
for (const schemas of [
  captureChanges,
  checkSource,
  extractDatabase,
  extractTable,
  incremental,
  maintainBronze,
  moment,
  observed,
  parseInput,
  partitionInputs,
  quantities,
  quietHours,
  refuse,
  schemaOrTable,
  sessionSettings,
  snapshot,
  sourceInputs,
  tableName,
  valueInputs,
])
  Object.freeze(schemas);
