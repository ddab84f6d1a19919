/** SQL for where the log of a server ends; null on a standby, whose log is that of another server. */
export const LOG_END = `CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn()::text END`;
