import { parse, scan, type Node, type ParseResult } from 'libpg-query';
import { DatakitError } from '../contract/failures.ts';

/**
 * Checks, with PostgreSQL's own grammar and without a server, that a text is one SQL expression and nothing else.
 *
 * Statements put it in parentheses among other conditions, so it is parsed in two ways, which no
 * escape survives together: bare (`a) OR (b` is no expression) and in parentheses (`a, b` and
 * `a FROM t` are none). Comments are refused, since they could swallow what follows.
 *
 * @throws {DatakitError} InvalidExpression
 */
export async function assertExpression(text: string, input: string): Promise<void> {
  if (text.includes('\0')) throw refuse(input, 'it has a NUL character');
  const bare = await parsed(`SELECT ${text}`, text, input);
  const enclosed = await parsed(`SELECT (${text})`, text, input);
  if (onlyExpression(bare) === undefined || onlyExpression(enclosed) === undefined) {
    throw refuse(input, 'it is more than one expression');
  }
  if (await hasComment(text)) throw refuse(input, 'it has a comment');
  if (hasKey(bare, parameters)) {
    throw refuse(input, 'it has a parameter ($1), and nothing to fill it with');
  }
  if (hasKey(bare, dataChanging)) throw refuse(input, 'it changes data');
}

const parameters = new Set(['ParamRef']);
const dataChanging = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);

async function parsed(statement: string, text: string, input: string): Promise<ParseResult> {
  try {
    return await parse(statement);
  } catch (error) {
    if (error instanceof RangeError) throw refuse(input, 'it is nested too deeply', text);
    throw refuse(input, `PostgreSQL's grammar says: ${messageOf(error)}`, text);
  }
}

/** Looks at the tokens, where comments still are, only if there can be one: for a long list they cost more than parsing. */
async function hasComment(text: string): Promise<boolean> {
  if (!/--|\/\*/.test(text)) return false;
  const { tokens } = await scan(text);
  return tokens.some(({ tokenName }) => tokenName === 'SQL_COMMENT' || tokenName === 'C_COMMENT');
}

/** Returns the expression that `SELECT …` selects, if it selects one and has no other clauses. */
function onlyExpression({ stmts }: ParseResult): Node | undefined {
  const [only, ...others] = stmts ?? [];
  const statement = only?.stmt;
  if (others.length > 0 || statement === undefined || !('SelectStmt' in statement)) return undefined;
  const { targetList, limitOption: _limit, op, ...clauses } = statement.SelectStmt;
  const [target, ...more] = targetList ?? [];
  if (target === undefined || !('ResTarget' in target) || more.length > 0) return undefined;
  if (op !== 'SETOP_NONE' || Object.keys(clauses).length > 0) return undefined;
  return target.ResTarget.name === undefined ? target.ResTarget.val : undefined;
}

/** Splits a list of expressions as the server writes it: `date_trunc('month'::text, at), shop`. */
export async function splitExpressions(list: string): Promise<string[]> {
  const statement = Buffer.from(`SELECT ${list}`);
  const { stmts } = await parse(statement.toString());
  const select = stmts?.[0]?.stmt;
  if (select === undefined || !('SelectStmt' in select)) throw new Error('not a list of expressions');
  const starts = (select.SelectStmt.targetList ?? []).map((target) =>
    'ResTarget' in target ? (target.ResTarget.location ?? 0) : 0,
  );
  // locations are byte offsets
  return starts.map((start, index) =>
    statement
      .subarray(start, starts[index + 1])
      .toString()
      .replace(/,\s*$/, ''),
  );
}

/**
 * Searches without recursion: the parser accepts expressions that are nested deeper than JavaScript's call stack.
 * Makes no arrays of what it finds, since a list may have hundreds of thousands of values.
 */
function hasKey(tree: ParseResult, keys: ReadonlySet<string>): boolean {
  const left: object[] = [tree];
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    for (const key in node) {
      if (keys.has(key)) return true;
      const value: unknown = Reflect.get(node, key);
      if (typeof value === 'object' && value !== null) left.push(value);
    }
  }
  return false;
}

function refuse(input: string, reason: string, text?: string): DatakitError {
  const shown = text === undefined ? '' : ` In: ${text.length > 200 ? `${text.slice(0, 200)}...` : text}`;
  return new DatakitError('InvalidExpression', `"${input}" was refused: ${reason}.${shown}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
