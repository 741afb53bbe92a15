import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findChromium } from '../../scripts/lib/chromium.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'satwire-chromium-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function place(folder: string, name: string, mode = 0o755): string {
  mkdirSync(join(root, folder), { recursive: true });
  const path = join(root, folder, name);
  writeFileSync(path, '');
  chmodSync(path, mode);
  return path;
}

it('finds a Chromium of any name on PATH', () => {
  const path = place('b', 'google-chrome');
  const PATH = ['', join(root, 'a'), join(root, 'b')].join(delimiter);
  expect(findChromium({ PATH })).toBe(path);
  const better = place('b', 'chromium');
  expect(findChromium({ PATH })).toBe(better);
});

it('takes the one that CHROMIUM_PATH names, and then no other', () => {
  place('a', 'chromium');
  const path = place('b', 'my-browser');
  const PATH = join(root, 'a');
  expect(findChromium({ PATH, CHROMIUM_PATH: path })).toBe(path);
  expect(findChromium({ PATH, CHROMIUM_PATH: join(root, 'b', 'missing') })).toBeUndefined();
});

it('passes over what is no program, and finds nothing where nothing is', () => {
  place('a', 'chromium', 0o644);
  expect(findChromium({ PATH: join(root, 'a') })).toBeUndefined();
  expect(findChromium({})).toBeUndefined();
});
