-- Moves a credential's signature counter (W3C WebAuthn Level 3, 7.2 step 22), never back.
--
-- KEYS: 1 factors of the user, 2 the factor
-- ARGV: 1 factor id, 2 the counter that the assertion carried
-- Returns "moved", "back" or "gone".

if redis.call('HEXISTS', KEYS[1], 'webauthn:' .. ARGV[1]) == 0 then return 'gone' end
local before, now = tonumber(redis.call('HGET', KEYS[2], 'sign_count')), tonumber(ARGV[2])
if (before > 0 or now > 0) and now <= before then return 'back' end
redis.call('HSET', KEYS[2], 'sign_count', ARGV[2])
return 'moved'
