import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** What generated files should contain, by their paths from the root. */
export type Generated = Readonly<Record<string, string>>;

/** Writes the files, with the folders they need. */
export async function writeGenerated(root: string, files: Generated): Promise<void> {
  for (const [file, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), content);
  }
}

/** The paths of the files that are missing or differ from what they should contain. */
export async function outdated(root: string, files: Generated): Promise<string[]> {
  const stale: string[] = [];
  for (const [file, content] of Object.entries(files)) {
    const present = await readFile(join(root, file), 'utf8').catch(() => undefined);
    if (present !== content) stale.push(file);
  }
  return stale;
}
