import { join } from 'node:path';
import type { Scenario } from '../plan.ts';
import { now } from './clock.ts';
import type { Commit, Joining, Subscribers, Writer } from './messages.ts';
import { type Remote, startPinned } from './remote.ts';
import { type Measured, type Stretch, stamp } from './results.ts';
import { type RunningServer, type ServerName, startServer } from './servers.ts';
import { otherCore, type Surroundings } from './surroundings.ts';
import { atRest, cpuOf, cpuSince, residentBytes } from './usage.ts';

const factsQuery = 'subscription ($id: ID!) { sessionDebited(id: $id) { id balanceAfter cursor } }';
const loadedQuery =
  'subscription ($id: ID!) { sessionDebited(id: $id) { id balanceAfter session { state balanceSats } } }';

/** Until the code that is used most is compiled; ms. */
const warmUpMs = 1_000;
const floodMs = 2_500;
/** Deliveries that do not come for so long are missing; ms. */
const patienceMs = 5_000;
/** The memory of the first ones is not counted: with them comes what is made once. */
const firstSubscribers = 100;
const probes = 30;

const file = (...path: string[]) => ['--import', 'tsx', join(import.meta.dirname, '..', ...path)];

/** Starts a process that holds subscribers. */
export const startSubscribers = () => startPinned<Subscribers>(otherCore, file('client', 'main.ts'));

/** Starts a process that makes events. */
export const startWriter = () => startPinned<Writer>(otherCore, file('writer', 'main.ts'));

/** The processes of one run. */
export interface Parts {
  readonly server: RunningServer;
  readonly subscribers: Remote<Subscribers>;
  readonly writer: Remote<Writer>;
}

/** Publishes rounds for so long, and measures until their deliveries have come. */
export async function measureFlood(
  { server, subscribers, writer }: Parts,
  flood: { round: readonly Commit[]; inFlight: number; durationMs: number; rounds: number },
  fanOut: number,
): Promise<Stretch> {
  const events = flood.round.reduce((sum, commit) => sum + commit.length, 0);
  const roundDeliveries = events * fanOut;
  await subscribers.call('listen', { roundDeliveries, keepTimes: false });
  const begin = now();
  const used = cpuOf(server.process.pid);
  const rounds = await writer.call('flood', flood);
  const due = rounds * roundDeliveries;
  const { deliveries, bytes, lastAt } = await subscribers.call('settle', { deliveries: due, patienceMs });
  return {
    events: rounds * events,
    deliveries,
    missing: due - deliveries,
    bytes,
    wallMs: lastAt - begin,
    ...cpuSince(server.process.pid, used),
  };
}

/** Publishes single events at a steady rate, and measures when they come. */
async function measurePace(
  { server, subscribers, writer }: Parts,
  { perSecond, seconds }: Scenario['paced'],
  fanOut: number,
): Promise<NonNullable<Measured['paced']>> {
  const events = perSecond * seconds;
  const due = events * fanOut;
  await subscribers.call('listen', { roundDeliveries: due, keepTimes: true });
  const begin = now();
  const used = cpuOf(server.process.pid);
  const commits = await writer.call('pace', { perSecond, events });
  const { deliveries, bytes } = await subscribers.call('settle', { deliveries: due, patienceMs });
  return {
    events,
    deliveries,
    missing: due - deliveries,
    bytes,
    wallMs: now() - begin,
    ...cpuSince(server.process.pid, used),
    latency: await subscribers.call('latency', commits),
  };
}

/** Nothing says that a subscription has begun: events are published until one has come to each. */
export async function untilAllHear(
  { subscribers, writer }: Pick<Parts, 'subscribers' | 'writer'>,
  round: readonly Commit[],
  fanOut: number,
): Promise<void> {
  const due = round.reduce((sum, commit) => sum + commit.length, 0) * fanOut;
  let came = 0;
  for (let probe = 0; probe < probes; probe += 1) {
    await subscribers.call('listen', { roundDeliveries: due, keepTimes: false });
    await writer.call('flood', { round, inFlight: 1, durationMs: 1_000, rounds: 1 });
    const received = await subscribers.call('settle', { deliveries: due, patienceMs: 500 });
    came = received.deliveries;
    if (came === due) return;
  }
  throw new Error(
    `of ${due} deliveries ${came} came; the last: ${await subscribers.call('sample', undefined)}`,
  );
}

/** Stands around a part of a run. */
export type Around = <Result>(
  part: 'joining' | 'flood' | 'paced',
  server: RunningServer,
  work: () => Promise<Result>,
) => Promise<Result>;

async function measureJoining(
  server: RunningServer,
  subscribers: Remote<Subscribers>,
  around: Around,
  joining: Joining,
): Promise<Measured['joining']> {
  const { pid, call } = server.process;
  const first = Math.min(firstSubscribers, joining.count / 2);
  await subscribers.call('join', { ...joining, count: first });
  await atRest(pid);
  await call('collect', undefined);
  const resident = residentBytes(pid);
  const rest = joining.count - first;
  const begin = now();
  const used = cpuOf(pid);
  const wallMs = await around('joining', server, async () => {
    const answered = await subscribers.call('join', { ...joining, count: rest });
    return Math.max(answered, await atRest(pid)) - begin;
  });
  const cpu = cpuSince(pid, used);
  await call('collect', undefined);
  return { subscribers: rest, wallMs, ...cpu, residentBytes: residentBytes(pid) - resident };
}

/** One server in one scenario, once; `frame` is what raw sockets send. */
export async function measure(
  scenario: Scenario,
  name: ServerName,
  surroundings: Surroundings,
  frame: string,
  around: Around = (_part, _server, work) => work(),
): Promise<Measured> {
  const { isLoaded, round, inFlight, paced } = scenario;
  const ids = surroundings.sessionIds.slice(0, scenario.sessions);
  const fanOut = scenario.subscribers / scenario.sessions;
  await surroundings.forgetEvents();
  const server = await startServer(name, surroundings);
  const subscribers = startSubscribers();
  const writer = startWriter();
  const parts = { server, subscribers, writer };
  subscribers.onTold(writer.tell);
  try {
    const { databaseUrl, redisUrl } = surroundings;
    await writer.call('prepare', { how: server.writing, ids, databaseUrl, redisUrl, frame, memo: null });
    const joining = await measureJoining(server, subscribers, around, {
      speech: server.speech,
      port: server.port,
      path: server.path,
      count: scenario.subscribers,
      ids,
      query: isLoaded ? loadedQuery : factsQuery,
      tokens: name === 'satwire' ? surroundings.tokens : [],
    });
    await untilAllHear(parts, round, fanOut);
    const flood = { round, inFlight, rounds: Number.MAX_SAFE_INTEGER };
    await measureFlood(parts, { ...flood, durationMs: warmUpMs }, fanOut);
    const measured = await around('flood', server, () =>
      measureFlood(parts, { ...flood, durationMs: floodMs }, fanOut),
    );
    const pacing = () => around('paced', server, () => measurePace(parts, paced, fanOut));
    return {
      ...stamp(),
      subscribers: scenario.subscribers,
      sample: await subscribers.call('sample', undefined),
      joining,
      flood: measured,
      ...(paced.perSecond > 0 && { paced: await pacing() }),
    };
  } finally {
    await Promise.all([writer.stop(), server.process.stop()]);
    await subscribers.stop();
  }
}
