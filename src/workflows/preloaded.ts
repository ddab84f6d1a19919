import * as captureChanges from '../contract/capture-changes.ts';
import * as checkSource from '../contract/check-source.ts';
import * as extractDatabase from '../contract/extract-database.ts';
import * as extractTable from '../contract/extract-table.ts';
import * as incremental from '../contract/incremental.ts';
import * as maintainBronze from '../contract/maintain-bronze.ts';
import * as moment from '../contract/moment.ts';
import * as parseInput from '../contract/parse-input.ts';
import * as partitionInputs from '../contract/partition-inputs.ts';
import * as quantities from '../contract/quantities.ts';
import * as quietHours from '../contract/quiet-hours.ts';
import * as sessionSettings from '../contract/session-settings.ts';
import * as sourceInputs from '../contract/source-inputs.ts';
import * as tableName from '../contract/table-name.ts';
import * as valueInputs from '../contract/value-inputs.ts';

/**
 * Modules that all workflows of a worker share, instead of each having its own: to build the schemas of inputs anew takes
 * most of what it costs to start one. A schema keeps nothing of what it has parsed.
 *
 * The bundle alone loads this. Temporal freezes what such modules export, all the way down, and a schema has to
 * write down what it derives from itself when it is asked first. What is frozen already is not looked into, so each
 * module that exports a schema is frozen here, without what it holds.
 */
for (const schemas of [
  captureChanges,
  checkSource,
  extractDatabase,
  extractTable,
  incremental,
  maintainBronze,
  moment,
  parseInput,
  partitionInputs,
  quantities,
  quietHours,
  sessionSettings,
  sourceInputs,
  tableName,
  valueInputs,
])
  Object.freeze(schemas);
