/** `a, b, c`, and `a, b, c and 4 more` past a number: a message must stay short however much it is about. */
export function listed(names: readonly string[], most: number): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
