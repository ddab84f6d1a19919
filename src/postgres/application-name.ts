import { lastPartOf } from '../contract/run-parts.ts';

/** The name of this project's sessions in pg_stat_activity. */
export const APPLICATION = 'datakit-postgres-extractor';

/** `datakit-postgres-extractor/<run id>`, or part of one: with a UUID exactly the 63 bytes that PostgreSQL shows. */
export const applicationName = (runId?: string): string =>
  runId === undefined ? APPLICATION : `${APPLICATION}/${lastPartOf(runId)}`;

/** SQL that is true if a row of pg_stat_activity is a session of this project. @param row the alias of the row */
export const isApplication = (row: string): string => `${row}.application_name LIKE '${APPLICATION}%'`;
