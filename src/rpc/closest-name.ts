/** The name that somebody most likely meant. */

// Two slips of the keyboard; a third would suggest names at random.
const MAX_DISTANCE = 2;
const MAX_LENGTH = 64;

/** The known name within two changes of one that is not known; undefined where there is none. */
export function closestName(name: string, known: readonly string[]): string | undefined {
  if (name.length > MAX_LENGTH) return undefined;
  const plain = simplified(name);
  const ranked = known
    .map((candidate) => ({ candidate, distance: distance(plain, simplified(candidate)) }))
    .filter((one) => one.distance <= MAX_DISTANCE && one.distance < plain.length)
    .toSorted((one, other) => one.distance - other.distance);
  return ranked[0]?.candidate;
}

function simplified(name: string): string {
  return name.replaceAll('_', '').toLowerCase();
}

/** Levenshtein's distance, one row at a time. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const change = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
