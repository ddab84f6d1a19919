import { quoteTable } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import type { SourceTypes, WarehouseTypes } from './type-mapping.ts';

/** Asks the warehouse which of the source's types it has: those of its server, and those of its extensions. */
export async function readWarehouseTypes(session: Session, source: SourceTypes): Promise<WarehouseTypes> {
  const types = [...source.values()];
  const builtIn = await session.query<{ name: string }>(
    `SELECT t.typname AS name FROM pg_catalog.pg_type t
      WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typname = ANY ($1)
        AND t.typsend <> 0 AND t.typreceive <> 0`,
    [types.filter((type) => type.builtIn).map(({ name }) => name)],
  );
  const ofExtensions = await session.query<{ extension: string; name: string; schema: string }>(
    `SELECT e.extname AS extension, t.typname AS name, n.nspname AS schema
       FROM pg_catalog.pg_extension e
       JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
        AND d.classid = 'pg_catalog.pg_type'::regclass AND d.deptype = 'e'
       JOIN pg_catalog.pg_type t ON t.oid = d.objid
       JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
      WHERE e.extname = ANY ($1)`,
    [types.flatMap(({ extension }) => extension ?? [])],
  );
  return {
    builtIn: new Set(builtIn.map(({ name }) => name)),
    ofExtensions: new Map(ofExtensions.map((type) => [`${type.extension}.${type.name}`, quoteTable(type)])),
  };
}
