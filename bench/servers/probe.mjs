// Preloaded into every server, ours and the others alike: what cannot be read from outside of the process.
import { Session } from 'node:inspector/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';

const delay = monitorEventLoopDelay({ resolution: 2 });
const inspector = new Session();

/** The time in each function itself; functions of one name and place are one. */
function selfTimes({ nodes, samples, timeDeltas }) {
  const byId = new Map(nodes.map((node) => [node.id, node.callFrame]));
  const functions = new Map();
  for (const [index, id] of samples.entries()) {
    const { functionName, url, lineNumber } = byId.get(id);
    const file = url.replace(/^.*\/node_modules\//, '').replace(/^file:.*\/dist\//, '');
    const place = url === '' ? '' : `${file}:${lineNumber + 1}`;
    const name = functionName || '(anonymous)';
    const known = functions.get(`${name} ${place}`) ?? { name, place, selfMs: 0 };
    known.selfMs += timeDeltas[index] / 1e3;
    functions.set(`${name} ${place}`, known);
  }
  return [...functions.values()].sort((a, b) => b.selfMs - a.selfMs);
}

const functions = {
  async collect() {
    for (let time = 0; time < 3; time += 1) {
      globalThis.gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
      await pause(50);
    }
  },
  watchDelay() {
    delay.enable();
    delay.reset();
  },
  longestDelay() {
    const milliseconds = delay.max / 1e6;
    delay.reset();
    return milliseconds;
  },
  async startProfile() {
    inspector.connect();
    await inspector.post('Profiler.enable');
    await inspector.post('Profiler.start');
  },
  async stopProfile() {
    const { profile } = await inspector.post('Profiler.stop');
    inspector.disconnect();
    return selfTimes(profile);
  },
};

process.on('message', async ({ id, call }) => {
  process.send({ id, answer: await functions[call]() });
});
process.on('disconnect', () => process.exit());
process.channel.unref();
