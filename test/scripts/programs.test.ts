import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findChromium } from '../../scripts/lib/chromium.ts';
import { findProgram } from '../../scripts/lib/programs.ts';
import { findRedis } from '../../scripts/lib/redis-server.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'satwire-programs-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function place(folder: string, name: string, mode = 0o755): string {
  mkdirSync(join(root, folder), { recursive: true });
  const path = join(root, folder, name);
  writeFileSync(path, '');
  chmodSync(path, mode);
  return path;
}

const tool = { names: ['best', 'good'], variable: 'TOOL_PATH', package: 'tool' };

it('finds a program of any of its names on PATH, the best one first', () => {
  const path = place('b', 'good');
  const PATH = ['', join(root, 'a'), join(root, 'b')].join(delimiter);
  expect(findProgram(tool, { PATH })).toBe(path);
  const better = place('b', 'best');
  expect(findProgram(tool, { PATH })).toBe(better);
});

it('takes the one that the variable names, and then no other', () => {
  place('a', 'best');
  const path = place('b', 'my-own');
  const PATH = join(root, 'a');
  expect(findProgram(tool, { PATH, TOOL_PATH: path })).toBe(path);
  expect(findProgram(tool, { PATH, TOOL_PATH: join(root, 'b', 'missing') })).toBeUndefined();
});

it('looks into further folders after PATH', () => {
  const further = place('c', 'best');
  const folders = [join(root, 'b'), join(root, 'c')];
  expect(findProgram({ ...tool, folders }, {})).toBe(further);
  const path = place('a', 'best');
  expect(findProgram({ ...tool, folders }, { PATH: join(root, 'a') })).toBe(path);
});

it('passes over what is no program, and finds nothing where nothing is', () => {
  place('a', 'best', 0o644);
  expect(findProgram(tool, { PATH: join(root, 'a') })).toBeUndefined();
  expect(findProgram(tool, {})).toBeUndefined();
});

it('knows what Chromium and Redis are called', () => {
  const PATH = join(root, 'a');
  const chrome = place('a', 'google-chrome');
  const server = place('a', 'redis-server');
  expect(findChromium({ PATH })).toBe(chrome);
  expect(findChromium({ PATH, CHROMIUM_PATH: server })).toBe(server);
  expect(findRedis({ PATH })).toBe(server);
  expect(findRedis({ PATH, REDIS_SERVER_PATH: chrome })).toBe(chrome);
});
