import { now } from '../lib/clock.ts';
import type { Commits, Joining, Received, Subscribers } from '../lib/messages.ts';
import { answerCalls } from '../lib/remote.ts';
import { speakers } from './speech.ts';
import { type Subscriber, subscribe } from './subscriber.ts';

/** The process that holds the subscribers of a run. */

/** How many join at a time. */
const joiningAtATime = 100;

const subscribers: Subscriber[] = [];
/** For each subscriber: which of the ids it watches, and how many events have come since `listen`. */
const watched: number[] = [];
const places: number[] = [];

let deliveries = 0;
let bytes = 0;
let lastAt = now();
let closed = 0;
let sampled = '';
let roundDeliveries = 1;
let roundEndsAt = Number.POSITIVE_INFINITY;
let keepTimes = false;
/** By index, for each event that came: of which id, the how manieth, and when. */
const times = { watched: [] as number[], place: [] as number[], at: [] as number[] };

function heard(index: number, length: number, text: string | undefined): void {
  deliveries += 1;
  bytes += length;
  if (text !== undefined) sampled = text;
  if (keepTimes) {
    times.watched.push(watched[index] as number);
    times.place.push(places[index] as number);
    times.at.push(now());
    places[index] = (places[index] as number) + 1;
  } else if (deliveries % 64 === 0) lastAt = now();
  if (deliveries < roundEndsAt) return;
  lastAt = now();
  roundEndsAt += roundDeliveries;
  tellRounds(Math.floor(deliveries / roundDeliveries));
}

async function joinOne(joining: Joining, index: number): Promise<void> {
  watched[index] = index % joining.ids.length;
  places[index] = 0;
  const speaking = speakers[joining.speech](joining, index);
  subscribers[index] = await subscribe(joining.port, speaking, {
    readsEvents: () => sampled === '',
    onEvent: (length, text) => heard(index, length, text),
    onClosed: () => {
      closed += 1;
    },
  });
}

const functions: Subscribers = {
  async join(joining) {
    const first = subscribers.length;
    let next = first;
    const joinNext = async () => {
      while (next < first + joining.count) {
        const index = next;
        next += 1;
        await joinOne(joining, index);
      }
    };
    await Promise.all(Array.from({ length: Math.min(joiningAtATime, joining.count) }, joinNext));
    return now();
  },

  listen(how) {
    deliveries = 0;
    bytes = 0;
    places.fill(0);
    for (const list of Object.values(times)) list.length = 0;
    roundDeliveries = how.roundDeliveries;
    roundEndsAt = roundDeliveries;
    keepTimes = how.keepTimes;
  },

  settle({ deliveries: wanted, patienceMs }) {
    const begin = now();
    return new Promise<Received>((resolve) => {
      let seen = deliveries;
      let since = begin;
      const timer = setInterval(() => {
        if (deliveries > seen) {
          seen = deliveries;
          since = now();
        }
        if (deliveries < wanted && now() - since < patienceMs) return;
        clearInterval(timer);
        resolve({ deliveries, bytes, lastAt, closed });
      }, 5);
    });
  },

  latency(commits: Commits) {
    const delays = times.at.map((at, index) => {
      const committed = commits[times.watched[index] as number]?.[times.place[index] as number];
      return committed === undefined ? Number.NaN : at - committed;
    });
    const sorted = Float64Array.from(delays.filter((delay) => !Number.isNaN(delay))).sort();
    const part = (of: number) =>
      sorted[Math.min(Math.floor(sorted.length * of), sorted.length - 1)] ?? Number.NaN;
    return { count: sorted.length, p50: part(0.5), p99: part(0.99), max: part(1) };
  },

  sample: () => sampled,

  stall() {
    for (const subscriber of subscribers) subscriber.stall();
  },
};

const tellRounds = answerCalls(functions);
