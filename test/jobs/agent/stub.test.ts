import { describe, expect, it } from 'vitest';
import { createStubAgent } from '../../../src/jobs/agent/stub.ts';

const agent = createStubAgent({ stepMs: 0 });
const { signal } = new AbortController();
const task = (prompt: string) => ({ jobId: 'job_x', prompt });

describe('the stub agent', () => {
  it.each([
    [1, 50n],
    [100, 50n],
    [101, 100n],
    [1_000, 100n],
    [1_001, 250n],
  ])('asks for a prompt of %i characters %s sats', async (length, workPriceSats) => {
    expect(await agent.evaluate(task('x'.repeat(length)), signal)).toEqual({ accepted: true, workPriceSats });
  });

  it('rejects when the prompt says so', async () => {
    expect(await agent.evaluate(task('reject: too hard'), signal)).toEqual({
      accepted: false,
      reason: 'too hard',
    });
    expect(await agent.evaluate(task('reject: '), signal)).toEqual({ accepted: false, reason: 'Refused.' });
  });

  it('works in steps that it reports, and is done', async () => {
    const reported: number[] = [];
    const outcome = await agent.work(task('a thing'), ({ percent }) => reported.push(percent), signal);
    expect(reported).toEqual([25, 50, 75]);
    expect(outcome).toEqual({ done: true, result: 'The stub agent has done: a thing' });
  });

  it('fails when the prompt says so, after the same steps', async () => {
    const reported: string[] = [];
    const report = ({ message }: { message: string }) => reported.push(message);
    expect(await agent.work(task('fail: no luck'), report, signal)).toEqual({
      done: false,
      reason: 'no luck',
    });
    expect(reported).toEqual(['25 % done', '50 % done', '75 % done']);
    expect(await agent.work(task('fail:'), report, signal)).toEqual({
      done: false,
      reason: 'It did not work.',
    });
  });

  it('stops in the middle when it is told to', async () => {
    const stopping = new AbortController();
    const slow = createStubAgent({ stepMs: 60_000 });
    const ended = [
      slow.evaluate(task('x'), stopping.signal),
      slow.work(task('x'), () => {}, stopping.signal),
    ].map((promise) => expect(promise).rejects.toMatchObject({ name: 'AbortError' }));
    stopping.abort();
    await Promise.all(ended);
  });
});
