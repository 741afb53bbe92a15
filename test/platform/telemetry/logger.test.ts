import { describe, expect, it } from 'vitest';
import { createLogger } from '../../../src/platform/telemetry/logger.ts';

function capture(level = 'info') {
  const lines: string[] = [];
  const logger = createLogger(level, { write: (line) => lines.push(line) });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) as string) };
}

describe('a log line', () => {
  it('is JSON, with the time', () => {
    const { logger, lines, last } = capture();
    logger.info({ kind: 'a' }, 'something happened');
    expect(lines).toHaveLength(1);
    expect(last()).toEqual({ level: 30, time: expect.any(String), kind: 'a', msg: 'something happened' });
    expect(new Date(last().time).toISOString()).toBe(last().time);
  });

  it('is left out below the level', () => {
    const { logger, lines } = capture('warn');
    logger.info('less');
    logger.warn('more');
    expect(lines).toHaveLength(1);
  });

  it.each(['authorization', 'token', 'ticket', 'accessToken', 'preimage', 'bolt11'])('hides %s', (field) => {
    const { logger, lines, last } = capture();
    logger.info({ [field]: 'a secret' }, 'something happened');
    expect(last()[field]).toBe('[Redacted]');
    expect(lines.join('')).not.toContain('a secret');
  });

  it('tells of an error what and where it was, and nothing that hangs on it', () => {
    const { logger, lines, last } = capture();
    const cause = Object.assign(new Error('connect ECONNREFUSED'), {
      code: 'ECONNREFUSED',
      host: 'a secret',
    });
    const error = Object.assign(new TypeError('fetch failed', { cause }), {
      query: 'SELECT $1',
      params: ['a secret'],
      detail: 'Key (token)=(a secret) already exists.',
    });
    logger.error({ err: error }, 'failed');
    expect(last().err).toEqual({
      type: 'TypeError',
      message: 'fetch failed',
      stack: expect.stringContaining('logger.test.ts'),
      cause: {
        type: 'Error',
        message: 'connect ECONNREFUSED',
        stack: expect.any(String),
        code: 'ECONNREFUSED',
      },
    });
    expect(lines.join('')).not.toContain('a secret');
  });

  it('tells of what is no error what it says', () => {
    const { logger, last } = capture();
    logger.error({ err: 'thrown as a text' }, 'failed');
    expect(last().err).toEqual({ message: 'thrown as a text' });
  });

  it('goes to standard output unless it is sent elsewhere', () => {
    const logger = createLogger('silent');
    expect(logger.level).toBe('silent');
    expect(() => logger.error('unheard')).not.toThrow();
  });
});
