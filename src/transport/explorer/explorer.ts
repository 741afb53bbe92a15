import type { BlockData, MempoolData, TipData, TransactionData } from './data.ts';
import { documents } from './documents.ts';
import { html } from './html.ts';
import { type PageWebSocket, page, section } from './page.ts';
import { blockSection, mempoolSection, recentSection, tipSection, transactionSection } from './sections.ts';

/** What a page is answered with. */
export type Answer = { readonly status: number; readonly page: string } | { readonly redirect: string };

/** What a document of the explorer answers: the same as to whoever sends it to the API without credentials. */
export type Ask = (
  document: string,
  variables: Readonly<Record<string, unknown>>,
) => Promise<
  { readonly data: Readonly<Record<string, unknown>> } | { readonly code: string; readonly message: string }
>;

interface Dependencies {
  readonly ask: Ask;
  /** Read when a page is made. */
  readonly webSocket: () => PageWebSocket | undefined;
}

const hashPattern = /^[0-9a-f]{64}$/;
const heightPattern = /^\d{1,9}$/;

/** The pages about the chain: made of what the API answers. */
export function createExplorer({ ask, webSocket }: Dependencies) {
  function said(status: number, title: string, text: string): Answer {
    const body = section('said', html`<h1>${title}</h1><p>${text}</p>`);
    return { status, page: page({ title, body }, webSocket()) };
  }

  const notFound = () => said(404, 'Not found', 'The chain has nothing of this name.');

  /** Shows what a document answers, or why it answers nothing. */
  async function shown<Data>(
    document: string,
    variables: Readonly<Record<string, unknown>>,
    show: (data: Data) => Answer,
  ): Promise<Answer> {
    const answer = await ask(document, variables);
    if ('data' in answer) return show(answer.data as Data);
    if (answer.code === 'BAD_USER_INPUT') return notFound();
    return answer.code === 'UNAVAILABLE'
      ? said(503, 'Not now', answer.message)
      : said(500, 'Not now', 'Something went wrong.');
  }

  type Both = { readonly chainTip: TipData; readonly mempool: MempoolData };

  const overview = () =>
    shown<Both>(documents.overview, {}, ({ chainTip, mempool }) => ({
      status: 200,
      page: page(
        {
          title: `Block ${chainTip.height}`,
          body: html`${section('tip', tipSection(chainTip))}${section('mempool', mempoolSection(mempool))}`,
          live: ['tip', 'mempool'],
        },
        webSocket(),
      ),
    }));

  const mempool = () =>
    shown<Pick<Both, 'mempool'>>(documents.mempool, {}, (data) => ({
      status: 200,
      page: page(
        {
          title: 'Mempool',
          body: html`${section('mempool', mempoolSection(data.mempool))}${section('recent', recentSection(data.mempool))}`,
          live: ['mempool'],
        },
        webSocket(),
      ),
    }));

  function block(name: string): Promise<Answer> | Answer {
    if (!hashPattern.test(name) && !heightPattern.test(name)) return notFound();
    const by = hashPattern.test(name) ? { hash: name } : { height: Number(name) };
    return shown<{ chainTip: TipData; block: BlockData | null }>(documents.block, by, (data) =>
      data.block
        ? {
            status: 200,
            page: page(
              {
                title: `Block ${data.block.height}`,
                body: section('block', blockSection(data.block, data.chainTip)),
              },
              webSocket(),
            ),
          }
        : notFound(),
    );
  }

  function transaction(txid: string): Promise<Answer> | Answer {
    if (!hashPattern.test(txid)) return notFound();
    return shown<{ transaction: TransactionData | null }>(documents.transaction, { txid }, (data) =>
      data.transaction
        ? {
            status: 200,
            page: page(
              {
                title: `Transaction ${txid}`,
                body: section('transaction', transactionSection(data.transaction)),
              },
              webSocket(),
            ),
          }
        : notFound(),
    );
  }

  /** Where something is shown that was typed in: a height, or the hash of a block or of a transaction. */
  async function search(typed: string): Promise<Answer> {
    const wanted = typed.trim().toLowerCase();
    if (heightPattern.test(wanted)) return { redirect: `/explorer/block/${wanted}` };
    if (!hashPattern.test(wanted)) return notFound();
    const answer = await ask(documents.block, { hash: wanted });
    const isBlock = 'data' in answer && answer.data.block !== null;
    return { redirect: `/explorer/${isBlock ? 'block' : 'tx'}/${wanted}` };
  }

  return {
    /** The page of a path behind `/explorer`. */
    async page(path: string, query: URLSearchParams): Promise<Answer> {
      const [kind = '', name = '', ...more] = path.split('/');
      if (more.length > 0) return notFound();
      if (kind === '' && name === '') return overview();
      if (kind === 'mempool' && name === '') return mempool();
      if (kind === 'block') return block(name);
      if (kind === 'tx') return transaction(name);
      if (kind === 'search' && name === '') return search(query.get('q') ?? '');
      return notFound();
    },
  };
}

export type Explorer = ReturnType<typeof createExplorer>;
