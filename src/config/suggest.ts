// "Did you mean": the known name that is closest to a mistyped one. Used by `check` and by unknown commands.

/** Names further away than this many edits are not worth proposing. */
const MAX_DISTANCE = 3;

/** The closest of the known names, or null when none is close. */
export function closestName(name: string, known: readonly string[]): string | null {
  let best: string | null = null;
  // A short word is within three edits of everything: allow a third of its length.
  let bestDistance = Math.min(MAX_DISTANCE, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.slice(0, 128), candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein's distance: insertions, deletions and replacements. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
