import type { ServerResponse } from 'node:http';
import type { LnbitsAnswers } from './faults.ts';

/** What is answered, before a fault spoils it. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Answers as LNbits does, or as the fault has it. */
export function send(response: ServerResponse, { status, body }: Answer, fault: LnbitsAnswers): void {
  const text = JSON.stringify(body);
  const half = text.slice(0, text.length / 2);
  switch (fault) {
    case 'sound':
    case 'backend':
      json(response, status).end(text);
      return;
    case 'error':
      json(response, 520).end(JSON.stringify({ detail: 'Unexpected backend error.', status: 'failed' }));
      return;
    case 'limited':
      json(response, 429).end(JSON.stringify({ error: 'Rate limit exceeded: 200 per 1 minute' }));
      return;
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html><body>Sign in</body></html>');
      return;
    case 'redirect':
      response.writeHead(307, { location: '/elsewhere' }).end();
      return;
    case 'hang':
      return;
    case 'stall':
      json(response, status).write(half);
      return;
    case 'truncated':
      json(response, status).end(half);
      return;
    case 'cut':
      json(response, status, text.length).write(half, () => response.destroy());
      return;
    case 'oversized':
      sendForever(json(response, status));
      return;
  }
}

function json(response: ServerResponse, status: number, length?: number): ServerResponse {
  return response.writeHead(status, {
    'content-type': 'application/json',
    ...(length !== undefined && { 'content-length': length }),
  });
}

function sendForever(response: ServerResponse): void {
  let isOpen = true;
  response.on('close', () => {
    isOpen = false;
  });
  const more = () => {
    if (isOpen) response.write(Buffer.alloc(65_536, ' '), more);
  };
  more();
}
