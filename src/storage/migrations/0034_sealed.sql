-- What opens money or words is sealed with a key outside of this file: see store::sealed, which has `seal`.
-- The columns keep their names and types; only what is in them is sealed.
PRAGMA defer_foreign_keys = ON;

CREATE TABLE sealing (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    mark    TEXT    NOT NULL,               -- by which a wrong key is noticed
    cleaned INTEGER NOT NULL                -- 1: nothing from before is left in unused parts of the file
) STRICT;
-- A new file has nothing to clean.
INSERT INTO sealing (id, mark, cleaned) VALUES (1, seal('satchel'),
    NOT EXISTS (SELECT 1 FROM gift_secret) AND NOT EXISTS (SELECT 1 FROM tip_secret) AND NOT EXISTS (SELECT 1 FROM l402_secret)
    AND NOT EXISTS (SELECT 1 FROM purse_secret) AND NOT EXISTS (SELECT 1 FROM charges) AND NOT EXISTS (SELECT 1 FROM idempotency)
    AND NOT EXISTS (SELECT 1 FROM event_log) AND NOT EXISTS (SELECT 1 FROM webhook_endpoints)
    AND NOT EXISTS (SELECT 1 FROM l402_proxies) AND NOT EXISTS (SELECT 1 FROM operator_acts));

-- What the services derive their ids, LNURL keys, handles, macaroons and seals from.
UPDATE gift_secret SET secret = seal(secret);
UPDATE tip_secret SET secret = seal(secret);
UPDATE l402_secret SET secret = seal(secret);
UPDATE purse_secret SET secret = seal(secret);

UPDATE charges SET preimage = seal(preimage) WHERE preimage IS NOT NULL;

-- Wallets write the description that they were offered into their invoice, and a gift's names the gift.
UPDATE payouts SET invoice = seal(invoice);

-- Four digits: sealed for their row, or equal codes would look equal.
ALTER TABLE gifts ADD COLUMN sealed_code TEXT;
UPDATE gifts SET sealed_code = seal(printf('%04d', verify_code), id) WHERE verify_code IS NOT NULL;
ALTER TABLE gifts DROP COLUMN verify_code;
UPDATE gifts SET order_id = seal(order_id), notify_secret = seal(notify_secret, id);

UPDATE tips SET public_id = seal(public_id);
UPDATE tip_groups SET public_id = seal(public_id);
UPDATE tip_links SET id = seal(id);
UPDATE tip_link_tips SET link_id = seal(link_id);
UPDATE tip_mail_logins SET tip = seal(tip) WHERE tip IS NOT NULL;

UPDATE shop_orders SET claim_token = seal(claim_token), claim_hash = seal(claim_hash), status_token = seal(status_token);

UPDATE payment_merchants SET webhook_secret = seal(webhook_secret);
UPDATE webhook_endpoints SET secret = seal(secret);
UPDATE webhook_messages SET payload = seal(payload);
UPDATE l402_proxies SET auth_value = seal(auth_value) WHERE auth_value IS NOT NULL;

UPDATE idempotency SET response = seal(response);
UPDATE event_log SET subject = seal(subject), data = seal(data);

DROP TRIGGER operator_acts_stand;
UPDATE operator_acts SET subject = seal(subject), details = seal(details);
CREATE TRIGGER operator_acts_stand BEFORE UPDATE ON operator_acts WHEN OLD.outcome <> 'begun'
BEGIN SELECT RAISE(ABORT, 'acts of operators are never changed'); END;
