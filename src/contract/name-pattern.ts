/** The special characters of a pattern: `*` stands for any number of characters, `?` for one. */
type Wildcards = '*' | '*?';

/** Returns what stands before the first special character of a pattern: all names that match it begin with that. */
export function leadOf(pattern: string, wildcards: Wildcards): string {
  const end = pattern.search(wildcards === '*' ? /[*]/ : /[*?]/);
  return end === -1 ? pattern : pattern.slice(0, end);
}

/** Returns a function that tells whether a name matches a pattern. */
export function patternMatcher(pattern: string, wildcards: Wildcards): (name: string) => boolean {
  if (pattern === '*') return () => true;
  const lead = leadOf(pattern, wildcards);
  const marks = Array.from(pattern);
  return (name) => name.startsWith(lead) && fits(Array.from(name), marks, wildcards);
}

/** The time it takes is bounded by the product of the lengths. */
function fits(letters: readonly string[], marks: readonly string[], wildcards: Wildcards): boolean {
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
