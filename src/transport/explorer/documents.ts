// What pages show and what keeps them live are the same fields.

const tip = '{ height hash time chain feeEstimates { targetBlocks satPerVbyte } cursor }';
const mempool = `{
  txCount virtualSize medianFeeRate updatedAt
  histogram { fromSatPerVbyte toSatPerVbyte count virtualSize }
  recent { txid feeRate virtualSize enteredAt }
}`;
const block = '{ hash height previousHash time txCount sizeBytes weight isCanonical }';

export const documents = {
  overview: `query ExplorerOverview { chainTip ${tip} mempool ${mempool} }`,
  mempool: `query ExplorerMempool { mempool ${mempool} }`,
  block: `query ExplorerBlock($hash: ID, $height: Int) { chainTip ${tip} block(hash: $hash, height: $height) ${block} }`,
  transaction: `query ExplorerTransaction($txid: ID!) {
    chainTip ${tip}
    transaction(txid: $txid) {
      txid virtualSize weight feeSats feeRate isCoinbase confirmations block { hash height }
      inputs { address sats } outputs { address sats }
    }
  }`,
  tipUpdated: `subscription ExplorerTip { tipUpdated { cursor tip ${tip} } }`,
  mempoolUpdated: `subscription ExplorerMempoolLive { mempoolUpdated { cursor mempool ${mempool} } }`,
} as const;
