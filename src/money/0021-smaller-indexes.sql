-- Each booking keeps up what somebody reads, and no more: statements are of wallets, and only what expires is looked for.
DROP INDEX collected_changes_account;
DROP INDEX transfers_from;
DROP INDEX transfers_to;
CREATE INDEX transfers_from_wallet ON transfers (from_account, id) WHERE from_account LIKE 'wallet:%';
CREATE INDEX transfers_to_wallet ON transfers (to_account, id) WHERE to_account LIKE 'wallet:%';
DROP INDEX idempotency_keys_expiry;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at) WHERE expires_at IS NOT NULL;
