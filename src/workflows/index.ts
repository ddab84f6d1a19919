/** Every function exported here is a workflow that people can start. */
export { copyStretch } from './copy-stretch.ts';
export { extractTable } from './extract-table.ts';
