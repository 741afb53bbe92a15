-- What a transfer left on its accounts; empty for accounts that only collect.
ALTER TABLE transfers ADD COLUMN from_balance bigint;
ALTER TABLE transfers ADD COLUMN to_balance bigint;
WITH entries AS (
  SELECT id, from_account AS account, -amount_sats AS change FROM transfers
  UNION ALL SELECT id, to_account, amount_sats FROM transfers
), booked AS (
  SELECT id, account, sum(change) OVER (PARTITION BY account ORDER BY id) AS balance
  FROM entries WHERE account NOT IN ('lightning', 'revenue')
), left_behind AS (
  SELECT t.id, f.balance AS from_balance, o.balance AS to_balance FROM transfers t
  LEFT JOIN booked f ON f.id = t.id AND f.account = t.from_account
  LEFT JOIN booked o ON o.id = t.id AND o.account = t.to_account
)
UPDATE transfers t SET from_balance = l.from_balance, to_balance = l.to_balance
FROM left_behind l WHERE l.id = t.id;
