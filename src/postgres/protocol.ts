/**
 * Messages of the protocol by their first byte, for the streams that are read and written without the driver.
 * See https://www.postgresql.org/docs/current/protocol-message-formats.html.
 */
export const COPY_BOTH_RESPONSE = 0x57; // 'W'
export const COPY_DATA = 0x64; // 'd'
export const COPY_DONE = 0x63; // 'c'
export const COPY_FAIL = 0x66; // 'f'
export const COPY_OUT_RESPONSE = 0x48; // 'H'
export const NOTICE = 0x4e; // 'N'
export const NOTIFICATION = 0x41; // 'A'
export const PARAMETER_STATUS = 0x53; // 'S'

/** Bytes before the contents of a message: its type, and a length that includes itself. */
export const HEADER = 5;
