/**
 * Returns SQL for a function that fits its calls better than PostgreSQL's own, and fails.
 *
 * @param signature including the schema: `public.lo_get(oid, int, int)`
 */
export const trap = (signature: string, returns: string): string =>
  `CREATE FUNCTION ${signature} RETURNS ${returns} LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$`;

/** Returns SQL for an operator of the same kind. */
export const operatorTrap = (schema: string, operator: string, left: string, right: string): string =>
  `${trap(`${schema}.trap_of_operator(${left}, ${right})`, 'boolean').replace('CREATE', 'CREATE OR REPLACE')};
   CREATE OPERATOR ${schema}.${operator} (FUNCTION = ${schema}.trap_of_operator, LEFTARG = ${left}, RIGHTARG = ${right})`;
