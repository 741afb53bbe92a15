import { createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { type Hook, hooks } from '../inbox/chainhook.ts';
import type { Inbox } from '../inbox/inbox.ts';
import { indexerEvent } from '../inbox/indexer.ts';
import { answer, answerTooLarge, type Route, type Routes, readBody } from './http.ts';
import { hasBearer, isSame } from './request.ts';

interface Dependencies {
  readonly inbox: Inbox;
  /** What Chainhook presents as its bearer token; without it there are no such routes. */
  readonly chainhookSecret: string | undefined;
  /** The key of the indexer's signatures; without it there is no such route. */
  readonly indexerSecret: string | undefined;
}

/** What Chainhook itself posts at most; bytes. */
const maximumChainBytes = 41_943_040;
const maximumIndexerBytes = 65_536;
const openingBrace = 0x7b;

/** What is delivered into the inbox: stored, answered, and processed after. */
export function inboxRoutes({ inbox, chainhookSecret, indexerSecret }: Dependencies): Routes {
  return {
    ...(chainhookSecret !== undefined &&
      Object.fromEntries(
        hooks.map((hook) => [
          `POST /webhooks/chainhook/${hook}`,
          chainhookRoute(inbox, hook, chainhookSecret),
        ]),
      )),
    ...(indexerSecret !== undefined && { 'POST /webhooks/indexer': indexerRoute(inbox, indexerSecret) }),
  };
}

/**
 * Chainhook drops a hook whose deliveries are refused: only what is certainly no delivery gets another answer than
 * 200, and the rest is found out later.
 */
function chainhookRoute(inbox: Inbox, hook: Hook, secret: string): Route {
  return async (request, response) => {
    if (!hasBearer(request, secret)) {
      answer(response, 401, { error: 'This needs the secret of Chainhook.' });
      return;
    }
    const body = await readWithin(request, maximumChainBytes);
    if (!body) answerTooLarge(response);
    else if (body.find((byte) => byte > 0x20) !== openingBrace)
      answer(response, 400, { error: 'This is no delivery of Chainhook.' });
    else {
      await inbox.acceptChain(hook, body);
      answer(response, 200, { status: 'accepted' });
    }
  };
}

function indexerRoute(inbox: Inbox, secret: string): Route {
  return async (request, response) => {
    const body = await readWithin(request, maximumIndexerBytes);
    if (!body) {
      answerTooLarge(response);
      return;
    }
    const signature = String(request.headers['x-indexer-signature'] ?? '').replace(/^sha256=/, '');
    if (!isSame(signature.toLowerCase(), createHmac('sha256', secret).update(body).digest('hex'))) {
      answer(response, 401, { error: 'The signature is not that of this body.' });
      return;
    }
    const event = indexerEvent.safeParse(readJsonText(body));
    if (!event.success) {
      answer(response, 400, { error: z.prettifyError(event.error) });
      return;
    }
    const isNew = await inbox.acceptIndexer(event.data);
    answer(response, 202, isNew ? { status: 'accepted' } : { status: 'accepted', duplicate: true });
  };
}

/** A body that says at once that it is too large is not read at all. */
async function readWithin(request: IncomingMessage, maximumBytes: number): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > maximumBytes) return undefined;
  return readBody(request, maximumBytes);
}

function readJsonText(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
