import { randomUUID } from 'node:crypto';
import { malformed } from './errors.ts';

/** What a contract has printed: its numbers are bigint, its principals and buffers text. */
export type ChainValue = bigint | string | boolean | null | readonly ChainValue[] | ChainRecord;

export interface ChainRecord {
  readonly [name: string]: ChainValue;
}

/** Nothing that is printed is nested deeper in Clarity. */
const deepest = 64;

/** Strings, which stay as they are, and whole numbers that may be too large for a JavaScript number. */
const stringsAndLongNumbers = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d{16,}(?![\d.eE])/g;

/** JSON whose long whole numbers are kept to the last digit: `toValue` knows them. */
export interface ExactJson {
  readonly json: unknown;
  /** A part of it as a value that a contract has printed. @throws MalformedDelivery */
  toValue(part: unknown): ChainValue;
}

/**
 * Reads JSON without losing a digit: one pass marks the long numbers, and the engine's own parser does the rest,
 * which is many times as fast as a parser in JavaScript.
 * @throws MalformedDelivery
 */
export function parseExactly(text: string): ExactJson {
  // Nobody can know it, so no string of the text is taken for a number.
  const mark = randomUUID();
  const marked = text.replace(stringsAndLongNumbers, (found) =>
    found.startsWith('"') ? found : `"${mark}${found}"`,
  );
  let json: unknown;
  try {
    json = JSON.parse(marked);
  } catch {
    throw malformed('it is no JSON');
  }

  function toValue(part: unknown, depth = 0): ChainValue {
    if (depth > deepest) throw malformed('a value is nested too deeply');
    if (typeof part === 'string') return part.startsWith(mark) ? BigInt(part.slice(mark.length)) : part;
    if (typeof part === 'number') return Number.isInteger(part) ? BigInt(part) : String(part);
    if (typeof part === 'boolean' || part === null) return part;
    if (Array.isArray(part)) return part.map((item) => toValue(item, depth + 1));
    return Object.fromEntries(
      Object.entries(part as object).map(([name, item]) => [name, toValue(item, depth + 1)]),
    );
  }
  return { json, toValue: (part) => toValue(part) };
}

/** The JSON of a value, the same for the same value in whichever order its names stand; numbers to the last digit. */
export function printValue(value: ChainValue): string {
  if (typeof value === 'bigint') return value.toString();
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isList(value)) return `[${value.map(printValue).join(',')}]`;
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${printValue(value[name] as ChainValue)}`).join(',')}}`;
}

/** Reads what `printValue` has printed of a record. */
export function readRecord(text: string): ChainRecord {
  const { json, toValue } = parseExactly(text);
  return toValue(json) as ChainRecord;
}

/** Whether a value is a tuple. */
export const isRecord = (value: ChainValue): value is ChainRecord =>
  value !== null && typeof value === 'object' && !isList(value);

const isList = (value: object): value is readonly ChainValue[] => Array.isArray(value);
