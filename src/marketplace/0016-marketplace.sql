CREATE TABLE listings (
  id text PRIMARY KEY,
  origin text NOT NULL,
  stream_id text,
  -- How the contract of a mirrored one names its stream, which may be mirrored later than the listing.
  chain_stream text,
  -- A user; of a mirrored listing, a principal.
  seller text NOT NULL,
  price_sats bigint NOT NULL CHECK (price_sats > 0),
  state text NOT NULL,
  -- Which listing of the chain it mirrors.
  chain_key text UNIQUE,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX listings_stream ON listings (stream_id) WHERE state = 'ACTIVE' AND origin = 'SATWIRE';
CREATE INDEX listings_state ON listings (state, created_at, id);
CREATE INDEX listings_created ON listings (created_at, id);
