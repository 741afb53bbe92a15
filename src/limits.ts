import type { Config } from './config.ts';
import type { Bus } from './platform/bus/bus.ts';
import type { Clock } from './platform/clock.ts';
import { createConnectionCounts } from './platform/limits/connection-counts.ts';
import { createKeyedRate, createSharedRate } from './platform/limits/keyed-rate.ts';
import type { TimedRate } from './platform/limits/rate.ts';
import { beginningRate, createConnectionLimits } from './transport/connection-limits.ts';
import { useMutationLimit } from './transport/mutation-limit.ts';

/** How much a client may ask for, as far as that is counted beyond one message: by the configuration. */
export async function createLimits(config: Config, bus: Bus, clock: Clock) {
  const { limitConnectionsPerIp, limitConnectionsPerViewer, limitMutationsPerMinute } = config;
  const counts = await createConnectionCounts({ bus, clock });
  const beginnings = createKeyedRate({ ...beginningRate(limitConnectionsPerIp), clock });
  const mutationRate = { amount: limitMutationsPerMinute, perMs: 60_000, burst: limitMutationsPerMinute };
  const mutations = await createSharedRate({ ...mutationRate, clock }, bus, 'mutations');
  // A client that comes back subscribes to all it had at once.
  const burst = 2 * config.limitMessagesPerSecond + (config.limitSubscriptionsPerConnection || 1_000);
  const messageRate: TimedRate = { amount: config.limitMessagesPerSecond, perMs: 1_000, burst, clock };
  return {
    connections: createConnectionLimits({
      counts,
      beginnings,
      perAddress: limitConnectionsPerIp,
      perViewer: limitConnectionsPerViewer,
    }),
    mutationLimit: useMutationLimit({ mutations, perMinute: limitMutationsPerMinute }),
    /** How many messages one socket may send. */
    messageRate,
    close(): void {
      counts.close();
      mutations.close();
    },
  };
}
