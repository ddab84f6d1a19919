interface Type {
  readonly name: string;
  readonly modifiers: readonly number[];
  readonly dimensions: string;
}

const TYPE =
  /^(?<name>[^([]+?)(?:\((?<modifiers>-?\d+(?:,-?\d+)*)\))?(?<zone> with(?:out)? time zone)?(?<dimensions>(?:\[\])*)$/;

/** Parses what `format_type` writes: `timestamp(3) with time zone`, `numeric(10,2)[]`. */
function parseType(text: string): Type {
  const { name = text, modifiers, zone = '', dimensions = '' } = TYPE.exec(text)?.groups ?? {};
  return { name: `${name}${zone}`, modifiers: modifiers?.split(',').map(Number) ?? [], dimensions };
}

/** Digits before the decimal point that hold every value. */
const integerDigits: Readonly<Record<string, number>> = { smallint: 5, integer: 10, bigint: 19 };

/** By type, the types that hold all of its values, whatever its modifier. */
const wider: Readonly<Record<string, readonly string[]>> = {
  smallint: ['integer', 'bigint'],
  integer: ['bigint'],
  real: ['double precision'],
  date: ['timestamp without time zone'],
  name: ['text'],
};

/** Types whose modifier is a limit, so that a greater one, or none, covers a smaller one. */
const limited = new Set([
  'character varying',
  'bit varying',
  'timestamp with time zone',
  'timestamp without time zone',
  'time with time zone',
  'time without time zone',
  'interval',
]);

/** Returns true if every value of one type fits the other, with nothing rounded or truncated. */
export function widens(from: string, to: string): boolean {
  if (from === to) return true;
  const [before, after] = [parseType(from), parseType(to)];
  if (before.dimensions !== after.dimensions) return false;
  if (before.name === after.name) return sameTypeWidens(before, after);
  if (after.name === 'numeric') return integerFits(before, after);
  if (after.modifiers.length === 0 && wider[before.name]?.includes(after.name) === true) return true;
  return textFits(before, after);
}

function sameTypeWidens(before: Type, after: Type): boolean {
  if (before.name === 'numeric') return numericFits(before.modifiers, after.modifiers);
  if (!limited.has(before.name)) return false;
  return limitFits(before, after);
}

function limitFits({ modifiers: [from] }: Type, { modifiers: [to] }: Type): boolean {
  return to === undefined || (from !== undefined && to >= from);
}

function numericFits(
  [precision, scale = 0]: readonly number[],
  [wanted, wantedScale = 0]: readonly number[],
): boolean {
  if (wanted === undefined) return true;
  if (precision === undefined) return false;
  return wantedScale >= scale && wanted - wantedScale >= precision - scale;
}

function integerFits(before: Type, { modifiers: [precision, scale = 0] }: Type): boolean {
  const digits = integerDigits[before.name];
  return digits !== undefined && (precision === undefined || (scale >= 0 && precision - scale >= digits));
}

/** Ignores the blanks that pad a `character(n)`: they mean nothing, and are dropped. */
function textFits(before: Type, after: Type): boolean {
  if (before.name !== 'character varying' && before.name !== 'character') return false;
  if (after.name === 'text') return true;
  return before.name === 'character' && after.name === 'character varying' && limitFits(before, after);
}
