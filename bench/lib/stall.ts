import { setTimeout as pause } from 'node:timers/promises';
import { stalled } from '../plan.ts';
import { now } from './clock.ts';
import { measureFlood, startSubscribers, startWriter, untilAllHear } from './measure.ts';
import type { Subscribers, Writer } from './messages.ts';
import type { Remote } from './remote.ts';
import { type MeasuredStall, type Moment, stamp } from './results.ts';
import { type RunningServer, startServer } from './servers.ts';
import type { Surroundings } from './surroundings.ts';
import { openConnections, residentBytes } from './usage.ts';

const query = 'subscription ($id: ID!) { sessionDebited(id: $id) { id balanceAfter memo cursor } }';
const momentEveryMs = 250;
const warmUpRounds = 40;
/** The neighbours' events come in stretches of so many seconds, until the end. */
const stretchSeconds = 1;
const longestFloodMs = 120_000;
/** Deliveries that do not come for so long are missing; ms. */
const patienceMs = 5_000;

/** Notes how the server does until it is stopped. */
function watchServer({ port, process: { pid, call } }: RunningServer) {
  const begin = now();
  const moments: Moment[] = [];
  let isOver = false;
  async function watch(): Promise<readonly Moment[]> {
    await call('watchDelay', undefined);
    while (!isOver) {
      await pause(momentEveryMs);
      moments.push({
        atMs: Math.round(now() - begin),
        connections: openConnections(port),
        residentBytes: residentBytes(pid),
        delayMs: await call('longestDelay', undefined),
      });
    }
    return moments;
  }
  const watching = watch();
  return {
    stop(): Promise<readonly Moment[]> {
      isOver = true;
      return watching;
    },
  };
}

/** Lets events come to the neighbours at a steady rate until it is stopped, and answers how long they took. */
function watchNeighbours(subscribers: Remote<Subscribers>, writer: Remote<Writer>) {
  const perSecond = stalled.neighbourEventsPerSecond;
  const events = perSecond * stretchSeconds;
  const commits: number[] = [];
  let isOver = false;
  async function watch(): Promise<MeasuredStall['neighbours']> {
    await subscribers.call('listen', { roundDeliveries: Number.MAX_SAFE_INTEGER, keepTimes: true });
    while (!isOver) {
      const [committed] = await writer.call('pace', { perSecond, events });
      commits.push(...(committed ?? []));
    }
    const due = commits.length * stalled.neighbours;
    const { deliveries } = await subscribers.call('settle', { deliveries: due, patienceMs });
    return { ...(await subscribers.call('latency', [commits])), missing: due - deliveries };
  }
  const watching = watch();
  return {
    stop(): Promise<MeasuredStall['neighbours']> {
      isOver = true;
      return watching;
    },
  };
}

/** So many clients stop reading while events pass; readers of the same and neighbours go on. */
export async function measureStall(clients: number, surroundings: Surroundings): Promise<MeasuredStall> {
  const [flooded, neighbouring] = surroundings.sessionIds as [string, string];
  await surroundings.forgetEvents();
  const server = await startServer('satwire', surroundings);
  const { pid, call } = server.process;
  const [readers, neighbours, stalling] = [startSubscribers(), startSubscribers(), startSubscribers()];
  const [flooder, writer] = [startWriter(), startWriter()];
  readers.onTold(flooder.tell);
  try {
    const { databaseUrl, redisUrl, tokens } = surroundings;
    const writing = { how: 'satwire', databaseUrl, redisUrl, frame: '' } as const;
    const memo = 'm'.repeat(stalled.memoBytes);
    await flooder.call('prepare', { ...writing, ids: [flooded], memo });
    await writer.call('prepare', { ...writing, ids: [neighbouring], memo: null });
    const joining = { speech: server.speech, port: server.port, path: server.path, query, tokens };
    await readers.call('join', { ...joining, count: stalled.readers, ids: [flooded] });
    await neighbours.call('join', { ...joining, count: stalled.neighbours, ids: [neighbouring] });
    await stalling.call('join', { ...joining, count: clients, ids: [flooded] });
    await untilAllHear({ subscribers: neighbours, writer }, [[0]], stalled.neighbours);
    await untilAllHear({ subscribers: readers, writer: flooder }, [[0]], stalled.readers);
    const parts = { server, subscribers: readers, writer: flooder };
    const round = [Array.from({ length: stalled.perCommit }, () => 0)];
    const flood = { round, inFlight: stalled.inFlight, durationMs: longestFloodMs };
    await measureFlood(parts, { ...flood, rounds: warmUpRounds }, stalled.readers);
    await call('collect', undefined);
    const idleBytes = residentBytes(pid);

    const all = openConnections(server.port);
    const serverWatch = watchServer(server);
    const neighbourWatch = watchNeighbours(neighbours, writer);
    await stalling.call('stall', undefined);
    const rounds = stalled.events / stalled.perCommit;
    const flooding = await measureFlood(parts, { ...flood, rounds }, stalled.readers);
    const deadline = now() + stalled.patienceSeconds * 1_000;
    while (all - openConnections(server.port) < clients && now() < deadline) await pause(momentEveryMs);
    const closed = all - openConnections(server.port);
    return {
      ...stamp(),
      stalledClients: clients,
      idleBytes,
      flood: flooding,
      neighbours: await neighbourWatch.stop(),
      moments: await serverWatch.stop(),
      peakBytes: residentBytes(pid, 'highest'),
      closed,
    };
  } finally {
    await Promise.all([flooder.stop(), writer.stop(), server.process.stop()]);
    await Promise.all([readers.stop(), neighbours.stop(), stalling.stop()]);
  }
}
