import type { Measured, MeasuredStall, Stretch } from './results.ts';

/** CPU of the server for each delivery; µs. */
export const microsPerDelivery = ({ userMs, systemMs, deliveries }: Stretch): number =>
  ((userMs + systemMs) * 1_000) / deliveries;

/** How many deliveries came in a second. */
export const deliveriesPerSecond = ({ deliveries, wallMs }: Stretch): number => (deliveries * 1_000) / wallMs;

/** Resident memory of the server for each subscriber; bytes. */
export const bytesPerSubscriber = ({ joining }: Measured): number =>
  joining.residentBytes / joining.subscribers;

/** How many connected and subscribed in a second. */
export const joinsPerSecond = ({ joining }: Measured): number =>
  (joining.subscribers * 1_000) / joining.wallMs;

/** CPU of the server for each that connects and subscribes; µs. */
export const microsPerJoin = ({ joining }: Measured): number =>
  ((joining.userMs + joining.systemMs) * 1_000) / joining.subscribers;

/** How much of its core the server used; with much less than all of it, others set the pace; per cent. */
export const busyPercent = ({ userMs, systemMs, wallMs }: Stretch): number =>
  (100 * (userMs + systemMs)) / wallMs;

/** Bytes in MiB. */
export const mebibytes = (bytes: number): number => bytes / 2 ** 20;

/** A run of a server in a line. */
export function lineOf(result: Measured): string {
  const { flood, paced } = result;
  const missing = flood.missing + (paced?.missing ?? 0);
  return [
    `${microsPerDelivery(flood).toFixed(2)} µs a delivery`,
    `${deliveriesPerSecond(flood).toFixed(0)}/s (core ${busyPercent(flood).toFixed(0)} % busy)`,
    `${(bytesPerSubscriber(result) / 1024).toFixed(1)} KiB a subscriber`,
    `${joinsPerSecond(result).toFixed(0)} joins/s`,
    ...(paced ? [`p50 ${paced.latency.p50.toFixed(1)} ms, p99 ${paced.latency.p99.toFixed(1)} ms`] : []),
    ...(missing > 0 ? [`${missing} MISSING`] : []),
  ].join(' · ');
}

/** The longest delay of the event loop: in all, and while the server closed connections; ms. */
export function longestDelays({ moments }: MeasuredStall): { readonly all: number; readonly cut: number } {
  const cuts = moments.filter(
    ({ connections }, index) => connections < (moments[index - 1]?.connections ?? connections),
  );
  const longest = (of: MeasuredStall['moments']) => Math.max(0, ...of.map(({ delayMs }) => delayMs));
  return { all: longest(moments), cut: longest(cuts) };
}

/** A run with, or without, stalled clients in a line. */
export function lineOfStall(result: MeasuredStall): string {
  const { neighbours, flood, moments } = result;
  const missing = flood.missing + neighbours.missing;
  const { all, cut } = longestDelays(result);
  return [
    `${mebibytes(result.idleBytes).toFixed(0)} → ${mebibytes(result.peakBytes).toFixed(0)} MiB`,
    `${flood.events} events in ${(flood.wallMs / 1_000).toFixed(0)} s`,
    `neighbours p50 ${neighbours.p50.toFixed(1)} ms, p99 ${neighbours.p99.toFixed(1)} ms`,
    `event loop at most ${all.toFixed(0)} ms, in the cut ${cut.toFixed(0)} ms`,
    `${result.closed} closed within ${((moments.at(-1)?.atMs ?? 0) / 1_000).toFixed(0)} s`,
    ...(missing > 0 ? [`${missing} MISSING`] : []),
  ].join(' · ');
}
