import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { maximumSats } from '../../money/sats.ts';
import type { Clock } from '../../platform/clock.ts';
import { readBounded } from '../../platform/http-client.ts';
import type { Agent, AgentTask } from './agent.ts';

interface Dependencies {
  readonly url: URL;
  readonly secret: Uint8Array;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

const evaluationAnswer = z.discriminatedUnion('accepted', [
  z.object({ accepted: z.literal(true), workPriceSats: z.int().min(1).max(Number(maximumSats)) }),
  z.object({ accepted: z.literal(false), reason: z.string().min(1).max(2_000) }),
]);
const workAnswer = z.discriminatedUnion('done', [
  z.object({ done: z.literal(true), result: z.string().max(100_000) }),
  z.object({ done: z.literal(false), reason: z.string().min(1).max(2_000) }),
]);

/** The largest answer that is read; bytes. */
const maximumAnswerBytes = 1_000_000;

/**
 * An agent behind HTTP. Each request is a POST of `{action, jobId, prompt}`, signed: `x-satwire-signature`
 * is the HMAC-SHA256, in hexadecimal, of `x-satwire-timestamp` (Unix seconds), a dot, and the body.
 */
export function createHttpAgent({ url, secret, timeoutMs, clock }: Dependencies): Agent {
  async function ask<Answer>(
    action: 'evaluate' | 'work',
    task: AgentTask,
    shape: z.ZodType<Answer>,
    signal: AbortSignal,
  ): Promise<Answer> {
    const body = JSON.stringify({ action, jobId: task.jobId, prompt: task.prompt });
    const timestamp = String(Math.floor(clock.now() / 1000));
    const signature = createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex');
    const response = await fetch(url, {
      method: 'POST',
      body,
      redirect: 'error',
      headers: {
        'content-type': 'application/json',
        'x-satwire-timestamp': timestamp,
        'x-satwire-signature': signature,
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    // Also of a refusal: a body that nobody reads keeps its connection.
    const text = await readBounded(response, maximumAnswerBytes);
    if (text === undefined) throw new Error('The agent answered too much.');
    if (!response.ok) throw new Error(`The agent answered ${response.status}.`);
    return shape.parse(JSON.parse(text));
  }

  return {
    async evaluate(task, signal) {
      const answer = await ask('evaluate', task, evaluationAnswer, signal);
      return answer.accepted ? { accepted: true, workPriceSats: BigInt(answer.workPriceSats) } : answer;
    },
    work: (task, _onProgress, signal) => ask('work', task, workAnswer, signal),
  };
}
