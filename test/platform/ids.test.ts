import { expect, it } from 'vitest';
import { systemClock } from '../../src/platform/clock.ts';
import { type IdPrefix, isId, newId } from '../../src/platform/ids.ts';

const prefixes: IdPrefix[] = ['job', 'ses', 'inv', 'usr', 'evt', 'dbt'];

it('makes ids of 128 random bits that name their kind', () => {
  const made = new Set(prefixes.flatMap((prefix) => Array.from({ length: 100 }, () => newId(prefix))));
  expect(made.size).toBe(600);
  for (const id of made) {
    expect(id).toMatch(/^[a-z]{3}_[A-Za-z0-9_-]{22}$/);
    for (const prefix of prefixes) expect(isId(prefix, id)).toBe(id.startsWith(`${prefix}_`));
  }
});

it.each([
  '',
  'job',
  'job_',
  `job_${'a'.repeat(21)}`,
  `job_${'a'.repeat(23)}`,
  `job_${'a'.repeat(21)}=`,
  `job_${'a'.repeat(22)}\n`,
  `JOB_${'a'.repeat(22)}`,
  `xjob_${'a'.repeat(22)}`,
])('takes %j for no id of a job', (text) => {
  expect(isId('job', text)).toBe(false);
});

it('tells the time of the machine', () => {
  const before = Date.now();
  const now = systemClock.now();
  expect(now).toBeGreaterThanOrEqual(before);
  expect(now).toBeLessThanOrEqual(Date.now());
});
