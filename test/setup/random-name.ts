const characters = Array.from('abcXYZ019_ ."\'\\`$%?;:-/*()[]{}|\n\té表🙂');

/** Returns a valid PostgreSQL name, rich in characters that need quoting. */
export function randomName(random: () => number): string {
  const length = 1 + Math.floor(random() * 12);
  return Array.from({ length }, () => characters[Math.floor(random() * characters.length)]).join('');
}
