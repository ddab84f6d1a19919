/** Every function exported here is a workflow that people can start. */
export { copyChunks } from './copy-chunks.ts';
export { extractTable } from './extract-table.ts';
