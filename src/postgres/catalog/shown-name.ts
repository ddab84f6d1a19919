/** One character of UTF-8 after the other, by its bytes: https://www.rfc-editor.org/rfc/rfc3629#section-4 */
const CHARACTERS = String.raw`^([\x01-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*$`;

/** SQL for whether a name can be said in UTF-8. In a database of SQL_ASCII it may have any bytes. */
export const isSayable = (name: string): string =>
  `(getdatabaseencoding() <> 'SQL_ASCII' OR ${name}::text COLLATE "C" ~ '${CHARACTERS}')`;

/** SQL for a name as text; one that cannot be said in UTF-8 has its other bytes written as `\344`. */
export const shownName = (name: string): string =>
  `CASE WHEN ${isSayable(name)} THEN ${name}::text ELSE encode(convert_to(${name}::text, 'SQL_ASCII'), 'escape') END`;
