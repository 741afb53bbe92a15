import type { Bus, BusMessage } from './bus.ts';

/**
 * The bus of a single process. Where others share the database, `connected` is false: they are not heard.
 */
export function createInProcessBus(connected = true): Bus {
  const listeners = new Map<string, Set<(message: BusMessage) => void>>();
  return {
    connected,
    publish(message) {
      for (const hear of listeners.get(message.topic) ?? []) hear(message);
    },
    async listen(topic, hear) {
      const hearing = listeners.get(topic) ?? new Set();
      listeners.set(topic, hearing.add(hear));
      return () => {
        hearing.delete(hear);
        if (hearing.size === 0 && listeners.get(topic) === hearing) listeners.delete(topic);
      };
    },
    onChange() {
      // It neither comes nor goes.
    },
    async close() {
      listeners.clear();
    },
  };
}
