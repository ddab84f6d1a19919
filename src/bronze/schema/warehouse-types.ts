import type { ServerFacts } from '../../postgres/catalog/server.ts';
import type { Session } from '../../postgres/session.ts';
import type { SourceTypes, WarehouseTypes } from './type-mapping.ts';

/** First version with infinite intervals. Older servers read their binary form as that of a finite one. */
const INFINITE_INTERVALS = 17_00_00;
/**
 * First version in which `"char"` writes a byte beyond ASCII as `\377`. Older servers read that as a backslash, and
 * cannot be sent the byte itself in UTF-8.
 */
const ESCAPED_CHAR = 16_00_00;
/** First version in which `numeric` may have a scale below 0 or above its precision. */
const ANY_SCALE = 15_00_00;

interface Found {
  readonly version: number;
  readonly encoding: string;
  readonly builtIn: string[];
  readonly ofExtensions: { readonly extension: string; readonly name: string; readonly type: string }[];
}

/** Asks the warehouse which types of a source it has: built-in ones, and those of its extensions. */
export async function readWarehouseTypes(
  session: Session,
  ofSource: SourceTypes,
  source: Pick<ServerFacts, 'version' | 'encoding'>,
): Promise<WarehouseTypes> {
  const types = [...ofSource.values()];
  const { version, encoding, builtIn, ofExtensions } = await session.one<Found & Record<string, unknown>>(
    `SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding,
       ARRAY(SELECT t.typname::text FROM pg_catalog.pg_type t
              WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typname = ANY ($1)
                AND t.typsend <> 0 AND t.typreceive <> 0) AS "builtIn",
       (SELECT coalesce(jsonb_agg(jsonb_build_object('extension', e.extname, 'name', t.typname, 'type', format_type(t.oid, NULL))), '[]')
          FROM pg_catalog.pg_extension e
          JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
           AND d.classid = 'pg_catalog.pg_type'::regclass AND d.deptype = 'e'
          JOIN pg_catalog.pg_type t ON t.oid = d.objid
          JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
         WHERE e.extname = ANY ($2) AND has_schema_privilege(n.oid, 'USAGE')
           AND has_type_privilege(t.oid, 'USAGE')) AS "ofExtensions"`,
    [
      types.filter((type) => type.builtIn).map(({ name }) => name),
      types.flatMap(({ extension }) => extension ?? []),
    ],
  );
  const losesInfinity = source.version >= INFINITE_INTERVALS && version < INFINITE_INTERVALS;
  const misread = new Set([
    ...(version < ESCAPED_CHAR ? ['char'] : []),
    // has 63 bytes, and is cut without a word where the same characters have more
    ...(encoding !== source.encoding ? ['name'] : []),
  ]);
  return {
    builtIn: new Set(builtIn.filter((name) => !misread.has(name))),
    // a server rejects the empty `tsquery` that it sent itself: "malformed tsquery"
    textOnly: new Set(['tsquery', ...(losesInfinity ? ['interval'] : [])]),
    anyScale: version >= ANY_SCALE,
    // named as in the catalog for a bronze column, or each would look like a change of the other
    ofExtensions: new Map(ofExtensions.map(({ extension, name, type }) => [`${extension}.${name}`, type])),
  };
}
