/**
 * Text from outside, made harmless where a person reads it. A name may hold escape sequences that repaint the
 * terminal, or marks that turn the direction of writing around, and so show another key than the one that is meant.
 */

// Controls (C0, DEL, C1), format characters (direction marks, zero-width ones, tags), lone surrogates, private use,
// line and paragraph separators.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;

/**
 * The text on one line, each unsafe character written as JSON would, a backslash doubled.
 *
 *     shown('a\u001b[2J')   // 'a\\u001b[2J'
 */
export function shown(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll(UNSAFE, escapeUnits);
}

/** JSON text with the unsafe characters escaped that JSON itself leaves as they are; it means the same. */
export function shownJson(value: unknown): string {
  // Outside of its strings JSON.stringify writes no such character but the line feed.
  return JSON.stringify(value, null, 2).replaceAll(UNSAFE, (found) =>
    found === '\n' ? found : escapeUnits(found),
  );
}

function escapeUnits(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
