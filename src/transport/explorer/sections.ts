import type { BlockData, MempoolData, TipData, TransactionData } from './data.ts';
import { type Html, html } from './html.ts';

// Made on the server for the page, and in the browser when something has changed: by the same code.

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

const rate = (satPerVbyte: number | null) =>
  satPerVbyte === null ? '–' : `${number.format(satPerVbyte)} sat/vB`;

const time = (at: string): Html =>
  html`<time datetime="${at}">${at.replace('T', ' ').replace(/\.\d+Z$/, 'Z')}</time>`;

const blockLink = (hash: string, text: string | number): Html =>
  html`<a href="/explorer/block/${hash}">${text}</a>`;
const txLink = (txid: string): Html => html`<a class="hash" href="/explorer/tx/${txid}">${txid}</a>`;

const facts = (rows: ReadonlyArray<readonly [name: string, value: Html | string]>): Html =>
  html`<dl>${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** Where the chain ends. */
export function tipSection({ height, hash, time: at, chain, feeEstimates }: TipData): Html {
  return html`<h2>Tip</h2>
    <p class="height">${blockLink(hash, number.format(height))}</p>
    ${facts([
      ['Hash', html`<span class="hash">${hash}</span>`],
      ['Time', time(at)],
      ['Chain', chain],
      ...feeEstimates.map(
        ({ targetBlocks, satPerVbyte }) =>
          [targetBlocks === 1 ? 'Next block' : `Within ${targetBlocks} blocks`, rate(satPerVbyte)] as const,
      ),
    ])}`;
}

/** What waits, in short. */
export function mempoolSection({
  txCount,
  virtualSize,
  medianFeeRate,
  updatedAt,
  histogram,
}: MempoolData): Html {
  const most = Math.max(1, ...histogram.map((bucket) => bucket.virtualSize));
  return html`<h2>Waiting</h2>
    ${facts([
      ['Transactions', number.format(txCount)],
      ['Size', `${number.format(virtualSize)} vB`],
      ['Median', rate(medianFeeRate)],
      ['As of', time(updatedAt)],
    ])}
    <table>
      <caption>By feerate</caption>
      <thead><tr><th scope="col">sat/vB</th><th scope="col">Transactions</th><th scope="col">vB</th><th></th></tr></thead>
      <tbody>${histogram.map(
        ({ fromSatPerVbyte, toSatPerVbyte, count, virtualSize: size }) =>
          html`<tr><th scope="row">${fromSatPerVbyte}${toSatPerVbyte === null ? '+' : `–${toSatPerVbyte}`}</th>
            <td>${number.format(count)}</td><td>${number.format(size)}</td>
            <td><meter min="0" max="${most}" value="${size}"></meter></td></tr>`,
      )}</tbody>
    </table>`;
}

/** The transactions that came last. */
export function recentSection({ recent }: MempoolData): Html {
  if (recent.length === 0) return html`<h2>Newest</h2><p>Nothing waits.</p>`;
  return html`<h2>Newest</h2>
    <table>
      <thead><tr><th scope="col">Transaction</th><th scope="col">Feerate</th><th scope="col">vB</th></tr></thead>
      <tbody>${recent.map(
        ({ txid, feeRate, virtualSize }) =>
          html`<tr><td>${txLink(txid)}</td><td>${rate(feeRate)}</td><td>${number.format(virtualSize)}</td></tr>`,
      )}</tbody>
    </table>`;
}

export function blockSection(block: BlockData, tip: TipData): Html {
  const confirmations = block.isCanonical ? Math.max(0, tip.height - block.height + 1) : 0;
  return html`<h2>Block ${number.format(block.height)}</h2>
    ${block.isCanonical ? '' : html`<p class="warning">A reorganisation has taken it off the chain.</p>`}
    ${facts([
      ['Hash', html`<span class="hash">${block.hash}</span>`],
      ['Confirmations', number.format(confirmations)],
      ['Time', time(block.time)],
      ['Transactions', number.format(block.txCount)],
      ['Size', `${number.format(block.sizeBytes)} B`],
      ['Weight', number.format(block.weight)],
      ['Before it', block.previousHash === null ? '–' : blockLink(block.previousHash, block.previousHash)],
    ])}`;
}

const sats = (amount: number | null) => (amount === null ? '–' : `${number.format(amount)} sats`);

export function transactionSection(tx: TransactionData): Html {
  const parts = (title: string, list: TransactionData['inputs']) =>
    html`<h3>${title}</h3>
      <ol>${list.map(({ address, sats: amount }) => html`<li><span class="hash">${address ?? 'no address'}</span> ${sats(amount)}</li>`)}</ol>`;
  return html`<h2>Transaction</h2>
    ${facts([
      ['Id', html`<span class="hash">${tx.txid}</span>`],
      ['Confirmations', tx.block ? number.format(tx.confirmations) : 'waits to be confirmed'],
      ['Block', tx.block ? blockLink(tx.block.hash, number.format(tx.block.height)) : '–'],
      ['Fee', sats(tx.feeSats)],
      ['Feerate', rate(tx.feeRate)],
      ['Size', `${number.format(tx.virtualSize)} vB`],
      ['Weight', number.format(tx.weight)],
    ])}
    ${tx.isCoinbase ? html`<p>It makes what a miner earns.</p>` : parts('Spends', tx.inputs)}
    ${parts('Pays', tx.outputs)}`;
}
