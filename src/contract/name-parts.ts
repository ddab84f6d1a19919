/** A part of a name that people write, such as `sales.orders`. */
export interface NamePart {
  readonly text: string;
  /** True if it was written in quotes, within which no character has a special meaning. */
  readonly quoted: boolean;
}

const part = /"((?:[^"]|"")+)"|([^".]+)/y;

/** Splits `sales.orders` or `"odd.schema"."Odd ""name"""` at the dots; undefined if a part is empty or misquoted. */
export function nameParts(text: string): NamePart[] | undefined {
  const parts: NamePart[] = [];
  part.lastIndex = 0;
  for (;;) {
    const match = part.exec(text);
    if (match === null) return undefined;
    const [, quoted, plain] = match;
    parts.push({ text: quoted?.replaceAll('""', '"') ?? plain ?? '', quoted: quoted !== undefined });
    if (part.lastIndex === text.length) return parts;
    if (text[part.lastIndex] !== '.') return undefined;
    part.lastIndex += 1;
  }
}
