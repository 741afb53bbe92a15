import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Publisher } from 'zeromq';
import { freePort } from '../../scripts/lib/server.ts';
import { until } from './until.ts';

const digest = (text: string) => createHash('sha256').update(text).digest('hex');

export interface CoreBlock {
  readonly hash: string;
  readonly height: number;
  readonly parent: string | undefined;
  readonly txids: readonly string[];
}

/** How Core fails: it is still loading, does not answer at all, answers something else, or is not there. */
export type CoreFault = 'WARMING_UP' | 'SILENT' | 'GARBAGE' | 'DOWN';

interface Options {
  /** Whose shapes it answers in. */
  readonly version?: 24 | 31;
  /** Without ZeroMQ it has to be asked. */
  readonly publishes?: boolean;
  /** It takes no transactions (`blocksonly`), and so estimates no fees. */
  readonly isBlocksOnly?: boolean;
  /** Blocks below this height are pruned. */
  readonly prunedBelow?: number;
  /** At this height is one that is pruned before it is asked for its transactions. */
  readonly prunedSoon?: number;
}

/** A transaction: its size in vB, its fee in sats, the outputs that it spends (`txid:index`), and whom it pays. */
export interface CoreTx {
  readonly vsize: number;
  readonly fee: number;
  readonly spends?: readonly string[];
  readonly pays?: readonly string[];
}

type Call = (...params: never[]) => unknown;

class CallError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const user = 'satwire';
const password = 'a password of Core';
let cores = 0;

/**
 * Stands in for Bitcoin Core: its JSON-RPC with the codes and status of Core, and real ZeroMQ publishers, whose frames
 * are the topic, the hash in the order of RPC, and a counter per topic that a restart resets.
 */
