// Reads recorded answers: one JSON object per line.

/** The rows of a `.jsonl` file. */
export async function readVectors<T>(file: URL): Promise<readonly T[]> {
  const text = await Bun.file(file).text();
  return text
    .trimEnd()
    .split('\n')
    .map((line): T => JSON.parse(line) as T); // the caller names the rows that it wrote
}
