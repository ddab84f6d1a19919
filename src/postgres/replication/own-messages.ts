/** Prefix of the messages that we write to the log of a server; captures of that server do not log them as changes. */
export const OWN_PREFIX = 'datakit-postgres';
