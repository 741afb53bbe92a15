import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** What the build makes for browsers: beside the compiled sources, and in `dist` for the sources themselves. */
const folders = ['../../../web/', '../../../dist/web/'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

const types: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
};

/** By name, and no other file. */
const names = [
  'explorer.css',
  'web/live.js',
  'web/transport.js',
  'src/transport/explorer/documents.js',
  'src/transport/explorer/html.js',
  'src/transport/explorer/sections.js',
];

export interface Asset {
  readonly type: string;
  readonly body: Buffer;
}

async function read(name: string): Promise<Asset | undefined> {
  const type = types[name.slice(name.lastIndexOf('.') + 1)] as string;
  for (const folder of folders) {
    const body = await readFile(`${folder}${name}`).catch(() => undefined);
    if (body) return { type, body };
  }
  return undefined;
}

/** The script and the style of the pages, read once. */
export function createAssets(): (name: string) => Promise<Asset | undefined> {
  const known = new Map<string, Promise<Asset | undefined>>();
  return async (name) => {
    if (!names.includes(name)) return undefined;
    const asset = known.get(name) ?? read(name);
    known.set(name, asset);
    return asset;
  };
}
