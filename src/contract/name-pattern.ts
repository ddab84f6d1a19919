/** The special characters of a pattern: `*` stands for any number of characters, `?` for one. */
export type Wildcards = '*' | '*?';

/** Returns whether a name matches a pattern. The time it takes is bounded by the product of their lengths. */
export function fitsPattern(name: string, pattern: string, wildcards: Wildcards): boolean {
  const [letters, marks] = [Array.from(name), Array.from(pattern)];
  // where to resume, one letter further on, if what follows the last star does not match
  let [star, resume] = [-1, 0];
  let mark = 0;
  for (let letter = 0; letter < letters.length;) {
    if (marks[mark] === '*') {
      star = mark;
      resume = letter;
      mark += 1;
    } else if ((marks[mark] === '?' && wildcards === '*?') || marks[mark] === letters[letter]) {
      letter += 1;
      mark += 1;
    } else if (star >= 0) {
      mark = star + 1;
      resume += 1;
      letter = resume;
    } else {
      return false;
    }
  }
  return marks.slice(mark).every((left) => left === '*');
}
