-- Unbinds a credential, unless nothing else would be left to confirm with. What it confirmed opens nothing more.
--
-- KEYS: 1 factors of the user, 2 the factor, 3 whose the credential is, 4 the mark of a removed factor,
--       5 the same mark of the factor that confirmed this change
-- ARGV: 1 factor id, 2 lifetime of proofs (s)
-- Returns "removed", "last", "gone", or "stale" where the confirming factor was removed itself.

if redis.call('HEXISTS', KEYS[1], 'webauthn:' .. ARGV[1]) == 0 then return 'gone' end
if redis.call('EXISTS', KEYS[5]) == 1 then return 'stale' end
if redis.call('HLEN', KEYS[1]) == 1 then return 'last' end
redis.call('HDEL', KEYS[1], 'webauthn:' .. ARGV[1])
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('SET', KEYS[4], '1', 'EX', ARGV[2])
return 'removed'
