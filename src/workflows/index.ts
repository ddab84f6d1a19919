/** Every function exported here is a workflow that people can start. */
export { checkSource } from './check-source.ts';
export { copyStretch } from './copy-stretch.ts';
export { extractDatabase } from './extract-database.ts';
export { extractTable } from './extract-table.ts';