export async function startCore({
  version = 31,
  publishes = true,
  isBlocksOnly = false,
  prunedBelow = 0,
  prunedSoon,
}: Options = {}) {
  cores += 1;
  const name = `core ${cores}`;
  const blocks = new Map<string, CoreBlock>();
  const coinbases = new Set<string | undefined>();
  let made = 0;
  let fault: CoreFault | undefined;
  const silent = new Set<Socket>();
  let shownTip: CoreBlock | undefined;
  let asked = 0;
  const counters = { hashblock: 0, sequence: 0 };

  function blockOn(parent: CoreBlock | undefined, has: readonly string[] = []): CoreBlock {
    made += 1;
    const others = Array.from({ length: 3 }, (_, n) => digest(`${name} block ${made} tx ${n}`));
    const block = {
      hash: digest(`${name} block ${made}`),
      height: parent ? parent.height + 1 : 0,
      parent: parent?.hash,
      txids: [...others, ...has],
    };
    blocks.set(block.hash, block);
    coinbases.add(block.txids[0]);
    return block;
  }
  /** What waits, and since when (seconds). */
  const waiting = new Map<string, CoreTx & { readonly time: number }>();
  /** All that ever waited. */
  const known = new Map<string, CoreTx>();
  const waitsNoMore = (txids: readonly string[]) => {
    for (const txid of txids) waiting.delete(txid);
  };
  let chain: CoreBlock[] = [blockOn(undefined)];
  const tip = () => chain.at(-1) as CoreBlock;

  const find = (hash: string): CoreBlock => {
    const block = blocks.get(hash);
    if (!block) throw new CallError(-5, 'Block not found');
    return block;
  };
  const header = (block: CoreBlock) => ({
    hash: block.hash,
    confirmations: chain[block.height] === block ? tip().height - block.height + 1 : -1,
    height: block.height,
    version: 0x2000_0000,
    time: 1_780_000_000 + block.height * 600,
    mediantime: 1_780_000_000 + block.height * 600 - 3_600,
    nTx: block.txids.length,
    difficulty: 1,
    ...(block.parent !== undefined && { previousblockhash: block.parent }),
    ...(version >= 31 && { target: '00'.repeat(32) }),
  });
  const toOutput = (address: string, n = 0) => ({
    ...{ value: 0.5, n },
    scriptPubKey: { asm: '0 00', hex: '0000', address, type: 'witness_v0_keyhash' },
  });
  /** A transaction as Core shows it: of what it spends, and what it pays, Core says more of one that a block has. */
  function toTx(txid: string, block: CoreBlock | undefined) {
    const { vsize, fee, spends, pays } = known.get(txid) ?? { vsize: 200, fee: 1_000 };
    const isCoinbase = coinbases.has(txid);
    const inputs = (spends ?? [`${digest(`before ${txid}`)}:0`]).map((output) => {
      const [spent = '', index] = output.split(':');
      const prevout = {
        generated: false,
        height: 1,
        ...toOutput(known.get(spent)?.pays?.[0] ?? 'bcrt1qbefore'),
      };
      return { txid: spent, vout: Number(index), sequence: 0xffff_fffd, ...(block && { prevout }) };
    });
    return {
      ...{ txid, hash: txid, version: 2, size: vsize, vsize, weight: vsize * 4, locktime: 0 },
      hex: '00'.repeat(vsize),
      vin: isCoinbase ? [{ coinbase: '00', sequence: 0 }] : inputs,
      vout: [
        ...(pays ?? ['bcrt1qafter']).map(toOutput),
        { value: 0, n: pays?.length ?? 1, scriptPubKey: { asm: 'OP_RETURN', hex: '6a', type: 'nulldata' } },
      ],
      ...(block && !isCoinbase && { fee: fee / 1e8 }),
    };
  }
  const calls: Record<string, Call> = {
    getblockchaininfo: () => ({
      ...{ chain: 'regtest', blocks: tip().height, headers: tip().height },
      bestblockhash: (shownTip ?? tip()).hash,
      ...{ verificationprogress: 1, initialblockdownload: false, pruned: false },
      warnings: version >= 28 ? [] : '',
    }),
    getblockheader: (hash: string) => header(find(hash)),
    getblock(hash: string, verbosity: number) {
      const block = find(hash);
      const isPruned = block.height < prunedBelow || (verbosity === 3 && block.height === prunedSoon);
      if (isPruned) throw new CallError(-1, 'Block not available (pruned data)');
      return {
        ...header(block),
        ...{ size: 900 + block.txids.length, strippedsize: 800, weight: 3_300 },
        tx: verbosity === 3 ? block.txids.map((txid) => toTx(txid, block)) : block.txids,
        ...(version >= 31 && { coinbase_tx: { version: 2, locktime: 0, sequence: 0, coinbase: '00' } }),
      };
    },
    getblockhash(height: number) {
      const block = chain[height];
      if (!block) throw new CallError(-8, 'Block height out of range');
      return block.hash;
    },
    getrawmempool: () => [...waiting.keys()],
    getmempoolentry(txid: string) {
      const tx = waiting.get(txid);
      if (!tx) throw new CallError(-5, 'Transaction not in mempool');
      return {
        ...{ vsize: tx.vsize, weight: tx.vsize * 4, time: tx.time, height: tip().height, unbroadcast: false },
        fees: { base: tx.fee / 1e8, modified: tx.fee / 1e8, ...(version >= 31 && { chunk: tx.fee / 1e8 }) },
        ...{ depends: [], spentby: [] },
        ...(version < 31 && { 'bip125-replaceable': false }),
        ...(version >= 31 && { chunkweight: tx.vsize * 4 }),
      };
    },
    getrawtransaction(txid: string, verbosity: number) {
      const block = chain.find(({ txids }) => txids.includes(txid));
      if (!block && !waiting.has(txid)) throw new CallError(-5, 'No such mempool or blockchain transaction.');
      return {
        ...toTx(txid, verbosity === 2 && version >= 25 ? block : undefined),
        ...(block && { blockhash: block.hash, confirmations: tip().height - block.height + 1 }),
      };
    },
    // Of the chain alone: what was made by something that waits is not there.
    gettxout: (txid: string) =>
      waiting.has(txid)
        ? null
        : {
            bestblock: tip().hash,
            confirmations: 9,
            ...toOutput(known.get(txid)?.pays?.[0] ?? 'bcrt1qbefore'),
          },
    // Nothing is known of the next block, as on a young regtest chain.
    estimatesmartfee(target: number) {
      if (isBlocksOnly) throw new CallError(-32_603, 'Fee estimation disabled');
      return target === 1
        ? { errors: ['Insufficient data or no feerate found'], blocks: 2 }
        : { feerate: 0.00012345, blocks: target };
    },
  };

  type Request = { readonly id: unknown; readonly method: string; readonly params: unknown[] };

  function answer(body: string): { status: number; text: string } {
    const request: Request | Request[] = JSON.parse(body);
    if (!Array.isArray(request)) return answerOne(request);
    // Of a batch, the status says nothing.
    return { status: 200, text: `[${request.map((each) => answerOne(each).text).join(',')}]` };
  }

  function answerOne({ id, method, params }: Request): { status: number; text: string } {
    try {
      if (fault === 'WARMING_UP') throw new CallError(-28, 'Loading block index…');
      const call = calls[method];
      if (!call) throw new CallError(-32_601, 'Method not found');
      return { status: 200, text: JSON.stringify({ result: call(...(params as never[])), error: null, id }) };
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      const { code, message } = error;
      return { status: 500, text: JSON.stringify({ result: null, error: { code, message }, id }) };
    }
  }

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    asked += 1;
    if (fault === 'SILENT') return void silent.add(request.socket);
    if (fault === 'DOWN') return void request.socket.destroy();
    if (fault === 'GARBAGE') return void response.end('<html>not Core</html>');
    const expected = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    if (request.headers.authorization !== expected) return void response.writeHead(401).end();
    const { status, text } = answer(Buffer.concat(chunks).toString());
    response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const zmqAddress = `tcp://127.0.0.1:${await freePort()}`;
  let publisher: Publisher | undefined;
  async function bind(): Promise<void> {
    const socket = new Publisher({ linger: 0 });
    // The one before it may still be closing.
    await until('the address', () =>
      socket.bind(zmqAddress).then(
        () => true,
        () => false,
      ),
    );
    publisher = socket;
  }
  if (publishes) await bind();

  /** Messages leave one after the other, whoever sends them. */
  let sending = Promise.resolve();
  function publish(topic: 'hashblock' | 'sequence', body: Buffer, isLost: boolean): void {
    const count = Buffer.alloc(4);
    count.writeUInt32LE(counters[topic] % 2 ** 32);
    counters[topic] += 1;
    const socket = publisher;
    if (isLost || !socket) return;
    sending = sending.then(() => socket.send([topic, body, count])).catch(() => {});
  }

  let mempoolSequence = 0;
  function waitingMessage(txid: string, label: string): Buffer {
    const sequence = Buffer.alloc(8);
    sequence.writeBigUInt64LE(BigInt(mempoolSequence));
    return Buffer.concat([Buffer.from(txid, 'hex'), Buffer.from(label), sequence]);
  }

  interface Telling {
    /** The messages are numbered, and never come. */
    readonly isLost?: boolean;
    /** They come twice, with the same numbers. */
    readonly isRepeated?: boolean;
  }

  function tell(
    gone: readonly CoreBlock[],
    come: readonly CoreBlock[],
    { isLost = false, isRepeated }: Telling,
  ): void {
    const mark = (block: CoreBlock, letter: string) =>
      publish('sequence', Buffer.concat([Buffer.from(block.hash, 'hex'), Buffer.from(letter)]), isLost);
    const before = { ...counters };
    for (let time = 0; time < (isRepeated ? 2 : 1); time += 1) {
      Object.assign(counters, before);
      for (const block of gone) mark(block, 'D');
      for (const block of come) mark(block, 'C');
      // Of a reorganisation, Core tells the new tip alone.
      for (const block of gone.length > 0 ? come.slice(-1) : come)
        publish('hashblock', Buffer.from(block.hash, 'hex'), isLost);
    }
  }

  return {
    rpcUrl: `http://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}`,
    /** The environment of a server that follows this node. */
    env: {
      BITCOIND_RPC_URL: `http://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}`,
      ...(publishes && { BITCOIND_ZMQ_HASHBLOCK: zmqAddress, BITCOIND_ZMQ_SEQUENCE: zmqAddress }),
    } as Record<string, string>,
    cookie: `${user}:${password}`,
    /** Where RPC is, without a password. */
    bareUrl: `http://127.0.0.1:${port}`,
    tip,
    chain: (): readonly CoreBlock[] => chain,
    isWaiting: (txid: string) => waiting.has(txid),
    /** Whether a transaction that was made can come to wait: it does not, and nothing of the chain spends the same. */
    mayEnter(txid: string): boolean {
      const { spends } = known.get(txid) ?? {};
      const rivals = (other: string) =>
        other === txid || known.get(other)?.spends?.some((output) => spends?.includes(output));
      return known.has(txid) && !waiting.has(txid) && !chain.some(({ txids }) => txids.some(rivals));
    },
    asked: () => asked,

    /** Puts blocks upon the tip, the first of them with transactions, which wait no more. */
    mine(
      count = 1,
      { has = [], ...telling }: Telling & { readonly has?: readonly string[] } = {},
    ): CoreBlock[] {
      const come = Array.from({ length: count }, (_, n) => {
        chain.push(blockOn(tip(), n === 0 ? has : []));
        return tip();
      });
      waitsNoMore(has);
      tell([], come, telling);
      return come;
    },

    /** Takes blocks off the chain, the highest first, and puts others in their place. */
    reorganise(depth: number, come: number, telling: Telling = {}): { gone: CoreBlock[]; come: CoreBlock[] } {
      const gone = chain.splice(chain.length - depth).reverse();
      for (let n = 0; n < come; n += 1) chain.push(blockOn(tip()));
      const added = chain.slice(chain.length - come);
      tell(gone, added, telling);
      return { gone, come: added };
    },

    /** Puts the chain back to what it was: blocks that were there before come again. */
    restore(blocksOfBefore: readonly CoreBlock[], telling: Telling = {}): void {
      const gone = chain.filter((block) => !blocksOfBefore.includes(block)).reverse();
      const come = blocksOfBefore.filter((block) => !chain.includes(block));
      chain = [...blocksOfBefore];
      tell(gone, come, telling);
    },

    /** Transactions that nobody has heard of yet; answers their ids. */
    make(txs: readonly CoreTx[]): string[] {
      return txs.map((tx) => {
        made += 1;
        const txid = digest(`${name} made ${made}`);
        known.set(txid, tx);
        return txid;
      });
    },

    /** Transactions come to wait; answers their ids. */
    enter(txs: readonly CoreTx[], telling: Telling = {}): string[] {
      const txids = this.make(txs);
      this.enterMade(txids, telling);
      return txids;
    },

    /** Transactions that were made come to wait, also once more. Those that spend what others do take their places. */
    enterMade(txids: readonly string[], telling: Telling = {}): void {
      for (const txid of txids) {
        const tx = known.get(txid) as CoreTx;
        const rivals = tx.spends
          ? [...waiting].filter(([, { spends }]) => spends?.some((output) => tx.spends?.includes(output)))
          : [];
        this.leave(
          rivals.map(([rival]) => rival),
          telling,
        );
        waiting.set(txid, { ...tx, time: Math.floor(Date.now() / 1_000) });
        mempoolSequence += 1;
        publish('sequence', waitingMessage(txid, 'A'), telling.isLost ?? false);
      }
    },

    /** They wait no more: told one by one, or, when a block has them, by the block alone. */
    leave(txids: readonly string[], { isConfirmed = false, isLost = false } = {}): void {
      for (const txid of txids) {
        waiting.delete(txid);
        mempoolSequence += 1;
        if (!isConfirmed) publish('sequence', waitingMessage(txid, 'R'), isLost);
      }
      if (isConfirmed) {
        chain.push(blockOn(tip(), txids));
        tell([], [tip()], { isLost });
      }
    },

    /** Whoever asks for the tip is told of the present one until it is let go. */
    holdTip(isHeld: boolean): void {
      shownTip = isHeld ? tip() : undefined;
    },

    fail(by: CoreFault | undefined): void {
      if (by === 'DOWN') for (const socket of silent) socket.destroy();
      fault = by;
    },

    /** Stops publishing, and begins anew: the counters with it. */
    async restart(): Promise<void> {
      await sending;
      publisher?.close();
      counters.hashblock = 0;
      counters.sequence = 0;
      if (publishes) await bind();
    },

    async stop(): Promise<void> {
      await sending;
      publisher?.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type Core = Awaited<ReturnType<typeof startCore>>;
