/**
 * A function that fits what it is called with better than the one of PostgreSQL, and fails.
 *
 * @param signature with its schema: `public.lo_get(oid, int, int)`
 */
export const trap = (signature: string, returns: string): string =>
  `CREATE FUNCTION ${signature} RETURNS ${returns} LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$`;

/** An operator of the same kind. */
export const operatorTrap = (schema: string, operator: string, left: string, right: string): string =>
  `${trap(`${schema}.trap_of_operator(${left}, ${right})`, 'boolean').replace('CREATE', 'CREATE OR REPLACE')};
   CREATE OPERATOR ${schema}.${operator} (FUNCTION = ${schema}.trap_of_operator, LEFTARG = ${left}, RIGHTARG = ${right})`;
