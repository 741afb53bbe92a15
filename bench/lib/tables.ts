import { type Scenario, stalled } from '../plan.ts';
import { type Claim, isReached } from './claims.ts';
import {
  busyPercent,
  bytesPerSubscriber,
  deliveriesPerSecond,
  joinsPerSecond,
  longestDelays,
  mebibytes,
  microsPerDelivery,
  microsPerJoin,
} from './figures.ts';
import { type Measured, type MeasuredStall, readResults, type Stretch } from './results.ts';
import type { ServerName } from './servers.ts';
import { ratios, type Spread, spreadOf } from './statistics.ts';

const names: Readonly<Record<ServerName, string>> = {
  raw: 'raw `ws`',
  'raw-database': 'raw `ws` behind the same database',
  satwire: '**Satwire**',
  yoga: 'Yoga, graphql-ws, graphql-redis-subscriptions',
  apollo: 'Apollo Server, graphql-ws, graphql-redis-subscriptions',
  mercurius: 'mercurius, mqemitter-redis',
  'socket-io': 'Socket.IO, Redis adapter',
};

/** With fewer subscribers, what they take cannot be told from what the process takes and gives back by itself. */
const fewestForMemory = 1_000;

/** With as many digits as say something. */
function digits(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return String(Math.round(value));
  return value.toFixed(size >= 10 ? 1 : 2);
}

const spreadText = ({ median, least, most }: Spread): string =>
  least === most ? digits(median) : `${digits(median)} (${digits(least)}–${digits(most)})`;

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(heads), row(heads.map(() => '---')), ...rows.map(row)].join('\n');
}

function claimRow(claim: Claim): readonly string[] {
  const { what, unit, atMost, atLeast, figure } = claim;
  const target = atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`;
  if (!figure) return [what, '–', `${target} ${unit}`.trim(), '–', 'not measured'];
  const part = (figure.median / (atMost ?? atLeast ?? Number.NaN)).toFixed(2);
  const ofTarget = Number.isFinite(Number(part)) ? part : '–';
  return [
    what,
    spreadText(figure),
    `${target} ${unit}`.trim(),
    ofTarget,
    isReached(claim) ? 'yes' : '**no**',
  ];
}

/** A line for each claim. */
export const claimTable = (all: readonly Claim[]): string =>
  table(['Claim', 'measured', 'target', 'measured ÷ target', 'reached'], all.map(claimRow));

const splitText = (results: readonly Measured[], of: (result: Measured) => Stretch | undefined): string => {
  const part = (key: 'userMs' | 'systemMs') =>
    spreadOf(
      results.map((result) => {
        const stretch = of(result);
        return stretch ? (stretch[key] * 1_000) / stretch.deliveries : Number.NaN;
      }),
    ).median;
  return `${digits(part('userMs'))} + ${digits(part('systemMs'))}`;
};

/** The servers of a scenario, a line for each; the first is what the others are a multiple of. */
export function scenarioTable({ name, servers, subscribers }: Scenario): string {
  const reference = readResults<Measured>(name, servers[0] as ServerName);
  const cpu = ({ flood }: Measured) => microsPerDelivery(flood);
  const rows = servers.map((server) => {
    const results = readResults<Measured>(name, server);
    if (results.length === 0) return [names[server], ...Array.from({ length: 13 }, () => '–')];
    const of = (figure: (result: Measured) => number) => spreadText(spreadOf(results.map(figure)));
    const isPaced = results.every(({ paced }) => paced !== undefined);
    const paced = (figure: (of: NonNullable<Measured['paced']>) => number) =>
      isPaced ? of((result) => (result.paced ? figure(result.paced) : Number.NaN)) : '–';
    const multiples = (figure: (result: Measured) => number) => {
      const values = ratios(results.map(figure), reference.map(figure));
      return values.length > 0 ? spreadText(spreadOf(values)) : '–';
    };
    return [
      names[server],
      of(cpu),
      splitText(results, ({ flood }) => flood),
      multiples(cpu),
      of(({ flood }) => deliveriesPerSecond(flood)),
      of(({ flood }) => busyPercent(flood)),
      paced((stretch) => stretch.latency.p50),
      paced((stretch) => stretch.latency.p99),
      paced(microsPerDelivery),
      isPaced ? multiples(({ paced: pace }) => (pace ? microsPerDelivery(pace) : Number.NaN)) : '–',
      subscribers < fewestForMemory ? '–' : of((result) => bytesPerSubscriber(result) / 1024),
      of(joinsPerSecond),
      of(microsPerJoin),
      String(results.reduce((sum, { flood, paced: pace }) => sum + flood.missing + (pace?.missing ?? 0), 0)),
    ];
  });
  return table(
    [
      'Server',
      'CPU µs a delivery',
      'user + system',
      '× the first',
      'deliveries/s',
      'core busy %',
      'paced: p50 ms',
      'paced: p99 ms',
      'paced: CPU µs a delivery',
      'paced: × the first',
      'KiB a subscriber',
      'joins/s',
      'CPU µs a join',
      'missing',
    ],
    rows,
  );
}

/** The server with and without clients that stop reading. */
export function stallTable(): string {
  const rows = stalled.variants.map((variant) => {
    const results = readResults<MeasuredStall>(stalled.name, variant);
    const title = variant === 'with' ? `${stalled.clients} stop reading` : 'without them';
    if (results.length === 0) return [title, ...Array.from({ length: 8 }, () => '–')];
    const of = (figure: (result: MeasuredStall) => number) => spreadText(spreadOf(results.map(figure)));
    return [
      title,
      of(({ idleBytes }) => mebibytes(idleBytes)),
      of(({ peakBytes }) => mebibytes(peakBytes)),
      of(({ flood }) => (flood.events * 1_000) / flood.wallMs),
      of(({ neighbours }) => neighbours.p50),
      of(({ neighbours }) => neighbours.p99),
      of((result) => longestDelays(result).all),
      variant === 'with' ? of((result) => longestDelays(result).cut) : '–',
      of(({ closed }) => closed),
    ];
  });
  return table(
    [
      'Clients',
      'MiB before',
      'MiB at the highest',
      'events/s',
      'others: p50 ms',
      'others: p99 ms',
      'event loop: longest delay ms',
      'the same, when they are cut',
      'closed',
    ],
    rows,
  );
}
