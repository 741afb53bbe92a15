import { setTimeout as pause } from 'node:timers/promises';
import type { Agent } from './agent.ts';

const steps = [25, 50, 75];

/**
 * An agent for trying things out, the same for the same prompt: `reject: …` is rejected, `fail: …` fails,
 * everything else is done. The price is 50, 100 or 250 sats by the prompt's length.
 */
export function createStubAgent({ stepMs }: { readonly stepMs: number }): Agent {
  return {
    async evaluate({ prompt }, signal) {
      await pause(stepMs, undefined, { signal });
      if (prompt.startsWith('reject:'))
        return { accepted: false, reason: prompt.slice(7).trim() || 'Refused.' };
      return {
        accepted: true,
        workPriceSats: prompt.length <= 100 ? 50n : prompt.length <= 1_000 ? 100n : 250n,
      };
    },

    async work({ prompt }, onProgress, signal) {
      for (const percent of steps) {
        await pause(stepMs, undefined, { signal });
        onProgress({ percent, message: `${percent} % done` });
      }
      await pause(stepMs, undefined, { signal });
      if (prompt.startsWith('fail:'))
        return { done: false, reason: prompt.slice(5).trim() || 'It did not work.' };
      return { done: true, result: `The stub agent has done: ${prompt}` };
    },
  };
}
