import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { channelOf } from './channels.ts';
import { port, redisUrl } from './environment.ts';

/** Socket.IO with its Redis adapter, as its documentation has it; a room for each id. */
const publisher = new Redis(redisUrl);
const server = createServer();
const io = new Server(server, { adapter: createAdapter(publisher, publisher.duplicate()) });

io.on('connection', (socket) => {
  socket.join(channelOf(String(socket.handshake.query.id)));
});

server.listen(port, '127.0.0.1');
