import type { Session } from '../postgres/session.ts';
import { STAGING } from './layout.ts';

/**
 * The function that fills `<column>_parsed` while rows arrive. The expression of a generated column must be immutable:
 * where parsing depends on more than the text, such as the encoding of the server, it fails, and a failure is a value.
 */
export const PARSE_JSON = `${STAGING}.parse_json`;

/** Creates it where it is missing: the schema of staging tables looks like one that may be dropped with them. */
export async function ensureParseJson(session: Session): Promise<void> {
  const { there } = await session.one<{ there: boolean }>('SELECT to_regprocedure($1) IS NOT NULL AS there', [
    `${PARSE_JSON}(text)`,
  ]);
  if (there) return;
  await session.query(
    `CREATE FUNCTION ${PARSE_JSON}(raw text) RETURNS jsonb
       LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
     BEGIN
       RETURN raw::jsonb;
     EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
       RETURN jsonb_build_object('_error', 'parse_failed', '_raw', raw);
     END
     $$;
     COMMENT ON FUNCTION ${PARSE_JSON} IS
       'A text as jsonb; {"_error": "parse_failed", "_raw": "..."} where it is no JSON, or none that jsonb can hold.'`,
  );
}
