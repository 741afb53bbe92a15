-- Whether it is for sale: until it is sold, or not for sale any more, nothing is paid out of it but at its end.
ALTER TABLE streams ADD COLUMN is_held boolean NOT NULL DEFAULT false;
UPDATE streams SET is_held = true
WHERE id IN (SELECT stream_id FROM listings WHERE state = 'ACTIVE' AND origin = 'SATWIRE');
