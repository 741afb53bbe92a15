import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Redis } from 'ioredis';
import pg from 'pg';
import { type WebSocket, WebSocketServer } from 'ws';
import { databaseUrl, port, redisUrl } from './environment.ts';

/** Raw `ws` behind the same database: woken by the same message, it reads the row and sends it to every socket. */
interface Row {
  readonly id: string;
  readonly epoch: string;
  readonly facts: { readonly balanceAfter: number };
}

const rooms = new Map<string, Set<WebSocket>>();
const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });
const subscriber = new Redis(redisUrl);
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
const operationId = randomUUID();

sockets.on('connection', (socket, request) => {
  const topic = `session:${new URL(String(request.url), 'http://localhost').searchParams.get('id')}`;
  const room = rooms.get(topic) ?? new Set();
  rooms.set(topic, room);
  room.add(socket);
  socket.on('close', () => room.delete(socket));
});

async function broadcast(topic: string, seq: number): Promise<void> {
  const { rows } = await pool.query<Row>(
    `SELECT e.id, e.facts, t.epoch FROM topic_events p
     JOIN topics t ON t.topic = p.topic JOIN events e ON e.id = p.event_id WHERE p.topic = $1 AND p.seq = $2`,
    [topic, seq],
  );
  const { id, facts, epoch } = rows[0] as Row;
  const cursor = Buffer.from(`${epoch}.${seq}.${topic}`).toString('base64url');
  const data = { sessionDebited: { id, balanceAfter: facts.balanceAfter, cursor } };
  const frame = JSON.stringify({ id: operationId, type: 'next', payload: { data } });
  for (const socket of rooms.get(topic) ?? []) socket.send(frame);
}

await subscriber.psubscribe('satwire:*:session:*');
subscriber.on('pmessage', (_pattern, _channel, text) => {
  const { topic, seq } = JSON.parse(text) as { topic: string; seq: number };
  broadcast(topic, seq);
});

server.listen(port, '127.0.0.1');
