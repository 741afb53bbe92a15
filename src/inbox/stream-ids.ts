/** The id before the first entry of any stream of Redis. */
export const beginning = '0-0';

/** Whether an entry of a stream is behind another one; ids are a time and a number, `1700000000000-12`. */
export function isNewer(id: string, than: string): boolean {
  const [time, number] = parse(id);
  const [otherTime, otherNumber] = parse(than);
  return time === otherTime ? number > otherNumber : time > otherTime;
}

function parse(id: string): [bigint, bigint] {
  const [time = '0', number = '0'] = id.split('-');
  return [BigInt(time), BigInt(number)];
}
