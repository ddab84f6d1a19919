/** The values that a partition accepts, as the catalog states them. */
export type PartitionBound =
  | { readonly kind: 'range'; readonly from: readonly BoundValue[]; readonly to: readonly BoundValue[] }
  | { readonly kind: 'list'; readonly values: readonly BoundValue[] }
  | { readonly kind: 'hash' }
  | { readonly kind: 'default' };

export type BoundValue =
  { readonly is: 'value'; readonly text: string } | { readonly is: 'null' | 'least' | 'greatest' };

/** A quoted literal, in which quotes are doubled, or a bare word: a number, true, NULL, MINVALUE, FROM. */
const token = /'((?:[^']|'')*)'|([^\s,()']+)/g;

const marks = new Map<string, 'null' | 'least' | 'greatest'>([
  ['NULL', 'null'],
  ['MINVALUE', 'least'],
  ['MAXVALUE', 'greatest'],
]);

/**
 * Parses what `pg_get_expr(relpartbound, oid)` returns.
 *
 * @throws {Error} for an unknown kind of bound
 */
export function parseBound(text: string): PartitionBound {
  const tokens = [...text.matchAll(token)].map(([, quoted, word = '']) => ({ quoted, word }));
  const at = (word: string) => tokens.findIndex((one) => one.quoted === undefined && one.word === word);
  const values = (from: number, to?: number) =>
    tokens.slice(from + 1, to).map(({ quoted, word }) => valueOf(quoted, word));
  if (at('DEFAULT') === 0) return { kind: 'default' };
  if (at('WITH') === 2) return { kind: 'hash' };
  if (at('IN') === 2) return { kind: 'list', values: values(2) };
  const to = at('TO');
  if (at('FROM') === 2 && to > 2) return { kind: 'range', from: values(2, to), to: values(to) };
  throw new Error(`a partition has a bound of an unknown kind: ${text.slice(0, 100)}`);
}

function valueOf(quoted: string | undefined, word: string): BoundValue {
  if (quoted !== undefined) return { is: 'value', text: quoted.replaceAll("''", "'") };
  const mark = marks.get(word);
  return mark === undefined ? { is: 'value', text: word } : { is: mark };
}
