import { repetitions, stalled } from '../plan.ts';
import {
  bytesPerSubscriber,
  deliveriesPerSecond,
  joinsPerSecond,
  longestDelays,
  mebibytes,
  microsPerDelivery,
} from './figures.ts';
import { type Measured, type MeasuredStall, readResults } from './results.ts';
import type { ServerName } from './servers.ts';
import { ratios, type Spread, spreadOf } from './statistics.ts';

/** What is claimed of a figure: at most, or at least, so much. */
export interface Claim {
  readonly what: string;
  /** What the figure is a multiple of, or its unit. */
  readonly unit: string;
  readonly atMost?: number;
  readonly atLeast?: number;
  /** Undefined where something of it has not been measured. */
  readonly figure: Spread | undefined;
}

/** Whether the median does what is claimed. */
export const isReached = ({ figure, atMost, atLeast }: Claim): boolean =>
  figure !== undefined &&
  figure.median <= (atMost ?? Number.POSITIVE_INFINITY) &&
  figure.median >= (atLeast ?? Number.NEGATIVE_INFINITY);

type Figure = (result: Measured) => number;

const figures = (scenario: string, server: ServerName, figure: Figure): readonly number[] =>
  readResults<Measured>(scenario, server).map(figure);

/** Of all repetitions; with fewer of them nothing is claimed. */
const spread = (values: readonly number[]): Spread | undefined =>
  values.length === repetitions ? spreadOf(values) : undefined;

/** A figure of one server over that of another, in the same repetition. */
const over = (scenario: string, one: ServerName, other: ServerName, figure: Figure): Spread | undefined =>
  spread(ratios(figures(scenario, one, figure), figures(scenario, other, figure)));

const floodCpu: Figure = ({ flood }) => microsPerDelivery(flood);
const floodRate: Figure = ({ flood }) => deliveriesPerSecond(flood);
const median: Figure = ({ paced }) => paced?.latency.p50 ?? Number.NaN;
const slowest: Figure = ({ paced }) => paced?.latency.p99 ?? Number.NaN;

const graphqlPeers = ['yoga', 'apollo', 'mercurius'] as const;

function cpuClaims(): readonly Claim[] {
  const ofRaw = { unit: '× raw' };
  const lessThanYoga = { unit: '× less than Yoga' };
  return [
    ...[5_000, 10_000].map((subscribers) => ({
      ...ofRaw,
      what: `CPU of a delivery, one topic, ${subscribers} subscribers`,
      atMost: 0.95,
      figure: over(`one-${subscribers}`, 'satwire', 'raw', floodCpu),
    })),
    {
      ...ofRaw,
      what: 'CPU of a delivery, 500 topics, 5000 subscribers',
      atMost: 1.2,
      figure: over('many-5000', 'satwire', 'raw', floodCpu),
    },
    ...[5_000, 10_000].map((subscribers) => ({
      ...lessThanYoga,
      what: `CPU of a delivery, payload in memory, ${subscribers} subscribers`,
      atLeast: 6,
      figure: over(`one-${subscribers}`, 'yoga', 'satwire', floodCpu),
    })),
    {
      ...lessThanYoga,
      what: 'CPU of a delivery, payload loaded from the database, 1000 subscribers',
      atLeast: 20,
      figure: over('loaded-1000', 'yoga', 'satwire', floodCpu),
    },
    {
      what: 'Deliveries a second in bursts',
      unit: '× raw sending one by one',
      atLeast: 3,
      figure: over('bursts-1000', 'satwire', 'raw', floodRate),
    },
  ];
}

function connectionClaims(): readonly Claim[] {
  const fastest = graphqlPeers.flatMap(
    (peer) => spread(figures('one-5000', peer, joinsPerSecond))?.median ?? [],
  );
  const joins = figures('one-5000', 'satwire', joinsPerSecond);
  return [
    ...[5_000, 10_000].map((subscribers) => ({
      what: `Memory of an idle subscriber, of ${subscribers}`,
      unit: '× raw',
      atMost: 1.6,
      figure: over(`one-${subscribers}`, 'satwire', 'raw', bytesPerSubscriber),
    })),
    ...[...graphqlPeers, 'socket-io' as const].map((peer) => ({
      what: 'Memory of an idle subscriber, of 5000',
      unit: `× ${peer}`,
      atMost: 1,
      figure: over('one-5000', 'satwire', peer, bytesPerSubscriber),
    })),
    {
      what: 'Connecting and subscribing, a second',
      unit: '× the fastest GraphQL peer',
      atLeast: 1,
      figure:
        fastest.length === graphqlPeers.length
          ? spread(joins.map((rate) => rate / Math.max(...fastest)))
          : undefined,
    },
  ];
}

const latencyClaims = (): readonly Claim[] =>
  [1_000, 5_000].flatMap((subscribers) =>
    [
      { part: 'median', figure: median },
      { part: '99th percentile', figure: slowest },
    ].map(({ part, figure }) => ({
      what: `From commit to frame at a steady rate, ${subscribers} subscribers, ${part}`,
      unit: '× raw behind the same database',
      atMost: 1.2,
      figure: over(`latency-${subscribers}`, 'satwire', 'raw-database', figure),
    })),
  );

function stallClaims(): readonly Claim[] {
  const beside = readResults<MeasuredStall>(stalled.name, 'without');
  const results = readResults<MeasuredStall>(stalled.name, 'with');
  const idle = (figure: (result: MeasuredStall) => number) => beside.map(figure);
  const busy = (figure: (result: MeasuredStall) => number) => results.map(figure);
  const peak = ({ peakBytes }: MeasuredStall) => mebibytes(peakBytes);
  const missing = ({ flood, neighbours }: MeasuredStall) => flood.missing + neighbours.missing;
  const more = busy(peak).flatMap((most, index) =>
    idle(peak)
      .slice(index, index + 1)
      .map((least) => most - least),
  );
  const what = `${stalled.clients} clients stop reading while ${stalled.events} events pass`;
  const unchanged = { unit: '× without them', atMost: 1.2 };
  return [
    {
      what: `${what}: memory at its highest`,
      unit: 'MiB more than without',
      atMost: stalled.boundMiB,
      figure: spread(more),
    },
    {
      ...unchanged,
      what: `${what}: latency of the others, median`,
      figure: spread(
        ratios(
          busy(({ neighbours }) => neighbours.p50),
          idle(({ neighbours }) => neighbours.p50),
        ),
      ),
    },
    {
      ...unchanged,
      what: `${what}: latency of the others, 99th percentile`,
      figure: spread(
        ratios(
          busy(({ neighbours }) => neighbours.p99),
          idle(({ neighbours }) => neighbours.p99),
        ),
      ),
    },
    {
      what: `${what}: delay of the event loop when they are cut`,
      unit: 'ms',
      atMost: 20,
      figure: spread(busy((result) => longestDelays(result).cut)),
    },
    {
      what: `${what}: cut by the server`,
      unit: 'clients',
      atLeast: stalled.clients,
      figure: spread(busy(({ closed }) => closed)),
    },
    { what: `${what}: deliveries missing to the others`, unit: '', atMost: 0, figure: spread(busy(missing)) },
  ];
}

/** Every claim, with what was measured. */
export const claims = (): readonly Claim[] => [
  ...cpuClaims(),
  ...connectionClaims(),
  ...latencyClaims(),
  ...stallClaims(),
];
