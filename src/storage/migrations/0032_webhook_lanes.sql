-- Whose an endpoint is: deliveries of strangers never take all places, and nobody takes those of others.
ALTER TABLE webhook_endpoints ADD COLUMN strangers INTEGER NOT NULL DEFAULT 0;  -- 1: nobody with an account gave it
ALTER TABLE webhook_endpoints ADD COLUMN lane TEXT NOT NULL DEFAULT '';         -- shares places: an account, or a site
UPDATE webhook_endpoints SET strangers = CASE WHEN family IN ('gifts', 'tips') THEN 1 ELSE 0 END,
    lane = CASE WHEN family IN ('gifts', 'tips') THEN '' ELSE 'endpoint ' || id END;
DROP INDEX webhook_endpoints_due;
CREATE INDEX webhook_endpoints_due ON webhook_endpoints (strangers, next_try_at, lane) WHERE next_try_at IS NOT NULL;
