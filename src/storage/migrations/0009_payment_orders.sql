-- What an order that is made again looks for, however many there were before.
DROP INDEX payments_by_order;
CREATE INDEX payments_by_order ON payments (account_id, order_id, status, id);

-- What a further refund of a payment looks for, however many have failed.
CREATE INDEX payment_refunds_live ON payment_refunds (payment_id, amount) WHERE status <> 'failed';
CREATE INDEX payment_refunds_uncovered ON payment_refunds (payment_id, id) WHERE uncovered_msat > 0;
