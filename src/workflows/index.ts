/** Every function exported here is a workflow that can be started. */
export { captureChanges } from './capture-changes.ts';
export { checkSource } from './check-source.ts';
export { copyCapturedTables } from './copy-captured-tables.ts';
export { copyStretch } from './copy-stretch.ts';
export { dropCapture } from './drop-capture.ts';
export { extractDatabase } from './extract-database.ts';
export { extractTable } from './extract-table.ts';
export { maintainBronze } from './maintain-bronze.ts';
export { refuseUnknownType as default } from './unknown-type.ts';
