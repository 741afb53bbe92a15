import { createServer } from 'node:http';
import { Redis } from 'ioredis';
import { type WebSocket, WebSocketServer } from 'ws';
import { channelOf } from './channels.ts';
import { port, redisUrl } from './environment.ts';

/** The least that can be done with `ws`: what comes from Redis goes to every socket as it is. */
const rooms = new Map<string, Set<WebSocket>>();
const subscriber = new Redis(redisUrl);
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });

sockets.on('connection', (socket, request) => {
  const channel = channelOf(String(new URL(String(request.url), 'http://localhost').searchParams.get('id')));
  const room = rooms.get(channel) ?? new Set();
  if (!rooms.has(channel)) {
    rooms.set(channel, room);
    subscriber.subscribe(channel);
  }
  room.add(socket);
  socket.on('close', () => room.delete(socket));
});

subscriber.on('message', (channel, frame) => {
  for (const socket of rooms.get(channel) ?? []) socket.send(frame);
});

server.listen(port, '127.0.0.1');
