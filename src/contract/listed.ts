/** Joins names as `a, b, c`, or `a, b, c and 4 more` beyond a number, so that a message stays short. */
export function listed(names: readonly string[], most: number): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
