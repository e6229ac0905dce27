-- Unbinds a credential, unless nothing else would be left to confirm with.
--
-- KEYS: 1 factors of the user, 2 the factor, 3 whose the credential is
-- ARGV: 1 factor id
-- Returns "removed", "last" or "gone".

if redis.call('HEXISTS', KEYS[1], 'webauthn:' .. ARGV[1]) == 0 then return 'gone' end
if redis.call('HLEN', KEYS[1]) == 1 then return 'last' end
redis.call('HDEL', KEYS[1], 'webauthn:' .. ARGV[1])
redis.call('DEL', KEYS[2], KEYS[3])
return 'removed'
